"""Patches of an image on a GPU, with the measures that the level of white noise is estimated from.

Launches of kernels/noise_*.cu. Only sums come back to the host. Twins: `_sigma` of estimate.py, and
patches.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.types import FloatArray
from fastrestore._cuda.launches import launch
from fastrestore._noise.clipping import SHARE, Clipping, clipped
from fastrestore._noise.patches import CONSTANT, LEVELS, SIDE, SIZE, SOLID, UNCLIPPED

THREADS = 256  # of a thread block, as in noise.cuh
SHARED = 8 * 5 * THREADS // 32  # bytes: up to 5 sums of each warp
PRODUCTS_SHARED = 4 * (8 * (SIZE + 1) + THREADS + THREADS // 32)  # see noise_products.cu
SAMPLES = 2**10  # pixels that are looked at for values far from the others
BLOCKS = 256  # most thread blocks of kernels that go through all pixels
MOST = 2**31 - 1  # pixels, which kernels count in 32 bits
TYPES = {
    "u1": "unsigned char", "i1": "signed char", "u2": "unsigned short", "i2": "short",
    "u4": "unsigned", "i4": "int", "u8": "unsigned long long", "i8": "long long",
    "f4": "float", "f8": "double",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ends:
    """Valid pixels of a plane: number, mean, least and greatest value."""

    count: int
    mean: float
    low: float
    high: float

    @property
    def scale(self) -> float:
        """Largest distance from the mean."""
        return max(self.high - self.mean, self.mean - self.low)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels (M, N) of a plane, scaled to values from -1 to 1; they must not be constant."""

    ends: Ends
    image: Any  # float64
    rounded: Any  # whole numbers up to LEVELS
    known: Any  # whether a pixel is valid
    clipping: Clipping
    between: int  # pixels that have neither the least nor the greatest value

    @classmethod
    def of(cls, ends: Ends, image: Any, known: Any) -> Pixels:
        """Scale the pixels of `copied` in place."""
        cupy = interop.load_cupy()
        rounded, counts = cupy.empty(image.shape, np.int32), cupy.zeros(3, np.uint64)
        numbers = ends.mean, ends.scale, ends.low, ends.high
        launch(
            "noise_scale", (), (_blocks(image.size),), (THREADS,),
            (image, known, np.int64(image.size), *map(np.float64, numbers), rounded, counts),
        )  # fmt: skip
        low, high, between = map(int, counts.get())
        least = SHARE * ends.count
        found = ((value - ends.mean) / ends.scale for value in (ends.low, ends.high))
        each = (v if n >= least else None for v, n in zip(found, (low, high), strict=True))
        return cls(ends, image, rounded, known, Clipping(*each), between)


def copied(
    plane: Any, valid: NDArray[np.bool_] | None, places: tuple[Any, Any] | None = None
) -> tuple[Ends, Any, Any]:
    """Return the ends, the pixels (M, N) in float64, and where they are valid.

    `places` are the rows and columns that are used, -1 for lines that are invalid.
    """
    cupy = interop.load_cupy()
    shape = plane.shape if places is None else tuple(map(len, places))
    if math.prod(shape) > MOST:
        raise MemoryError(
            f"{math.prod(shape)} pixels are too many for the kernels, which support {MOST}; "
            "estimate the noise of a part of the image"
        )
    image, known = cupy.empty(shape, np.float64), cupy.empty(shape, np.uint8)
    return _measured(plane, valid, places, image, known), image, known


def ends_of(plane: Any, valid: NDArray[np.bool_] | None, name: str = "image") -> Ends:
    """Return the ends of a plane; raise if valid pixels are not finite."""
    return _measured(plane, valid, None, None, None, name)


def is_plausible(planes: Any, valid: NDArray[np.bool_] | None) -> bool:
    """Whether valid pixels of (C, M, N) are finite, and a sample has no fill values."""
    masks = [None] * len(planes) if valid is None else np.broadcast_to(valid, planes.shape)
    apart = math.ceil(math.sqrt(planes.size / SAMPLES))
    places = tuple(np.arange(0, n, apart) for n in planes.shape[1:])
    known = []
    try:
        for plane, mask in zip(planes, masks, strict=True):
            ends = ends_of(plane, mask)
            _, sample, usable = copied(plane, mask, (places[0], places[1]))
            known += [sample.get()[usable.get() != 0], [ends.low, ends.high]]
        if planes.dtype.itemsize > 1:
            outliers.check("image", np.concatenate(known), 0.0, outliers.MASK)
    except ValueError:
        return False
    return True


def _measured(
    plane: Any,
    valid: NDArray[np.bool_] | None,
    places: Any,
    image: Any,
    known: Any,
    name: str = "image",
) -> Ends:
    """Measure the valid pixels of a plane, and copy them if there is an image for them."""
    cupy, given = interop.load_cupy(), plane
    if plane.dtype.str[1:] not in TYPES:  # halves, and other byte orders
        plane = plane.astype(np.promote_types(plane.dtype.newbyteorder("="), np.float32))
    tables = [
        cupy.asarray(np.asarray(each, np.int32))
        for each in (places or (np.arange(n) for n in plane.shape))
    ]
    shape, mask = [len(each) for each in tables], None
    if valid is not None:
        mask = cupy.asarray(np.ascontiguousarray(valid).view(np.uint8))
    partial = cupy.empty((_blocks(math.prod(shape)), 5), np.float64)
    launch(
        "noise_copy", (("FROM", TYPES[plane.dtype.str[1:]]),), (len(partial),), (THREADS,),
        (
            plane, *(np.int64(step // plane.dtype.itemsize) for step in plane.strides), *tables,
            *map(np.int32, shape), mask, np.int32(plane.shape[1]), image, known, partial,
        ),
        SHARED,
    )  # fmt: skip
    sums = partial.get()
    total, count, bad = sums[:, :3].sum(0)
    if bad:  # the error that is raised on the host says how many there are, and where
        validate.check_finite(name, interop.to_host(given), valid)
    low, high = float(sums[:, 3].min()), float(sums[:, 4].max())
    if count:
        validate.check_finite(name, np.array([low, high], plane.dtype))
    return Ends(int(count), float(total / max(1, count)), low, high)


def _blocks(size: int) -> int:
    return min(BLOCKS, -(-size // THREADS))


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one image on a GPU, at each `step` pixels, see `level.Patches`."""

    pixels: Pixels
    step: int
    gradient: Any  # (P, Q), see `patches.Energies`
    detail: Any
    means: Any  # (4, P, Q)
    whole: Any
    apart: int = 1  # only every `apart`-th row and column of the grid is used

    @classmethod
    def of(cls, pixels: Pixels, step: int) -> Patches:
        """Measure the patches of an image."""
        empty = interop.load_cupy().empty
        shape = tuple((n - SIDE) // step + 1 for n in pixels.image.shape)
        gradient, detail = empty(shape, np.float64), empty(shape, np.float64)
        means, whole = empty((4, *shape), np.float64), empty(shape, np.uint8)
        launch(
            "noise_patches", (), (-(-gradient.size // THREADS),), (THREADS,),
            (
                pixels.image, pixels.known, np.int32(pixels.image.shape[1]), np.int32(step),
                *map(np.int32, shape), gradient, detail, means, whole,
            ),
        )  # fmt: skip
        return cls(pixels, step, gradient, detail, means, whole)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the grid that is used."""
        height, width = (-(-n // self.apart) for n in self.gradient.shape)
        return height, width

    @property
    def count(self) -> int:
        """Number of patches, valid or not."""
        return math.prod(self.shape)

    @property
    def clipping(self) -> Clipping:
        """Values at which the image is clipped."""
        return self.pixels.clipping

    def thinned(self) -> Patches:
        """Keep every second patch in both directions."""
        return replace(self, step=2 * self.step, apart=2 * self.apart)

    def areas(self, level: float, noiseless: float) -> Areas:
        """Find areas with less detail than a share of noise of a variance; 0: constant areas."""
        empty = interop.load_cupy().empty
        left, marked = empty(self.shape, np.float64), empty(self.shape, np.uint8)
        low, high = self.clipping.low, self.clipping.high
        sigma = 0.0 if low is None and high is None else math.sqrt(level)
        ends = -math.inf if low is None else low, math.inf if high is None else high
        sums = self.summed(
            "noise_areas", 2,
            self.detail, self.means, self.whole, np.int32(self.detail.size), *self.grid(),
            *map(np.float64, (*ends, sigma)), interop.load_cupy().asarray(np.stack(clipped())),
            np.float64(CONSTANT), np.float64(noiseless * level), left, marked,
        )  # fmt: skip
        return Areas(self, left, marked, noiseless=int(sums[0]), varying=int(sums[1]))

    def spacing(self) -> float:
        """Return the median difference of values that follow each other, in whole numbers."""
        cupy = interop.load_cupy()
        values = cupy.unique(self.pixels.rounded)
        return float(cupy.median(values[1:] - values[:-1]))

    def grid(self) -> tuple[np.int32, ...]:
        """Return the arguments of kernels that say which patches are used."""
        return tuple(map(np.int32, (self.gradient.shape[1], self.apart, *self.shape)))

    def reach(self, distance: int) -> np.int32:
        """Return how many places on the grid a distance in pixels is."""
        return np.int32(distance // self.step)

    def summed(self, name: str, count: int, *arguments: Any) -> FloatArray:
        """Launch a kernel with a thread for each patch; return its sums."""
        blocks = -(-self.count // THREADS)
        partial = interop.load_cupy().empty((blocks, count), np.float64)
        launch(name, (), (blocks,), (THREADS,), (*arguments, partial), SHARED)
        sums: FloatArray = partial.get().sum(0)
        return sums


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas without noise, and patches away from them, see `level.Areas`."""

    patches: Patches
    left: Any  # share of the variance that clipping leaves, by patch
    empty: Any  # patches without noise
    noiseless: int
    varying: int

    @cached_property
    def noisy(self) -> int:
        """Number of patches that are away from areas without noise."""
        return self._flat(math.inf)[1]

    def flat(self, most: float = math.inf) -> Flat:
        """Return those of them that have less than this energy of gradients, if not clipped."""
        return self._flat(most)[0]

    def _flat(self, most: float) -> tuple[Flat, int]:
        given, selected = self.patches, interop.load_cupy().empty(self.empty.shape, np.uint8)
        pitch, apart, *shape = given.grid()
        noisy, count, left, detail = given.summed(
            "noise_flat", 4,
            given.gradient, given.detail, given.whole, pitch, apart, self.left, self.empty, *shape,
            given.reach(SIDE - 1), np.float64(UNCLIPPED), np.float64(most), selected,
        )  # fmt: skip
        some = max(1.0, count)
        return Flat(given, selected, int(count), left / some, detail / some), int(noisy)

    def lines(self, most: float = math.inf) -> Lines:
        """Return lines in patches of less than this energy that are not beside such areas."""
        given, image = self.patches, self.patches.pixels.rounded
        pitch, apart, *shape = given.grid()
        sums = given.summed(
            "noise_lines", 5,
            image, np.int32(image.shape[1]), np.int32(given.step), given.gradient, given.whole,
            pitch, apart, self.empty, *shape, given.reach(SIDE // 2), np.float64(most),
            np.float64(SOLID),
        )  # fmt: skip
        count, lines, straight, chance, unlike = map(float, sums)
        some = max(1.0, count)
        on_line = straight / 2 / some if count else 1.0
        return Lines(int(count), lines / some, unlike / some, chance / some, on_line)


@dataclass(frozen=True, eq=False)
class Flat:
    """Selected patches that are noise and little else, see `level.Flat`."""

    patches: Patches
    selected: Any
    count: int
    left: float
    detail: float

    def eigenvalues(self) -> FloatArray:
        """Return the eigenvalues of their covariance, ascending."""
        cupy, image, step = interop.load_cupy(), self.patches.pixels.rounded, self.patches.step
        first, second = np.triu_indices(SIZE + 1)  # the last pixel of a patch is 1
        sums = cupy.zeros(len(first), np.uint64)
        launch(
            "noise_products", (), (-(-self.selected.size // THREADS),), (THREADS,),
            (
                image, np.int32(image.shape[1]), np.int32(step), self.selected,
                np.int32(self.selected.shape[1]), np.int32(self.selected.size), sums,
            ),
            PRODUCTS_SHARED,
        )  # fmt: skip
        products = np.zeros((SIZE + 1, SIZE + 1))
        products[first, second] = products[second, first] = sums.get().view(np.int64)
        mean = products[:SIZE, SIZE] / self.count
        covariance = products[:SIZE, :SIZE] / self.count - np.outer(mean, mean)
        unbiased = covariance / LEVELS**2 * self.count / (self.count - 1)
        return np.asarray(np.linalg.eigvalsh(unbiased), np.float64)


@dataclass(frozen=True, slots=True)
class Lines:
    """Equal and straight pixels in selected patches, see `level.Lines`."""

    count: int
    share: float
    unlike: float
    chance: float
    straight: float
