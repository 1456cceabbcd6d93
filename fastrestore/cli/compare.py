"""``fastrestore compare``: a page that shows files before and after."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastrestore._io import files
from fastrestore.cli import options
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.paths import check_overwrite

EXTENSIONS = (".html", ".htm")
MEGABYTE = 1e6
EPILOG = """\
examples:
  fastrestore compare noisy.png restored.png -o page.html
  fastrestore compare noisy.png bm3d.png network.png --truth clean.png
  fastrestore compare noisy.tif restored.tif --max-size 50
  fastrestore compare noisy.mp4 clean.mp4

The page is one file that needs no server and no network. It shows any two of the pictures with a
divider that is moved by mouse, touch or keys, what was removed with its histogram and spectrum,
enlarged details, and PSNR and SSIM if there is a --truth. For 16-bit and float files the range of
values can be changed. Stacks have a slider for the slices; of videos 16 frames are compared.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("noisy", metavar="NOISY", help="the image, stack or video before")
    add("restored", nargs="+", metavar="RESTORED", help="one or more results")
    add("--truth", metavar="CLEAN", help="the clean one, for PSNR and SSIM")
    text = "page to write; default: the name of NOISY with -comparison.html"
    add("-o", "--output", metavar="PAGE.html", help=text)
    add("--title", metavar="TEXT", help="title of the page; default: the names of the files")
    options.add_data_range(parser)
    options.add_channel_axis(parser, "more than two")
    text = "names of the axes of stacks, such as TZCYX; default: those in the files"
    add("--axes", metavar="LETTERS", help=text)
    text = "approximate size of the page in megabytes, kept by JPEG and fewer slices; default: 12"
    add("--max-size", type=float, default=12.0, metavar="MB", help=text)
    add("--overwrite", action="store_true", help="replace PAGE.html if it exists")


def run(args: argparse.Namespace) -> None:
    """Write the page, and print its name and size."""
    noisy = Path(args.noisy)
    if noisy.is_dir():
        raise CommandError(
            f"{noisy} is a directory; name two files, or write pages of all files in it by "
            f"`fastrestore restore {noisy} -o DIR --compare PAGES`"
        )
    page = (
        noisy.with_name(f"{noisy.stem}-comparison.html")
        if args.output is None
        else Path(args.output)
    )
    check_page(page, overwrite=args.overwrite)
    if not 0 < args.max_size < float("inf"):
        raise CommandError(f"--max-size {args.max_size:g}: write a positive number of megabytes")
    write_page(
        page,
        [noisy, *map(Path, args.restored)],
        truth=None if args.truth is None else Path(args.truth),
        args=args,
    )
    print(f"{page}: {page.stat().st_size / MEGABYTE:.1f} MB")


def pages(
    sources: Sequence[Path],
    folders: Mapping[Path, Path | None],
    place: str | None,
    *,
    several: bool,
) -> dict[Path, Path]:
    """Return the page for each file: `place`, or pages in that directory if there are several.

    Pages of files in `folders` keep their tree. Names differ.
    """
    if place is None:
        return {}
    if not several:
        return {source: Path(place) for source in sources}
    if Path(place).suffix.lower() in EXTENSIONS and not Path(place).is_dir():
        name = Path(place).with_suffix("")
        raise CommandError(
            f"--compare {place}: several inputs need a directory; write {name}{os.sep}"
        )
    found: dict[Path, Path] = {}
    used: set[str] = set()
    for source in sources:
        folder = folders[source]
        inside = Path() if folder is None else source.parent.relative_to(folder)
        page = Path(place) / inside / f"{source.stem}.html"
        count = 1
        while str(page).casefold() in used:
            page = page.with_name(f"{source.name}{f'-{count}' if count > 1 else ''}.html")
            count += 1
        used.add(str(page).casefold())
        found[source] = page
    return found


def check_page(page: Path, *, overwrite: bool) -> None:
    """Raise if a page cannot be written."""
    files.check_output(page, EXTENSIONS)
    check_overwrite(page, overwrite=overwrite)


def write_page(
    page: Path,
    compared: Sequence[Path],
    *,
    truth: Path | None = None,
    args: argparse.Namespace | None = None,
) -> None:
    """Write the page that compares files, the noisy one first.

    `args` has the options of this command, if it runs.
    """
    from fastrestore.report.files import compare_files
    from fastrestore.report.page import encoded

    given = {} if args is None else _options(args)
    with explained(page):
        made = compare_files(
            compared[0],
            compared[1:],
            truth,
            **given,
        )
    files.write_bytes(page, lambda: encoded(made))


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `compare_files` that are given by options."""
    return {
        "title": args.title,
        "max_bytes": args.max_size * MEGABYTE,
        "channel_axis": args.channel_axis,
        "data_range": args.data_range,
        "axes": args.axes,
    }
