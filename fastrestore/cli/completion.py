"""``fastrestore completion``: scripts that complete commands, options and files in a shell."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from fastrestore.cli import commands
from fastrestore.cli.errors import CommandError

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
EPILOG = """\
bash        mkdir -p ~/.local/share/bash-completion/completions
            fastrestore completion bash > ~/.local/share/bash-completion/completions/fastrestore
            (needs the package bash-completion; without it, add
            `source FILE` to ~/.bashrc, with the file that was written)
zsh         mkdir -p ~/.zfunc; fastrestore completion zsh > ~/.zfunc/_fastrestore
            and in ~/.zshrc, before compinit: fpath=(~/.zfunc $fpath)
fish        fastrestore completion fish > ~/.config/fish/completions/fastrestore.fish
tcsh        fastrestore completion tcsh > ~/.fastrestore.tcsh
            and in ~/.tcshrc: source ~/.fastrestore.tcsh
PowerShell  fastrestore completion powershell >> $PROFILE

Start another shell afterwards, and write the script again after an update.
"""
FILES = (  # names of values that are files
    "IN", "OUT", "FILE", "FILE.json", "PAGE.html", "SPEC.npz", "NOISY", "RESTORED", "CLEAN",
    "MODEL",
)  # fmt: skip
# Readline completes names of files where the function finds nothing: after `fastrestore` itself
_BASH = "complete -o bashdefault -o default -F _shtab_fastrestore fastrestore\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.epilog = EPILOG
    text = "the shell; default: that of the variable SHELL"
    parser.add_argument("shell", nargs="?", choices=SHELLS, help=text)


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    print(script(args.shell or _current_shell()), end="")


def script(shell: str) -> str:
    """Return the script for a shell."""
    try:
        import shtab
    except ImportError:
        raise CommandError(
            "completion needs shtab, which is not installed; install it with `pip install shtab`"
        ) from None
    parser = commands.full_parser()
    places = {**dict.fromkeys(FILES, shtab.FILE), "DIR": shtab.DIRECTORY}
    for action in _actions(parser):
        if action.metavar in places and not action.choices:
            action.complete = places[action.metavar]  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return text.rstrip("\n") + "\n" + (_BASH if shell == "bash" else "")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return the arguments of all commands."""
    for subparser in commands.parsers(parser).values():
        yield from subparser._actions


def _current_shell() -> str:
    """Return the name of the shell of the user."""
    path = os.environ.get("SHELL", "")
    name = Path(path).name
    if name not in SHELLS:
        found = f"SHELL is {path!r}" if path else "SHELL is not set"
        raise CommandError(f"{found}; write one of {', '.join(SHELLS)}")
    return name
