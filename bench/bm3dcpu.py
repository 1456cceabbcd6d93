"""BM3DCPU (`vapoursynth-bm3dcpu`) on an image, in a process of its own.

It needs VapourSynth and Python 3.12 or later. `BM3DCPU_PYTHON` is the Python of an environment with
`pip install vapoursynth-bm3dcpu numpy`; without it the current one is used.

It filters each frame on one thread, so as many frames as threads are filtered at a time, and the
time is that of a frame: the time of all, divided by their number. It runs in the two passes that
its authors advise: the first is the reference of the second. It filters too little at the true
noise level, so the levels of `BEST` have the highest PSNR on the photographs of the benchmarks.
"""

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# Step and search range: noise level with the highest PSNR at a true one of 25, gray and in color
BEST = {(8, 9): {"gray": 34.0, "color": 40.0}, (3, 19): {"gray": 31.0, "color": 37.0}}
# Luminance and two differences of colors, each scaled to the noise level of a channel
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def interpreter():
    """Return the Python that has BM3DCPU; raise ModuleNotFoundError if none is known."""
    python = os.environ.get("BM3DCPU_PYTHON", "")
    if not python and not importlib.util.find_spec("vapoursynth"):
        raise ModuleNotFoundError("set BM3DCPU_PYTHON to a Python with vapoursynth-bm3dcpu")
    return python or sys.executable


@functools.cache
def version():
    """Return the version of BM3DCPU."""
    text = "import importlib.metadata as m; print(m.version('vapoursynth-bm3dcpu'))"
    done = subprocess.run([interpreter(), "-c", text], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def restore(noisy, step, reach, threads, rounds=5, level=None):
    """Return the restored image and the times of a frame, elapsed and of the processor."""
    color = noisy.ndim == 3
    planes = np.moveaxis(noisy @ OPPONENT.T, -1, 0) if color else noisy[None]
    level = level or BEST[step, reach]["color" if color else "gray"]
    numbers = [level, step, reach, threads, rounds]
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "noisy.npy"), Path(folder, "restored.npy")
        np.save(source, (planes / 255).astype(np.float32))
        command = [interpreter(), __file__, str(source), str(result), *map(str, numbers)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        planes = 255 * np.load(result).astype(np.float64)
    image = np.moveaxis(planes, 0, -1) @ OPPONENT if color else planes[0]
    return image, json.loads(done.stdout)


def main():
    """Filter the planes of a file, and print times of a frame as JSON."""
    parser = argparse.ArgumentParser(description="BM3DCPU on the planes of a file")
    parser.add_argument("source", type=Path, help="(planes, rows, columns), one plane or three")
    parser.add_argument("result", type=Path)
    parser.add_argument("sigma", type=float, help="of 0..255")
    for name in ("step", "reach", "threads", "rounds"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    planes = np.load(given.source)
    video = filtered(planes, given)
    times = []
    for k in range(given.rounds + 1):  # the first is not timed
        start = time.perf_counter(), time.process_time()
        frames = list(video().frames())
        spent = time.perf_counter() - start[0], time.process_time() - start[1]
        times += [[seconds / len(frames) for seconds in spent]] if k else []
    np.save(given.result, np.array([np.asarray(frames[0][p]) for p in range(len(planes))]))
    print(json.dumps(times))


def filtered(planes, given):
    """Return a function that makes a new video of the filter; its frames are filtered when read."""
    import vapoursynth as vs

    core, color = vs.core, len(planes) == 3
    core.num_threads = given.threads
    kind = vs.YUV444PS if color else vs.GRAYS
    height, width = planes.shape[1:]
    blank = core.std.BlankClip(format=kind, width=width, height=height, length=given.threads)

    @functools.cache
    def frame(_):
        copy = blank.get_frame(0).copy()
        for p, plane in enumerate(planes):
            np.copyto(np.asarray(copy[p]), plane)
        return copy

    source = core.std.ModifyFrame(blank, blank, lambda n, f: frame(0))
    options = {"sigma": given.sigma, "block_step": given.step, "bm_range": given.reach}
    options |= {"radius": 0, "chroma": color}

    def video():
        pilot = core.bm3dcpu.BM3Dv2(source, **options)
        return core.bm3dcpu.BM3Dv2(source, ref=pilot, **options)

    return video


if __name__ == "__main__":
    main()
