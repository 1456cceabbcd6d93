"""The commands of the program, their parsers, and its help text."""

from __future__ import annotations

import argparse
import difflib
import importlib
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fastrestore import __version__
from fastrestore.cli.errors import CommandError

PROGRAM = "fastrestore"
GROUPS = {  # names of the modules, and their summaries in `fastrestore --help`
    "Restore images, stacks and videos": {
        "restore": "remove noise, and blur or missing pixels if there are any",
        "denoise": "remove noise from images with BM3D or a network",
        "video": "remove noise from videos with V-BM3D",
        "volume": "remove noise from volumes with BM4D",
        "upscale": "enlarge images and videos with a network",
        "deblur": "remove a known blur and noise",
        "inpaint": "fill in missing pixels",
        "sharpen": "sharpen images and remove noise",
        "demosaic": "make color images from Bayer mosaics, and remove noise",
        "burst": "merge several images of a scene into one without noise",
        "streaks": "remove streaks, the cause of ring artifacts, from sinograms",
    },
    "Look at files": {
        "info": "print size, type, range and noise of images, stacks and videos",
        "compare": "write a page that shows images before and after",
        "formats": "list the file formats and what survives in them",
        "plan": "predict time and memory of restoring a large image in parts",
    },
    "Set up and check": {
        "demo": "add noise to a photograph, remove it and compare",
        "doctor": "check the installation, for a bug report",
        "backends": "list the backends and whether they are available",
        "cache": "manage the cache of compiled kernels",
        "completion": "print a script that completes commands in a shell",
        "man": "print the manual page",
        "train": "train a network on photographs (needs PyTorch)",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
DESCRIPTION = "Image restoration: BM3D and its relatives, and networks."
EXAMPLES = """\
  fastrestore photo.jpg                what it is, and what can be done with it
  fastrestore restore photo.jpg        write photo-restored.jpg
  fastrestore restore photos -o out    restore all images in a directory
  fastrestore compare a.png b.png      write a page that shows before and after
"""
CLOSING = "`fastrestore COMMAND --help` explains a command."
_WIDTH = 13  # of names
_OWNERS = 3  # commands that are named as those which have an option
_SIMILAR = 0.6  # of letters in common, for a suggestion


class Parser(argparse.ArgumentParser):
    """A parser that raises `CommandError` for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        """Raise an error for wrong arguments."""
        raise CommandError(f"{message} (see `{self.prog} --help`)")

    def _print_message(self, message: str, file: object = None) -> None:
        """Print a help text; argparse ignores it if standard output cannot be written."""
        print(message, end="", file=sys.stdout)


class _Program(Parser):
    """The parser of the program."""

    def format_help(self) -> str:
        """Return the commands in groups, with examples first."""
        parts = [
            f"usage: {PROGRAM} COMMAND [options] IN...\n       {PROGRAM} FILE...\n",
            f"{DESCRIPTION}\n",
            f"Examples:\n{EXAMPLES}",
        ]
        for title, commands in GROUPS.items():
            rows = (f"  {name:{_WIDTH}}{text}\n" for name, text in commands.items())
            parts.append(f"{title}:\n{''.join(rows)}")
        return "\n".join([*parts, f"{CLOSING}\n"])


def parser_of(command: str | None) -> Parser:
    """Return the parser of the program, with the arguments of one command."""
    return _parser([] if command is None else [command])


def full_parser() -> Parser:
    """Return the parser of the program, with the arguments of all commands."""
    return _parser(list(COMMANDS))


def parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; raise on unknown ones, with the option that may have been meant."""
    try:
        args, extra = parser.parse_known_args(argv)
    except CommandError:
        _check_dashes(argv)
        raise
    if not extra:
        return args
    _check_dashes(argv)
    chosen = parsers(parser).get(args.command, parser)
    text = _suggestion(extra[0].partition("=")[0], chosen)
    raise CommandError(
        f"unrecognized arguments: {' '.join(extra)}{text} (see `{chosen.prog} --help`)"
    )


def _check_dashes(argv: Sequence[str]) -> None:
    """Raise if a file is taken for an option."""
    for word in itertools.takewhile(lambda each: each != "--", argv):
        if word.startswith("-") and len(word) > 1 and os.path.lexists(word):
            raise CommandError(f"{word} is taken for an option; write .{os.sep}{word} for the file")


def _suggestion(option: str, chosen: argparse.ArgumentParser) -> str:
    """Return the option that may have been meant, or the commands that have this one."""
    if not option.startswith("--"):
        return ""
    owners = [
        f"`{PROGRAM} {name}`" for name, each in parsers(full_parser()).items()
        if each is not chosen and option in each._option_string_actions
        and each._option_string_actions[option].help != argparse.SUPPRESS
    ]  # fmt: skip
    if owners:
        return f"; {option} is an option of {', '.join(owners[:_OWNERS])}"
    similar = difflib.get_close_matches(option, chosen._option_string_actions, 1, _SIMILAR)
    return f"; did you mean {similar[0]}?" if similar else ""


def parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the commands by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _parser(complete: list[str]) -> Parser:
    """Return the parser of the program; only the modules of complete commands are imported."""
    parser = _Program(prog=PROGRAM, description=DESCRIPTION, allow_abbrev=False)
    version = f"{PROGRAM} {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in complete:
            module = importlib.import_module(f"fastrestore.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def unknown(word: str) -> CommandError:
    """Return the error for a word that is neither a command nor a file."""
    path = Path(word)
    if path.suffix or len(path.parts) > 1:
        return CommandError(f"{word}: no such file")
    similar = difflib.get_close_matches(word.lower(), COMMANDS, 1, _SIMILAR)
    text = f"; did you mean `{PROGRAM} {similar[0]}`?" if similar else ""
    return CommandError(f"{word!r} is neither a command nor a file{text} (see `{PROGRAM} --help`)")
