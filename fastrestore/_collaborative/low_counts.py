"""Restoration of images of few photons, from coarse to fine.

Based on L. Azzari, A. Foi, "Variance stabilization for noisy+estimate combination in iterative
Poisson denoising", IEEE Signal Process. Lett. 23(8), 2016. An estimate is combined with the noisy
image, and the combination, which has less noise, is stabilized and filtered. The first estimates
are those of binned images, which have more photons in a pixel.

In the paper a table gives the number of passes, the sizes of bins and the share of the noisy image.
Here each size is filtered once, with the share that makes the combination as strong as counts of
`ENOUGH` photons. A smaller share would blur edges that the coarser estimate lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.masks import Mask
from fastrestore._collaborative.request import Geometry, Request
from fastrestore._noise.combined import Combination
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.vst import PoissonGaussian

# Photons in a pixel from which an image is filtered once. Half or twice as many change the mean
# PSNR of photographs of scikit-image and BSDS500 by less than 0.15 dB.
ENOUGH = 5.0
FEWEST = 0.01  # photons in a pixel: a smaller share would leave nothing of the noisy image
SLICES = 2  # pixels of an image that a voxel counts for, because groups of cubes average more
COARSEST, LEAST = 4, 8  # times that images are halved at most, and their least size
# Cubic interpolation at a quarter of the distance of two pixels (Keys, 1981)
CUBIC = (-9 / 128, 111 / 128, 29 / 128, -3 / 128)


class Pass(NamedTuple):
    """One filtering of an image that was binned, and combined with the estimate before."""

    halvings: int
    share: float  # of the noisy image in the combination
    work: float  # share of the work of all passes


def passes(model: PoissonGaussian, stabilized: Any) -> list[Pass]:
    """Return the passes for an image (C, *spatial), from coarse to fine; none if one is enough."""
    mean = float(interop.to_host(stabilized.reshape(-1).mean(0)))
    return passes_of(model, mean, stabilized.shape)


def passes_of(model: PoissonGaussian, mean: float, shape: tuple[int, ...]) -> list[Pass]:
    """Return the passes for an image (C, *spatial) with this mean after stabilization."""
    pixels = 1 if len(shape) == 3 else SLICES
    level = _photons(mean, model.sigma / model.gain) * pixels
    coarsest = 0
    if not level:  # nothing is brighter than the black level
        return []
    while _is_low(level * 4**coarsest) and _is_large(shape[-2:], coarsest + 1):
        coarsest += 1
    if not coarsest:
        return []
    work = np.array([1 / 4**k for k in range(coarsest, -1, -1)])
    shares = [1.0, *(_share(level * 4**k) for k in range(coarsest - 1, -1, -1))]
    return [
        Pass(coarsest - k, share, part)
        for k, (share, part) in enumerate(zip(shares, work / work.sum(), strict=True))
    ]


def _photons(mean: float, spread: float) -> float:
    """Photons in a typical pixel; of Poisson noise of the same relative strength."""
    photons = max(0.0, mean**2 / 4 - 3 / 8 - spread**2)
    return photons**2 / (photons + spread**2) if photons else 0.0


def _is_low(photons: float) -> bool:
    return photons < ENOUGH


def _is_large(shape: Sequence[int], halvings: int) -> bool:
    """Whether an image can be halved so often."""
    return halvings <= COARSEST and min(shape) >= LEAST * 2**halvings


def _share(photons: float) -> float:
    return math.sqrt(min(1.0, max(photons, FEWEST) / ENOUGH))


@dataclass(frozen=True, slots=True, eq=False)
class FewPhotons:
    """The request for an image of few photons, its noise, and a guide (M, N) or None."""

    request: Request
    noise: PlaneNoise
    guide: Any = None

    @property
    def model(self) -> PoissonGaussian:
        """Distribution of the noise."""
        assert isinstance(self.noise.model, PoissonGaussian)
        return self.noise.model

    def restored(
        self, planes: Any, steps: list[Pass], restore: Callable[[Request, Any, None, Any], Any]
    ) -> Any:
        """Restore the image (C, *spatial); `restore` takes a request, image, None and guide."""
        mask, estimate = self.request.mask, None
        planes = planes if mask is None else mask.fill(planes)
        for step in steps:
            combined = self.combined(planes, estimate, step)
            guide = None if self.guide is None else binned(self.guide, step.halvings)
            guide = None if guide is None else guide / 4**step.halvings
            estimate = restore(self.request_of(combined.shape, step), combined, None, guide)
        return self.in_units(estimate)

    def combined(self, planes: Any, estimate: Any, step: Pass) -> Any:
        """Combine an image with its estimate of half the size, in photons of binned pixels."""
        photons = (interop.to_float64(planes) - self.model.offset) / self.model.gain
        noisy = binned(photons, step.halvings)
        if estimate is None:
            return noisy
        return step.share * noisy + (1 - step.share) * doubled(estimate, noisy.shape)

    def in_units(self, photons: Any) -> Any:
        """Return photons in the units of the image."""
        return photons * self.model.gain + self.model.offset

    def request_of(self, shape: tuple[int, ...], step: Pass) -> Request:
        """Return the request for a combination (C, *spatial) of this shape."""
        request, spread = self.request, self.model.sigma / self.model.gain
        combined = Combination(step.share, spread * 2**step.halvings)
        extent = request.data_range
        if extent is not None:  # of the stabilized image
            dark = 2 * math.sqrt(3 / 8 + spread**2)
            extent = combined.extent(((extent + dark) ** 2 - dark**2) / 4 * 4**step.halvings)
        report = request.execution.report_progress
        return replace(
            request,
            geometry=Geometry(shape, 0),
            noise=PlaneNoise(self.noise.sigmas, model=combined),
            strength=1.0,
            data_range=extent,
            mask=None if request.mask is None else binned_mask(request.mask, step.halvings),
            execution=replace(
                request.execution, report_progress=lambda done: report(step.work * done)
            ),
        )


def binned_mask(mask: Mask, halvings: int) -> Mask:
    """Return where at least half of the binned pixels are valid."""
    if not halvings:
        return mask
    count = binned(mask.valid.astype(np.int16), halvings)
    return Mask(2 * count >= 4**halvings)


def binned(values: Any, halvings: int) -> Any:
    """Sums of pixels, two by two along the last two axes; the last pixel may be repeated."""
    for axis in (-2, -1) * halvings:
        each = interop.move_axis(values, axis, 0)
        sums = each[::2] * 1
        sums[: len(each) // 2] += each[1::2]
        if len(each) % 2:
            sums[-1:] += each[-1:]
        values = interop.move_axis(sums, 0, axis)
    return values


def doubled(values: Any, shape: tuple[int, ...]) -> Any:
    """Interpolate sums of two by two pixels at these pixels; not negative."""
    for axis in (-2, -1):
        each = interop.move_axis(values, axis, 0)
        empty, size = interop.namespace(each).empty, len(each)
        wide = empty((size + 4, *each.shape[1:]), each.dtype)
        wide[2:-2] = each
        wide[:2], wide[-2:] = each[:1], each[-1:]
        near = [wide[k : k + size] for k in range(5)]
        out = empty((2 * size, *each.shape[1:]), each.dtype)
        out[::2] = _weighted(near[3::-1])
        out[1::2] = _weighted(near[1:])
        values = interop.move_axis(out[: shape[axis]], 0, axis)
    return np.maximum(values * 0.25, 0)


def _weighted(near: Sequence[Any]) -> Any:
    first, second, third, fourth = (w * each for w, each in zip(CUBIC, near, strict=True))
    return first + second + third + fourth
