"""Pictures of one image restored with several strengths, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import fastrestore
from fastrestore._arrays import interop, validate
from fastrestore._arrays.install import extra
from fastrestore._arrays.validate import quoted
from fastrestore.report.encode import Coding, encode
from fastrestore.report.notebook import LARGEST, SMALLEST
from fastrestore.report.page import Page, hashed, json_text, read
from fastrestore.report.scale import around_zero, window
from fastrestore.report.series import Removed, Series

if TYPE_CHECKING:
    from fastrestore.report.widget import Explorer

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
TITLE = "Strength of the denoising"
# Lines that run the module in a page: its data does not change, and nothing else observes it
ALONE = """
const data = JSON.parse(document.getElementById("data").textContent);
const model = {
  get: (name) => data[name],
  set: (name, value) => { data[name] = value; },
  save_changes: () => {}, on: () => {}, off: () => {},
};
render({ model, el: document.getElementById("explore") });
"""
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60em; margin: 1em auto; padding: 0 1em; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3em; }
"""


@dataclass(frozen=True)
class Pictures:
    """What is shown: pictures as PNG in base 64, one for each strength."""

    strengths: tuple[float, ...]
    before: str
    after: list[str]
    removed: list[str]
    size: tuple[int, int]
    noise: str

    def state(self) -> dict[str, Any]:
        """Return what the script reads, with the strength 1, or the middle one, chosen."""
        return {
            "strengths": list(self.strengths),
            "index": chosen(self.strengths),
            "before": self.before,
            "after": self.after,
            "removed": self.removed,
            "size": list(self.size),
            "noise": self.noise,
        }


def explore(
    image: Any,
    sigma: float | None = None,
    *,
    noise: Any = None,
    strengths: Sequence[float] = STRENGTHS,
    channel_axis: int | None = None,
    profile: Any = "np",
) -> Explorer:
    """Show in a notebook how the strength of `bm3d` changes an image.

    A slider selects the strength, and another one divides the image before from the image after;
    what was removed can be shown, too. All pictures are computed first, so that neither a kernel
    nor a server is needed later: the widget works in JupyterLab and VS Code, and in static HTML
    that is exported with the notebook, or written by its method ``save``.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image. Of images with more than 320 rows or columns the center is shown, but the noise
        is estimated from all of it.
    sigma : float, optional
        Standard deviation of the noise, in the units of the image. By default it is estimated.
    noise : NoiseSpec or str, optional
        The noise, or the model by which it is estimated, as for `fastrestore.bm3d`.
    strengths : sequence of float
        Factors for the noise level, 0 or more.
    channel_axis : int, optional
        Axis of the channels: one, or three colors.
    profile : str or Profile, default "np"
        As for `fastrestore.bm3d`.

    Returns
    -------
    Explorer
        A widget with the attribute ``strength``, the selected one, and the method ``save`` for a
        page.

    Raises
    ------
    ImportError
        If anywidget is not installed.
    TypeError, ValueError
        If an argument is invalid.

    See Also
    --------
    compare : Compare results of any functions on a page.
    figures : Show images before and after without sliders.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import report
    >>> noisy = np.random.default_rng(0).normal(100, 10, (64, 64))
    >>> widget = report.explore(noisy)  # doctest: +SKIP
    >>> restored = fastrestore.bm3d(noisy, strength=widget.strength)  # doctest: +SKIP
    """
    try:
        from fastrestore.report.widget import Explorer
    except ImportError as error:
        raise ImportError(
            f"report.explore needs anywidget; install it with {extra('notebook')}"
        ) from error
    if np.ndim(strengths) != 1:
        raise TypeError(
            f"strengths must be a sequence of numbers, such as (0.5, 1), got {quoted(strengths)}"
        )
    factors = tuple(validate.number("strengths", each, least=0, most=1000) for each in strengths)
    if not factors:
        raise ValueError("strengths must have one number or more, got none")
    return Explorer(pictures(image, sigma, noise, factors, channel_axis, profile))


def pictures(
    image: Any,
    sigma: float | None,
    noise: Any,
    strengths: tuple[float, ...],
    channel_axis: int | None,
    profile: Any,
) -> Pictures:
    """Restore the center of an image with each strength."""
    values = interop.to_host(interop.recognize("image", image)[0])
    wanted = 2 if channel_axis is None else 3
    if values.ndim != wanted:
        raise ValueError(
            f"image must have {wanted} axes with channel_axis={channel_axis}, got shape "
            f"{values.shape}; choose one image of a stack"
        )
    if channel_axis is not None:
        values = np.moveaxis(values, channel_axis, -1)
    axis = None if channel_axis is None else -1
    known, text = _noise(values, sigma, noise, axis)
    center = values[_center(values.shape[:2])]
    options = {**known, "channel_axis": axis, "profile": profile}
    results = [fastrestore.bm3d(center, strength=each, **options) for each in strengths]
    before = Series.of("image", "before", center, axis)
    if before.shape[0] > 1:
        raise ValueError(f"image must have one channel or three colors, got shape {values.shape}")
    after = [Series.of("image", "after", each, axis) for each in results]
    removed = [Removed(before, each) for each in after]
    middle = after[chosen(strengths)]  # the extremes would take too much of the contrast
    shown, symmetric = window([before, middle], None).scale(), around_zero(removed).scale()
    png = Coding("png")
    factor = max(1, SMALLEST // max(center.shape[:2]))
    return Pictures(
        strengths,
        encode(before.frame(0), shown, png),
        [encode(each.frame(0), shown, png) for each in after],
        [encode(each.frame(0), symmetric, png) for each in removed],
        (center.shape[1] * factor, center.shape[0] * factor),
        f"Noise {text}. Removed: {symmetric.low:.3g} to {-symmetric.low:.3g}.",
    )


def chosen(strengths: Sequence[float]) -> int:
    """Return the index of the strength that is shown first."""
    return strengths.index(1) if 1 in strengths else len(strengths) // 2


def _center(shape: Sequence[int]) -> tuple[slice, ...]:
    """Return the index of the center."""
    starts = [max(0, size - LARGEST) // 2 for size in shape]
    return tuple(slice(first, first + LARGEST) for first in starts)


def _noise(
    values: Any, sigma: float | None, noise: Any, channel_axis: int | None
) -> tuple[dict[str, Any], str]:
    """Return the noise as an argument of `bm3d`, and a text."""
    if sigma is not None:
        if noise is not None:
            raise ValueError(
                f"Specify the noise once: got both sigma={quoted(sigma)} and noise={quoted(noise)}"
            )
        known = validate.number("sigma", sigma, least=0)
        return {"sigma": known}, f"given, sigma {known:.4g}"
    if noise is not None and not isinstance(noise, str):
        return {"noise": noise}, "given"
    spec = fastrestore.estimate_noise(values, channel_axis=channel_axis, model=noise or "auto")
    level = ", ".join(f"{each:.4g}" for each in spec.sigma)
    return {"noise": spec}, f"found: {spec.model}, sigma {level}"


def page(shown: Pictures, title: str = TITLE) -> Page:
    """Return the pictures as a page that depends on nothing else."""
    script = read("explore.js").replace("export default { render };", ALONE)
    style = STYLE + read("explore.css")
    fields = {
        "title": escape(title),
        "version": fastrestore.__version__,
        "style": style,
        "style_hash": hashed(style),
        "script": script,
        "script_hash": hashed(script),
        "data": json_text(shown.state()),
    }
    return Page(title, Template(read("explore.html")).substitute(fields))
