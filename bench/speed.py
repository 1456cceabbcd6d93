"""Compare fastrestore with the package `bm3d` on the same noisy photograph in the same run.

    python bench/speed.py [--workers 2] [--rounds 5] [--profiles]
    python bench/speed.py --peak-memory 2048
    python bench/speed.py --color

Times depend on the computer and its load, ratios much less; so half of our rounds run before the
peer's and half after them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

# numpy and fastrestore are imported inside functions: a child process inherits the peak
# memory of its parent, and `--peak-memory` wants the child's own.

PROFILES = ("np", "fast", "lc", "balanced", "high", "vn")

CHILD = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
size, workers, sigma = int(sys.argv[2]), int(sys.argv[3]), 25.0
import photographs, fastrestore
fastrestore.bm3d(photographs.noisy(photographs.photograph(64)), sigma, workers=workers)
clean = photographs.photograph(size)
noisy = photographs.noisy(clean)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
restored = fastrestore.bm3d(noisy, sigma, workers=workers)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
psnr = photographs.psnr(clean, restored)
print(json.dumps(dict(before=before, peak=peak, seconds=seconds, psnr=psnr)))
"""


def main():
    """Read the arguments and print the table or the memory."""
    parser = argparse.ArgumentParser(description="fastrestore beside bm3d, 512x512, sigma 25")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads of both")
    parser.add_argument("--rounds", type=int, default=5, help="of ours; the median is shown")
    parser.add_argument("--peer-rounds", type=int, default=1, help="of the peer; 0 for none")
    parser.add_argument("--profiles", action="store_true", help="our other profiles, too")
    parser.add_argument(
        "--peak-memory", type=int, metavar="SIZE", help="instead: memory of one np call"
    )
    parser.add_argument(
        "--color", "--colour", action="store_true", help="instead: compare color with luminance"
    )
    options = parser.parse_args()
    if options.color:
        print_color(options.workers, options.rounds)
    elif options.peak_memory:
        print_memory(options.peak_memory, options.workers)
    else:
        print_table(options)


def print_table(options):
    """Time ours, the peer, ours again; print the table."""
    import photographs

    import fastrestore

    clean = photographs.photograph(512)
    noisy = photographs.noisy(clean)
    rows = {("fastrestore", name): [] for name in (PROFILES if options.profiles else PROFILES[:1])}

    def ours(rounds):
        for (program, name), runs in list(rows.items()):
            if program == "fastrestore":
                call = (noisy, photographs.SIGMA)
                arguments = {"profile": name, "workers": options.workers, "backend": "numba"}
                runs += [timed(fastrestore.bm3d, call, arguments) for _ in range(rounds)]

    ours(1)  # compiles or loads the kernels
    for runs in rows.values():
        runs.clear()
    ours((options.rounds + 1) // 2)
    peer = []
    if options.peer_rounds:
        import bm3d

        profile = bm3d.BM3DProfile()
        profile.num_threads = options.workers
        call = (noisy, photographs.SIGMA, profile)
        peer = [timed(bm3d.bm3d, call, {}) for _ in range(options.peer_rounds)]
        rows[f"bm3d {version('bm3d')}", "np"] = peer
    ours(options.rounds // 2)

    slowest = statistics.median(seconds for seconds, _ in peer) if peer else None
    print(f"camera 512x512, sigma 25, {options.workers} threads, noisy image", end=" ")
    print(f"{photographs.psnr(clean, noisy):.2f} dB\n")
    print("| program | profile | seconds | PSNR dB | times faster than bm3d |")
    print("| --- | --- | --- | --- | --- |")
    for (program, name), runs in rows.items():
        seconds = statistics.median(seconds for seconds, _ in runs)
        quality = photographs.psnr(clean, runs[-1][1])
        ratio = f"{slowest / seconds:.1f}" if slowest else "-"
        print(f"| {program} | {name} | {seconds:.3f} | {quality:.2f} | {ratio} |")


def print_color(workers, rounds):
    """Time a color photograph and its luminance in turn; print both and the ratio."""
    import numpy as np
    from skimage.data import astronaut

    import fastrestore

    clean = astronaut().astype(np.float32)
    noise = 25 * np.random.default_rng(0).standard_normal(clean.shape)
    color = (clean + noise).astype(np.float32)
    gray = np.ascontiguousarray(color.mean(-1))
    calls = {
        "luminance": ((gray, 25 / 3**0.5), {}),
        "color": ((color, 25.0), {"channel_axis": -1}),
    }
    times = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, (call, keywords) in calls.items():
            seconds, result = timed(fastrestore.bm3d, call, {"workers": workers, **keywords})
            times[name] += [seconds] if k else []  # the first compiles or loads the kernels
    error = np.mean((result - clean) ** 2)
    print(f"astronaut 512x512, sigma 25, {workers} threads, {10 * np.log10(255**2 / error):.2f} dB")
    medians = {name: statistics.median(runs) for name, runs in times.items()}
    for name, seconds in medians.items():
        print(f"{name:12} {seconds:.3f} s")
    print(f"ratio        {medians['color'] / medians['luminance']:.2f}")


def timed(function, arguments, keywords):
    """Return the seconds of one call and its result."""
    start = time.perf_counter()
    result = function(*arguments, **keywords)
    return time.perf_counter() - start, result


def print_memory(size, workers):
    """Run one np call in a new process and print what it needed."""
    child = [sys.executable, "-c", CHILD, str(Path(__file__).resolve().parent)]
    # The first child leaves compiled kernels behind: the compiler's memory is not the filter's.
    subprocess.run([*child, "64", str(workers)], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([*child, str(size), str(workers)], check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, others KiB
    before, peak = found["before"] / unit, found["peak"] / unit
    print(f"image                  {size} x {size} float32, {4 * size * size / 2**20:.0f} MiB")
    print(f"threads                {workers}")
    print(f"peak resident set      {peak:.0f} MiB")
    print(f"  before the call      {before:.0f} MiB (Python, libraries, kernels, the images)")
    print(f"  the call added       {peak - before:.0f} MiB")
    print(f"seconds                {found['seconds']:.3f}")
    print(f"PSNR dB                {found['psnr']:.2f}")


if __name__ == "__main__":
    main()
