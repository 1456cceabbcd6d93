"""The command line: ``fastrestore denoise noisy.png -o clean.png --sigma 25/255``.

Each command is a module with the functions ``add_arguments(parser)`` and ``run(args)``. Only the
module of the requested command is imported: ``fastrestore --help`` needs no NumPy.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from fastrestore import __version__
from fastrestore._io.errors import FileError
from fastrestore.cli import signals
from fastrestore.cli.errors import CommandError
from fastrestore.cli.streams import discard_output, one_line, show, usable_streams

COMMANDS = {  # names of the modules, and their summaries in `fastrestore --help`
    "denoise": "remove noise from images with BM3D or a network",
    "video": "remove noise from videos with V-BM3D",
    "volume": "remove noise from volumes with BM4D",
    "upscale": "enlarge images and videos with a network",
    "deblur": "remove a known blur and noise",
    "inpaint": "fill in missing pixels",
    "sharpen": "sharpen images and remove noise",
    "streaks": "remove streaks, the cause of ring artifacts, from sinograms",
    "compare": "write a page that shows images before and after",
    "train": "train a network on photographs (needs PyTorch)",
    "demo": "add noise to a photograph, remove it and compare",
    "backends": "list the backends and whether they are available",
    "info": "print size, type, range and noise of images, stacks and videos",
    "formats": "list the file formats and what survives in them",
    "cache": "manage the cache of compiled kernels",
    "doctor": "check the installation, for a bug report",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the name of the program. The default is ``sys.argv[1:]``.

    Returns
    -------
    int
        The exit status: 0 after success; 1 if some files could not be restored; 2 after another
        error; 130 after Ctrl-C, and 143 after SIGTERM; 141 if standard output was closed by its
        reader. Each error is printed as one line on standard error.
    """
    with usable_streams():
        return _reported(sys.argv[1:] if argv is None else argv)


def _reported(argv: Sequence[str]) -> int:
    """Run the command line, and print an error as one line."""
    try:
        with warnings.catch_warnings(), signals.raised():
            warnings.showwarning = _warn
            return _run(argv)
    except (CommandError, FileError) as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno is None:  # raised by this package, for example for an unknown model
            return _fail(str(error))
        return _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except KeyboardInterrupt as stop:
        show(f"fastrestore: interrupted{f': {stop}' if str(stop) else ''}")
        return signals.status_of(stop)


def _run(argv: Sequence[str]) -> int:
    """Run the command line, and write all output."""
    try:
        try:
            return _command(argv)
        finally:  # also after --help, which raises SystemExit, and after an error
            sys.stdout.flush()
    except BrokenPipeError:  # as in `fastrestore info *.png | head -1`
        discard_output()
        return 141
    except OSError as error:
        if error.filename is None and error.errno is not None:
            discard_output()
        raise


def _command(argv: Sequence[str]) -> int:
    """Parse the arguments and run the command."""
    parser = _parser(next((word for word in argv if not word.startswith("-")), None))
    args = parser.parse_args(argv)
    if args.command is None:
        show(parser.format_help().rstrip("\n"))
        return 2
    status: int | None = args.run(args)
    return status or 0


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line."""
    show(f"fastrestore: warning: {one_line(str(message))}")


def _fail(message: str) -> int:
    """Print an error as one line and return the exit status."""
    show(f"fastrestore: error: {one_line(message)}")
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser that raises `CommandError` for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see `{self.prog} --help`)")

    def _print_message(self, message: str, file: object = None) -> None:
        """Print a help text; argparse ignores it if standard output cannot be written."""
        print(message, end="", file=sys.stdout)


def _parser(command: str | None) -> _Parser:
    """Return the parser, with the arguments of one command."""
    parser = _Parser(prog="fastrestore", description="Image restoration.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"fastrestore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == command:
            module = importlib.import_module(f"fastrestore.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser
