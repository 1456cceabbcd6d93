"""Location, source and compilation of the CUDA kernels."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from fastrestore._arrays import interop

Constants = tuple[tuple[str, int | str], ...]  # names and values of -D options

# Headers of each kernel file, in order. They are concatenated with it, because the disk cache of
# compiled kernels does not detect changes of included files.
_COMMON = ("common.cuh",)
_MATCH = (*_COMMON, "match.cuh")
_SUMS = (*_COMMON, "sums.cuh")
_GROUP = (*_SUMS, "bm3d_group.cuh")
_ROWS = (*_SUMS, "rows.cuh", "rows_variance.cuh")
_VOLUME = (*_GROUP, "bm4d_group.cuh")
_NOISE = (*_COMMON, "noise.cuh")
HEADERS = {
    "bm3d_mix": _COMMON,
    "bm3d_range": _COMMON,
    "bm3d_match": (*_MATCH, "nearest.cuh"),
    "bm3d_basic": (*_GROUP, "hard.cuh"),
    "bm3d_final": (*_GROUP, "wiener.cuh"),
    "bm3d_basic_backward": (*_GROUP, "backward.cuh"),
    "bm3d_final_backward": (*_GROUP, "backward.cuh"),
    "bm3d_divide": _SUMS,
    "bm3d_rows": _COMMON,
    "bm3d_basic_rows": _ROWS,
    "bm3d_final_rows": _ROWS,
    "bm3d_divide_rows": _SUMS,
    "vbm3d_match": _MATCH,
    "bm4d_match": _MATCH,
    "bm4d_basic": (*_VOLUME, "hard.cuh"),
    "bm4d_final": (*_VOLUME, "wiener.cuh"),
    "bm4d_divide": _SUMS,
    "noise_copy": _NOISE,
    "noise_scale": _NOISE,
    "noise_patches": _NOISE,
    "noise_areas": _NOISE,
    "noise_flat": _NOISE,
    "noise_products": _NOISE,
    "noise_lines": _NOISE,
}


def folder() -> Traversable:
    """Return the folder of the kernels: inside the package, or beside it in a checkout.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    inside = resources.files("fastrestore") / "kernels"
    beside = Path(__file__).parents[2] / "kernels"
    for place in (inside, beside):
        if (place / "common.cuh").is_file():
            return place
    raise FileNotFoundError(f"the CUDA kernels are neither in {inside} nor in {beside}")


@functools.cache
def source(name: str) -> str:
    """Return a kernel file after its headers, with line directives."""
    parts = []
    for file in (*HEADERS[name], f"{name}.cu"):
        text = (folder() / file).read_text(encoding="utf-8")
        parts.append(f'#line 1 "{file}"\n{text}')
    return "\n".join(parts)


_loading = threading.Lock()


def _unlock() -> None:
    """Replace a lock that a thread of the parent process held during a fork."""
    global _loading
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def load_compiler() -> None:
    """Load NVRTC.

    CuPy loads its two libraries without a lock, one after the other. A thread that comes between
    them uses the first, and fails because it does not find the second.
    """
    with _loading:
        interop.load_cupy().cuda.nvrtc.getVersion()


@functools.cache
def kernel(device: int, name: str, constants: Constants) -> Any:
    """Return a kernel for the current GPU `device`; CuPy compiles it once and caches it on disk."""
    del device
    load_compiler()
    options = ("-std=c++17", *(f"-D{key}={value}" for key, value in constants))
    module = interop.load_cupy().RawModule(code=source(name), options=options, backend="nvrtc")
    return module.get_function(name)


def compile_all(device: int, kernels: Iterable[tuple[str, Constants]]) -> None:
    """Compile kernels for a GPU in parallel."""
    new = [each for each in kernels if (device, *each) not in _ready]
    if not new:
        return

    def one(each: tuple[str, Constants]) -> None:
        with interop.load_cupy().cuda.Device(device):
            kernel(device, *each)

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, new))
    _ready.update((device, *each) for each in new)


_ready: set[tuple[int, str, Constants]] = set()
