"""The command line: ``fastrestore denoise noisy.png -o clean.png --sigma 25/255``.

Each command is a module with the functions ``add_arguments(parser)`` and ``run(args)``. Only the
module of the requested command is imported: ``fastrestore --help`` needs no NumPy.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
import warnings
from collections.abc import Sequence

from fastrestore._io.errors import FileError
from fastrestore.cli import commands, signals
from fastrestore.cli.errors import CommandError
from fastrestore.cli.streams import discard_output, one_line, show, usable_streams


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
    options = list(itertools.takewhile(lambda each: each.startswith("-") and each != "--", argv))
    word = next(iter(argv[len(options) :]), None)
    parser = commands.parser_of(word)
    if word is not None and word not in commands.COMMANDS:
        commands.parse(parser, options)  # raises, unless there are none
        return _describe(argv)
    args = commands.parse(parser, argv)
    if args.command is None:
        show(parser.format_help().rstrip("\n"))
        return 2
    args._argv = list(argv)  # for reports
    status: int | None = args.run(args)
    return status or 0


def _describe(argv: Sequence[str]) -> int:
    """Describe files that are given without a command."""
    words = list(argv[argv[0] == "--" :])
    wrong = next((each for each in words if not os.path.lexists(each)), None)
    if wrong is None and words:
        from fastrestore.cli.advice import advise

        return advise(words)
    if wrong is not None and wrong.startswith("-"):
        command = shlex.join([commands.PROGRAM, "restore", *words])
        raise CommandError(f"{wrong} needs a command, such as `{command}`")
    raise commands.unknown("--" if wrong is None else wrong)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line."""
    show(f"fastrestore: warning: {one_line(str(message))}")


def _fail(message: str) -> int:
    """Print an error as one line and return the exit status."""
    show(f"fastrestore: error: {one_line(message)}")
    return 2
