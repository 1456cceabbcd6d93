"""The bound, the time and their ratio for each stage of `bm3d` on one core, np, 512x512, sigma 25.

    python bench/roofline.py [--processor znver3] [--rounds 5]

Rates of this core are measured by small kernels, and divide the operations and bytes that each
stage needs at least (`roofline_counts.py`). `--processor` compiles for another processor of LLVM:
znver3 or haswell have AVX2, znver4 or skylake-avx512 AVX-512.
"""

import argparse
import os

ROW = "{:12} {:>9} {:>9} {:>7}  {}"


def main():
    """Print the rates and the table."""
    parser = argparse.ArgumentParser(description="bounds of the stages of bm3d on one core")
    parser.add_argument("--processor", help="compile for this processor, as LLVM names it")
    parser.add_argument("--rounds", type=int, default=5, help="of every stage; the least counts")
    options = parser.parse_args()
    if options.processor:  # before Numba is imported
        os.environ["NUMBA_CPU_NAME"] = options.processor
        os.environ["NUMBA_CPU_FEATURES"] = ""
    import roofline_counts
    import roofline_rates
    import roofline_stages

    rates = roofline_rates.measured()
    print("10**9 operations or bytes a second:", end=" ")
    print(", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates._asdict().items()))
    times, matches = roofline_stages.measured(options.rounds)
    work = roofline_counts.counted(sum(map(roofline_counts.sharing, matches)))
    print(ROW.format("stage", "bound ms", "time ms", "ratio", "bound by"))
    total = 0.0
    for name, milliseconds in times.items():
        if name in work:
            bounds = work[name].bounds(rates)
            resource = max(bounds, key=bounds.get)
            total += bounds[resource]
            print(row(name, bounds[resource], milliseconds, resource))
        elif name != "whole":
            print(ROW.format(name, "", f"{milliseconds:.1f}", "", ""))
    print(row("whole", total, times["whole"], ""))


def row(name, bound, milliseconds, resource):
    """Return a line of the table."""
    ratio = f"{milliseconds / bound:.2f}"
    return ROW.format(name, f"{bound:.1f}", f"{milliseconds:.1f}", ratio, resource).rstrip()


if __name__ == "__main__":
    main()
