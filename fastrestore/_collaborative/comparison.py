"""Comparison of what was removed from an image with its estimated noise.

The residual shows errors of the noise level without a reference, as in Lebrun, Colom, Morel, "The
noise clinic: a blind image denoising algorithm", Image Processing On Line 5, 2015. If the level is
right, the residual has its variance where there is little structure. If the level is too high, it
has less, because there is no more noise to remove.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays import interop, threads
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.request import Inputs, Request
from fastrestore._noise.choice import Choice
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.spec import NoiseSpec

if TYPE_CHECKING:
    from fastrestore._collaborative.pipeline import Result

SIDE = 16  # pixels of a block
MOST, FEWEST = 1024, 64  # blocks that are compared, and without which nothing is
# Photographs restored with the noise of the truth, or with its estimate, have a level of 0.28 to
# 0.9; with 2.5 times the level 0.09 to 0.26. It is also low if the noise is stronger than its
# estimate, but then noise remains where the restored image is flattest: at 0.3 times the level 0.2
# or more of the estimate, and at most 0.01 at 2.5 times.
USUAL, TOO_LOW = 0.5, 0.25
LOWEST = 0.1  # after a correction; less shows that the model is wrong
FLATTEST, NOTHING = 0.05, 0.1  # quantile of the blocks, and variance below which no noise remains

LOWERED = "; its level was lowered, because less than it had been removed"
WRONG = (
    "the noise cannot be estimated from this image: far less was removed than its estimate. White "
    "noise is assumed; write noise= or sigma= if the noise is known"
)


class Residual(NamedTuple):
    """What was removed from an image, relative to its estimated noise.

    Attributes
    ----------
    level : float
        Median of the variance of the residual in small blocks, relative to the variance of the
        noise: 0.3 to 1 if the noise is right, because some noise remains where there is structure.
    spectrum : float
        Overlap of the power spectra of residual and noise where there is little structure, from 0
        to 1.
    structure : float
        Rank correlation of the variance of the residual with that of the restored image: positive
        if structure was removed.
    rest : float
        Variance of the restored image in the flattest blocks, relative to that of the noise.
    """

    level: float
    spectrum: float
    structure: float
    rest: float

    @property
    def factor(self) -> float:
        """Factor for the noise level, if it was too high; else 1."""
        too_high = self.level < TOO_LOW and self.rest < NOTHING
        return math.sqrt(self.level / USUAL) if too_high else 1.0

    @property
    def is_wrong(self) -> bool:
        """Whether the noise is far too high."""
        return self.level < LOWEST and self.rest < NOTHING


def is_checked(request: Request, choice: Choice | None) -> bool:
    """Whether the residual of a choice is compared with the noise."""
    if choice is None or not isinstance(request.source, str) or request.strength == 0:
        return False
    return choice.spec.model != "white" and choice.spec.distribution is None


def checked(
    again: Callable[[NoiseSpec | str], Result], request: Request, image: Any, first: Result
) -> Result:
    """Compare a result with its estimated noise, and restore again if the level was too high.

    `again` restores the image with other noise.
    """
    choice = first.choice
    if choice is None or not is_checked(request, choice):
        return first
    found = _compared(request, image, first)
    if found is None or found.factor == 1:
        return first._replace(residual=found)
    lower = choice.spec * found.factor
    del first  # its memory is needed
    second = again(lower)
    found = _compared(request, image, second)
    if found is None or not found.is_wrong:
        lowered = choice._replace(spec=lower, reason=choice.reason + LOWERED)
        return second._replace(choice=lowered, residual=found)
    warnings.warn(WRONG, UserWarning, stacklevel=4)
    del second
    return again("white")


def with_strength(
    restore: Callable[[Request, Inputs], Result], request: Request, inputs: Inputs
) -> Result:
    """Restore with a multiple of the noise that is estimated and compared at strength 1.

    A comparison at another strength would depend on it, and results would not be monotone.
    """
    silent = replace(request.execution, report_progress=lambda share: None)
    plain = restore(replace(request, strength=1.0, execution=silent), inputs._replace(out=None))
    assert plain.choice is not None
    result = restore(replace(request, source=plain.choice.spec), inputs)
    return result._replace(choice=plain.choice, residual=plain.residual)


def _compared(request: Request, image: Any, result: Result) -> Residual | None:
    """Compare a result with its noise."""
    planes = [request.geometry.planes(interop.to_host(x)) for x in (image, result.image)]
    valid = None if request.mask is None else request.mask.valid
    return compare(planes[0], planes[1], result.noise, valid)


def compare(
    noisy: NDArray[Any],
    restored: NDArray[Any],
    noise: PlaneNoise,
    valid: NDArray[np.bool_] | None,
) -> Residual | None:
    """Compare a residual with the noise, (C, M, N); None if there are few blocks."""
    if noisy.ndim != 3 or min(noisy.shape[1:]) < SIDE:
        return None
    size = math.prod(noisy.shape[1:])
    step = max(SIDE // 2, math.isqrt(size // MOST))
    known = np.broadcast_to(True if valid is None else valid, noisy.shape)

    def measured(c: int) -> tuple[float, ...] | None:
        usable = _blocks(known[c], step).all((1, 2))
        if noise.sigmas[c] == 0 or np.count_nonzero(usable) < FEWEST:
            return None
        images = (_blocks(image[c], step)[usable] for image in (noisy, restored))
        noisy_blocks, blocks = (each.astype(np.float64) for each in images)
        own = noise.channel(c)
        variances = own.sigmas[0] ** 2 * np.ones(len(blocks))
        if own.map is not None:
            variances *= np.square(_blocks(own.map[0], step)[usable]).mean((1, 2))
        power = _block_power(None if own.spectrum is None else own.spectrum[0])
        return _measured(noisy_blocks - blocks, blocks, variances, power)

    found = threads.in_order(measured, range(len(noisy)))
    measures = [each for each in found if each is not None]
    if not measures:
        return None
    return Residual(*(float(each) for each in np.mean(measures, axis=0)))


def _blocks(plane: NDArray[Any], step: int) -> NDArray[Any]:
    """Return blocks (K, SIDE, SIDE) of a plane."""
    windows = sliding_window_view(plane, (SIDE, SIDE))[::step, ::step]
    return windows.reshape(-1, SIDE, SIDE)


def _measured(
    residual: FloatArray, restored: FloatArray, variances: FloatArray, expected: FloatArray
) -> tuple[float, float, float, float]:
    """Return the measures of one channel; `expected` is the power of blocks."""
    from scipy.stats import rankdata

    powers = np.abs(np.fft.fft2(residual)) ** 2 / (SIDE**2 * variances[:, None, None])
    powers[:, 0, 0] = 0
    removed = powers.sum((1, 2)) / expected.sum()
    detail = restored.var((1, 2)) / variances
    smooth = powers[detail <= np.median(detail)].mean(0)
    shapes = [each / max(float(each.sum()), 1e-300) for each in (smooth, expected)]
    ranks = [rankdata(each) - (len(each) + 1) / 2 for each in (removed, detail)]
    lengths = max(float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1])), 1.0)
    structure = float(np.vdot(ranks[0], ranks[1])) / lengths
    rest = float(np.quantile(detail, FLATTEST))
    return float(np.median(removed)), float(np.minimum(*shapes).sum()), structure, rest


def _block_power(spectrum: FloatArray | None) -> FloatArray:
    """Return the expected periodogram of blocks of noise of variance 1, without their mean."""
    lags = np.arange(1 - SIDE, SIDE)
    if spectrum is None:
        power = np.ones((SIDE, SIDE))
    else:
        inside = (1 - np.abs(lags) / SIDE) * np.ones((len(lags), 1))
        covariance = np.fft.ifft2(spectrum).real[np.ix_(lags, lags)] * inside * inside.T
        wrapped = np.zeros((SIDE, SIDE))
        np.add.at(wrapped, np.ix_(lags % SIDE, lags % SIDE), covariance)
        power = np.maximum(np.fft.fft2(wrapped).real, 0)
    power[0, 0] = 0
    return power
