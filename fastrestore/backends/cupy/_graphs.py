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
        self._graphs: dict[Key, tuple[Any, list[Any], Any]] = {}
        self._seen: set[Key] = set()
        self._most = MOST_GRAPHS

    def again(self, image: Any, out: Any) -> bool:
        """Repeat a call with two arrays of CuPy; False if it is not recorded."""
        if not self._graphs or not all(map(interop.is_cupy, (image, out))):
            return False
        with image.device:
            return self._replay(_key(image, out)) is not None

    def call(self, image: Any, out: Any, run: Callable[[], Any]) -> Any:
        """Run a call, record it, or repeat it, with an image on the current GPU."""
        if not all(map(interop.is_cupy, (image, out))):
            return run()
        key = _key(image, out)
        repeated = self._replay(key)  # of arrays of other libraries that share these
        if repeated is not None:
            return repeated
        if not self._is_repeated(key):
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
        self._graphs[key] = graph, kept, result
        return result

    def _is_repeated(self, key: Key) -> bool:
        """Whether a call was made before and can be recorded; remember it if not."""
        if key in self._seen and len(self._graphs) < self._most:
            return True
        if len(self._seen) >= MOST_KEYS:
            self._seen.clear()
        self._seen.add(key)
        return False

    def _replay(self, key: Key) -> Any:
        """Repeat a call that is recorded on the current GPU; return its result, or None."""
        found = self._graphs.get(key)
        stream = interop.load_cupy().cuda.get_current_stream()
        if found is None or stream.is_capturing():  # a graph of the caller gets the kernels
            return None
        graph, _, result = found
        graph.launch(stream)
        return result


def _key(image: Any, out: Any) -> Key:
    """What a graph depends on."""
    return (
        image.data.ptr, out.data.ptr, image.strides, out.strides, image.dtype.char, out.dtype.char,
        image.shape, out.shape,
    )  # fmt: skip


def _recorded(cupy: Any, run: Callable[[], Any]) -> tuple[Any, Any, list[Any]]:
    """Return a result that is not computed yet, the graph of a call, and the memory it uses."""
    allocate, caller, kept = cupy.cuda.get_allocator(), cupy.cuda.get_current_stream(), []

    def allocated(size: int) -> Any:
        with caller:  # a pool with an order of streams, such as that of cudaMallocAsync, must not
            kept.append(allocate(size))  # allocate in the graph, which would free it
        return kept[-1]

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream, cupy.cuda.using_allocator(allocated), arguments_kept(kept):
        stream.begin_capture()
        try:
            result = run()
        finally:
            graph = stream.end_capture()
    return result, graph, kept
