"""Figures of noise specifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.spec import NoiseSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("tab:red", "tab:green", "tab:blue")  # of three channels, in the order of RGB
SIDE = 64  # least number of frequencies along an axis of the image of a spectrum
FLOOR = 1e-3  # of the power relative to the mean: weaker frequencies look alike


def plot(spec: NoiseSpec) -> Figure:
    """Draw level by brightness, spectrum and covariance of the channels."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'NoiseSpec.plot needs matplotlib; install it with pip install "fastrestore[plot]"'
        ) from error
    several = len(spec.sigma) > 1
    figure: Figure
    figure, axes = pyplot.subplots(
        1, 2 + several, figsize=(4.4 * (2 + several), 3.6), layout="constrained"
    )
    _draw_levels(axes[0], spec)
    _draw_spectrum(figure, axes[1], spec)
    if several:
        _draw_covariance(figure, axes[2], spec)
    return figure


def _draw_levels(axes: Any, spec: NoiseSpec) -> None:
    """Draw the standard deviation by brightness."""
    colors: Any = COLORS if len(spec.sigma) == len(COLORS) else [None] * len(spec.sigma)
    for channel, (knots, levels) in enumerate(zip(spec.brightness, spec.levels, strict=True)):
        label = f"channel {channel}"
        if len(knots) == 1:
            axes.axhline(levels[0], color=colors[channel] or f"C{channel}", label=label)
        else:
            axes.plot(knots, levels, ".-", color=colors[channel], label=label)
    axes.set_ylim(0, max(1.1 * float(spec.levels.max()), 1e-12))
    axes.set(title="Level", xlabel="brightness")
    if spec.brightness.shape[1] == 1:  # the axis would show numbers that mean nothing
        axes.set(xlabel="any brightness", xticks=[])
    axes.set(ylabel="standard deviation of the noise")
    if len(spec.sigma) > 1:
        axes.legend(frameon=False)


def _draw_spectrum(figure: Figure, axes: Any, spec: NoiseSpec) -> None:
    """Draw the mean power of the channels by frequency; of a volume, within a slice."""
    power = _centered(spec)
    decibels = 10 * np.log10(np.maximum(power, FLOOR))
    limit = max(10.0, float(np.abs(decibels).max()))
    image = axes.imshow(
        decibels, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(-0.5, 0.5, 0.5, -0.5)
    )
    axes.set(
        title="Spectrum", xlabel="cycles per pixel, along a row", ylabel="cycles per pixel, down"
    )
    figure.colorbar(image, ax=axes, label="power in dB (white: 0)")


def _centered(spec: NoiseSpec) -> FloatArray:
    """Return the mean power of the channels (P, Q), with the zero frequency in the middle."""
    mean = np.mean([spec.spectrum[c, c] for c in range(len(spec.sigma))], axis=0)
    if mean.ndim == 3:
        mean = mean.mean(0)
    repeats = [-(-SIDE // size) for size in mean.shape]
    enlarged: FloatArray = np.kron(np.fft.fftshift(mean), np.ones(repeats))
    return enlarged


def _draw_covariance(figure: Figure, axes: Any, spec: NoiseSpec) -> None:
    """Draw the correlation of the channels as colors, and their covariance as numbers."""
    count = len(spec.sigma)
    image = axes.imshow(spec.correlation, cmap="RdBu_r", vmin=-1, vmax=1)
    if count <= 8:
        for row, column in np.ndindex(count, count):
            text = f"{spec.covariance[row, column]:.3g}"
            dark = abs(spec.correlation[row, column]) > 0.6
            axes.text(column, row, text, ha="center", va="center", color="w" if dark else "k")
    axes.set(title="Covariance", xlabel="channel", ylabel="channel")
    axes.set_xticks(range(count))
    axes.set_yticks(range(count))
    figure.colorbar(image, ax=axes, label="correlation")
