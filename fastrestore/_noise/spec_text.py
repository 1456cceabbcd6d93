"""A noise specification in words."""

from __future__ import annotations

import numpy as np

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.spec import NoiseSpec

FAINT = 0.1  # correlation below which two pixels are called uncorrelated
SHOWN = 4  # channels that are described one by one
WIDTH = 13  # of the names


def description(spec: NoiseSpec) -> str:
    """Describe the noise in a few lines, with a heading."""
    count = len(spec.sigma)
    plural = "channel" if count == 1 else "channels"
    heading = f"NoiseSpec: {spec.model}, {count} {plural}, in the units of the image"
    return "\n".join([heading, *(f"  {line}" for line in lines(spec))])


def lines(spec: NoiseSpec) -> list[str]:
    """Describe each property of the noise that is not trivial in one line."""
    rows = [("sigma", _listed(f"{sigma:.3g}" for sigma in spec.sigma))]
    if spec.levels.shape[1] > 1:
        rows += [("level", text) for text in _levels(spec)]
    rows += [("correlation", text) for text in _pixels(spec)]
    rows += [("channels", text) for text in _channels(spec)]
    if spec.distribution is not None:
        rows.append(("distribution", repr(spec.distribution)))
    if spec.strength != 1:
        rows.append(("strength", f"{spec.strength:g}"))
    return [f"{name:{WIDTH}}{text}" for name, text in rows]


def _listed(texts: object) -> str:
    """Return texts separated by commas, at most twice `SHOWN`."""
    every = list(texts)  # type: ignore[call-overload]
    more = [f"... ({len(every)})"] if len(every) > 2 * SHOWN else []
    return ", ".join(every[: 2 * SHOWN] + more)


def _levels(spec: NoiseSpec) -> list[str]:
    """Return the range of the level over the brightness of each channel."""
    texts = [
        f"{levels.min():.3g} to {levels.max():.3g} for brightness {knots[0]:.4g} to {knots[-1]:.4g}"
        for knots, levels in zip(spec.brightness, spec.levels, strict=True)
    ]
    if len(texts) == 1:
        return texts
    return [f"{text} in channel {number}" for number, text in enumerate(texts[:SHOWN])]


def _pixels(spec: NoiseSpec) -> list[str]:
    """Describe the correlation of neighboring pixels."""
    shape = spec.spectrum.shape[2:]
    if max(shape) == 1:
        return []
    lags = autocorrelation(spec)
    reach = _reach(lags)
    if reach == 0:
        return [f"below {FAINT} for all neighbors"]
    names = ("slice", "row", "column")[-len(shape) :]
    next_ones = []
    for axis, name in enumerate(names):
        place = tuple(int(k == axis and shape[k] > 1) for k in range(len(shape)))
        next_ones.append(f"{lags[place]:.2f} with the next {name}")
    unit = "pixel" if reach == 1 else "pixels"
    return [f"{', '.join(next_ones)}; below {FAINT} beyond {reach} {unit}"]


def autocorrelation(spec: NoiseSpec) -> FloatArray:
    """Correlation of pixels by distance, with distance 0 first: the mean of the channels."""
    powers = np.mean([spec.spectrum[c, c] for c in range(len(spec.sigma))], axis=0)
    lags: FloatArray = np.fft.ifftn(powers).real
    return lags / lags.flat[0]


def _reach(lags: FloatArray) -> int:
    """Return the largest distance along an axis of two correlated pixels."""
    distances = [np.minimum(np.arange(n), n - np.arange(n)) for n in lags.shape]
    largest = np.max(np.meshgrid(*distances, indexing="ij"), axis=0)
    return int(largest[np.abs(lags) >= FAINT].max())


def _channels(spec: NoiseSpec) -> list[str]:
    """Return the correlations of different channels, unless all are 0."""
    correlation, count = spec.correlation, len(spec.sigma)
    if not np.any(correlation - np.diag(np.diag(correlation))):
        return []
    pairs = [(c, d) for c in range(count) for d in range(c + 1, count)]
    texts = [f"{correlation[c, d]:.2f} ({c} and {d})" for c, d in pairs]
    return [f"correlated by {_listed(texts)}"]
