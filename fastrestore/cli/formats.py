"""``fastrestore formats``: what survives in the formats of pictures and stacks."""

from __future__ import annotations

import argparse
import json

from fastrestore._io.formats import FORMATS, PROPERTIES, STACKS, Format

EPILOG = """\
"yes" means that the property is read, and written back unchanged, and "read" that it is read.
Where a format cannot hold what an image has, a warning names it. Text is captions, comments and
XMP. JPEG XL is turned upright instead of keeping an orientation. Camera raw needs the extra "raw",
NIfTI the extra "volume". Formats that are only read give TIFF files. Zarr stores and HDF5 files
keep all that they contain; they need the extra "dask", see `fastrestore denoise --help`.
"""
_FLOATS, _SIGNED, _UNSIGNED = "float", "int", "uint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> None:
    """Print the table."""
    formats = [*FORMATS, *STACKS]
    if args.json:
        print(json.dumps([_object(form) for form in formats], indent=2))
        return
    rows = [("format", "written types", *PROPERTIES), *map(_row, formats)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _row(form: Format) -> tuple[str, ...]:
    """Return the cells of a format."""
    word = "yes" if form.types else "read"
    cells = (word if name in form.keeps else "" for name in PROPERTIES)
    return (form.name, _types(form.types) or "only read", *cells)


def _types(names: tuple[str, ...]) -> str:
    """Return types in short, such as "uint 8 16, float 32"."""
    groups = []
    for kind in (_UNSIGNED, _SIGNED, _FLOATS):
        bits = [name.removeprefix(kind) for name in names if name.startswith(kind)]
        groups += [f"{kind} {' '.join(sorted(bits, key=int))}"] if bits else []
    return ", ".join(groups)


def _object(form: Format) -> dict[str, object]:
    """Return a format as JSON."""
    return {
        "format": form.name,
        "extensions": list(form.extensions),
        "read": True,
        "written": bool(form.types),
        "types": list(form.types),
        "keeps": [name for name in PROPERTIES if name in form.keeps],
    }
