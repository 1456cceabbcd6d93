"""``fastrestore man``: the manual page, from the parsers of the commands."""

from __future__ import annotations

import argparse

from fastrestore import __version__
from fastrestore.cli import commands
from fastrestore.cli.commands import PROGRAM

EPILOG = """\
examples:
  fastrestore man | man -l -                                 read it
  mkdir -p ~/.local/share/man/man1
  fastrestore man > ~/.local/share/man/man1/fastrestore.1    install it, for `man fastrestore`
"""
INTRODUCTION = (
    "Each input is a file, a directory of images, or a pattern such as '*.png'. Without the option "
    "-o, the result of photo.jpg is photo-restored.jpg beside it. Existing files are kept, unless "
    "the option --overwrite is given. Without a command, the program describes files and prints "
    "the commands for them."
)
EXIT_STATUS = {
    "0": "Success.",
    "1": "Some files could not be restored.",
    "2": "Wrong arguments, or another error.",
    "130": "Interrupted by Ctrl-C.",
    "141": "Standard output was closed by its reader.",
    "143": "Terminated.",
}
ENVIRONMENT = {
    "FASTRESTORE_BACKEND": "Backend to use; see `fastrestore backends`.",
    "FASTRESTORE_NUMBA_CACHE": "Folder of the compiled kernels, or 0 for none.",
    "FASTRESTORE_RECORDS": "Folder of the records for --resume, or 0 for none.",
    "FASTRESTORE_MAX_IMAGE_GB": "Limit for the size of an image in memory; see --max-image-gb.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the examples."""
    parser.epilog = EPILOG


def run(args: argparse.Namespace) -> None:
    """Print the page."""
    print("\n".join(_page()))


def _page() -> list[str]:
    """Return the lines of the page, in the language of troff."""
    summary = commands.DESCRIPTION[0].lower() + commands.DESCRIPTION[1:].rstrip(".")
    lines = [
        f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"',
        *(".SH NAME", f"{PROGRAM} \\- {_escaped(summary)}"),
        *(".SH SYNOPSIS", f".B {PROGRAM}", _italic("COMMAND [options] IN...")),
        *(".br", f".B {PROGRAM}", _italic("FILE...")),
        *(".SH DESCRIPTION", _escaped(INTRODUCTION)),
        *(".SH EXAMPLES", *_block(commands.EXAMPLES)),
        ".SH COMMANDS",
    ]
    for title, group in commands.GROUPS.items():
        lines += [f'.SS "{_escaped(title)}"', *_list(group)]
    for name, parser in commands.parsers(commands.full_parser()).items():
        lines += _command(name, parser)
    lines += [".SH EXIT STATUS", *_list(EXIT_STATUS), ".SH ENVIRONMENT", *_list(ENVIRONMENT)]
    return lines


def _command(name: str, parser: argparse.ArgumentParser) -> list[str]:
    """Describe a command."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    operands = [action for action in shown if not action.option_strings]
    options = [action for action in shown if action.option_strings]
    lines = [
        f'.SH "{PROGRAM.upper()} {name.upper()}"',
        *(f".B {PROGRAM} {name}", _italic(" ".join(["[options]", *map(_value, operands)]))),
        *(".PP", _escaped(parser.description or "")),
    ]
    for action in operands + options:
        lines += [".TP", _label(action), _escaped(_help(action))]
    return [*lines, ".PP", *_block(parser.epilog)] if parser.epilog else lines


def _label(action: argparse.Action) -> str:
    """Return an argument as it is written."""
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in action.option_strings)
    return f"{names} {_italic(_value(action))}".strip()


def _value(action: argparse.Action) -> str:
    """Return the value of an argument as it is written; an empty text for none."""
    if action.nargs == 0:
        return ""
    text = action.dest.upper()
    if action.choices is not None:
        text = "|".join(map(str, action.choices))
    if isinstance(action.metavar, str):
        text = action.metavar
    return {"+": f"{text}...", "?": f"[{text}]", "*": f"[{text}...]"}.get(str(action.nargs), text)


def _help(action: argparse.Action) -> str:
    """Return the explanation of an argument."""
    if isinstance(action, argparse._HelpAction):
        return "print this help and exit"
    return " ".join((action.help or "").split()).replace("%%", "%")


def _list(rows: dict[str, str]) -> list[str]:
    """Return names with their explanations."""
    lines: list[str] = []
    for name, text in rows.items():
        lines += [".TP", f"\\fB{_escaped(name)}\\fR", _escaped(text)]
    return lines


def _block(text: str) -> list[str]:
    """Return lines that are not filled."""
    return [".nf", *map(_escaped, text.rstrip("\n").split("\n")), ".fi"]


def _italic(text: str) -> str:
    """Return a text in italics, or an empty one."""
    return f"\\fI{_escaped(text)}\\fR" if text else ""


def _escaped(text: str) -> str:
    """Return a line that troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return f"\\&{text}" if text.startswith(".") else text
