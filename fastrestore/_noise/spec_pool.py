"""Mean noise of several images of one source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import NoiseModel, PoissonGaussian, Rician

KNOTS = 32  # of a pooled curve at most; between them the level is interpolated
LEAST = 0.02  # weight of an image at the ends of its range, relative to the middle


def pooled(specs: Iterable[NoiseSpec]) -> NoiseSpec:
    """Return the mean of noise specifications with equal channels, axes and strength."""
    every = _checked(specs)
    if len(every) == 1:
        return every[0]
    curves = [_curve(every, channel) for channel in range(len(every[0].sigma))]
    return NoiseSpec(
        _root_mean_square([spec.sigma for spec in every]),
        *_stacked(curves),
        _spectrum([spec.spectrum for spec in every]),
        _distribution([spec.distribution for spec in every]),
        every[0].strength,
    )


def _checked(specs: Iterable[NoiseSpec]) -> list[NoiseSpec]:
    """Return the specifications as a list; raise unless they can be averaged."""
    if isinstance(specs, NoiseSpec) or not isinstance(specs, Iterable):
        raise TypeError(f"specs must be a list of NoiseSpec, got {validate.quoted(specs)}")
    every = list(specs)
    if not every:
        raise ValueError("specs must not be empty")
    for number, spec in enumerate(every):
        if not isinstance(spec, NoiseSpec):
            raise TypeError(f"specs[{number}] must be a NoiseSpec, got {validate.quoted(spec)}")
        for what, of in _MUST_BE_EQUAL.items():
            first, other = of(every[0]), of(spec)
            if first != other:
                raise ValueError(
                    f"specs must have equal {what}, got {first} in specs[0] and {other} in "
                    f"specs[{number}]"
                )
    return every


_MUST_BE_EQUAL: dict[str, Any] = {
    "numbers of channels": lambda spec: len(spec.sigma),
    "numbers of axes of the spectrum": lambda spec: spec.spectrum.ndim,
    "strengths (multiply after pooling)": lambda spec: spec.strength,
}


def _root_mean_square(values: Any, weights: Any = None) -> Any:
    """Root of the weighted mean of the squares over the first axis."""
    return np.sqrt(np.average(np.square(values), axis=0, weights=weights))


def _curve(specs: list[NoiseSpec], channel: int) -> tuple[FloatArray, FloatArray]:
    """Return the mean level of one channel by brightness."""
    knots = np.unique([b for s in specs if s.levels.shape[1] > 1 for b in s.brightness[channel]])
    if len(knots) > KNOTS:
        knots = np.quantile(knots, np.linspace(0, 1, KNOTS))
    if not len(knots):
        knots = np.zeros(1)
    levels = [np.interp(knots, spec.brightness[channel], spec.levels[channel]) for spec in specs]
    weights = np.array([_weights(spec, channel, knots) for spec in specs])
    covered = weights.any(0)  # a gap between the ranges of all images is interpolated
    mean = _root_mean_square(levels, np.where(covered, weights, 1.0))
    return knots, np.interp(knots, knots[covered], mean[covered])


def _weights(spec: NoiseSpec, channel: int, knots: FloatArray) -> FloatArray:
    """Weight of an image by brightness: 1 in the middle of its range, and 0 beyond its ends."""
    own = spec.brightness[channel]
    if len(own) == 1:
        return np.ones(len(knots))
    half = max((own[-1] - own[0]) / 2, np.finfo(float).tiny)
    inner = np.minimum(knots - own[0], own[-1] - knots) / half
    weights: FloatArray = np.where(inner >= 0, LEAST + (1 - LEAST) * inner, 0.0)
    return weights


def _stacked(curves: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Return the curves of all channels with equal numbers of values: the last one is repeated."""
    longest = max(len(knots) for knots, _ in curves)
    padded = [
        [np.pad(values, (0, longest - len(values)), "edge") for values in curve] for curve in curves
    ]
    return np.array([knots for knots, _ in padded]), np.array([levels for _, levels in padded])


def _spectrum(spectra: list[FloatArray]) -> FloatArray:
    """Return the mean of spectra, which may have different numbers of frequencies."""
    shape = np.max([spectrum.shape for spectrum in spectra], axis=0)
    mean: FloatArray = np.mean([_at_frequencies(s, tuple(shape)) for s in spectra], axis=0)
    return mean


def _at_frequencies(spectrum: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return a spectrum at more frequencies, by linear interpolation between its own."""
    for axis in range(2, spectrum.ndim):
        size, wanted = spectrum.shape[axis], shape[axis]
        if size == wanted:
            continue
        places = np.arange(wanted) * size / wanted
        low = places.astype(int)
        share = np.expand_dims(places - low, tuple(range(1, spectrum.ndim - axis)))
        below, above = spectrum.take(low, axis), spectrum.take((low + 1) % size, axis)
        spectrum = below + share * (above - below)
    powers = np.array([spectrum[c, c].mean() for c in range(len(spectrum))])
    scale = np.sqrt(np.outer(powers, powers))
    scaled: FloatArray = spectrum / np.expand_dims(scale, tuple(range(2, spectrum.ndim)))
    return scaled


def _distribution(models: list[NoiseModel | None]) -> NoiseModel | None:
    """Return the mean of distributions of one kind, else None."""
    if all(isinstance(model, Rician) for model in models):
        return Rician(float(_root_mean_square([m.sigma for m in models])))  # type: ignore[union-attr]
    if all(isinstance(model, PoissonGaussian) for model in models):
        every: list[Any] = models
        gain, offset = (float(np.mean([getattr(m, n) for m in every])) for n in ("gain", "offset"))
        return PoissonGaussian(gain, float(_root_mean_square([m.sigma for m in every])), offset)
    return None
