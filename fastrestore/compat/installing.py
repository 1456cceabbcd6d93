"""Installation of the modules of this package under the names of the originals."""

from __future__ import annotations

import importlib
import sys
from types import TracebackType
from typing import Self

NAMES = ("bm3d", "bm3d.profiles", "bm4d", "bm4d.profiles")


class Installation:
    """Modules that are installed until the end of a ``with`` block, or of the process."""

    def __init__(self, added: list[str]) -> None:
        self._added = added

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._added:
            sys.modules.pop(name, None)
        self._added = []

    def __repr__(self) -> str:
        return f"<fastrestore.compat installed as {', '.join(NAMES)}>"


def install() -> Installation:
    """Let ``import bm3d`` and ``import bm4d`` import the modules of `fastrestore.compat`.

    This is for code that cannot be edited. Call it before that code is imported.

    Returns
    -------
    context manager
        In a ``with`` statement, the modules are removed at the end of the block. Code that imported
        them there keeps them.

    Raises
    ------
    RuntimeError
        If one of the original packages has been imported.

    See Also
    --------
    fastrestore.compat.bm3d.bm3d : The function of the package bm3d.
    fastrestore.compat.bm4d.bm4d : The function of the package bm4d.

    Examples
    --------
    >>> import fastrestore.compat
    >>> with fastrestore.compat.install():
    ...     import bm3d
    >>> bm3d.__name__
    'fastrestore.compat.bm3d'
    """
    modules = {name: importlib.import_module(f"fastrestore.compat.{name}") for name in NAMES}
    for name, module in modules.items():
        if sys.modules.get(name, module) is not module:
            raise RuntimeError(
                f"{name} has been imported from another package; call "
                "fastrestore.compat.install() before the code that imports it"
            )
    added = [name for name in modules if name not in sys.modules]
    sys.modules.update(modules)
    return Installation(added)
