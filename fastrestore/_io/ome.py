"""The OME-XML in the description of a TIFF file."""

from __future__ import annotations

import re

from fastrestore._io.errors import FileError

_ROOT = re.compile(rb"<(?:\w+:)?OME\b[^>]*>")
_ROOT_UUID = re.compile(rb"""\sUUID\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_FILE = re.compile(rb"<(?:\w+:)?UUID\b([^>]*)>\s*([^<]*?)\s*<")
_DATA = re.compile(rb"<(\w+:|)TiffData\b(?:[^>]*/>|.*?</\1TiffData\s*>)\s*", re.DOTALL)
_ORDER = re.compile(rb"""(\sBigEndian\s*=\s*["'])true""")


def is_ome(description: bytes) -> bool:
    """Whether a description is OME-XML."""
    return _ROOT.search(description) is not None


def check_one_file(description: bytes) -> None:
    """Raise if the planes are in several files; tifffile would open those, or fill in zeros."""
    root = _ROOT.search(description)
    own = root and _ROOT_UUID.search(root[0])
    files = {match[2]: match[1] for match in _FILE.finditer(description)}
    if own is not None:
        files.pop(own[1] or own[2], None)
    elif len(files) == 1:  # this file, which may have been renamed
        return
    if files:
        name = re.search(rb"""FileName\s*=\s*["']([^"']*)""", next(iter(files.values())))
        shown = f" such as {name[1].decode(errors='replace')}" if name else ""
        raise FileError(f"its OME-XML lists other files{shown}; write all planes to one file first")


def for_pages(description: bytes, count: int) -> bytes:
    """Return the OME-XML for a little-endian file with `count` pages in the order of the axes.

    The identifier of the old file is left out.
    """
    root = _ROOT.search(description)
    if root is None:
        return description
    text = description.replace(root[0], _ROOT_UUID.sub(b"", root[0]), 1)
    prefix = next((match[1] for match in _DATA.finditer(text)), None)
    if prefix is None:
        return text
    pages = b'<%sTiffData IFD="0" PlaneCount="%d"/>' % (prefix, count)
    # One element in place of the first, none in place of the others; a document of several images
    # has no common stack, and is not read.
    first = _DATA.search(text)
    assert first is not None
    rest = _DATA.sub(b"", text[first.end() :])
    return _ORDER.sub(rb"\1false", text[: first.start()] + pages + rest)
