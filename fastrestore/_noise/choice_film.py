"""Choice of the simplest model of the noise that the frames of a video support.

The noise of single frames is estimated as that of images, and pooled. Texture that fills a frame
adds to it. Where nothing moves, half the difference of two frames has no texture, and a lower
estimate from differences replaces that of the frames. Copied parts of compressed frames have no
difference either; they are recognized, and then only the frames count.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.choice import Choice, choose
from fastrestore._noise.clipping import Clipping
from fastrestore._noise.counts import counts_noise_of_frames
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec

SOME = 3  # frames, and pairs of frames, of which the median is taken
LOWER = 0.98  # estimates from differences count if they are lower by more than chance
# The noise of frames is independent if all have the same level, up to a factor, if differences of
# distant frames have that of neighbors, and if no more pixels are equal than rounding makes equal
STEADY, ALIKE, EQUAL, FEW_EQUAL = 1.1, 1.04, 1.5, 0.02
# Least ratio of the level of counts to that of white noise, which is that of the flattest parts
LEAST = 0.8
# Noise is clipped where the mean of a square of this side is as near to an end of the range, in
# standard deviations
SIDE, CLIPPED = 8, 2.0
# Scenes are from one source if their levels differ by no more than a factor. Estimates from as many
# frames as WEIGHT have the weight of all scenes before
SOURCE, WEIGHT = 1.5, 4


class Film(NamedTuple):
    """Frames (C, M, N) of a scene on the host, and where each is valid (None: everywhere)."""

    frames: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]

    def varying(self) -> Film:
        """Return the frames that are not constant."""
        pairs = zip(self.frames, self.masks, strict=True)
        kept = [(frame, mask) for frame, mask in pairs if (frame != frame.flat[0]).any()]
        return Film(*map(list, zip(*kept, strict=True))) if kept else Film([], [])

    def valid(self) -> NDArray[np.bool_] | None:
        """Return where the frames are valid, (T, 1 or C, M, N), None: everywhere."""
        if all(mask is None for mask in self.masks):
            return None
        shape = self.frames[0].shape
        return np.stack([np.broadcast_to(True if m is None else m, shape) for m in self.masks])

    def difference(
        self, one: int, other: int, level: FloatArray
    ) -> tuple[FloatArray, NDArray[np.bool_] | None]:
        """Return the difference of two frames, of the noise level of one, and where it is valid.

        Areas where noise of a level (C,) is clipped are not valid.
        """
        first, second = (self.frames[k].astype(np.float64) for k in (one, other))
        masks = [self.masks[one], self.masks[other], _unclipped((first + second) / 2, level)]
        valid = None
        for mask in masks:
            if mask is not None:
                valid = mask if valid is None else valid & mask
        return (second - first) / math.sqrt(2), valid


def choose_in_film(film: Film, model: str) -> Choice:
    """Estimate the noise of a scene with a model, or with the simplest that fits."""
    moving = film.varying()
    if not moving.frames:
        return choose(film.frames[0], film.masks[0], model)
    if not _is_independent(moving):
        return _of_frames(moving, model, strongest=True)
    if model == "auto":
        counts = counts_noise_of_frames(np.stack(moving.frames), moving.valid())
        if counts is not None and not (counts.sigma < LEAST * _flattest(moving)).any():
            return Choice(counts, "the variance of the noise rises linearly with the brightness")
    pooled = _of_frames(moving, model)
    if model == "auto" and _is_correlated(pooled.spec) and not _is_correlated_between(moving):
        simpler = "white" if pooled.spec.levels.shape[1] == 1 else "signal-dependent"
        pooled = _of_frames(moving, simpler)
        pooled = pooled._replace(reason="the noise of differences of frames is white")
    return _without_texture(moving, pooled)


def _is_correlated(spec: NoiseSpec) -> bool:
    """Whether noise has a spectrum."""
    return spec.spectrum.size > len(spec.sigma) ** 2


def _is_correlated_between(film: Film) -> bool:
    """Whether the noise of most differences of frames is correlated, too, and not texture."""
    unknown, starts = np.zeros(len(film.frames[0])), _spread(len(film.frames) - 1)
    specs = [choose(*film.difference(k, k + 1, unknown), "auto").spec for k in starts]
    return 2 * sum(map(_is_correlated, specs)) > len(specs)


def followed(before: Choice, now: Choice, count: int) -> Choice:
    """Return the noise of a scene from its estimate of `count` frames, and the scene before.

    The noise of one source changes slowly, and chance less if scenes are averaged.
    """
    old, new = before.spec, now.spec
    known = (old.sigma > 0) & (new.sigma > 0)
    if old.model != new.model or new.distribution is not None or not known.all():
        return now
    ratio = old.sigma / new.sigma
    if max(float(ratio.max()), 1 / float(ratio.min())) > SOURCE:
        return now
    factors = ratio ** (WEIGHT / (WEIGHT + count))
    return now._replace(spec=_scaled(new, factors))


def has_white_noise(film: Film) -> bool:
    """Whether a frame has white noise; faster than `choose_in_film`."""
    return any(sigmas(*each).any() for each in zip(film.frames, film.masks, strict=True))


def _flattest(film: Film) -> FloatArray:
    """Return the level of white noise in frames or in differences, whichever is lower."""
    middle, unknown = len(film.frames) // 2, np.zeros(len(film.frames[0]))
    single = sigmas(film.frames[middle], film.masks[middle])
    return np.minimum(single, sigmas(*film.difference(middle - 1, middle, unknown)))


def _of_frames(film: Film, model: str, *, strongest: bool = False) -> Choice:
    """Pool the estimates of some frames whose model is the most frequent one.

    Or return the strongest noise: codecs leave more noise in some frames than in others, and what
    frames have in common remains in averages.
    """
    some = _spread(len(film.frames))
    choices = [choose(film.frames[k], film.masks[k], model) for k in some]
    noisy = [each for each in choices if each.spec.sigma.any()] or choices[:1]
    usual = Counter(each.spec.model for each in noisy).most_common(1)[0][0]
    alike = [each for each in noisy if each.spec.model == usual]
    specs = [each.spec for each in alike]
    if strongest:
        return max(alike, key=lambda each: float(each.spec.sigma.sum()))
    return alike[0]._replace(spec=_pooled(_middle(specs), specs))


def _middle(specs: list[NoiseSpec]) -> NoiseSpec:
    """Return the noise of the median level."""
    return sorted(specs, key=lambda each: float(each.sigma.sum()))[len(specs) // 2]


def _pooled(middle: NoiseSpec, specs: list[NoiseSpec]) -> NoiseSpec:
    """Return noise with the median levels of some estimates, like that of one of them."""
    if middle.distribution is not None or len(specs) == 1:
        return middle
    brightness = middle.brightness
    curves = [
        [
            np.interp(at, *table)
            for at, *table in zip(brightness, s.brightness, s.levels, strict=True)
        ]
        for s in specs
    ]
    spectra = [s.spectrum for s in specs if s.spectrum.shape == middle.spectrum.shape]
    return replace(
        middle,
        sigma=np.median([s.sigma for s in specs], axis=0),
        levels=np.median(curves, axis=0),
        spectrum=np.mean(spectra, axis=0),
    )


def _without_texture(film: Film, pooled: Choice) -> Choice:
    """Lower the estimate to that of differences of frames, if it is higher."""
    spec = pooled.spec
    if spec.distribution is not None or not spec.sigma.any():
        return pooled
    model = "correlated" if _is_correlated(spec) else "white"
    starts = _spread(len(film.frames) - 1)
    pairs = [film.difference(k, k + 1, spec.sigma) for k in starts]
    found = [choose(*each, model).spec for each in pairs]
    temporal = _pooled(_middle(found), found)
    if not temporal.sigma.all() or not (temporal.sigma < LOWER * spec.sigma).any():
        return pooled
    ratio = np.divide(
        temporal.sigma, spec.sigma, where=spec.sigma > 0, out=np.ones(len(spec.sigma))
    )
    changed = _scaled(spec, np.minimum(1, ratio))
    if model == "correlated" and temporal.spectrum.shape == spec.spectrum.shape:
        changed = replace(changed, spectrum=temporal.spectrum)
    reason = f"{pooled.reason}; its level is that of differences of frames"
    return pooled._replace(spec=changed, reason=reason)


def _is_independent(film: Film) -> bool:
    """Whether the noise of different frames is independent, so that differences have all of it."""
    last = len(film.frames) - 1
    if last < 1:
        return False
    single = np.array([sigmas(film.frames[k], film.masks[k]) for k in _spread(last + 1)])
    if (single.max(0) > STEADY * single.min(0)).any():
        return False
    unknown, farthest = np.zeros(len(film.frames[0])), max(1, last - 1)
    near, far = (
        np.median(
            [sigmas(*film.difference(k, k + lag, unknown)) for k in _spread(last + 1 - lag)], 0
        )
        for lag in (1, farthest)
    )
    changes = (far > ALIKE * near) | (near > ALIKE * far)
    return not (changes | _copied(film, last, near)).any()


def _copied(film: Film, last: int, levels: FloatArray) -> NDArray[np.bool_]:
    """Whether parts of a frame are copies of the frame before, for each channel.

    Rounding, too, makes pixels with noise of some levels equal, and areas without noise are equal.
    """
    one, other = film.frames[last - 1 : last + 1]
    varies, equal = one[..., 1:] != one[..., :-1], (one == other)[..., 1:]
    shares = (varies & equal).sum((1, 2)) / np.maximum(1, varies.sum((1, 2)))
    step = 1.0 if one.dtype.kind in "iu" else _step(one)
    by_rounding = np.minimum(1, step / (2 * math.sqrt(math.pi) * np.maximum(levels, 1e-300)))
    copied: NDArray[np.bool_] = shares > EQUAL * by_rounding + FEW_EQUAL
    return copied


def _unclipped(mean: FloatArray, level: FloatArray) -> NDArray[np.bool_] | None:
    """Return where noise around a mean (C, M, N) is not clipped; None: everywhere."""
    from scipy.ndimage import uniform_filter

    inside = np.ones(mean.shape, bool)
    for plane, sigma, kept in zip(mean, level, inside, strict=True):
        clipping = Clipping.of(plane)
        if clipping.low is None and clipping.high is None:
            continue
        local = uniform_filter(plane, SIDE)
        low, high = clipping.low, clipping.high
        kept &= (low is None) | (local > (low or 0.0) + CLIPPED * sigma)
        kept &= (high is None) | (local < (high or 0.0) - CLIPPED * sigma)
    return None if inside.all() or not inside.any() else inside


def _step(values: NDArray[Any]) -> float:
    """Return the distance of values that were rounded; 0 if they were not."""
    found = np.unique(values[..., ::8])
    return float(np.median(np.diff(found))) if 1 < len(found) < values.size / 32 else 0.0


def _scaled(spec: NoiseSpec, factors: FloatArray) -> NoiseSpec:
    """Return noise whose level has a factor for each channel."""
    return replace(spec, sigma=factors * spec.sigma, levels=factors[:, None] * spec.levels)


def _spread(count: int) -> list[int]:
    """Return the numbers of some frames out of `count`, evenly distributed."""
    return sorted({int(k) for k in np.linspace(0, count - 1, SOME).round()})
