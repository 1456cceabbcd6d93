"""Random calls of all public functions, and damaged files of every format.

    python bench/fuzz.py [--calls 10000] [--files 5000] [--seed 0] [--minutes 30] [--jobs 2]
    python bench/fuzz.py --case call:123          (one case again, with its traceback)

Each case depends only on the seed and its number. Cases run in processes of their own, so that a
crash or a case that never ends is counted and the run goes on. A case is at fault if it crashes,
takes longer than two minutes, raises an error that is not documented or that another library
raised, prints a line, warns in the name of another library, gives NaN, or gives another result than
an equivalent call: in the numpy backend, in other units, in another layout of memory, as another
type. A damaged file has to end in a result or in one line that names the file.

The exit status is 1 if there is any fault, or if the time limit ended the run early.
"""

import argparse
import collections
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

CHUNK = 400  # cases of one process
PATIENCE = 120  # seconds for one case


def main():
    """Run all cases and print the faults and their number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)  # kind, first, last
    args = parser.parse_args()
    if args.worker:
        return _work(args.worker[0], int(args.worker[1]), int(args.worker[2]), args.seed)
    if args.case:
        return _show(*args.case.split(":"), args.seed)
    return _run(args)


def _run(args):
    """Distribute the cases, and report."""
    chunks = queue.Queue()
    for kind, count in (("call", args.calls), ("file", args.files)):
        for first in range(0, count, CHUNK):
            chunks.put((kind, first, min(count, first + CHUNK)))
    done, end = [], time.monotonic() + 60 * args.minutes
    folder = tempfile.TemporaryDirectory()
    if args.files:
        os.environ["FASTRESTORE_FUZZ_CACHE"] = _module("file").prepare(folder.name)
    threads = [
        threading.Thread(target=_drain, args=(chunks, args.seed, done, end))
        for _ in range(args.jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder.cleanup()
    return _report(done, args)


def _report(done, args):
    """Print what was run and every fault, those of one kind together."""
    faults = [(case, name, fault) for case, name, found in done for fault in found]
    for case, name, fault in sorted(faults, key=lambda entry: (entry[1], entry[2])):
        print(f"{case:12} {name:28} {fault}")
    for kind, wanted in (("call", args.calls), ("file", args.files)):
        cases = [(name, found) for case, name, found in done if case.startswith(kind)]
        wrong = sum(bool(found) for _, found in cases)
        print(f"{kind}s: {len(cases)} of {wanted}, {wrong} with faults")
    counts = collections.Counter(name for _, name, _ in done)
    print("cases: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    kinds = collections.Counter(fault.split(":")[0].split(" (")[0] for _, _, fault in faults)
    print("faults: " + (", ".join(f"{kind} {n}" for kind, n in kinds.items()) or "none"))
    return int(bool(faults) or len(done) < args.calls + args.files)


def _drain(chunks, seed, done, end):
    """Run chunks until there are no more or the time is over."""
    while time.monotonic() < end:
        try:
            kind, first, last = chunks.get_nowait()
        except queue.Empty:
            return
        while first < last and time.monotonic() < end:
            first = _one_process(kind, first, last, seed, done)


def _one_process(kind, first, last, seed, done):
    """Run cases in one process and return the first that was not run."""
    command = [
        sys.executable,
        __file__,
        "--worker",
        kind,
        str(first),
        str(last),
        "--seed",
        str(seed),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    lines = queue.Queue()
    reader = threading.Thread(
        target=lambda: [lines.put(line) for line in process.stdout] + [lines.put("")]
    )
    reader.start()
    name, number = "start", first
    try:
        while line := lines.get(timeout=PATIENCE):
            event = json.loads(line)
            name, number = event["name"], event["number"]
            if "faults" in event:
                done.append((f"{kind}:{number}", name, event["faults"]))
        ended = process.wait()
        if ended == 0:
            return last
        done.append((f"{kind}:{number}", name, [f"crash: the process ended with status {ended}"]))
    except queue.Empty:
        done.append((f"{kind}:{number}", name, [f"hang: not ended after {PATIENCE} s"]))
    finally:
        process.kill()
        reader.join()
    return number + 1


def _work(kind, first, last, seed):
    """Run cases and print for each a line before and a line after."""
    out = os.fdopen(os.dup(1), "w")
    module = _module(kind)
    for number in range(first, last):
        rng = np.random.default_rng([seed, len(kind), ord(kind[0]), number])

        def tell(number=number, **event):
            print(json.dumps({"number": number, **event}), file=out, flush=True)

        tell(name="setting up")
        name, check = module.case(rng)
        tell(name=name)
        tell(name=name, faults=check())
    return 0


def _module(kind):
    """The module whose `case` draws a case of this kind."""
    import fuzz_cases
    import fuzz_files

    return {"call": fuzz_cases, "file": fuzz_files}[kind]


def _show(kind, number, seed):
    """Run one case again and print all about it."""
    rng = np.random.default_rng([seed, len(kind), ord(kind[0]), int(number)])
    name, check = _module(kind).case(rng, verbose=True)
    print(name, *check(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
