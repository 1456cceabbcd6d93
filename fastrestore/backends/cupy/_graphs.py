"""Calls that are recorded as CUDA graphs, which take one launch to repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastrestore._arrays import interop
from fastrestore._cuda.launches import arguments_kept

MOST_GRAPHS = 8  # of a plan; more images and results are restored without
MOST_KEYS = 64  # calls that are remembered, until one of them is repeated

Key = tuple[Any, ...]


class Replays:
    """Recorded calls, by the places of image and result in memory.

    The first call with an image and a result runs as usual, the second one is recorded, and later
    ones repeat it. A graph keeps the memory that it uses.
    """

    def __init__(self) -> None:
        self._graphs: dict[Key, tuple[Any, list[Any]]] = {}
        self._seen: set[Key] = set()
        self._most = MOST_GRAPHS

    def again(self, image: Any, out: Any) -> bool:
        """Repeat a call; False if it is not recorded, or not on the current GPU."""
        if not self._graphs or not type(image).__module__.startswith("cupy"):
            return False
        found = self._graphs.get(_key(image, out))
        if found is None:
            return False
        stream = interop.load_cupy().cuda.get_current_stream()
        if stream.is_capturing():  # a graph of the caller gets the kernels themselves
            return False
        found[0].launch(stream)
        return True

    def call(self, image: Any, out: Any, run: Callable[[], Any]) -> Any:
        """Run a call, and record it if it is repeated."""
        if not all(map(interop.is_cupy, (image, out))):
            return run()
        key = _key(image, out)
        if key not in self._seen or len(self._graphs) >= self._most:
            if len(self._seen) >= MOST_KEYS:
                self._seen.clear()
            self._seen.add(key)
            return run()
        cupy = interop.load_cupy()
        if cupy.cuda.get_current_stream().is_capturing():
            return run()
        try:
            result, graph, kept = _recorded(cupy, run)
        except Exception:  # what cannot be recorded may still run
            self._most = 0
            return run()
        graph.launch()
        self._graphs[key] = graph, kept
        return result


def _key(image: Any, out: Any) -> Key:
    """What a graph depends on."""
    return (
        image.data.ptr, out.data.ptr, image.strides, out.strides, image.dtype.char, out.dtype.char,
        image.shape, out.shape, interop.load_cupy().cuda.runtime.getDevice(),
    )  # fmt: skip


def _recorded(cupy: Any, run: Callable[[], Any]) -> tuple[Any, Any, list[Any]]:
    """Return a result that is not computed yet, the graph of a call, and the memory it uses."""
    pool, kept = cupy.get_default_memory_pool(), []

    def allocated(size: int) -> Any:
        kept.append(pool.malloc(size))
        return kept[-1]

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream, cupy.cuda.using_allocator(allocated), arguments_kept(kept):
        stream.begin_capture()
        try:
            result = run()
        finally:
            graph = stream.end_capture()
    return result, graph, kept
