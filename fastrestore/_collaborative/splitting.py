"""Half-quadratic splitting for correlated noise.

The noise of an image z has the power S. The restored image x minimizes ``|z - x|**2 / S``, summed
over frequencies, plus a penalty that only the filter knows. A second image y, the estimate, takes
the place of x in the penalty, and ``|x - y|**2 / level**2`` is added, so that each of the two can
be found while the other is fixed [1]_. For an estimate y, the best x at a frequency is ``y + (z -
y) / (1 + w)`` with the weight ``w = WEIGHT * S / level**2``: the image where it has little noise,
and the estimate elsewhere. Of its noise ``S / (1 + w)**2`` remains, which the filter removes, for
the next estimate. The level falls from step to step [2]_. The fit distinguishes frequencies that
blocks of the filter cannot.

.. [1] D. Geman, C. Yang, "Nonlinear image recovery with half-quadratic regularization", IEEE Trans.
   Image Process. 4(7), 1995.
.. [2] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, "Plug-and-play image restoration
   with deep denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44(10), 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray
from fastrestore._collaborative.masking import Holes
from fastrestore._collaborative.passes import Passes
from fastrestore._collaborative.refilter import resampled
from fastrestore._collaborative.stage import Statistics, as_number, make_stage
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.psd import split

# With this weight, the least, the variance that remains at a frequency, S / (1 + w)**2, is at most
# level**2, whatever the power S is
WEIGHT = 0.25
HIGHEST = 0.19  # level of the first step, relative to the range of the image
TOLERANCE, MOST = 0.07, 60  # of conjugate gradients: relative residual, iterations


class Step(NamedTuple):
    """An iteration: how near the image is to the estimate, and what remains of its noise."""

    level: FloatArray  # (C,)
    statistics: dict[str, Statistics]  # by stage


def iterated(
    passes: Passes, estimate: Channels | None, filtered: Callable[..., Channels]
) -> Channels:
    """Fit the image to an estimate and filter it, several times, at last with both stages.

    The function ``filtered(passes, noisy, pilot, stage)`` matches blocks and filters their groups.
    """
    assert estimate is not None
    profile, splitting = passes.request.profile, Splitting(passes, estimate.shape)
    for step in splitting.steps():
        noisy = splitting.fitted(estimate, step)
        stage = make_stage(profile, "basic", step.statistics["basic"])
        estimate = filtered(passes, noisy, None, stage)
    stage = make_stage(profile, "final", step.statistics["final"])
    return filtered(passes, noisy, estimate, stage)


class Splitting:
    """The iterations for one image, (C, M, N)."""

    def __init__(self, passes: Passes, size: tuple[int, ...]) -> None:
        shape = (size[-2], size[-1])
        self._passes = passes
        noise = passes.context.statistics.noise
        assert noise.spectrum is not None
        powers = np.broadcast_to(noise.spectrum, (len(noise.sigmas), *noise.spectrum.shape[1:]))
        powers = powers * np.square(noise.sigmas)[:, None, None]
        self._variances = np.stack([resampled(power, shape) for power in powers])
        self._fits = [Fit(power, shape, passes.execution.workers) for power in powers]

    def steps(self) -> Iterator[Step]:
        """Yield the iterations."""
        profile = self._passes.request.profile
        highest = HIGHEST * as_number(self._passes.context.statistics.data_range)
        # Below the standard deviation where most frequencies have little noise
        lowest = np.maximum(np.sqrt(self._variances).mean((1, 2)), np.finfo(np.float32).tiny)
        flatness = np.square(lowest) / np.maximum(self._variances.mean((1, 2)), np.square(lowest))
        excess = 1 + (profile.excess - 1) * (1 - flatness)
        for level in np.geomspace(np.maximum(highest, lowest), lowest, profile.iterations):
            weight = WEIGHT * self._variances / np.square(level)[:, None, None]
            levels, spectra = split(self._variances / (1 + weight) ** 2)
            left = PlaneNoise(levels, None, spectra)
            more = PlaneNoise(levels * np.sqrt(excess), None, spectra)
            yield Step(level, {"basic": self._statistics(more), "final": self._statistics(left)})

    def _statistics(self, noise: PlaneNoise) -> Statistics:
        """Return the statistics of an image with this noise."""
        matched = self._passes.context.statistics.matched  # noise of the guide, if there is one
        if self._passes.guide is None:
            matched = noise.mixed(self._passes.context.weights[None])
        return self._passes.context.statistics._replace(noise=noise, matched=matched)

    def fitted(self, estimate: Channels, step: Step) -> Channels:
        """Return the image that is near the noisy image and the estimate, (C, M, N)."""
        backend, holes = self._passes.request.backend, self._passes.holes
        known, noisy = (
            interop.to_host(backend.fetch(each)) for each in (estimate, self._passes.noisy)
        )
        difference = _inside(noisy - known, holes)
        levels = zip(self._fits, difference, step.level, strict=True)
        change = np.stack([fit(plane, float(level)) for fit, plane, level in levels])
        return backend.put(known + _inside(change, holes))


def _inside(difference: Channels, holes: Holes | None) -> Channels:
    """Return a difference that is zero where pixels are invalid."""
    return difference if holes is None else holes.residual(difference, 0.0)[0]


class Fit:
    """Removal of correlated noise from the difference of an image and an estimate, (M, N).

    With the covariance matrix C of the noise, the best x is ``y + c u``, where ``c = level**2 /
    WEIGHT`` and ``(C + c) u = z - y``. Beyond the borders there is neither noise nor image: the
    noise need not be periodic, so that C is not diagonal in the frequency domain. It is so nearly.
    """

    def __init__(self, power: FloatArray, shape: tuple[int, int], workers: int) -> None:
        self._shape, self._workers = shape, workers
        self._doubled = (2 * shape[0], 2 * shape[1])
        self._power = self._half(resampled(power, self._doubled))
        self._periodic = self._half(resampled(power, shape))
        self._solution: NDArray[np.float32] | None = None  # of the step before

    def __call__(self, difference: NDArray[np.float32], level: float) -> NDArray[np.float32]:
        """Return the part of a difference that is not noise."""
        from scipy.sparse.linalg import LinearOperator, cg

        if not self._power.any():
            return difference
        penalty = np.float32(level**2 / WEIGHT)
        size = (difference.size, difference.size)

        def covariance(u: NDArray[np.float32]) -> NDArray[np.float32]:
            plane = u.reshape(self._shape)
            return self._filtered(plane, self._power, self._doubled).ravel() + penalty * u

        def inverse(r: NDArray[np.float32]) -> NDArray[np.float32]:
            gains = 1 / (self._periodic + penalty)
            return self._filtered(r.reshape(self._shape), gains, self._shape).ravel()

        operators = [LinearOperator(size, each, dtype=np.float32) for each in (covariance, inverse)]
        self._solution, _ = cg(
            operators[0], difference.ravel(), self._solution, rtol=TOLERANCE, maxiter=MOST,
            M=operators[1],
        )  # fmt: skip
        part: NDArray[np.float32] = (penalty * self._solution).reshape(self._shape)
        return part

    def _filtered(
        self, plane: NDArray[np.float32], gains: NDArray[np.floating], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Multiply the frequencies of an image, which is zero beyond its borders, by gains."""
        from scipy.fft import irfft2, rfft2

        transform = rfft2(plane, shape, workers=self._workers) * gains
        filtered = irfft2(transform, shape, workers=self._workers, overwrite_x=True)
        result: NDArray[np.float32] = filtered[: self._shape[0], : self._shape[1]]
        return result

    @staticmethod
    def _half(power: FloatArray) -> NDArray[np.float32]:
        """Return the frequencies that the transform of real numbers has."""
        return power[:, : power.shape[1] // 2 + 1].astype(np.float32)
