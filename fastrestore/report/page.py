"""The page: a template, its style and scripts, and the pictures."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from fastrestore import __version__
from fastrestore._arrays import validate
from fastrestore._arrays.replacement import Replacement
from fastrestore.report import sections
from fastrestore.report.encode import Plan, encode
from fastrestore.report.scale import Scale, Window
from fastrestore.report.sections import Contents

SCRIPTS = ("pictures.js", "view.js")
STEPS = 1000  # of the sliders for the range of values
FRAME = 800  # screen pixels: height of a page in a notebook


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A page that compares pictures, as one HTML file without references to others.

    Notebooks show it, and `save` writes it.

    Attributes
    ----------
    title : str
        Title of the page.
    html : str
        Text of the file.

    See Also
    --------
    compare : Return a page for images, volumes or videos.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import report
    >>> noisy = np.random.default_rng(0).normal(100, 20, (32, 32))
    >>> page = report.compare(noisy, noisy.clip(80, 120), title="Two images")
    >>> page.title
    'Two images'
    """

    title: str
    html: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        An existing file is replaced when the new one is complete.

        Parameters
        ----------
        path : str or path
            File with the extension ``.html`` or ``.htm``.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If `path` has another extension.
        """
        target = Path(path)
        check_extension(target)
        try:
            _write(target, encoded(self))
        except OSError as error:  # which names a temporary file
            raise type(error)(error.errno, error.strerror, str(target)) from None

    def __repr__(self) -> str:
        """Describe the page in a line."""
        return f"<Page {self.title!r}, {len(self.html) / 1e6:.1f} MB; write it with save(path)>"

    def _repr_html_(self) -> str:
        """Return the page as a frame in a notebook."""
        return (
            f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" width="100%" '
            f'height="{FRAME}"></iframe>'
        )


def encoded(page: Page) -> bytes:
    """Return the contents of the file; names of files may have bytes that are not text."""
    return page.html.encode("utf-8", "replace")


def _write(target: Path, data: bytes) -> None:
    """Write a file; an existing one is replaced when the new one is complete."""
    new = Replacement(target)
    try:
        new.temporary.write_bytes(data)
        new.commit()
    finally:  # also after Ctrl-C
        new.discard()


def check_extension(path: Path) -> None:
    """Raise unless the extension is that of a page."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page has the extension .html, got {validate.quoted(str(path))}")


def render(
    title: str,
    contents: Contents,
    plan: Plan,
    *,
    labels: Sequence[str],
    windows: tuple[Window, Window],
    is_deep: bool,
) -> Page:
    """Return the page; `windows` are the ranges shown at first and of all values."""
    script = "(() => {\n" + "".join(read(name) for name in SCRIPTS) + "})();\n"
    style = read("page.css")
    shown, full = windows
    fields = {
        "title": escape(title),
        "version": __version__,
        "style": style,
        "style_hash": hashed(style),
        "script": script,
        "script_hash": hashed(script),
        "settings": json_text(_settings(contents, plan, labels, windows)),
        "data": _data(contents, plan),
        "note": _note(contents, plan),
        "measures": sections.measures(contents),
        "removed": sections.removed(contents),
        "crops": sections.details(contents),
        "window_open": " open" if is_deep else "",
        "full_low": repr(full.low),
        "full_high": repr(full.high),
        "step": repr((full.high - full.low) / STEPS),
        "low": repr(shown.low),
        "high": repr(shown.high),
        "low_text": f"{shown.low:.4g}",
        "high_text": f"{shown.high:.4g}",
        **_frame_fields(plan, labels),
        **_options(contents),
    }
    return Page(title, Template(read("page.html")).substitute(fields))


def read(name: str) -> str:
    """Return a text of this package, which may be in an archive."""
    return (files("fastrestore.report") / name).read_text(encoding="utf-8")


def hashed(text: str) -> str:
    """Return the hash by which the page allows a script or style."""
    return b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")


def json_text(value: Any) -> str:
    """Return JSON that cannot end the element that contains it."""
    return json.dumps(value).replace("<", "\\u003c")


def _settings(
    contents: Contents, plan: Plan, labels: Sequence[str], windows: tuple[Window, Window]
) -> dict[str, Any]:
    """Return what the scripts need."""
    _, rows, columns, channels = contents.pictures[0].shape
    shrink = plan.pictures.shrink
    stored = list(plan.pictures.frames)
    symmetric = contents.symmetric
    described = [
        {
            "name": each.name,
            "kind": coding.kind,
            "channels": channels,
            "isRemoved": scale is symmetric,
        }
        | {"low": scale.low, "step": scale.step, "most": scale.most}
        for each, scale, coding in _all(contents, plan)
    ]
    return {
        "width": max(1, columns // shrink),
        "height": max(1, rows // shrink),
        "shrink": shrink,
        "pictures": described,
        "frames": [labels[k] for k in stored],
        "frame": len(stored) // 2,
        "left": 0,
        "right": len(contents.removed),
        "window": windows[0]._asdict(),
        "full": windows[1]._asdict(),
        "step": plan.scale.step,
        "removed": {"low": symmetric.low, "high": symmetric.low + symmetric.step * symmetric.most},
    }


def _all(contents: Contents, plan: Plan) -> list[tuple[Any, Scale, Any]]:
    """Return everything that the viewer can show, with its scale and coding."""
    pictures = [(each, plan.scale, plan.pictures) for each in contents.pictures]
    return pictures + [(each, contents.symmetric, plan.removed) for each in contents.removed]


def _data(contents: Contents, plan: Plan) -> str:
    """Return the elements that hold the pictures, which browsers do not run."""
    texts = []
    for number, (each, scale, coding) in enumerate(_all(contents, plan)):
        icc = None if scale is contents.symmetric else contents.icc
        for position, frame in enumerate(coding.frames):
            text = encode(each.frame(frame), scale, coding, icc)
            texts.append(
                f'<script type="text/plain" id="picture-{number}-{position}">{text}</script>'
            )
    return "\n".join(texts)


def _note(contents: Contents, plan: Plan) -> str:
    """Say what the viewer does not show, to keep the page small."""
    coding, depth = plan.pictures, contents.pictures[0].shape[0]
    notes = []
    if coding.shrink > 1:
        notes.append(f"reduced by a factor of {coding.shrink}")
    if coding.kind == "jpeg":
        notes.append(f"stored with 8 bits as JPEG of quality {coding.quality}")
    if len(coding.frames) < depth:
        notes.append(f"{len(coding.frames)} of {depth} slices or frames")
    if not notes:
        return ""
    return (
        f"To keep the page small, the viewer shows pictures {', '.join(notes)}. All else on the "
        "page is computed from the originals."
    )


def _frame_fields(plan: Plan, labels: Sequence[str]) -> dict[str, str]:
    """Return the slider of frames, if there are several."""
    stored = plan.pictures.frames
    if len(stored) < 2:
        return {"frame_slider": "", "frame_keys": ""}
    middle = len(stored) // 2
    name = escape(labels[stored[middle]])
    return {
        "frame_keys": ", Page Up and Page Down change the slice or frame",
        "frame_slider": (
            '<p class="line"><label for="frame">Slice or frame</label> <input type="range" '
            f'id="frame" min="0" max="{len(stored) - 1}" value="{middle}" aria-valuetext="{name}"> '
            f'<output id="frame-name" for="frame">{name}</output></p>'
        ),
    }


def _options(contents: Contents) -> dict[str, str]:
    """Return the choices of pictures on either side."""
    names = [each.name for each in contents.pictures] + [each.name for each in contents.removed]
    first = {"left_options": 0, "right_options": len(contents.removed)}
    return {
        field: "".join(
            f'<option value="{k}"{" selected" if k == chosen else ""}>{escape(name)}</option>'
            for k, name in enumerate(names)
        )
        for field, chosen in first.items()
    }
