"""Denoise 200 files of all formats and depths by one command, killed once, and check each result.

    python bench/folder.py [--count 200] [--jobs 1]

The files are those of `tests/support/folder.py`: nested, with color profile, EXIF, orientation,
resolution and alpha where the format stores them; five are broken in different ways, one cannot be
read, one is done already, and two names differ by case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root, out = Path(place, "photos"), Path(place, "out")
        good, broken = folder.make(root, out, args.count)
        kinds = {(path.suffix, *kind[1:]) for path, kind in zip(good, folder.KINDS, strict=False)}
        print(f"{len(good)} good files of {len(kinds)} kinds, {len(broken)} broken")
        words = ["denoise", str(root), "-r", "-o", str(out), "--json", "--jobs", str(args.jobs)]
        argv = [sys.executable, "-m", "fastrestore", *words]
        environment = os.environ | {"FASTRESTORE_RECORDS": str(Path(place, "records"))}
        killed(argv, environment, out, len(good) // 2)
        print(f"killed after {results(out)} results; wrong: {wrong(root, out, good)}")
        start = time.perf_counter()
        run = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        print(f"started again: {dict(Counter(line['status'] for line in lines))}, {seconds:.1f} s")
        print(f"exit status {run.returncode}; errors:")
        errors = [line for line in run.stderr.splitlines() if "error: " in line]
        print(*(f"  {line.replace(place + os.sep, '')}" for line in errors), sep="\n")
        faults = folder.check(root, out, good)
        print(f"{len(good)} results checked, {len(faults)} wrong", *faults, sep="\n  ")
        named = all(any(path.name in line for line in errors) for path in broken)
        return 0 if run.returncode == 1 and named and not faults else 1


def killed(argv, environment, out, enough):
    """Start, and kill when there are enough results."""
    process = subprocess.Popen(
        argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while results(out) < enough and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()


def results(out):
    return sum(path.is_file() and not path.name.startswith(".") for path in out.rglob("*"))


def wrong(root, out, good):
    """Return how many of the results that are there are wrong."""
    there = [path for path in good if (out / path.relative_to(root)).is_file()]
    return len(folder.check(root, out, there))


if __name__ == "__main__":
    sys.exit(main())
