"""Pictures for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from fastrestore.report.comparison import named_series
from fastrestore.report.encode import Coding, encode
from fastrestore.report.scale import Scale, around_zero, window
from fastrestore.report.series import Removed, Series, same_shape

LARGEST = 320  # pixels: rows and columns that are shown, from the center
SMALLEST = 160  # screen pixels to which small images are enlarged


def figures(
    noisy: Any,
    *restored: Any,
    names: Sequence[str] | None = None,
    channel_axis: int | None = None,
) -> str:
    """Show images before and after, and what was removed, as a row of HTML figures.

    Notebooks use it to show the result of a call with ``return_info=True``.

    Parameters
    ----------
    noisy : array, shape (M, N) or (D, M, N), and an axis more with `channel_axis`
        Noisy image, or stack of slices or frames, of which the middle one is shown. Of images with
        more than 320 rows or columns the center is shown.
    *restored : array, shape of `noisy`
        One or more results.
    names : sequence of str, optional
        Names of the images in the order of the arguments.
    channel_axis : int, optional
        Axis of the channels: one, or three colors.

    Returns
    -------
    str
        Figures that depend on nothing else, for ``IPython.display.HTML``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or arrays differ in shape.

    See Also
    --------
    compare : Compare images on a page with a divider.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import report
    >>> html = report.figures(np.eye(9), np.eye(9) / 2)
    >>> html.count("<figure")
    3
    """
    pictures = named_series(noisy, restored, None, names, channel_axis)
    same_shape(pictures)
    removed = [Removed(pictures[0], each) for each in pictures[1:]]
    shown, symmetric = window(pictures, None).scale(), around_zero(removed).scale()
    parts = [_figure(each, shown, escape(each.name)) for each in pictures]
    limit = f"{-symmetric.low:.3g}"
    text = f"removed, &minus;{limit} to {limit}"
    parts += [_figure(each, symmetric, text) for each in removed]
    return f'<div style="display: flex; flex-wrap: wrap; gap: 1em">{"".join(parts)}</div>'


def _figure(series: Series | Removed, scale: Scale, caption: str) -> str:
    """Return the center of the middle frame with a caption, which is HTML."""
    frame = series.frame(series.shape[0] // 2)
    high, wide = (min(size, LARGEST) for size in frame.shape[:2])
    top, left = (frame.shape[0] - high) // 2, (frame.shape[1] - wide) // 2
    source = encode(frame[top : top + high, left : left + wide], scale, Coding("png"))
    factor = max(1, SMALLEST // max(high, wide))
    return (
        f'<figure style="margin: 0"><img alt="{escape(series.name)}" width="{wide * factor}" '
        f'height="{high * factor}" style="image-rendering: pixelated" '
        f'src="data:image/png;base64,{source}"><figcaption>{caption}</figcaption></figure>'
    )
