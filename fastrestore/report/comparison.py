"""Compare images, volumes or videos on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore.report import page as pages
from fastrestore.report.encode import plan
from fastrestore.report.page import Page
from fastrestore.report.scale import (
    DEVIATIONS,
    EIGHT,
    STEPS,
    around_zero,
    is_eight_bit,
    stored,
    whole,
    window,
)
from fastrestore.report.sections import Contents
from fastrestore.report.series import Removed, Series, same_shape, sampled

SIZE = 12e6  # bytes: opens in about a second, and can be sent by mail


def compare(
    noisy: Any,
    *restored: Any,
    truth: Any = None,
    names: Sequence[str] | None = None,
    channel_axis: int | None = None,
    data_range: float | None = None,
    title: str | None = None,
    max_bytes: float = SIZE,
) -> Page:
    """Compare restored images, volumes or videos with the noisy one on a page.

    The page is one HTML file that needs no server and no network. It shows any two pictures with a
    divider or side by side, what was removed with its histogram and spectrum, and enlarged details.

    Parameters
    ----------
    noisy : array, shape (M, N) or (D, M, N), and an axis more with `channel_axis`
        Noisy image, or stack of slices or frames.
    *restored : array, shape of `noisy`
        One or more results.
    truth : array, shape of `noisy`, optional
        Clean image. PSNR and SSIM of the others are then shown; for a stack, their means over
        some of its pictures.
    names : sequence of str, optional
        Names of the pictures in the order of the arguments, `truth` last.
    channel_axis : int, optional
        Axis of colors or other channels. Three are shown as red, green and blue; any other number
        one by one.
    data_range : float, optional
        Range of the clean data, for PSNR and SSIM. By default 255 for uint8, and otherwise the
        difference between the largest and the smallest value of `truth`.
    title : str, optional
        Title of the page.
    max_bytes : float, default 12e6
        Approximate limit of the size of the pictures in the page. For larger ones the viewer uses
        JPEG of a lower quality, fewer slices or frames, or pictures of reduced size, and the page
        says so. All else is computed from the originals.

    Returns
    -------
    Page
        The page, with the method ``save``. Notebooks show it.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or arrays differ in shape.

    See Also
    --------
    fastrestore.plot.compare : Draw images with Matplotlib.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.bm3d(noisy, sigma=10)
    >>> page = fastrestore.report.compare(noisy, restored, truth=clean)
    >>> page.save("page.html")  # doctest: +SKIP
    """
    pictures = named_series(noisy, restored, truth, names, channel_axis)
    return of_series(
        pictures,
        pictures[-1] if truth is not None else None,
        data_range=data_range,
        title=title,
        max_bytes=validate.positive("max_bytes", max_bytes),
    )


def of_series(
    pictures: Sequence[Series],
    truth: Series | None,
    *,
    data_range: float | None = None,
    title: str | None = None,
    max_bytes: float = SIZE,
    labels: Sequence[str] = (),
    icc: bytes | None = None,
) -> Page:
    """Return the page of series of equal shape: noisy, restored, and the truth if any."""
    same_shape(pictures)
    restored = [each for each in pictures[1:] if each is not truth]
    removed = [Removed(pictures[0], each) for each in restored]
    shown, symmetric = window(pictures, data_range), around_zero(removed)
    is_deep = not is_eight_bit(pictures) and icc is None
    peak = range_of(pictures[0], truth, data_range)
    contents = Contents(
        pictures, removed, truth, peak, shown.scale(), symmetric.scale(), icc
    )  # fmt: skip
    full = stored(pictures) if is_deep else contents.shown
    coarse = full.coarser(symmetric.high / DEVIATIONS / STEPS)
    scales = [full, coarse, contents.shown, contents.symmetric]
    chosen = plan(pictures, removed, scales, max_bytes)
    return pages.render(
        title or f"{pictures[0].name} and {restored[-1].name}",
        contents,
        chosen,
        labels=labels or pictures[0].labels,
        windows=(shown, whole(pictures) if chosen.pictures.kind == "data" else shown),
        is_deep=is_deep,
    )


def range_of(noisy: Series, truth: Series | None, data_range: float | None) -> float:
    """Return the range of the clean data."""
    if data_range is not None:
        return validate.positive("data_range", data_range)
    if truth is None or noisy.values.dtype == np.uint8:
        return EIGHT
    values = sampled([truth], len(truth.values), lambda size: 1)
    return float(values.max()) - float(values.min()) or 1.0


def named_series(
    noisy: Any,
    restored: Sequence[Any],
    truth: Any,
    names: Sequence[str] | None,
    channel_axis: int | None,
) -> list[Series]:
    """Validate arrays and their names."""
    count = len(restored)
    if not count:
        raise TypeError("compare needs a noisy array and one or more restored ones, got only one")
    arrays = [noisy, *restored, *([] if truth is None else [truth])]
    arguments = ["noisy", *["restored"] * count, "truth"][: len(arrays)]
    numbered = [f"restored {k + 1}" for k in range(count)] if count > 1 else ["restored"]
    usual = ["noisy", *numbered, "truth"][: len(arrays)]
    chosen = usual if names is None else [str(name) for name in names]
    if len(chosen) != len(arrays) or isinstance(names, str):
        raise ValueError(
            f"names must be {len(arrays)} texts, one for each array, got {validate.quoted(names)}"
        )
    return [
        Series.of(argument, name, array, channel_axis)
        for argument, name, array in zip(arguments, chosen, arrays, strict=True)
    ]
