"""Predict the time of `bm3d` on an H200 without one, for each kernel, from its machine code.

    python bench/predict.py [TREE ...] [--size 512] [--lines 10] [--loops]

The call is that of a plan, np, gray, `skimage.data.camera` of 512x512, sigma 25. It runs on the
CUDA shim of the tests. Thread blocks at even distances in the grid of each launch are then executed
again, from the machine code for capability 9.0, with the arguments of this call. That counts
instructions, conflicts in shared memory, and sectors of global memory. The time of a kernel is the
largest one of its resources, see `rates.py`; decision 0057 says what that leaves out.

With several checkouts as TREE, times are compared with those of the first. Where there is a GPU,
`bench/gpu.py` measures. Needs what `tests/cuda/requirements.txt` lists.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

ROW = "{:14} {:>7} {:>5} {:>6} {:>7} {:>9}" + " {:>8}" * 6 + "  {:>8}  {}"
HEAD = ("kernel", "blocks", "regs", "shared", "warps/SM", "instr/10^6", "issue", "memory", "fp32",
        "integer", "tensor", "atomic", "ms", "bound")  # fmt: skip
STAGES = ("match", "rows", "basic", "final", "divide")  # kernels of both stages


def main() -> None:
    """Print a table for each checkout."""
    options = _options()
    totals = []
    for tree in options.trees:
        launches, host = predicted(tree, options.size)
        print(f"{tree}: milliseconds by resource\n" + ROW.format(*HEAD))
        for each in launches:
            print(row(each))
            details(each, options)
        every = sum(each["bounds"].most()[1] for each in launches)
        stages = sum(each["bounds"].most()[1] for each in launches if _of_a_stage(each))
        totals.append((stages, every))
        print(f"all kernels of both stages {stages:.3f} ms, with conversion {every:.3f} ms")
        print(f"host {host[0]:.0f} us a call, elementwise kernel {host[1]:.1f} us: "
              f"{host[0] / host[1]:.1f} times\n")  # fmt: skip
    for tree, (stages, every) in zip(options.trees[1:], totals[1:], strict=True):
        print(f"{tree}: {totals[0][0] / stages:.2f} times less than {options.trees[0]} in the "
              f"stages, {totals[0][1] / every:.2f} times in all")  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = str(Path(__file__).parents[1])
    parser.add_argument("trees", metavar="TREE", nargs="*", default=[here], help="checkouts")
    parser.add_argument("--size", type=int, default=512, help="of the image")
    parser.add_argument("--lines", type=int, default=0, help="that take most, of each kernel")
    parser.add_argument("--loops", action="store_true", help="instructions and trips of loops")
    return parser.parse_args()


def predicted(tree: str, size: int):
    """Return the launches of a call of the package in a checkout, and times of the host."""
    with tempfile.NamedTemporaryFile() as file:
        script = Path(__file__).with_name("predict_call.py")
        command = [sys.executable, script, str(Path(tree).resolve()), str(size), file.name]
        subprocess.run(command, check=True)
        return pickle.load(file)


def _of_a_stage(launch) -> bool:
    return bool(set(launch["name"].split("_")) & set(STAGES))


def row(launch) -> str:
    """Return a line of the table."""
    name, most = launch["bounds"].most()
    return ROW.format(
        launch["name"], launch["blocks"], launch["registers"], launch["shared"],
        launch["resident"], f"{launch['instructions'] / 1e6:.2f}",
        *(f"{each:.4f}" for each in launch["bounds"]), f"{most:.4f}", name,
    )  # fmt: skip


def details(launch, options) -> None:
    """Print the lines and loops that take most."""
    lines = sorted(launch["lines"].items(), key=lambda pair: -pair[1][0])[: options.lines]
    for where, (issued, passes) in lines:
        share = 100 * issued / launch["instructions"]
        print(f"    {where:24} {share:5.1f} % of instructions, {passes / 1e6:8.3f} x 10^6 passes")
    if options.loops:
        for where, length, trips in launch["loops"]:
            if trips:
                print(f"    loop to {where:24} {length:5} instructions, {trips:9.1f} trips a block")


if __name__ == "__main__":
    main()
