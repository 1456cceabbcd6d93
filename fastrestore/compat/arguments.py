"""Arguments that bm3d and bm4d share: images, noise, stages, block matches."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.block_matches import BlockMatches
from fastrestore._collaborative.refilter import resampled
from fastrestore._noise import psd
from fastrestore.backends.protocol import Matches


def array(name: str, values: Any) -> FloatArray:
    """Return finite real numbers as a float64 array."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fastrestore.bm3d takes mask= for valid pixels")
    plain = np.asarray(values)
    if plain.dtype.kind == "c":
        raise ValueError(
            f"{name} is complex, which is not supported: filter its real and imaginary parts"
        )
    if plain.dtype.kind not in "fiub":
        given = f"an array of {plain.dtype}" if plain.ndim else validate.quoted(values)
        raise TypeError(f"{name} must be an array of real numbers, got {given}")
    if plain.size == 0:
        raise ValueError(f"{name} is empty, its shape is {plain.shape}")
    numbers = plain.astype(np.float64)
    if plain.ndim > 1:  # the numbers of `sigma_psd` are checked as such
        validate.check_finite(name, numbers)
    return numbers


def check_size(shape: tuple[int, ...], block: int, restored_by: str) -> None:
    """Raise if two axes of an image are not as long as a block."""
    if sorted(shape)[-2] < block:
        raise ValueError(
            f"z of shape {shape} is smaller than a block of {block}x{block} pixels; "
            f"fastrestore.{restored_by} restores such images"
        )


class Noise(NamedTuple):
    """Levels (C,) or spectra (C, *spatial) of the channels, or one for all of them."""

    sigma: FloatArray | None
    psd: FloatArray | None

    @classmethod
    def of(cls, sigma_psd: Any, spatial: tuple[int, ...], channels: int, axis: int) -> Noise:
        """Validate `sigma_psd` for images of a spatial shape, with channels along an axis."""
        values = array("sigma_psd", sigma_psd)
        if values.ndim < 2:
            if values.size not in (1, channels):
                raise ValueError(
                    f"sigma_psd must be one number, or one for each of {channels} channels, or a "
                    f"power spectrum of the shape of z, got {validate.quoted(sigma_psd)}"
                )
            wanted = "a number of 0 or more, or one for each channel"
            return cls(validate.numbers("sigma_psd", values.reshape(-1), wanted), None)
        if values.ndim > len(spatial):
            values = np.moveaxis(values, axis, 0)
        elif values.ndim == len(spatial):
            values = values[None]
        if values.ndim != len(spatial) + 1 or len(values) not in (1, channels):
            raise ValueError(
                f"sigma_psd of shape {np.shape(sigma_psd)} does not fit z: a power spectrum has "
                f"the shape {spatial}, with one for each channel, or one for all"
            )
        psd.of_psd(values, values.shape, 0, "sigma_psd")  # for messages with this name
        return cls(None, _of_shape(values, spatial))

    def options(self, channel_axis: int | None) -> dict[str, Any]:
        """Return the arguments of functions of the library."""
        if self.sigma is not None:
            return {"sigma": float(self.sigma[0]) if len(self.sigma) == 1 else self.sigma}
        assert self.psd is not None
        if len(self.psd) == 1 or channel_axis is None:
            return {"psd": self.psd[0]}
        return {"psd": np.moveaxis(self.psd, 0, channel_axis)}

    def channel(self, number: int) -> Noise:
        """Return the noise of one channel."""
        return Noise(*(None if x is None else x[min(number, len(x) - 1)][None] for x in self))

    def is_white(self) -> bool:
        """Whether the power is the same at all frequencies."""
        return self.psd is None or all(each.min() == each.max() for each in self.psd)


def _of_shape(psd: FloatArray, spatial: tuple[int, ...]) -> FloatArray:
    """Return spectra of the same noise for images of a shape."""
    if psd.shape[1:] == spatial or len(spatial) != 2:
        return psd
    size = psd[0].size
    kept = [resampled(each / size, (spatial[0], spatial[1])) for each in psd]
    return np.array(kept) * np.prod(spatial)


class Stages(NamedTuple):
    """The stages to run, as arguments of the library."""

    stage: str
    pilot: Any

    @classmethod
    def of(cls, stage_arg: Any, kind: type[enum.Enum], shape: tuple[int, ...]) -> Stages:
        """Validate `stage_arg`."""
        if isinstance(stage_arg, kind):
            name = stage_arg.name
            if name == "WIENER_FILTERING":
                raise ValueError(
                    f"stage_arg={kind.__name__}.{name} needs an estimate: write stage_arg=estimate"
                )
            return cls("basic" if name == "HARD_THRESHOLDING" else "final", None)
        if isinstance(stage_arg, (str, int, float, enum.Enum)) or stage_arg is None:
            raise TypeError(
                f"stage_arg must be a {kind.__name__}, or an estimate of the shape of z, got "
                f"{validate.quoted(stage_arg)}"
            )
        pilot = array("stage_arg", stage_arg)
        if pilot.shape != shape:
            raise ValueError(f"stage_arg has shape {pilot.shape}, but z has shape {shape}")
        return cls("final", pilot)


class Kept(NamedTuple):
    """The block matches to use, and whether those of each stage are returned."""

    given: BlockMatches
    wanted: tuple[bool, bool]

    @classmethod
    def of(cls, blockmatches: Any) -> Kept:
        """Validate `blockmatches`."""
        pair = tuple(blockmatches) if isinstance(blockmatches, (tuple, list)) else ()
        if len(pair) != 2 or not all(
            each is None or isinstance(each, (bool, np.bool_, Matches)) for each in pair
        ):
            raise TypeError(
                "blockmatches must be a pair of True, False or matches that a call returned, one "
                f"for each stage, got {validate.quoted(blockmatches)}"
            )
        given = BlockMatches(*(each if isinstance(each, Matches) else None for each in pair))
        return cls(given, (pair[0] is True, pair[1] is True))

    def options(self) -> dict[str, Any]:
        """Return the arguments of functions of the library."""
        if not any(self.wanted) and self.given.basic is None and self.given.final is None:
            return {}
        return {"matches": self.given, "return_info": True}

    def result(self, image: NDArray[Any], matches: BlockMatches) -> Any:
        """Return what the caller wants."""
        if not any(self.wanted):
            return image
        pair = zip(self.wanted, (matches.basic, matches.final), strict=True)
        return image, tuple(each if wanted else None for wanted, each in pair)


def separated(result: Any) -> tuple[Any, BlockMatches]:
    """Return the image and the matches of a call with or without `return_info`."""
    if not isinstance(result, tuple):
        return result, BlockMatches()
    return result[0], result[1].matches
