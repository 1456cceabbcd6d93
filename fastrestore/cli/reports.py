"""Files of --report: what a result was made with, for a methods section."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import platform
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import files
from fastrestore._io.files import extension
from fastrestore.cli import commands
from fastrestore.cli.errors import CommandError
from fastrestore.cli.outcomes import Outcome

_PAGE = ".html"
_HIDDEN = ("inputs", "output")  # reported for each file
_PACKAGES = ("numpy", "scipy", "numba")
_RUN = ("date", "command_line", "versions", "settings")  # fields that describe a run

Fields = dict[str, Any]


def check(args: argparse.Namespace) -> None:
    """Raise if the report cannot be written."""
    if args.report is None:
        return
    path = Path(args.report)
    if is_performance(args):
        _check_performance(args, path)
    files.check_output(path, (".json", *((".html",) if "scheduler" in args else ())))
    if path.exists() and not (args.overwrite or args.resume):
        raise CommandError(f"{path} exists already; add --overwrite to replace it")


def is_performance(args: argparse.Namespace) -> bool:
    """Whether the report is a page of Dask on what its workers did."""
    return args.report is not None and "scheduler" in args and extension(Path(args.report)) == _PAGE


def _check_performance(args: argparse.Namespace, path: Path) -> None:
    """Raise if Dask cannot write its page."""
    if args.scheduler is None:
        raise CommandError(f"--report {path} is a page on the workers of --scheduler, such as "
                           "--scheduler local:2; without it write a file .json")  # fmt: skip
    if importlib.util.find_spec("bokeh") is None:
        raise CommandError(f"--report {path} needs bokeh; install it with pip install bokeh")


def write(args: argparse.Namespace, outcomes: list[Outcome]) -> None:
    """Write versions, settings and what was done with each file.

    With --resume, files that are up to date keep what an earlier report says of them.
    """
    path = Path(args.report)
    report = {
        "fastrestore": fastrestore.__version__,
        "command": args.command,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command_line": shlex.join([commands.PROGRAM, *getattr(args, "_argv", [])]),
        "versions": _versions(),
        "settings": _settings(args),
        "files": [outcome.fields() for outcome in outcomes],
    }
    if args.resume:
        _add_earlier(report, _read(path), {outcome.place for outcome in outcomes if outcome.kept})
    text = json.dumps(report, indent=2, default=str) + "\n"
    files.write_bytes(path, text.encode)


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _settings(args: argparse.Namespace) -> Fields:
    """Return the options that the command has, with their values."""
    parser = commands.parsers(commands.parser_of(args.command))[args.command]
    options = {action.dest for action in parser._actions}.difference(_HIDDEN)
    return {
        name: value for name, value in sorted(vars(args).items())
        if name in options and value is not None
    }  # fmt: skip


def _read(path: Path) -> Fields:
    """Return an earlier report, without files if it is not one."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("files"), list):
            return found
    return {"files": []}


def _add_earlier(report: Fields, earlier: Fields, kept: set[str]) -> None:
    """Add the files of an earlier report that were not restored again, and its runs.

    `kept` are the results that are up to date.
    """
    before = {
        each["output"]: each for each in earlier["files"]
        if isinstance(each, dict) and each.get("output")
    }  # fmt: skip
    now = {each["output"]: each for each in report["files"] if each.get("output")}
    dated = {"date": earlier["date"]} if "date" in earlier else {}
    used = {name: dated | each for name, each in before.items() if name not in now or name in kept}
    if not used:
        return
    replaced = [used.get(each.get("output"), each) for each in report["files"]]
    others = [each for name, each in used.items() if name not in now]
    report["files"] = sorted(replaced + others, key=lambda each: str(each.get("input")))
    run = {name: earlier[name] for name in _RUN if name in earlier}
    report["earlier_runs"] = [*earlier.get("earlier_runs", []), *([run] if run else [])]
