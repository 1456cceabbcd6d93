"""The contract of a backend: the functions that its module defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import Channels, FloatArray, Image, Matches, Run, Stage
from fastrestore._collaborative.volume_stage import CubeMatches, Volume, Volumes, VolumeStage


class Availability(Protocol):
    """What every row of the table has, whether it can run or not."""

    NAME: str

    def why_unavailable(self) -> str | None:
        """Return None, or the reason and the cure in one line."""
        ...


class Backend(Availability, Protocol):
    """The functions of a backend; images are C-ordered float32.

    Images go in by `load` and out by `store`; in between they are where the backend works, and only
    its functions read them. Blocks are matched on one image and filtered in every channel, by the
    same groups.
    """

    def memory(self) -> Any:
        """Return what `Run.memory` holds: buffers that may be used again, or None."""
        ...

    def warm(
        self, profile: Profile, stages: tuple[str, ...], dtype: np.dtype[Any], run: Run
    ) -> None:
        """Get ready for the stages of images of a type."""
        ...

    def bm3d_memory(
        self, shape: tuple[int, int, int], maps: int, profile: Profile, run: Run
    ) -> int:
        """Return how many bytes restoring (C, M, N) takes, about, beside image and result.

        `maps` is how many numbers a pixel are told of its noise.
        """
        ...

    def bring(self, array: Any) -> Any:
        """Return an array that `load` takes: on the host for a backend that works there."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
        """Return memory for a result, of the kind of the array `like`."""
        ...

    def load(
        self,
        name: str,
        planes: Any,
        exponent: int,
        matrix: FloatArray,
        least: int,
        run: Run,
    ) -> Channels:
        """Times 2**exponent, times a matrix of colours, mirrored to at least (least, least).

        What is loaded next by the same name takes its place.
        """
        ...

    def luminance(self, channels: Channels, weights: FloatArray, run: Run) -> Image:
        """Return the weighted sum of the channels."""
        ...

    def robust_range(self, image: Image, run: Run) -> Any:
        """Return the range from the 1st to the 99th percentile."""
        ...

    def store(
        self,
        channels: Channels,
        exponent: int,
        matrix: FloatArray,
        exact: NDArray[np.bool_] | None,
        planes: Any,
        out: Any,
        run: Run,
    ) -> None:
        """Undo `load`, into `out`; where `exact` says so, with what is in `planes`."""
        ...

    def fetch(self, channels: Channels) -> Channels:
        """Return channels as a NumPy array."""
        ...

    def put(self, channels: Channels) -> Channels:
        """Return channels that were fetched to where the backend works."""
        ...

    def bm3d_match(self, image: Image, stage: Stage, run: Run) -> Matches:
        """Group the blocks of `image`."""
        ...

    def bm3d_basic(self, noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
        """Collaborative hard thresholding and aggregation."""
        ...

    def bm3d_sharpened(self, noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
        """The same, with roots of what is kept; not every backend has it."""
        ...

    def bm3d_final(
        self, noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
    ) -> Channels:
        """Collaborative Wiener filtering and aggregation."""
        ...


class VideoStage(Protocol):
    """One stage of V-BM3D over a window of frames that moves along a film.

    Frames lie in slots, in any order; `slots` says which there are, in order of time.
    """

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Place a frame: what blocks are matched on, and what is filtered."""
        ...

    def matches(self, slots: Sequence[int], centre: int) -> Matches:
        """Group the blocks of the frames in `slots`, for the references of the one at `centre`.

        Offsets are those in a tall image, in which the slots lie below each other.
        """
        ...

    def filter(self, slots: Sequence[int], centre: int) -> None:
        """Filter the groups of the frame slots[centre], and lay them down."""
        ...

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame, and make room for another."""
        ...


class VideoBackend(Backend, Protocol):
    """A backend that restores films, too."""

    def video_stage(self, shape: tuple[int, int, int, int], stage: Stage, run: Run) -> VideoStage:
        """Make a stage for windows of (slots, C, M, N)."""
        ...


class VolumeBackend(Backend, Protocol):
    """A backend that restores volumes, too: (P, M, N), and channels of them."""

    def bm4d_match(self, volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
        """Group the blocks of `volume`."""
        ...

    def bm4d_basic(
        self, noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
    ) -> Volumes:
        """Collaborative hard thresholding and aggregation."""
        ...

    def bm4d_final(
        self,
        noisy: Volumes,
        pilot: Volumes,
        matches: CubeMatches,
        stage: VolumeStage,
        run: Run,
    ) -> Volumes:
        """Collaborative Wiener filtering and aggregation."""
        ...
