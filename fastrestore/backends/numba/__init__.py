"""CPU kernels compiled by Numba, written with vector instructions, run on a thread pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastrestore.backends.host import (
    bm3d_memory,
    bring,
    empty,
    fetch,
    load,
    luminance,
    memory,
    put,
    robust_range,
    store,
    warm,
)

if TYPE_CHECKING:
    from fastrestore._collaborative.stage import Channels, Image, Matches, Run, Stage
    from fastrestore._collaborative.volume_stage import CubeMatches, Volume, Volumes, VolumeStage
    from fastrestore.backends.protocol import VideoStage

__all__ = [
    "NAME",
    "bm3d_basic",
    "bm3d_final",
    "bm3d_match",
    "bm3d_memory",
    "bm3d_sharpened",
    "bm4d_basic",
    "bm4d_final",
    "bm4d_match",
    "bring",
    "empty",
    "fetch",
    "load",
    "luminance",
    "memory",
    "put",
    "robust_range",
    "store",
    "video_stage",
    "warm",
    "why_unavailable",
]

NAME = "numba"


def why_unavailable() -> str | None:
    """Say why Numba cannot be used, if so; importing it is what shows it."""
    try:
        import numba
    except Exception as error:
        return f"importing numba failed ({error}); reinstall it: pip install -U numba"
    if numba.config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set and the kernels exist only compiled; unset it"
    return None


def bm3d_match(image: Image, stage: Stage, run: Run) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import _match

    return _match.bm3d_match(image, stage, run)


def video_stage(shape: tuple[int, int, int, int], stage: Stage, run: Run) -> VideoStage:
    """See `fastrestore.backends.protocol.VideoBackend`."""
    from fastrestore.backends.numba import vbm3d

    return vbm3d.VideoStage(shape, stage, run)


def bm3d_basic(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import bm3d

    return bm3d.bm3d_basic(noisy, matches, stage, run)


def bm3d_sharpened(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    return bm3d_basic(noisy, matches, stage, run)  # which looks at the root


def bm3d_final(
    noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import bm3d

    return bm3d.bm3d_final(noisy, pilot, matches, stage, run)


def bm4d_match(volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    from fastrestore.backends.numba import _cubes_match

    return _cubes_match.bm4d_match(volume, stage, run)


def bm4d_basic(noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    from fastrestore.backends.numba import bm4d

    return bm4d.bm4d_basic(noisy, matches, stage, run)


def bm4d_final(
    noisy: Volumes, pilot: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    from fastrestore.backends.numba import bm4d

    return bm4d.bm4d_final(noisy, pilot, matches, stage, run)
