"""Poisson-Gaussian noise of unknown gain, read-out noise and black level, from images alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.blocks import HIGH, LOW, MOST, SIDE, Blocks
from fastrestore._noise.clipping import Clipping
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import PoissonGaussian

CLASS, CLASSES = 200, (4, 24)  # blocks of similar brightness, and number of these classes
FEW = 8  # blocks in a class; with fewer it is left out
TAIL = 32  # blocks in the darkest and brightest class, about
# Share of the blocks that are flat, at least, if enough of these are strictly flat, and otherwise.
# Correlated noise leaves up to 5 %, of which at most 20 % are strictly flat, and white noise 76 %
FLAT, CALM = (0.04, 0.08), 0.3
LEAST = 3  # classes without which there is no line
FLATTEST = 0.1  # share of the blocks of a class that start the fit
# Quantiles of the energy of noise, below which blocks are flat: the strict one leaves less texture,
# the wide one leaves the skewness of the noise
STRICT, WIDE = 0.75, 0.99
ENOUGH = 0.5  # share of the classes that the strict quantile has to leave
ROUNDS = 8  # of selecting flat blocks by the line and fitting the line to them
SETTLED = 1e-3  # relative change of the gain after which rounds end
DEPARTS = 1.5, 3.0  # standard errors above and below the line, beyond which classes weigh less
DARK = 0.05  # of the median variance: least variance by which classes are weighted
# A line is accepted if the variance rises by a factor, if the line leaves a share of the relative
# misfit of one variance for all classes, and if its own is this much, beside twice its error
RISES, LEFT, MISFIT = 1.5, 0.45, 0.1
# Least variance of the brightness relative to that which noise gives to the means of blocks. If the
# image is constant, the variance rises with these means by chance, because the noise is skewed
VARIES = 3.0
# The variance is not negative at this percentile of the means of blocks, nor above that of their
# least pixels by a number of photons: these pixels are below a signal without photons by up to 3
# sigma, and sigma**2 - 3 gain * sigma is -2.25 gain**2 or more
DARKEST, BELOW = 1, 2.5
SIGNIFICANT = 4.0  # gain relative to its standard error, which matters in small images
SURE = 2.0  # standard errors within which sigma or the offset is taken for 0
BLACK = 0.5  # of the gain: least value of photon noise without read-out noise, from the offset
# Pixels have no photon or one: values below a share of the gain, but above those without photons,
# are rarer than this multiple of these; of other noise that is clipped, they are 0.25 or more
BELOW_ONE, SOME = 0.7, 0.15
PAIRS = 6  # of slices or frames, at least, of which the noise is measured
STEPS = 33  # brightness values in a specification


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Flat blocks by brightness, each array of shape (K,)."""

    mean: FloatArray
    variance: FloatArray
    count: FloatArray  # of independent blocks
    third: FloatArray  # third cumulant of the noise
    skewed: FloatArray  # number of independent blocks that `third` is from

    @property
    def error(self) -> FloatArray:
        """Relative standard error of the variances."""
        return np.sqrt(2 / np.count_nonzero(HIGH) / self.count)

    def misfit(self, variances: FloatArray) -> float:
        """Relative difference from variances, root mean square."""
        square = (self.variance / variances - 1) ** 2
        return math.sqrt(float(np.average(square, weights=self.count)))


@dataclass(frozen=True, slots=True)
class Line:
    """Variance by brightness, ``gain * mean + constant``."""

    gain: float
    constant: float

    def at(self, means: FloatArray) -> FloatArray:
        """Variance at means."""
        return self.gain * means + self.constant


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Line through the variances of flat blocks."""

    line: Line
    classes: Classes
    wide: Classes  # of the wide selection
    darkest: float  # mean of a block

    def supports_counts(self) -> bool:
        """Whether the noise is Poisson-Gaussian."""
        dark, bright = self.line.at(self.classes.mean[[0, -1]])
        if self.line.gain <= 0 or bright <= RISES * dark:
            return False
        classes = self.classes
        brightness = np.average(classes.mean, weights=classes.count)
        spread = np.average((classes.mean - brightness) ** 2, weights=classes.count)
        if spread < VARIES * np.average(classes.variance, weights=classes.count) / SIDE**2:
            return False
        weights = 1 / (self.positive(classes.mean) * classes.error) ** 2
        apart = classes.mean - np.average(classes.mean, weights=weights)
        if self.line.gain * math.sqrt(float(weights @ apart**2)) < SIGNIFICANT:
            return False
        weights = classes.count / classes.variance**2
        level = np.full(len(weights), np.average(classes.variance, weights=weights))
        own = classes.misfit(self.positive(classes.mean))
        return own < LEFT * classes.misfit(level) and self.agrees(self)

    def agrees(self, other: Fit) -> bool:
        """Whether the line of another fit describes the variances."""
        classes = self.classes
        error = math.sqrt(float(np.average(classes.error**2, weights=classes.count)))
        return classes.misfit(other.positive(classes.mean)) < MISFIT + 2 * error

    def positive(self, means: FloatArray) -> FloatArray:
        """Variance at means, positive where the line is not."""
        return np.maximum(self.line.at(means), DARK * np.median(self.classes.variance))

    def model(self) -> PoissonGaussian:
        """Return the noise of this line."""
        gain, constant = self.line.gain, self.line.constant
        variance = _read_out(self)
        return PoissonGaussian(gain, math.sqrt(variance), (variance - constant) / gain)


def counts_noise(planes: NDArray[Any], valid: NDArray[Any] | None) -> NoiseSpec | None:
    """Find the Poisson-Gaussian noise of (C, M, N); None if its noise is of another kind."""
    known = None if valid is None else np.broadcast_to(valid, planes.shape)[:, None]
    blocks = (_blocks(*each) for each in channels(planes[:, None], known))
    return _spec(blocks, planes, valid)


def counts_noise_of_stack(
    planes: NDArray[Any], valid: NDArray[Any] | None, required: bool = False
) -> NoiseSpec | None:
    """Find the Poisson-Gaussian noise of a stack (C, P, M, N), as that of an image.

    Differences of consecutive slices add blocks, which are flat where nothing moves or changes. The
    noise of different slices is assumed to be independent. If it is `required`, the noise may be of
    another kind, and its variance by brightness is approximated by a line.
    """
    if valid is not None:
        valid = np.broadcast_to(valid, planes.shape)
    some = np.unique(np.linspace(0, planes.shape[1] - 1, 2 * PAIRS).round().astype(int))
    if planes.shape[1] > 2 * PAIRS:
        first = np.linspace(0, planes.shape[1] - 2, PAIRS).round().astype(int)
        some = np.stack([first, first + 1], 1).ravel()
    few, known = planes[:, some], None if valid is None else valid[:, some]
    blocks = [_blocks(*each) for each in channels(few, known)]
    if required:
        lines = [fit.line for fit in map(fitted, blocks) if fit is not None and fit.line.gain > 0]
        return specification(lines, few, known) if len(lines) == len(blocks) else None
    return _spec(blocks, few, known)


def counts_noise_of_frames(frames: NDArray[Any], valid: NDArray[Any] | None) -> NoiseSpec | None:
    """Find the Poisson-Gaussian noise of the frames (T, C, M, N) of a video."""
    known = None if valid is None else np.moveaxis(np.broadcast_to(valid, frames.shape), 1, 0)
    spec = counts_noise_of_stack(np.moveaxis(frames, 1, 0), known)
    return None if spec is None else replace(spec, spectrum=spec.spectrum[..., 0])


def channels(planes: Any, valid: Any) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Return each channel of (C, ...) and where it is valid."""
    if valid is None:
        return [(plane, None) for plane in planes]
    return list(zip(planes, np.broadcast_to(valid, planes.shape), strict=True))


def _blocks(stack: NDArray[Any], valid: NDArray[Any] | None) -> Blocks:
    """Measure blocks of slices (P, M, N) without clipped pixels.

    In dark areas of photon noise without read-out noise, many pixels have the least value, the
    black level. They are not clipped.
    """
    known = stack if valid is None else stack[valid]
    if not known.size:
        return _of_slices(stack, valid)
    clipping = Clipping.of(known)
    usable = _below(stack, valid, clipping.high)
    blocks = _of_slices(stack, usable)
    if clipping.low is None or _starts_at(clipping.low, known, fitted(blocks)):
        return blocks
    return _of_slices(stack, _below(-stack.astype(np.float64), usable, -clipping.low))


def _of_slices(stack: NDArray[Any], usable: NDArray[np.bool_] | None) -> Blocks:
    """Measure blocks of slices (P, M, N) and of the differences of pairs of them."""
    each = MOST // len(stack)
    known = [None] * len(stack) if usable is None else list(usable)
    parts = [Blocks.of(plane, mask, each) for plane, mask in zip(stack, known, strict=True)]
    for k in range(0, len(stack) - 1, 2):
        both = None if usable is None else usable[k] & usable[k + 1]
        parts.append(Blocks.of_difference(stack[k], stack[k + 1], both, 2 * each))
    return Blocks.joined(parts)


def _below(
    values: NDArray[Any], valid: NDArray[Any] | None, high: float | None
) -> NDArray[np.bool_] | None:
    """Return where pixels are valid and below a value, if there is one; None: everywhere."""
    if high is None:
        return valid
    below: NDArray[np.bool_] = values < high
    return below if valid is None else below & valid


def _starts_at(low: float, known: NDArray[Any], fit: Fit | None) -> bool:
    """Whether the least value of an image is its black level, that of pixels without photons."""
    if fit is None or not fit.supports_counts():
        return False
    model = fit.model()
    if max(model.sigma, abs(low - model.offset)) >= BLACK * model.gain:
        return False
    dark = known[known < low + BELOW_ONE * model.gain]
    return bool(np.count_nonzero(dark > low) < SOME * np.count_nonzero(dark == low))


def fitted(blocks: Blocks) -> Fit | None:
    """Fit a line to the variances of flat blocks, or return None if too few are flat."""
    if len(blocks.mean) < LEAST * FEW:
        return None
    parts = _by_brightness(blocks.mean)
    calm = [part[np.argsort(blocks.low[part], kind="stable")] for part in parts]
    first = [part[: max(FEW, math.ceil(FLATTEST * len(part)))] for part in calm]
    classes = _classes(blocks, first)
    line = _line(classes, classes.variance)
    for _ in range(ROUNDS):
        wide = _flat(blocks, parts, line, WIDE)
        if len(wide) < LEAST or not _is_white(blocks, line):
            return None
        strict = _flat(blocks, parts, line, STRICT)
        selected = strict if len(strict) >= ENOUGH * len(parts) else wide
        classes, gain = _classes(blocks, selected), line.gain
        dark = DARK * float(np.median(classes.variance))
        line = _line(classes, np.maximum(line.at(classes.mean), dark))
        if abs(line.gain - gain) <= SETTLED * abs(gain):
            break
    for dark in _dark_means(blocks, classes, line):
        if line.gain > 0 and line.gain * dark + line.constant < 0:
            line = _line_from(classes, line, dark)
    return Fit(line, classes, _classes(blocks, wide), float(blocks.mean.min()))


def _is_white(blocks: Blocks, line: Line) -> bool:
    """Whether the flat blocks are noise, and not correlated noise that is flat by chance."""
    variance = line.at(blocks.mean)
    strict, wide = (np.mean(blocks.low < _most(each) * variance) for each in (STRICT, WIDE))
    return bool(wide >= FLAT[1] or (wide >= FLAT[0] and strict >= CALM * wide))


def _by_brightness(means: FloatArray) -> list[NDArray[np.intp]]:
    """Divide blocks into classes of the same size, and the darkest and brightest into halves."""
    count = int(np.clip(len(means) // CLASS, *CLASSES))
    size = len(means) / count
    tails = size / 2.0 ** np.arange(1, max(2, math.floor(math.log2(size / TAIL))))
    places = np.concatenate([tails, size * np.arange(1, count), len(means) - tails])
    return np.split(np.argsort(means, kind="stable"), np.unique(places.round().astype(int)))


def _flat(
    blocks: Blocks, parts: list[NDArray[np.intp]], line: Line, quantile: float
) -> list[NDArray[np.intp]]:
    """Return the blocks of each class whose energy is that of noise; leave out small classes."""
    flat = blocks.low < _most(quantile) * line.at(blocks.mean)
    kept = [part[flat[part]] for part in parts]
    return [part for part in kept if len(part) >= FEW]


@cache
def _most(quantile: float) -> float:
    """Quantile of the mean square of the coefficients LOW of noise of variance 1."""
    from scipy.special import gammaincinv

    half = np.count_nonzero(LOW) / 2
    return float(gammaincinv(half, quantile) / half)


def _classes(blocks: Blocks, parts: list[NDArray[np.intp]]) -> Classes:
    """Average the blocks of each class."""
    rows = []
    for part in parts:
        known = part[np.isfinite(blocks.third[part])]
        third = blocks.third[known].mean() if len(known) else 0.0
        counts = blocks.share[part].sum(), third, blocks.share[known].sum()
        rows.append((blocks.mean[part].mean(), blocks.high[part].mean(), *counts))
    return Classes(*np.array(rows).T)


def _line(classes: Classes, expected: FloatArray) -> Line:
    """Fit a line to variances that have about an expected value; texture raises some."""
    above, below = DEPARTS
    dark = DARK * float(np.median(classes.variance))
    for _ in range(20):
        residual = (classes.variance / expected - 1) / classes.error
        weights = classes.count / expected**2
        weights /= np.maximum(1, np.where(residual > 0, residual / above, -residual / below))
        mean = np.average(classes.mean, weights=weights)
        level = np.average(classes.variance, weights=weights)
        apart = weights * (classes.mean - mean)
        spread = float(apart @ (classes.mean - mean))
        gain = float(apart @ (classes.variance - level)) / spread if spread > 0 else 0.0
        line = Line(gain, float(level - gain * mean))
        expected = np.maximum(line.at(classes.mean), dark)
    return line


def _dark_means(blocks: Blocks, classes: Classes, line: Line) -> list[float]:
    """Return means at which the variance is not negative.

    Photon noise without read-out noise is nowhere below its offset. A line that is 0 at a larger
    value than that of the least pixels, but not surely, is that of such noise.
    """
    mean, least = (float(np.percentile(k, DARKEST)) for k in (blocks.mean, blocks.least))
    weights = 1 / (line.at(classes.mean) * classes.error) ** 2
    center = np.average(classes.mean, weights=weights)
    spread = float(weights @ (classes.mean - center) ** 2)
    error = math.sqrt(1 / float(weights.sum()) + (least - center) ** 2 / max(spread, 1e-300))
    unsure = -SURE * error < line.gain * least + line.constant < 0
    return [mean, least if unsure else least + BELOW * line.gain]


def _line_from(classes: Classes, line: Line, dark: float) -> Line:
    """Fit a line again that is 0 at a dark mean, if it would be negative there."""
    expected = np.maximum(line.at(classes.mean), DARK * np.median(classes.variance))
    weights, above = classes.count / expected**2, np.maximum(classes.mean - dark, 0)
    gain = float((weights * above) @ classes.variance) / float((weights * above) @ above)
    return Line(gain, -gain * dark)


def _read_out(fit: Fit) -> float:
    """Return the variance of the read-out noise.

    The line gives it only together with the offset. The third cumulant of the noise is the gain
    times the variance without the part of the read-out noise, which is not skewed.
    """
    classes, gain, constant = fit.wide, fit.line.gain, fit.line.constant
    most = max(0.0, gain * fit.darkest + constant)
    pixels = SIDE**2 * classes.skewed
    weights = gain**2 * pixels / (6 * fit.positive(classes.mean) ** 3)
    total = float(weights.sum())
    without_offset = min(max(0.0, constant), most)
    if total == 0:
        return without_offset
    found = float(weights @ (classes.variance - classes.third / gain)) / total
    for simple in (without_offset, 0.0):
        if abs(found - simple) < SURE / math.sqrt(total):
            return simple
    return min(max(0.0, found), most)


def _spec(
    blocks: Iterable[Blocks], planes: NDArray[Any], valid: NDArray[Any] | None
) -> NoiseSpec | None:
    """Return the noise of the blocks of each channel, for an image or a stack (C, ...).

    Channels after one whose noise is of another kind are not measured.
    """
    fits, measured = [], []
    for each in blocks:
        fit = fitted(each)
        if fit is None or not fit.supports_counts():
            return None
        fits.append(fit)
        measured.append(each)
    pooled = fitted(Blocks.joined(measured)) if len(fits) > 1 else fits[0]
    if pooled is None or not all(fit.agrees(pooled) for fit in fits):
        return specification([fit.line for fit in fits], planes, valid)
    return specification([pooled.line] * len(fits), planes, valid, pooled.model())


def specification(
    lines: list[Line],
    planes: NDArray[Any],
    valid: NDArray[Any] | None,
    model: PoissonGaussian | None = None,
) -> NoiseSpec:
    """Return noise whose variance is a line of the brightness of each channel (C, ...)."""
    rows = []
    for line, (plane, known) in zip(lines, channels(planes, valid), strict=True):
        values = plane if known is None else plane[known]
        brightness = np.linspace(float(values.min()), float(values.max()), STEPS)
        least = 0.0 if model is None else model.sigma
        levels = np.sqrt(np.maximum(line.at(brightness), least**2))
        mean = max(float(line.at(values.mean(dtype=np.float64))), least**2)
        rows.append((math.sqrt(mean), brightness, levels))
    sigma, brightness, levels = (np.array(each) for each in zip(*rows, strict=True))
    spectrum = np.eye(len(rows)).reshape(len(rows), len(rows), *[1] * (planes.ndim - 1))
    return NoiseSpec(sigma, brightness, levels, spectrum, model)
