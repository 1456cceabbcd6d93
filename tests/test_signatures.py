"""The public signatures are those of ``signatures.txt``.

A change of the public API shows in that file. Renew it with ``python tests/test_signatures.py``.
"""

import importlib
import inspect
from pathlib import Path

import pytest
from support.nets import torch_or_skip

SNAPSHOT = Path(__file__).with_name("signatures.txt")
MODULES = [
    "fastrestore",
    "fastrestore.compat",
    "fastrestore.compat.bm3d",
    "fastrestore.compat.bm4d",
    "fastrestore.inverse",
    "fastrestore.metrics",
    "fastrestore.nets",
    "fastrestore.plot",
    "fastrestore.report",
]


def section(module_name):
    """Return a module's part of the snapshot: a line for each function, class and method."""
    module = importlib.import_module(module_name)
    lines = [f"# {module_name}"]
    for name in getattr(module, "__all__", None) or defined_in(module):
        value = getattr(module, name)
        if inspect.isclass(value):
            lines += [name + suffix for suffix in class_signatures(value)]
        elif callable(value):
            lines.append(name + without_types(value))
    return "\n".join(lines) + "\n"


def defined_in(module):
    """Return the public functions of a module without ``__all__``."""
    return [
        name
        for name, value in sorted(vars(module).items())
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def class_signatures(cls):
    """Return a class's own signature, then those of its public methods and properties."""
    if issubclass(cls, Exception):  # whether one has a signature depends on Python's version
        return [""]
    lines = [without_types(cls)]
    fields = inspect.signature(cls).parameters
    for name in sorted(vars(cls)):
        if name != "__call__" and (name.startswith("_") or name in fields):
            continue
        member = getattr(cls, name)
        lines.append(f".{name}{without_types(member) if callable(member) else ''}")
    return lines


def without_types(function):
    """Return a signature as text: names, kinds and defaults."""
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


@pytest.mark.parametrize("module", MODULES)
def test_signatures(module):
    if module == "fastrestore.nets":
        torch_or_skip()
    sections = SNAPSHOT.read_text(encoding="utf-8").split("\n\n")
    (expected,) = [text for text in sections if text.startswith(f"# {module}\n")]
    assert section(module).split("\n") == [*expected.rstrip().split("\n"), ""], (
        "renew with: python tests/test_signatures.py"
    )


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(map(section, MODULES)), encoding="utf-8")
