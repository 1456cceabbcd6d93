"""Restoration of images of few photons, from coarse to fine.

Based on L. Azzari, A. Foi, "Variance stabilization for noisy+estimate combination in iterative
Poisson denoising", IEEE Signal Process. Lett. 23(8), 2016. An estimate is combined with the noisy
image, and the combination, which has less noise, is stabilized and filtered. The first estimates
are those of binned images, which have more photons in a pixel.

In the paper a table gives the number of passes, the sizes of bins and the share of the noisy image.
Here each size is filtered once, and the share follows from the photons in a pixel of this size. On
photographs of BSDS500 that are in no test set, more passes at the full size gain nothing at the
lowest counts, and at most 0.06 dB at others, for the time of one filtering each.
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

# Photons in a pixel from which the image is filtered once, and the share of a noisy image of one
# photon in a pixel. On photographs of BSDS500, half or twice as many photons, or a share of 0.25,
# change the mean PSNR by less than 0.1 dB.
ENOUGH, SHARE = 8.0, 0.3
FEWEST = 0.01  # photons in a pixel: a smaller share would leave nothing of the noisy image
SLICES = 4  # pixels of an image that a voxel counts for, because blocks of volumes are larger
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
    spread = model.sigma / model.gain
    level = _photons(stabilized, spread) * (1 if stabilized.ndim == 3 else SLICES)
    coarsest = 0
    while _is_low(level * 4**coarsest) and _is_large(stabilized.shape[-2:], coarsest + 1):
        coarsest += 1
    if not coarsest:
        return []
    work = np.array([1 / 4**k for k in range(coarsest, -1, -1)])
    shares = [1.0, *(_share(level * 4**k) for k in range(coarsest - 1, -1, -1))]
    return [
        Pass(coarsest - k, share, part)
        for k, (share, part) in enumerate(zip(shares, work / work.sum(), strict=True))
    ]


def _photons(stabilized: Any, spread: float) -> float:
    """Photons in a typical pixel; of Poisson noise of the same relative strength."""
    mean = float(interop.to_host(stabilized.reshape(-1).mean(0)))
    photons = max(0.0, mean**2 / 4 - 3 / 8 - spread**2)
    return photons**2 / (photons + spread**2) if photons else 0.0


def _is_low(photons: float) -> bool:
    return photons < ENOUGH


def _is_large(shape: Sequence[int], halvings: int) -> bool:
    """Whether an image can be halved so often."""
    return halvings <= COARSEST and min(shape) >= LEAST * 2**halvings


def _share(photons: float) -> float:
    return min(1.0, SHARE * math.sqrt(max(photons, FEWEST)))


@dataclass(frozen=True, slots=True, eq=False)
class FewPhotons:
    """An image of few photons, and the function that restores its combinations."""

    request: Request
    noise: PlaneNoise
    guide: Any  # (M, N) or None
    restore: Callable[[Request, Any, Any], Any]

    def restored(self, planes: Any, steps: list[Pass]) -> Any:
        """Restore the image (C, *spatial)."""
        gain, offset, mask = self._model.gain, self._model.offset, self.request.mask
        planes = planes if mask is None else mask.fill(planes)
        sizes = [(interop.to_float64(planes) - offset) / gain]
        for _ in range(steps[0].halvings):
            sizes.append(binned(sizes[-1]))
        estimate = self._filtered(sizes.pop(), steps[0])
        for step in steps[1:]:
            noisy = sizes.pop()
            estimate = doubled(estimate, noisy.shape)
            estimate = self._filtered(step.share * noisy + (1 - step.share) * estimate, step)
        return estimate * gain + offset

    @property
    def _model(self) -> PoissonGaussian:
        assert isinstance(self.noise.model, PoissonGaussian)
        return self.noise.model

    def _filtered(self, combination: Any, step: Pass) -> Any:
        """Restore a combination, in photons."""
        guide = self.guide
        for _ in range(step.halvings if guide is not None else 0):
            guide = binned(guide) / 4
        return self.restore(self._part(combination.shape, step), combination, guide)

    def _part(self, shape: tuple[int, ...], step: Pass) -> Request:
        """Return the request for a combination (C, *spatial) of this shape."""
        request, spread = self.request, self._model.sigma / self._model.gain
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
    count = mask.valid.astype(np.int16)
    for _ in range(halvings):
        count = binned(count)
    return Mask(2 * count >= 4**halvings)


def binned(values: Any) -> Any:
    """Sums of two by two pixels along the last two axes; the last pixel may be repeated."""
    for axis in (-2, -1):
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
