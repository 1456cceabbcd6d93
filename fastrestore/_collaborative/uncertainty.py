"""Standard deviation of the error that is left in a restored image, bias included.

The Wiener gains of a group predict its error. That of a pixel also depends on how much the errors
of its groups agree, and on signal that is hidden by the noise. It is predicted from four features
of the neighborhood, relative to the noise, by a polynomial. Its constants are fitted to
photographs, so that the error of 95 % of the pixels is within twice the standard deviation: of all
pixels, of bright and dark ones, and of those in flat and in detailed neighborhoods.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import Channels, FloatArray
from fastrestore._noise import vst
from fastrestore.backends.protocol import Matches, Stage

if TYPE_CHECKING:
    from fastrestore._collaborative.passes import Passes
    from fastrestore._collaborative.request import Request


class Feature(NamedTuple):
    """The logarithm of a quantity relative to the variance of the noise, and its usual values."""

    least: float  # added to the quantity before the logarithm
    mean: float
    spread: float
    lowest: float  # in units of `spread` from `mean`: beyond, there were no photographs to fit
    highest: float


FEATURES = {
    "left": Feature(1e-5, -3.73, 1.30, -2.5, 2.6),  # noise that remains in the groups
    "removed": Feature(1e-6, -4.32, 1.26, -5.7, 2.7),  # signal that is removed from the groups
    "change": Feature(1e-5, -4.43, 1.36, -5.1, 3.0),  # squared difference of the estimates
    "detail": Feature(1e-4, -2.79, 2.50, -2.6, 2.7),  # variance of the estimate
}
# Of the logarithm of the standard deviation relative to that of the noise: 1, each feature, and
# the products of each with itself and with those after it. See `bench/uncertainty_fit.py`
CONSTANTS = (
    -1.046, -0.307, 0.487, 0.023, 0.449,
    0.512, -0.476, -0.097, -0.129,
    0.067, 0.130, 0.0,
    -0.035, 0.158,
    -0.235,
)  # fmt: skip

SIDE = 7  # pixels of a neighborhood


@dataclass(slots=True, eq=False)
class Uncertainty:
    """The map of a call, which its last stage computes."""

    planes: FloatArray | None = None  # (C, M, N); None: nothing was filtered
    exact: NDArray[np.bool_] | None = None  # where there is no noise
    std: Any = None  # an array like the restored image

    @classmethod
    def of(cls, uncertainty: Any, return_info: bool) -> Self | None:
        """Validate the argument `uncertainty`."""
        if not validate.flag("uncertainty", uncertainty):
            return None
        if not return_info:
            raise ValueError("uncertainty=True returns a map in info.std: add return_info=True")
        return cls()

    def check(self, request: Request, pilot: Any) -> None:
        """Raise if there is no map of such a call."""
        name = request.profile.name
        conflicts = {
            "of the basic stage: write stage='final'": request.stage == "basic",
            "with a pilot, whose error is not known: leave out pilot": pilot is not None,
            "of tiles: leave out max_memory": request.max_memory is not None,
            "with a strength for which it is not calibrated: leave out strength and "
            "chroma_strength": request.strength != 1 or request.chroma_strength != 1,
            f"with profile {name!r}, which {request.profile.whole()}: write profile='np'": bool(
                request.profile.whole()
            ),
        }
        for reason, applies in conflicts.items():
            if applies:
                raise ValueError(f"uncertainty=True is not available {reason}")

    def refuse_passes(self) -> None:
        """Raise, because an image of few photons is restored in several passes."""
        raise ValueError(
            "uncertainty=True is not available for images of so few photons, which are restored in "
            "several passes: leave it out"
        )

    def measure(
        self,
        passes: Passes,
        estimate: Channels,
        pilot: Channels,
        matches: Matches,
        stage: Stage,
    ) -> None:
        """Compute the map of the planes that were filtered, from the last stage and its result."""
        request, context = passes.request, passes.context
        backend = request.backend
        execution = replace(passes.execution, report_progress=lambda share: None)
        sums = backend.bm3d_errors(pilot, matches, stage, execution)
        noise = stage.variances[:, None, None]
        images = (np.asarray(backend.fetch(each), np.float64) for each in (pilot, estimate))
        quantities = [*(noise * by_pixel(sums, stage)), *differences(*images)]
        level = context.statistics.noise.map
        if level is not None:
            noise = noise * level**2
        variances = noise * relative_variance(features(quantities, noise))
        mixed = np.tensordot(context.units.back() ** 2, variances, 1)
        self.planes = np.ldexp(np.sqrt(mixed), -context.units.exponent)
        self.exact = context.exact

    def finish(
        self, request: Request, image: Any, estimate: Any, model: vst.NoiseModel | None
    ) -> None:
        """Convert the map to an array like the image; `estimate` before `model` is inverted."""
        std: FloatArray = np.zeros((1,) * estimate.ndim)
        if self.planes is not None:
            std = self.planes[(slice(None), *map(slice, estimate.shape[1:]))]
        if self.exact is not None:
            std = np.where(self.exact, 0, std)
        if model is not None:
            above, below = (vst.inverse(model, estimate + sign * std) for sign in (1, -1))
            std = np.abs(above - below) / 2
        if request.mask is not None:
            std = np.where(request.mask.invalid, np.nan, std)
        dtype = interop.result_dtype(image.dtype)
        self.std = request.backend.empty(image.shape, dtype, image)
        request.geometry.planes(self.std)[...] = std


def by_pixel(sums: FloatArray, stage: Stage) -> FloatArray:
    """Return means (MEASURES, C, M, N) of the measures of all blocks of a pixel.

    `sums` by corner, see `bm3d_errors` of the backends.
    """
    for axis, window in zip((-2, -1), stage.windows, strict=True):
        sums = _windowed(sums, window, axis)
    means: FloatArray = sums[1:] / np.where(sums[0] > 0, sums[0], 1)
    return means


def _windowed(values: FloatArray, window: FloatArray, axis: int) -> FloatArray:
    """Add each value, times the window, to all pixels of its block along an axis."""
    values = np.moveaxis(values, axis, 0)
    size = len(values)
    out = np.zeros((size + len(window) - 1, *values.shape[1:]))
    for k, factor in enumerate(window):
        out[k : k + size] += factor * values
    return np.moveaxis(out, 0, axis)


def differences(pilot: FloatArray, estimate: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how much the final stage changes the pilot, and the detail of the estimate.

    Both are means of squares, (C, M, N).
    """
    detail = _mean(estimate**2) - _mean(estimate) ** 2
    return _mean((estimate - pilot) ** 2), detail


def features(quantities: list[FloatArray], noise: FloatArray) -> list[FloatArray]:
    """Return features of pixels (C, M, N) from quantities, in the order of `FEATURES`.

    `noise` is the variance of the noise, which broadcasts.
    """
    divisor = np.where(noise > 0, noise, np.inf)
    found = []
    for usual, quantity in zip(FEATURES.values(), quantities, strict=True):
        logarithm = np.log(np.maximum(quantity / divisor, 0) + usual.least)
        value = (logarithm - usual.mean) / usual.spread
        found.append(np.clip(value, usual.lowest, usual.highest))
    return found


def relative_variance(found: list[FloatArray]) -> FloatArray:
    """Return the predicted squared error, relative to the variance of the noise."""
    pairs = itertools.combinations_with_replacement(found, 2)
    first, *others = CONSTANTS
    terms = [*found, *(a * b for a, b in pairs)]
    sums = first + sum(c * term for c, term in zip(others, terms, strict=True))
    variance: FloatArray = np.exp(2 * sums)
    return variance


def _mean(values: FloatArray) -> FloatArray:
    """Means of the neighborhoods of pixels, (C, M, N)."""
    from scipy.ndimage import uniform_filter

    means: FloatArray = uniform_filter(values, (1, SIDE, SIDE), mode="reflect")
    return means
