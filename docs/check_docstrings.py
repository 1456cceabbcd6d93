"""Check the docstrings of all public names with numpydoc; exit with 1 if there is a fault.

In addition to its checks, all of which are on: what takes parameters has a section "Raises", and
classes such as dataclasses document all fields, as parameters or as attributes.
"""

import dataclasses
import enum
import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

SUBPACKAGES = ("compat", "compat.bm3d", "compat.bm4d", "inverse", "nets", "plot", "report")
MODULES = ("fastrestore", *(f"fastrestore.{name}" for name in SUBPACKAGES), "fastrestore.metrics")


def public_names() -> dict[str, Any]:
    """Return all public functions and classes by their full names."""
    modules = {name: importlib.import_module(name) for name in MODULES}
    return {
        f"{module}.{name}": getattr(package, name)
        for module, package in modules.items()
        for name in getattr(package, "__all__", None) or functions_of(package)
        if not inspect.ismodule(getattr(package, name))
    }


def functions_of(module: ModuleType) -> list[str]:
    """Return the names of the public functions that a module defines."""
    found = inspect.getmembers(module, inspect.isfunction)
    return [name for name, each in found if name[0] != "_" and each.__module__ == module.__name__]


def fields(value: Any) -> list[str] | None:
    """Return the fields of a class whose fields are its interface, or None for others."""
    if not inspect.isclass(value):
        return None
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value) if not each.name.startswith("_")]
    if issubclass(value, enum.Enum):
        return list(value.__members__)
    if value.__init__ is object.__init__ or not value.__dict__.get("__init__"):
        return [name for name in getattr(value, "__annotations__", {}) if name[0] != "_"]
    return None


def documented(text: NumpyDocString, section: str) -> set[str]:
    """Return the names in a section."""
    return {name.strip() for each in text[section] for name in each.name.split(",")}


def faults(name: str, value: Any) -> list[str]:
    """Return a line for each fault of the docstring of a public name."""
    text, attributes = NumpyDocString(inspect.getdoc(value) or ""), fields(value)
    found = [
        f"{code} {message}"
        for code, message in validate(name)["errors"]
        if not (code == "PR01" and attributes is not None)
    ]
    listed = documented(text, "Attributes") | documented(text, "Parameters")
    missing = set(attributes or ()) - listed
    found += [f"attribute {each} is not documented" for each in sorted(missing)]
    if text["Parameters"] and not text["Raises"]:
        found.append("no section Raises")
    return found


def main() -> None:
    """Print the faults of each public name."""
    lines = [
        f"{name}: {line}" for name, value in public_names().items() for line in faults(name, value)
    ]
    print(*lines, sep="\n", file=sys.stderr, end="\n" if lines else "")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
