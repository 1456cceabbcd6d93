"""Small patches of one image: their energies, and sums over selected ones that are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.clipping import Clipping

SIDE = 7
SIZE = SIDE**2
# Values are rounded to whole numbers of up to 22 bits and a sign. Products of two, summed over
# BLOCK patches, are then exact in float64, so the result does not depend on the order in which a
# BLAS adds, nor on its threads. OpenBLAS uses only one thread for so small a product.
LEVELS = 2.0**22
BLOCK = 100
GATHERED = 64 * BLOCK  # patches in memory at a time
CONSTANT = 1e-12  # detail of a patch that is constant, or a ramp, but for rounding
ROUNDED = 2  # largest difference of sums that are equal but for rounding to whole numbers
UNCLIPPED = 0.05  # least share of the variance that clipping leaves in a flat patch
SOLID = 0.4  # share of equal neighbors in a patch that is mostly one area, whatever is beside it
STRIP = 64  # rows of the image at a time, which stay in the cache of a processor


@dataclass(frozen=True, slots=True, eq=False)
class Energies:
    """Measures of patches, each of shape (P, Q); an image varies by about 1."""

    gradient: FloatArray  # sum of the squared central differences
    detail: FloatArray  # mean square of second differences; white noise of variance 1 has 1
    means: FloatArray  # of the four overlapping quarters, (4, P, Q)
    whole: NDArray[np.bool_]  # all pixels are valid


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one image on the host at each `step` pixels, on a grid (P, Q)."""

    image: FloatArray  # whole numbers up to LEVELS
    energies: Energies
    step: int
    clipping: Clipping

    @classmethod
    def of(cls, image: FloatArray, valid: NDArray[Any] | None, step: int) -> Patches:
        """Measure the patches of an image with values from -1 to 1."""
        rows = range(0, image.shape[0] - SIDE + 1, max(1, STRIP // step) * step)
        last = image.shape[0] - SIDE + 1
        parts = []
        for first, stop in zip(rows, [*rows[1:], last], strict=True):
            place = slice(first, stop + SIDE - 1)
            parts.append(_energies(image[place], None if valid is None else valid[place], step))
        names = ("gradient", "detail", "means", "whole")
        joined = (np.concatenate([getattr(part, name) for part in parts], -2) for name in names)
        clipping = Clipping.of(image if valid is None else image[valid])
        return cls(np.rint(image * LEVELS), Energies(*joined), step, clipping)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grid."""
        return self.energies.gradient.shape

    @property
    def count(self) -> int:
        """Number of patches, valid or not."""
        return self.energies.gradient.size

    @cached_property
    def corners(self) -> NDArray[np.intp]:
        """Index of the first pixel of each patch in the flat image, of the shape of the grid."""
        down, across = (self.step * np.arange(n) for n in self.shape)
        corners: NDArray[np.intp] = down[:, None] * self.image.shape[1] + across
        return corners

    def thinned(self) -> Patches:
        """Keep every second patch in both directions."""
        measures = self.energies
        few = Energies(*(getattr(measures, name)[..., ::2, ::2] for name in measures.__slots__))
        return Patches(self.image, few, 2 * self.step, self.clipping)

    def areas(self, level: float, noiseless: float) -> Areas:
        """Find areas with less detail than a share of noise of a variance; 0: constant areas."""
        measures = self.energies
        left = self.clipping.left(measures.means, level)
        empty = measures.whole & (measures.detail <= np.maximum(CONSTANT, noiseless * level * left))
        return Areas(self, left, empty)

    def spacing(self) -> float:
        """Return the median difference of values that follow each other, in whole numbers."""
        return float(np.median(np.diff(np.unique(self.image))))

    def eigenvalues(self, selected: NDArray[np.bool_]) -> FloatArray:
        """Eigenvalues of the covariance of the selected patches, ascending."""
        corners, pixels, width = self.corners[selected], self.image.ravel(), self.image.shape[1]
        inside = np.add.outer(np.arange(SIDE) * width, np.arange(SIDE)).reshape(-1, 1)
        products, sums = np.zeros((SIZE, SIZE)), np.zeros(SIZE)

        def added(first: int) -> tuple[FloatArray, FloatArray, FloatArray]:
            return _sums(pixels.take(inside + corners[first : first + GATHERED]))

        for total, of_blocks, of_rest in threads.in_order(added, range(0, len(corners), GATHERED)):
            sums += total
            products += of_blocks
            products += of_rest
        mean = sums / len(corners)
        covariance = (products / len(corners) - np.outer(mean, mean)) / LEVELS**2
        unbiased = covariance * len(corners) / (len(corners) - 1)
        return np.asarray(np.linalg.eigvalsh(unbiased), np.float64)

    def near(self, marked: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
        """Where a marked patch is at most `distance` pixels away in each direction."""
        from scipy.ndimage import maximum_filter1d

        if not marked.any():
            return marked
        size = 2 * (distance // self.step) + 1
        rows = maximum_filter1d(marked.astype(np.uint8), size, axis=0, mode="constant")
        near: NDArray[np.uint8] = maximum_filter1d(rows, size, axis=1, mode="constant")
        return near.view(np.bool_)

    def straight(self, selected: NDArray[np.bool_]) -> float:
        """Share of the centers of selected patches on a straight line with their neighbors."""
        pixels, width = self.image.ravel(), self.image.shape[1]
        centers = self.corners[selected] + SIDE // 2 * (width + 1)
        if not len(centers):
            return 1.0
        bends = [
            pixels[centers - k] - 2 * pixels[centers] + pixels[centers + k] for k in (1, width)
        ]
        return float((np.abs(bends) <= ROUNDED).mean())

    @cached_property
    def equal_lines(self) -> FloatArray:
        """Share (0, 1/2 or 1) of the middle row and column of each patch that has equal pixels."""
        middle, pick = SIDE // 2, self._pick
        rows, columns = (
            _all_of(equal, SIDE - 1, k) for equal, k in zip(self._equal, (1, 0), strict=True)
        )
        rows, columns = rows[middle:-middle], columns[:, middle:-middle]
        lines: FloatArray = (rows[pick].astype(np.float64) + columns[pick]) / 2
        return lines

    @cached_property
    def equal_neighbors(self) -> FloatArray:
        """Share of the pairs of neighbors in each patch that are equal."""
        across, down = (equal.astype(np.float64) for equal in self._equal)
        pairs = _box(across, SIDE, SIDE - 1) + _box(down, SIDE - 1, SIDE)
        return pairs[self._pick] / (2 * SIDE * (SIDE - 1))

    @cached_property
    def _equal(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where a pixel is equal to the next one of its row, and of its column."""
        across, down = (np.diff(self.image, axis=axis) for axis in (1, 0))
        return np.abs(across) <= ROUNDED, np.abs(down) <= ROUNDED

    @property
    def _pick(self) -> tuple[slice, slice]:
        """Patches on the grid, of all patches."""
        return slice(None, None, self.step), slice(None, None, self.step)


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas without noise, and patches away from them, see `level.Areas`."""

    patches: Patches
    left: FloatArray  # share of the variance that clipping leaves, by patch
    empty: NDArray[np.bool_]  # patches without noise

    @property
    def noiseless(self) -> int:
        """Number of patches without noise."""
        return int(np.count_nonzero(self.empty))

    @property
    def varying(self) -> int:
        """Number of the others."""
        return int(np.count_nonzero(self.patches.energies.whole & ~self.empty))

    @property
    def noisy(self) -> int:
        """Number of those that are away from areas without noise."""
        return int(np.count_nonzero(self._away))

    @cached_property
    def _away(self) -> NDArray[np.bool_]:
        patches = self.patches
        return patches.energies.whole & ~patches.near(self.empty, SIDE - 1)

    def flat(self, most: float = math.inf) -> Flat:
        """Return those of them that have less than this energy of gradients, if not clipped."""
        selected = self._away & (self.left > UNCLIPPED)
        if most < math.inf:
            selected &= self.patches.energies.gradient < most
        return Flat(self, selected)

    def lines(self, most: float = math.inf) -> Lines:
        """Return lines in patches of less than this energy that are not beside such areas."""
        selected = self.patches.energies.whole & ~self.patches.near(self.empty, SIDE // 2)
        if most < math.inf:
            selected &= self.patches.energies.gradient < most
        return Lines(self.patches, selected)


@dataclass(frozen=True, eq=False)
class Flat:
    """Selected patches that are noise and little else, see `level.Flat`."""

    areas: Areas
    selected: NDArray[np.bool_]

    @cached_property
    def count(self) -> int:
        """Number of patches."""
        return int(np.count_nonzero(self.selected))

    @property
    def left(self) -> float:
        """Mean share of the variance that clipping leaves."""
        return float(self.areas.left[self.selected].mean())

    @cached_property
    def detail(self) -> float:
        """Mean square of their second differences, 1 for white noise of variance 1."""
        return float(self.areas.patches.energies.detail[self.selected].mean())

    def eigenvalues(self) -> FloatArray:
        """Return the eigenvalues of their covariance, ascending."""
        return self.areas.patches.eigenvalues(self.selected)


@dataclass(frozen=True, eq=False)
class Lines:
    """Equal and straight pixels in selected patches, see `level.Lines`."""

    patches: Patches
    selected: NDArray[np.bool_]

    @cached_property
    def count(self) -> int:
        """Number of patches."""
        return int(np.count_nonzero(self.selected))

    @property
    def share(self) -> float:
        """Share of the middle rows and columns all of whose pixels are equal."""
        return float(self.patches.equal_lines[self.selected].mean())

    @property
    def unlike(self) -> float:
        """The same of patches that are not mostly one area, relative to all patches."""
        return float(self.patches.equal_lines[self._mixed].sum()) / self.count

    @cached_property
    def chance(self) -> float:
        """What it would be if the pixels were independent."""
        equal = self.patches.equal_neighbors[self._mixed]
        return float((equal ** (SIDE / 2)).sum()) / self.count

    @cached_property
    def _mixed(self) -> NDArray[np.bool_]:
        return self.selected & (self.patches.equal_neighbors < SOLID)

    @property
    def straight(self) -> float:
        """Share of the centers on a straight line with their neighbors, 1 if there are none."""
        return self.patches.straight(self.selected)


def _sums(columns: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sum of patches (SIZE, K), and of the products of their pixels: of blocks and of the rest."""
    even = columns.shape[1] // BLOCK * BLOCK
    blocks = columns[:, :even].reshape(SIZE, -1, BLOCK).transpose(1, 0, 2)
    products = np.matmul(blocks, blocks.transpose(0, 2, 1)).sum(0)
    return columns.sum(1), products, columns[:, even:] @ columns[:, even:].T


def _energies(image: FloatArray, valid: NDArray[Any] | None, step: int) -> Energies:
    """Measure the patches of some rows."""
    pick = (slice(None, None, step), slice(None, None, step))
    slopes = ((image[:, 2:] - image[:, :-2]) / 2) ** 2, ((image[2:] - image[:-2]) / 2) ** 2
    long, short = SIDE, SIDE - 2
    gradient = _box(slopes[0], long, short)[pick] + _box(slopes[1], short, long)[pick]
    half, far = SIDE // 2 + 1, SIDE // 2
    quarter = _box(image, half, half) / half**2
    means = np.stack(
        [
            quarter[y : len(quarter) - far + y, x : quarter.shape[1] - far + x][pick]
            for y in (0, far)
            for x in (0, far)
        ]
    )
    whole = np.ones(gradient.shape, bool)
    if valid is not None:
        whole = _box(valid.astype(np.float64), long, long)[pick] == SIZE
    return Energies(gradient, _details(image)[pick], means, whole)


def _details(image: FloatArray) -> FloatArray:
    """Mean square of the second differences in the patch at each pixel."""
    middle = 2 * image
    bends = (
        (image[:, 2:] - middle[:, 1:-1] + image[:, :-2]) ** 2,
        (image[2:] - middle[1:-1] + image[:-2]) ** 2,
    )
    long, short = SIDE, SIDE - 2
    details = _box(bends[0], long, short) + _box(bends[1], short, long)
    details /= 2 * long * short * 6  # 6: variance of a second difference
    return details


def varying(image: FloatArray, valid: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the patch at each pixel varies and is valid, in an image with values from -1 to 1."""
    last = image.shape[0] - SIDE + 1
    found = [
        _details(image[y : min(y + STRIP, last) + SIDE - 1]) > CONSTANT
        for y in range(0, last, STRIP)
    ]
    where: NDArray[np.bool_] = np.concatenate(found)
    return where if valid.all() else where & (_box(valid.astype(np.float64), SIDE, SIDE) == SIZE)


def _all_of(true: NDArray[np.bool_], count: int, axis: int) -> NDArray[np.bool_]:
    """Where this many elements along an axis are all true."""
    along = np.moveaxis(true, axis, 0)
    length = len(along) - count + 1
    found = np.ones_like(along[:length])
    for k in range(count):
        found &= along[k : k + length]
    return np.moveaxis(found, 0, axis)


def _box(values: FloatArray, height: int, width: int) -> FloatArray:
    """Sums over all windows of a size."""
    rows = values[: len(values) - height + 1].copy()
    for k in range(1, height):
        rows += values[k : len(rows) + k]
    count = values.shape[1] - width + 1
    sums = rows[:, :count].copy()
    for k in range(1, width):
        sums += rows[:, k : count + k]
    return sums
