"""Where the CUDA kernels are, and their text as it is compiled."""

from __future__ import annotations

import functools
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

# Headers that come before a kernel file, in their order. They are joined into one text, because the
# disk cache of compiled kernels does not see included files.
_COMMON = ("common.cuh",)
_GROUP = (*_COMMON, "bm3d_group.cuh")
HEADERS = {
    "bm3d_match": _COMMON,
    "bm3d_basic": _GROUP,
    "bm3d_final": _GROUP,
    "bm3d_divide": _GROUP,
}


def folder() -> Traversable:
    """Return the folder of the kernels: inside the package in a wheel, beside it in a checkout.

    Raises
    ------
    FileNotFoundError
        If it is in neither place.
    """
    inside = resources.files("fastrestore") / "kernels"
    beside = Path(__file__).parents[3] / "kernels"
    for place in (inside, beside):
        if (place / "common.cuh").is_file():
            return place
    raise FileNotFoundError(f"the CUDA kernels are neither in {inside} nor in {beside}")


@functools.cache
def source(name: str) -> str:
    """Return the text of a kernel file after its headers, with marks of where each line is from."""
    parts = []
    for file in (*HEADERS[name], f"{name}.cu"):
        text = (folder() / file).read_text(encoding="utf-8")
        parts.append(f'#line 1 "{file}"\n{text}')
    return "\n".join(parts)
