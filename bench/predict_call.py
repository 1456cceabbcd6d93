"""Launches of one call of `bm3d` on the CUDA shim, and what their machine code does.

    python bench/predict_call.py TREE SIZE RESULT

TREE is a checkout, whose kernels are compiled; the disassembler and the shim are those of this one.
The file RESULT receives what `predict.py` prints.
"""

from __future__ import annotations

import importlib
import pickle
import re
import sys
import time
import types
from pathlib import Path

import numpy as np
from sass import machine as machines
from sass import rates, text

HERE = Path(__file__).resolve().parents[1]
SAMPLE = 48  # thread blocks that are executed, at even distances in the grid
HOST_ROUNDS = 40


def main() -> None:
    """Run a call, and write what was found."""
    tree, size, result = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sys.path[:0] = [tree]
    sys.path.append(str(HERE / "tests"))
    _complete_old_trees()
    from support import cudashim

    cudashim.start()
    launches = captured(size)
    found = [report(*each) for each in launches]
    with Path(result).open("wb") as file:
        pickle.dump((found, host_time(size, cudashim.Simulation())), file)


def _complete_old_trees() -> None:
    """Give checkouts from before the shim the modules that it imports."""
    arrays = importlib.import_module("fastrestore._arrays")
    backend = importlib.import_module("fastrestore.backends.cupy")
    if importlib.util.find_spec("fastrestore.backends.cupy._layout") is None:
        load = types.SimpleNamespace(load_cupy=lambda: importlib.import_module("cupy"))
        arrays.interop = load
        backend._layout = importlib.import_module("fastrestore.backends.cupy._device")
        sys.modules["fastrestore.backends.cupy._layout"] = backend._layout
    if importlib.util.find_spec("fastrestore._cuda") is None:
        package = types.ModuleType("fastrestore._cuda")
        package.module = importlib.import_module("fastrestore.backends.cupy._module")
        sys.modules["fastrestore._cuda"] = package
        sys.modules["fastrestore._cuda.module"] = package.module


def plan_of(size):
    """Return a plan, its noisy image on the GPU, and the clean one."""
    import cupy
    import photographs

    fastrestore = importlib.import_module("fastrestore")
    clean = photographs.photograph(size)
    plan = fastrestore.BM3DPlan(clean.shape, sigma=photographs.SIGMA, backend="cupy")
    return plan, cupy.asarray(photographs.noisy(clean)), clean


def captured(size):
    """Return the launches of a call: constants, source and `machines.Launch` of each."""
    module = importlib.import_module("fastrestore._cuda.module")
    found, compile_kernel = [], module.kernel

    def kernel(device, name, constants):
        return _Noted(
            compile_kernel(device, name, constants), module.source(name), constants, found
        )

    plan, noisy, clean = plan_of(size)
    module.kernel = kernel
    estimate = plan(noisy).get()
    module.kernel = compile_kernel
    error = np.sqrt(np.mean((estimate - clean) ** 2))
    print(f"{len(found)} launches, RMSE {error:.3f}", file=sys.stderr)
    return found


class _Noted:
    """A kernel whose launches are noted, with copies of the arguments before them."""

    def __init__(self, kernel, source, constants, found):
        self.__dict__.update(_kernel=kernel, _noted=(source, constants, found))

    def __getattr__(self, name):
        return getattr(self._kernel, name)

    def __setattr__(self, name, value):
        setattr(self._kernel, name, value)

    def __call__(self, grid, threads, arguments, shared_mem=0):
        source, constants, found = self._noted
        copies = tuple(map(_copy, arguments))
        name = self._kernel.name
        launch = machines.Launch(name, tuple(grid), tuple(threads), copies, shared_mem)
        found.append((source, constants, launch))
        self._kernel(grid, threads, arguments, shared_mem=shared_mem)


def _copy(value):
    """Return an argument on the host, arrays as their bytes; None for a null pointer."""
    if not hasattr(value, "get"):
        return None if isinstance(value, np.uintp) else value
    last = sum((n - 1) * step for n, step in zip(value.shape, value.strides, strict=True))
    whole = type(value)((last + value.itemsize,), np.uint8, value.data)  # a view may skip pixels
    return whole.get()


def report(source, constants, launch):
    """Execute some thread blocks, and return what they took."""
    from support.nvrtc import cubin

    log, binary = cubin(source, 90, "-lineinfo", **dict(constants))
    code = text.program(text.disassembled(binary), launch.name)
    blocks = int(np.prod(launch.grid))
    chosen = np.unique(np.linspace(0, blocks - 1, min(SAMPLE, blocks)).astype(int))
    machine = machines.Machine(code, launch, chosen)
    machine.run()
    registers = int(re.search(rf"{launch.name}.*?Used (\d+) registers", log, re.DOTALL)[1])
    share = blocks / len(chosen)
    bounds = rates.bounds(code, machine.counts, machine.traffic, share, blocks)
    threads = int(np.prod(launch.threads))
    return {
        "name": launch.name, "constants": constants, "blocks": blocks, "registers": registers,
        "shared": launch.shared, "bounds": bounds, "instructions": machine.counts.sum() * share,
        "resident": rates.resident(threads, registers, launch.shared),
        "lines": _by_line(code, machine, share), "loops": _by_loop(code, machine, len(chosen)),
    }  # fmt: skip


def _by_line(code, machine, share):
    """Return issued instructions, and passes of memory, by line of the source."""
    found = {}
    memory = machine.traffic.passes + machine.traffic.lines
    for ins, count, passes in zip(code, machine.counts, memory, strict=True):
        issued, taken = found.get(ins.where, (0, 0))
        found[ins.where] = issued + count * share, taken + passes * share
    return found


def _by_loop(code, machine, blocks):
    """Return the loops: source, instructions, and trips of all warps for each thread block."""
    return [
        (code[last].where, last - first + 1, machine.counts[last] / blocks)
        for first, last in text.loops(code)
    ]


def host_time(size, simulation):
    """Return microseconds of a call of a plan, and of an elementwise kernel of CuPy.

    Kernels do nothing meanwhile. The least of some rounds counts.
    """
    import cupy

    plan, noisy, _ = plan_of(size)
    out = plan(noisy)
    add = cupy.ElementwiseKernel("float32 x", "float32 y", "y = x + 1", "add_one")
    simulation.set("empty", 1)
    times = []
    for call in (lambda: plan(noisy, out=out), lambda: add(noisy, out)):
        call()
        rounds = []
        for _ in range(HOST_ROUNDS):
            cupy.cuda.get_current_stream().synchronize()
            start = time.thread_time()
            call()
            rounds.append(1e6 * (time.thread_time() - start))
        times.append(min(rounds))
    simulation.set("empty", 0)
    return times


if __name__ == "__main__":
    main()
