"""Image restoration for numeric Python.

>>> import fastrestore
>>> restored = fastrestore.bm3d(noisy, sigma=25)  # doctest: +SKIP

The public names are listed in ``__init__.pyi`` and loaded on first use: importing the package
loads neither numba, scipy, cupy, torch nor dask.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # as in typing, whose import would take most of the time of this one
if TYPE_CHECKING:
    from collections.abc import Callable

__version__ = "0.1.0"


def _attach_stub(
    package: str, file: str
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that load the names of its stub (PEP 562)."""
    homes: dict[str, str] = {}  # read on first use: importing the package stays fast

    def names() -> list[str]:
        if not homes:
            import re

            loader = sys.modules[package].__spec__.loader  # the package may be in an archive
            stub = loader.get_data(f"{file.rpartition('.')[0]}.pyi").decode()  # type: ignore[union-attr]
            found = re.findall(r"^from (\S+) import (\w+) as", stub, re.MULTILINE)
            homes.update({name: home for home, name in found})
        return sorted(homes)

    def load(name: str) -> object:
        if name == "__all__":
            return names()
        if name not in names():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == ".":
            return importlib.import_module(f".{name}", package)
        value = getattr(importlib.import_module(homes[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return load, names


__getattr__, __dir__ = _attach_stub(__name__, __file__)
