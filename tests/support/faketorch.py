"""As much of PyTorch on a GPU as fastrestore calls, on the streams and the memory of CuPy."""

import sys
import types


def install(monkeypatch, cupy):
    """Return a stand-in for the module torch; `current` is its current stream."""
    torch = types.ModuleType("torch")
    torch.current = cupy.cuda.Stream(non_blocking=True)
    torch.taken, torch.freed, torch.out_of_memory = {}, [], False

    class Tensor:
        """A tensor on a GPU."""

        requires_grad = False

        def __init__(self, array):
            self.array, self.shape = array, array.shape
            index = array.device.id
            self.device = type(
                "device", (), {"type": "cuda", "index": index, "__str__": lambda self: "cuda:0"}
            )()

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

        def __dlpack__(self, **options):
            with torch.current:
                return self.array.__dlpack__(**options)

        def numpy(self):
            """Copy it to the host, after waiting for the current stream, and no other."""
            return self.array.get(stream=torch.current)

    def from_dlpack(array):
        array.__dlpack__(stream=torch.current.ptr)
        return Tensor(array)

    def tensor(values):
        with torch.current:
            array = cupy.asarray(values)
        torch.current.synchronize()
        return Tensor(array)

    def allocate(size, device, stream):
        if torch.out_of_memory:
            raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes")
        memory = cupy.cuda.memory.Memory(size)
        torch.taken[memory.ptr] = (size, device, stream, memory)
        return memory.ptr

    torch.Tensor, torch.from_dlpack, torch.tensor = Tensor, from_dlpack, tensor
    torch.cuda = types.SimpleNamespace(
        current_stream=lambda device: types.SimpleNamespace(cuda_stream=torch.current.ptr),
        caching_allocator_alloc=allocate,
        caching_allocator_delete=torch.freed.append,
        OutOfMemoryError=OutOfMemoryError,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    return torch


class OutOfMemoryError(RuntimeError):
    """As in `torch.cuda`."""
