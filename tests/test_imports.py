"""Imports follow the layers of the packages, and private modules stay in their packages."""

import ast
import sys
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]


def modules():
    """Yield each module's file and the names of its package, outermost first."""
    for path in sorted((ROOT / "fastrestore").rglob("*.py")):
        yield path, path.parent.relative_to(ROOT).parts


def imported(path):
    """Yield the line and the full dotted name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports a relative name"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def owners_of_private_parts(name):
    """Return the parent of each private part: (a, b) for the name a.b._c.d."""
    parts = name.split(".")
    private = [k for k, part in enumerate(parts) if part.startswith("_") and part[:2] != "__"]
    return [tuple(parts[:k]) for k in private]


def test_private_modules_are_imported_in_their_own_package_only():
    foreign = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, package in modules()
        for line, name in imported(path)
        if name.startswith("fastrestore.")
        for owner in owners_of_private_parts(name)
        if owner != package[: len(owner)]
    ]
    assert not foreign, "\n".join(foreign)


def test_packages_import_only_from_the_packages_below_them(capsys, monkeypatch):
    """The contract is in pyproject.toml; lint-imports prints each import that breaks it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])  # lint_imports adds to it
    failed = lint_imports(no_cache=True, no_logo=True)
    assert not failed, capsys.readouterr().out
