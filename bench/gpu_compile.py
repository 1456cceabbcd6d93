"""Print how long NVRTC compiles the kernels of the first call of BM3D and BM4D, without a GPU.

    python bench/gpu_compile.py [--architecture 90] [--calls np fast volume white]

For each kernel the processor time of one core, median of --rounds compilations, and the sum. A
first call compiles them in threads, and CuPy keeps the results on disk. Needs what
`tests/cuda/requirements.txt` lists.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import cudashim
from support.gpu import WHY_NO_GPU


def main() -> int:
    """Print a table for each call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", type=int, default=90)
    parser.add_argument("--calls", nargs="+", default=["np"], choices=CALLS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if WHY_NO_GPU:
        raise SystemExit(WHY_NO_GPU)
    cudashim.start()
    for call in options.calls:
        total = 0.0
        print(f"{call}\n\n| kernel | constants | seconds |\n| --- | --- | --- |")
        for name, constants in sorted(compiled_by(CALLS[call])):
            seconds = compile_time(name, constants, options.architecture, options.rounds)
            total += seconds
            words = ", ".join(f"{key}={value}" for key, value in constants)
            print(f"| {name} | {words} | {seconds:.2f} |", flush=True)
        print(f"| all | | {total:.2f} |\n")
    return 0


def compiled_by(call) -> set[tuple[str, tuple[tuple[str, int | str], ...]]]:
    """Return the kernels of a call, with their constants."""
    from fastrestore._cuda import module as _module

    load, found = _module.kernel, set()

    def noted(device, name, constants):
        found.add((name, constants))
        return load(device, name, constants)

    _module.kernel = noted
    _module._ready.clear()
    try:
        call()
    finally:
        _module.kernel = load
    return found


def compile_time(name: str, constants, architecture: int, rounds: int) -> float:
    """Return the processor time of compiling a kernel."""
    from support.nvrtc import compiled

    from fastrestore._cuda.module import source

    def once() -> float:
        start = time.process_time()
        compiled(source(name), architecture, **dict(constants))
        return time.process_time() - start

    return statistics.median(once() for _ in range(rounds))


def image(profile: str):
    """Restore a small image, with the kernels of a large one."""
    import cupy
    import numpy as np

    import fastrestore

    noisy = np.random.default_rng(0).normal(100, 25, (20, 20)).astype(np.float32)
    fastrestore.bm3d(cupy.asarray(noisy), 25, profile=profile, backend="cupy")


def volume():
    """Restore a small volume."""
    import cupy
    import numpy as np

    import fastrestore

    noisy = np.random.default_rng(0).normal(100, 25, (6, 10, 10)).astype(np.float32)
    fastrestore.bm4d(cupy.asarray(noisy), 25, backend="cupy")


def white():
    """Estimate the level of white noise of a small image."""
    import cupy
    import numpy as np

    import fastrestore

    fastrestore.estimate_sigma(cupy.asarray(np.random.default_rng(0).normal(100, 25, (30, 30))))


CALLS = {
    **{name: lambda name=name: image(name) for name in ("np", "fast", "lc", "vn")},
    "volume": volume,
    "white": white,
}

if __name__ == "__main__":
    sys.exit(main())
