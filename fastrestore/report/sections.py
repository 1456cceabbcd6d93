"""Parts of the page below the viewer: measures, what was removed, and details."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.metrics import psnr, ssim
from fastrestore.report import charts, crops
from fastrestore.report.encode import Coding, encode
from fastrestore.report.removed import FRAMES, Statistics, statistics
from fastrestore.report.scale import Scale
from fastrestore.report.series import Removed, Series, spread

PNG = Coding("png")
DIRECT = Scale(0, 1, 255)


class Contents(NamedTuple):
    """What is compared."""

    pictures: Sequence[Series]  # noisy, restored, and the truth if there is one
    removed: Sequence[Removed]
    truth: Series | None
    data_range: float
    shown: Scale  # of pictures in 8 bits
    symmetric: Scale  # of what was removed in 8 bits
    icc: bytes | None


class Measured(NamedTuple):
    """Mean quality of some frames."""

    psnr: float
    ssim: float


def measure(contents: Contents, series: Series) -> Measured:
    """Compare a picture with the truth."""
    assert contents.truth is not None
    each = []
    for index in spread(series.shape[0], FRAMES):
        clean, picture = contents.truth.frame(index), series.frame(index)
        arguments: dict[str, Any] = {"data_range": contents.data_range}
        similarity = ssim(clean, picture, channel_axis=-1, **arguments)
        each.append((psnr(clean, picture, **arguments), similarity))
    return Measured(*(float(np.mean(values)) for values in zip(*each, strict=True)))


def measures(contents: Contents) -> str:
    """Return the table of PSNR and SSIM; nothing without a truth."""
    if contents.truth is None:
        return ""
    rows = []
    for series in contents.pictures:
        if series is not contents.truth:
            value = measure(contents, series)
            cells = f"<td>{_decibels(value.psnr)}</td><td>{value.ssim:.4f}</td>"
            rows.append(f'<tr><th scope="row">{escape(series.name)}</th>{cells}</tr>')
    name = escape(contents.truth.name)
    return (
        '<section aria-labelledby="measures"><h2 id="measures">Measures</h2><div class="wide">'
        '<table><thead><tr><th scope="col">Picture</th><th scope="col">PSNR in dB</th>'
        f'<th scope="col">SSIM</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f'<p class="quiet">Compared with {name}, for a range of values of '
        f"{contents.data_range:g}.</p></section>"
    )


def removed(contents: Contents) -> str:
    """Return what was removed by each restoration: picture, histogram, spectrum and numbers."""
    parts = "".join(_removed(contents, each) for each in contents.removed)
    return (
        '<section aria-labelledby="removed"><h2 id="removed">What was removed</h2>'
        '<p class="quiet">The noisy picture minus the restored one. If only noise was removed, no '
        "edges or textures of the picture are visible. White noise has the same power at all "
        f"frequencies.</p>{parts}</section>"
    )


def _removed(contents: Contents, each: Removed) -> str:
    """Return what one restoration removed."""
    found = statistics(each)
    middle = each.frame(each.shape[0] // 2)
    side = min(4 * crops.LARGEST, *middle.shape[:2])
    top, left = ((size - side) // 2 for size in middle.shape[:2])
    center = middle[top : top + side, left : left + side]
    name = escape(each.name)
    limit = -contents.symmetric.low
    figures = [
        _figure(
            _image(center, contents.symmetric, f"{name}, the center of the picture"),
            f"Center of the picture, \N{MINUS SIGN}{limit:.3g} to {limit:.3g}",
        ),
        _figure(charts.histogram(found), "Histogram; dashed: normal distribution"),
        _figure(charts.radial(found), "Power in dB by cycles per pixel; dashed: white noise"),
        _figure(
            _image(charts.colored(found.spectrum), DIRECT, f"Power spectrum of {name}"),
            "Power spectrum, zero frequency in the center; red: more than white noise, blue: less",
        ),
    ]
    return f'<h3>{name}</h3><p>{_sentence(found)}</p><div class="row four">{"".join(figures)}</div>'


def _sentence(found: Statistics) -> str:
    """Describe statistics in words."""
    mean = 0.0 if abs(found.mean) < found.deviation / 1000 else found.mean
    return (
        f"Standard deviation {found.deviation:.3g}, mean {mean:.3g}. Correlation "
        f"of neighboring pixels: {found.right:.2f} along rows, {found.down:.2f} along columns; "
        f"with the restored picture: {found.similarity:.2f}."
    ).replace(" -", " \N{MINUS SIGN}")


def details(contents: Contents) -> str:
    """Return enlarged parts of all pictures."""
    first = contents.removed[-1]
    frame = first.shape[0] // 2
    restored = contents.pictures[len(contents.removed)]
    if contents.truth is None:
        difference, title = first.frame(frame), "Most removed"
    else:
        error = Removed(contents.truth, restored)
        difference, title = error.frame(frame), "Largest error"
    found = crops.choose(restored.frame(frame), difference, title)
    groups = "".join(_group(contents, crop, frame) for crop in found)
    return f'<section aria-labelledby="details"><h2 id="details">Details</h2>{groups}</section>'


def _group(contents: Contents, crop: crops.Crop, frame: int) -> str:
    """Return one part of all pictures, and the button that shows it in the viewer."""
    place = f"row {crop.row}, column {crop.column}"
    figures = []
    for every, scale in (
        (contents.pictures, contents.shown),
        (contents.removed, contents.symmetric),
    ):
        for series in every:
            icc = contents.icc if scale is contents.shown else None
            text = f"{escape(series.name)} at {place}"
            image = _image(crop.of(series.frame(frame)), scale, text, icc)
            figures.append(_figure(image, escape(series.name)))
    return (
        f"<h3>{crop.title}: {crop.side} x {crop.side} pixels at {place}</h3>"
        f'<p class="scripts"><button type="button" data-row="{crop.row}" '
        f'data-column="{crop.column}" data-side="{crop.side}">Show in the viewer: '
        f'{crop.title.lower()}</button></p><div class="row">{"".join(figures)}</div>'
    )


def _image(picture: NDArray[Any], scale: Scale, text: str, icc: bytes | None = None) -> str:
    """Return an image element."""
    rows, columns = picture.shape[:2]
    source = encode(picture, scale, PNG, icc)
    return (
        f'<img width="{columns}" height="{rows}" alt="{text}" src="data:image/png;base64,{source}">'
    )


def _figure(content: str, caption: str) -> str:
    return f"<figure>{content}<figcaption>{caption}</figcaption></figure>"


def _decibels(value: float) -> str:
    return "equal" if math.isinf(value) else f"{value:.2f}"
