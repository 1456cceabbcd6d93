"""Options that several commands share."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NoReturn

from fastrestore.cli.errors import CommandError

STRONGEST = 2.0  # --strength; noise of more than twice the level needs another --sigma
# Groups of options, in the order of help texts
NOISE, METHOD, CONTENTS = "noise", "method", "contents of the files"
MANY, REPORTS = "many files", "reports"
VIDEOS, SPEED, LARGE = "videos", "speed and memory", "Zarr, HDF5 and large TIFF"
GROUPS = (NOISE, METHOD, CONTENTS, MANY, REPORTS, VIDEOS, LARGE, SPEED)
PROFILES = ("np", "refilter", "iterative", "fast", "lc", "balanced", "high", "vn")


def group(parser: argparse.ArgumentParser, title: str) -> Any:
    """Return a group of options in the help text; those of `GROUPS` have a fixed order."""
    groups: dict[str, Any] = vars(parser).setdefault("groups", {})
    for name in () if groups else GROUPS:
        groups[name] = parser.add_argument_group(name)
    return groups[title]


def add_files(
    parser: argparse.ArgumentParser, kind: str = "images", required: str = "[options]"
) -> None:
    """Add the input files, the output, and what is done with several files.

    `required` are the options to show in the first line of the help text.
    """
    parser.usage = f"%(prog)s {required} IN [IN ...]"
    add = parser.add_argument
    add("inputs", nargs="+", metavar="IN", help=f"{kind}, directories of them, or patterns")
    add(
        "-o",
        "--output",
        metavar="OUT",
        help="output file, or directory if there are several IN; default: IN-restored.EXT "
        "beside each IN",
    )
    add = group(parser, MANY).add_argument
    add("-r", "--recursive", action="store_true", help="also restore files in subdirectories")
    text = "continue a stopped batch; files are restored again if they or the options have changed"
    add("--resume", action="store_true", help=text)
    text = "with --overwrite: allow results to replace the originals, without a copy"
    add("--in-place", action="store_true", help=text)
    add("--jobs", type=int, default=1, metavar="N", help="files to restore at a time; default: 1")
    add("--dry-run", action="store_true", help="only print what would be written")
    add = group(parser, REPORTS).add_argument
    add("--json", action="store_true", help="print a line of JSON for each file")
    text = "file for versions, settings and noise of each file"
    add("--report", metavar="FILE.json", help=text)
    text = "page that compares IN and OUT, or directory of pages if there are several IN"
    add("--compare", metavar="PAGE.html", help=text)
    text = "limit for the size of an image in memory; default: the memory of the computer"
    add = group(parser, SPEED).add_argument
    add("--max-image-gb", type=float, metavar="GB", help=text)


def add_channel_axis(parser: argparse.ArgumentParser, axes: str = "three") -> None:
    """Add --channel-axis."""
    text = f"channel axis of NPY files with {axes} axes; -1 is the last"
    group(parser, CONTENTS).add_argument("--channel-axis", type=int, metavar="N", help=text)


def add_data_range(parser: argparse.ArgumentParser) -> None:
    """Add --data-range."""
    text = "range of the clean data, white minus black, in the units of the file"
    group(parser, CONTENTS).add_argument("--data-range", type=float, metavar="X", help=text)


def add_sigma(parser: argparse.ArgumentParser) -> None:
    """Add --sigma and --sigma-scale, explained below the options."""
    add = group(parser, NOISE).add_argument
    add(
        "--sigma",
        metavar="S",
        help="standard deviation of the noise; see below; default: estimated",
    )
    add("--sigma-scale", choices=("native", "8bit"), help="units of --sigma; see below")


def add_optional_sigma(parser: argparse.ArgumentParser, default: str, *, auto: bool = True) -> None:
    """Add --sigma with a default, and --sigma-scale."""
    add, examples = group(parser, NOISE).add_argument, "2/255 or 0.01"
    examples = "2/255, 0.01 or auto" if auto else examples
    text = f"standard deviation of the noise, such as {examples}; default: {default}"
    add("--sigma", metavar="S", default=default, help=text)
    add(
        "--sigma-scale",
        choices=("native", "8bit"),
        help="units of --sigma; see `fastrestore denoise --help`",
    )


def add_noise(parser: argparse.ArgumentParser) -> None:
    """Add the noise specifications other than --sigma: a model and a power spectrum."""
    add = group(parser, NOISE).add_argument
    add_noise_model(parser)
    add("--psd", metavar="FILE", help="power spectrum of correlated noise; see below")


def add_noise_model(parser: argparse.ArgumentParser) -> None:
    """Add --noise and --strength."""
    add = group(parser, NOISE).add_argument
    add(
        "--noise",
        metavar="MODEL",
        help="model of the noise, or a file of one; see below; default: auto",
    )
    add_strength(parser)


def add_strength(
    parser: argparse.ArgumentParser, level: str = "the noise level, estimated or given"
) -> None:
    """Add --strength, a multiplier for a level."""
    text = f"multiplier for {level}, from 0 to {STRONGEST:g}; default: 1"
    group(parser, NOISE).add_argument("--strength", type=float, default=1.0, metavar="X", help=text)


def refuse_strength(parser: argparse.ArgumentParser, why: str) -> None:
    """Raise for --strength, which a command does not have."""
    refuse(parser, "--strength", why)


def refuse(parser: argparse.ArgumentParser, option: str, why: str) -> None:
    """Raise for an option that a command does not have."""

    class Refuse(argparse.Action):
        def __call__(self, *_: object) -> NoReturn:
            raise CommandError(f"{parser.prog} has no {option}: {why}; leave it out")

    hidden = argparse.SUPPRESS
    parser.add_argument(option, action=Refuse, default=hidden, help=hidden)


def check_strength(args: argparse.Namespace) -> None:
    """Raise if --strength is out of range."""
    if not 0 <= args.strength <= STRONGEST:
        raise CommandError(
            f"--strength {args.strength:g} is not a number from 0 to {STRONGEST:g}; 1 is the level "
            "as estimated or given"
        )


def add_chroma_strength(parser: argparse.ArgumentParser) -> None:
    """Add --chroma-strength."""
    group(parser, NOISE).add_argument(
        "--chroma-strength",
        type=float,
        default=1.0,
        metavar="X",
        help="multiplier for the noise level of the chroma channels; default: 1",
    )


def check_chroma_strength(args: argparse.Namespace) -> None:
    """Raise if --chroma-strength is not positive."""
    if not 0 < args.chroma_strength < math.inf:
        raise CommandError(f"--chroma-strength {args.chroma_strength:g} is not a positive number")


def add_profile(
    parser: argparse.ArgumentParser, default: str, choices: tuple[str, ...] = PROFILES
) -> None:
    """Add --profile."""
    text = f"parameters of the algorithm; default: {default}"
    group(parser, METHOD).add_argument("--profile", choices=choices, default=default, help=text)


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Add --stage."""
    choices = ("basic", "final")
    group(parser, METHOD).add_argument(
        "--stage", choices=choices, default="final", help="last stage to run; default: final"
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add --tile and --device, for networks."""
    add = group(parser, SPEED).add_argument
    add(
        "--tile",
        type=int,
        metavar="N",
        help="for networks: side of the tiles in pixels; default: automatic",
    )
    add(
        "--device",
        metavar="NAME",
        help="for networks: cpu, cuda or cuda:1; default: a GPU if available",
    )


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Add --backend, --workers, --overwrite and --quiet."""
    add = group(parser, SPEED).add_argument
    add(
        "--backend",
        metavar="NAME",
        help="see `fastrestore backends`; default: the fastest one available",
    )
    add("--workers", type=int, metavar="N", help="number of threads; default: one for each core")
    add_replacing(parser)


def add_replacing(parser: argparse.ArgumentParser) -> None:
    """Add --overwrite and --quiet."""
    text = "replace existing files; default: skip them"
    group(parser, MANY).add_argument("--overwrite", action="store_true", help=text)
    text = "print errors and warnings only"
    group(parser, REPORTS).add_argument("-q", "--quiet", action="store_true", help=text)


def show_progress(args: argparse.Namespace) -> bool:
    """Whether to show the progress of one file."""
    return sys.stderr.isatty() and not args.quiet and getattr(args, "jobs", 1) == 1


def spelled(name: str) -> str:
    """Return an option as written on the command line, from the name of its argument."""
    return f"--{name.replace('_', '-')}"
