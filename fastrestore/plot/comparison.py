"""Figures of images before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastrestore.metrics import psnr
from fastrestore.report.comparison import named_series, range_of
from fastrestore.report.scale import Window, around_zero, window
from fastrestore.report.series import Removed, Series, same_shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, TITLE = 3.2, 0.7  # inches of a panel, and of the height of its title
TALLEST = 2.0  # panels are at most by this factor higher than wide


def compare(
    noisy: Any,
    *restored: Any,
    truth: Any = None,
    names: Sequence[str] | None = None,
    channel_axis: int | None = None,
    data_range: float | None = None,
    rows: int = 1,
) -> Figure:
    """Draw a noisy image, restored ones and what was removed, with Matplotlib.

    Panels show the same part of the images when one of them is zoomed. Of stacks, the middle slice
    or frame is drawn.

    Parameters
    ----------
    noisy : array, shape (M, N) or (D, M, N), and an axis more with `channel_axis`
        Noisy image, or stack of slices or frames.
    *restored : array, shape of `noisy`
        One or more results.
    truth : array, shape of `noisy`, optional
        Clean image, which is drawn last. Titles then contain the PSNR.
    names : sequence of str, optional
        Names of the images in the order of the arguments, `truth` last.
    channel_axis : int, optional
        Axis of the channels: one, or three colors.
    data_range : float, optional
        Range of the clean data, for the PSNR. By default 255 for uint8, and otherwise the
        difference between the largest and the smallest value of `truth`.
    rows : {1, 2}, default 1
        With 2, what was removed is drawn below each result, and `truth` below the noisy image.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, to be shown by ``matplotlib.pyplot.show()`` or saved by its ``savefig``.

    Raises
    ------
    ImportError
        If matplotlib is not installed: ``pip install "fastrestore[plot]"``.
    TypeError, ValueError
        If an argument is invalid, or arrays differ in shape.

    See Also
    --------
    fastrestore.report.compare : Compare images on a page with a divider.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.bm3d(noisy, sigma=10)
    >>> figure = fastrestore.plot.compare(noisy, restored, truth=clean)  # doctest: +SKIP
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'plot.compare needs matplotlib; install it with pip install "fastrestore[plot]"'
        ) from error
    if rows not in (1, 2):
        raise ValueError(f"rows must be 1 or 2; got {rows!r}")
    pictures = named_series(noisy, restored, truth, names, channel_axis)
    same_shape(pictures)
    clean = None if truth is None else pictures[-1]
    results = pictures[: len(restored) + 1]
    removed = [Removed(results[0], each) for each in results[1:]]
    shown, limits = window(pictures, data_range), around_zero(removed)
    gap = [None] if rows == 2 else []  # below the noisy image
    panels = [*results, *([clean] if clean else gap), *removed]
    figure: Figure
    columns = len(panels) // rows
    figure, axes = pyplot.subplots(
        rows, columns, figsize=_size(results[0], rows, columns), layout="constrained",
        sharex=True, sharey=True,
    )  # fmt: skip
    peak = range_of(results[0], clean, data_range)
    for area, series in zip(axes.flat, panels, strict=True):
        if series is None:
            area.set_visible(False)
            continue
        _draw(area, series, limits if isinstance(series, Removed) else shown)
        area.set_title(_title(series, clean, peak), fontsize="medium")
    return figure


def _size(series: Series, rows: int, columns: int) -> tuple[float, float]:
    """Return the width and height of the figure in inches."""
    _, high, wide, _ = series.shape
    return WIDTH * columns, rows * (WIDTH * min(high / wide, TALLEST) + TITLE)


def _draw(area: Any, series: Series | Removed, limits: Window) -> None:
    """Draw the middle frame; values between the limits are black to white."""
    frame = series.frame(series.shape[0] // 2)
    if frame.shape[2] == 1:
        area.imshow(frame[..., 0], cmap="gray", vmin=limits.low, vmax=limits.high)
    else:
        area.imshow(((frame - limits.low) / (limits.high - limits.low)).clip(0, 1))
    area.set(xticks=[], yticks=[])  # with set_axis_off the layout would ignore the title
    area.spines[:].set_visible(False)


def _title(series: Series | Removed, clean: Series | None, peak: float) -> str:
    """Return the name, and the PSNR if the clean image is known, or the level of the removed."""
    frame = series.frame(series.shape[0] // 2)
    if isinstance(series, Removed):
        return f"{series.name}\nstandard deviation {frame.std():.3g}"
    if clean is None or series is clean:
        return series.name
    quality = psnr(clean.frame(clean.shape[0] // 2), frame, data_range=peak)
    return f"{series.name}\n{quality:.2f} dB"
