"""Drawings of the page as SVG, in the colors of its style sheet, and colors of spectra."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore.report.removed import RANGE, Statistics

WIDTH, HEIGHT = 280, 150  # of the area that is drawn on, in units of the drawing
LEFT, BOTTOM = 30, 30  # room for text
POINTS = 121  # of a curve, an odd number, so that one is in the middle
DECIBELS = 15  # strongest power that spectra show, relative to white noise, and weakest below 0
BLUE, RED = (33, 102, 172), (178, 24, 43)  # weaker and stronger than white noise


def histogram(values: Statistics) -> str:
    """Draw the histogram of what was removed beside that of a normal distribution."""
    count = len(values.histogram)
    step = values.width / values.deviation if values.deviation > 0 else 2 * RANGE / count
    along = np.linspace(0, count, POINTS)  # in bins
    height = step / math.sqrt(2 * math.pi)
    normal = height * np.exp(-(((along - count / 2) * step) ** 2) / 2)
    top = 1.05 * max(float(values.histogram.max()), float(normal.max()))
    width = WIDTH / count
    bars = "".join(
        f"M{k * width:.1f} {HEIGHT}V{HEIGHT * (1 - share / top):.1f}h{width:.2f}V{HEIGHT}"
        for k, share in enumerate(values.histogram)
    )
    curve = _line(along * width, HEIGHT * (1 - normal / top))
    end = values.width * count / 2
    ticks = [(-end, 0.0), (0.0, 0.5), (end, 1.0)]
    text = (
        f"Histogram of what was removed, mean {values.mean:.3g}, standard deviation "
        f"{values.deviation:.3g}, with the curve of a normal distribution"
    )
    shapes = f'<path class="bars" d="{bars}"/><path class="reference" d="{curve}"/>'
    return _drawing(text, shapes, ticks, [])


def radial(values: Statistics) -> str:
    """Draw the power of what was removed by frequency beside that of white noise."""
    decibels = np.clip(10 * np.log10(values.radial), -DECIBELS, DECIBELS)
    down = HEIGHT * (0.5 - decibels / (2 * DECIBELS))
    along = np.linspace(0, WIDTH, len(down))
    shapes = (
        f'<path class="reference" d="M0 {HEIGHT / 2}H{WIDTH}"/>'
        f'<path class="curve" d="{_line(along[1:], down[1:])}"/>'
    )
    text = (
        "Power by frequency relative to white noise, in decibels: "
        f"{decibels[len(decibels) // 8]:.1f} at low, {decibels[len(decibels) // 2]:.1f} at middle "
        f"and {decibels[-1]:.1f} at high frequencies"
    )
    across = [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0)]
    return _drawing(text, shapes, across, [(float(DECIBELS), 0.0), (0.0, 0.5), (-DECIBELS, 1.0)])


def colored(power: FloatArray) -> NDArray[np.uint8]:
    """Return a spectrum as colors (M, N, 3): white noise is white, more is red, less is blue."""
    level = np.clip(10 * np.log10(power) / DECIBELS, -1, 1)[..., None]
    end = np.where(level > 0, np.array(RED), np.array(BLUE))
    return np.rint(255 + np.abs(level) * (end - 255.0)).astype(np.uint8)


def _line(x: NDArray[Any], y: NDArray[Any]) -> str:
    """Return the path of a line through points."""
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _drawing(
    text: str,
    shapes: str,
    across: list[tuple[float, float]],
    down: list[tuple[float, float]],
) -> str:
    """Return a drawing with axes; ticks are values and their places from 0 to 1."""
    left = LEFT if down else 4
    labels = [
        f'<text x="{place * WIDTH:.1f}" y="{HEIGHT + 13}" text-anchor="{_anchor(place)}">'
        f"{_number(value)}</text>"
        for value, place in across
    ] + [
        f'<text x="-4" y="{place * HEIGHT + 3:.1f}" text-anchor="end">{_number(value)}</text>'
        for value, place in down
    ]
    return (
        f'<svg role="img" aria-label="{text}" '
        f'viewBox="{-left} -6 {WIDTH + left + 4} {HEIGHT + BOTTOM - 6}">'
        f'<path class="axis" d="M0 0V{HEIGHT}H{WIDTH}"/>{shapes}{"".join(labels)}</svg>'
    )


def _anchor(place: float) -> str:
    """Return where a text begins, so that it stays within the drawing."""
    return "start" if place == 0 else "end" if place == 1 else "middle"


def _number(value: float) -> str:
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
