"""CUDA stream and memory of a call: those of PyTorch if its image is a tensor of PyTorch."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from fastrestore._arrays import interop

P = ParamSpec("P")
T = TypeVar("T")


def on_stream_of(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Run a function on the stream of the library of its argument `name`.

    That is the current stream of PyTorch for tensors of PyTorch on a GPU, whose allocator is used
    as well, and the current stream of CuPy otherwise. Other arguments may be of the other library:
    the two streams wait for each other.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        place = function.__code__.co_varnames.index(name)

        @functools.wraps(function)
        def on_stream(*args: P.args, **options: P.kwargs) -> T:
            if not interop.has_gpu_tensor((*args, *options.values())):
                return function(*args, **options)
            given = args[place] if place < len(args) else options.get(name)
            with _stream_for(given, (*args, *options.values())):
                return function(*args, **options)

        return on_stream

    return decorate


@contextmanager
def _stream_for(array: Any, arguments: tuple[Any, ...]) -> Iterator[None]:
    """Make the stream of an array the current one of CuPy; order it with those of `arguments`."""
    cupy = _cupy()
    if cupy is None:
        yield
        return
    before = cupy.cuda.get_current_stream()
    if interop.is_gpu_tensor(array):
        others = [before] if any(map(interop.is_cupy, arguments)) else []
        with _on_torch(cupy, array.device, others):
            yield
        return
    others = [
        _stream_of_torch(cupy, each.device) for each in arguments if interop.is_gpu_tensor(each)
    ]
    with _ordered(before, others):
        yield


def _cupy() -> Any:
    """Return CuPy, or None without it, which the conversion of a tensor explains."""
    try:
        return interop.load_cupy()
    except Exception:
        return None


def of_torch(device: Any) -> AbstractContextManager[None]:
    """Make the current stream of PyTorch on a GPU that of CuPy."""
    cupy = _cupy()
    return nullcontext() if cupy is None else _on_torch(cupy, device, [])


@contextmanager
def _on_torch(cupy: Any, device: Any, others: list[Any]) -> Iterator[None]:
    """Use the current stream of PyTorch on a GPU, and its memory."""
    with cupy.cuda.Device(device.index):
        stream = _stream_of_torch(cupy, device)
        with stream, cupy.cuda.using_allocator(_allocator(cupy)), _ordered(stream, others):
            yield


@contextmanager
def _ordered(stream: Any, others: list[Any]) -> Iterator[None]:
    """Wait for other streams before work on a stream, and let them wait for the work."""
    others = [other for other in others if other.ptr != stream.ptr]
    for other in others:
        stream.wait_event(other.record())
    try:
        yield
    finally:
        for other in others:
            other.wait_event(stream.record())


class _Handle:
    """A stream for `cupy.cuda.Stream.from_external`."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        """Return the version of the protocol, and the stream."""
        return 0, self._pointer


def _stream_of_torch(cupy: Any, device: Any) -> Any:
    """Return the current stream of PyTorch on a GPU, as a stream of CuPy."""
    torch = sys.modules["torch"]
    with cupy.cuda.Device(device.index):
        # PyTorch before 2.9 has no __cuda_stream__
        handle = _Handle(torch.cuda.current_stream(device).cuda_stream)
        return cupy.cuda.Stream.from_external(handle)


def _allocator(cupy: Any) -> Any:
    """Return an allocator of CuPy that takes its memory from PyTorch."""
    torch, at_exit = sys.modules["torch"], sys.is_finalizing

    def allocate(size: int, device: int) -> int:
        stream = cupy.cuda.get_current_stream().ptr
        try:
            pointer: int = torch.cuda.caching_allocator_alloc(size, device, stream)
        except torch.cuda.OutOfMemoryError as error:
            raise MemoryError(str(error)) from None
        return pointer

    def free(pointer: int, device: int) -> None:
        del device
        if not at_exit():  # when all memory is freed, and PyTorch may be gone
            torch.cuda.caching_allocator_delete(pointer)

    return cupy.cuda.PythonFunctionAllocator(allocate, free).malloc
