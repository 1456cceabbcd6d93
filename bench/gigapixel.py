"""Restore a large Zarr store in worker processes, and compare with the prediction.

    python bench/gigapixel.py [--side 30000] [--workers 2] [--chunks 1024] [--memory 3e9]
    python bench/gigapixel.py --rows [--side 4096] [--chunks 512]

The image is skimage's photograph of a cameraman, repeated by mirroring, with noise of sigma 25 of
255, in uint8. Printed are time, the largest memory of all processes together (the sum of what
belongs to each, and a share of what several have in common: PSS), processor time, that of other
programs, which makes the run longer, PSNR of some chunks, and `fastrestore plan` of the same. The
PSNR must exceed that of the noisy image by 5 dB, and the memory be less than --memory. Each 20
seconds a line counts the written chunks.
`--rows` prints tables instead: throughput by number of workers, memory by size of the image,
bytes between workers, cost of chunks against the whole image, and cost of the scheduler by number
of chunks.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import zarr
from photographs import SIGMA, photograph, psnr

STORAGE = 512  # rows and columns of the chunks of the store
GAIN = 5.0  # least gain in dB
EACH = 1.0  # seconds between measurements of the memory, which take time of the processors
PROGRESS = 20  # seconds between lines on the progress


def make(path, side):
    """Write a noisy image, and return the clean one as a function of rows and columns."""
    scene = photograph(512)
    period = np.pad(scene, ((0, 512), (0, 512)), mode="symmetric")
    array = zarr.create_array(
        path, shape=(side, side), dtype=np.uint8, chunks=(min(side, STORAGE),) * 2
    )
    for top in range(0, side, 1024):
        for left in range(0, side, 1024):
            rows, columns = min(1024, side - top), min(1024, side - left)
            random = np.random.default_rng((top, left))
            noise = SIGMA * random.standard_normal((rows, columns), np.float32)
            values = np.clip(np.rint(period[:rows, :columns] + noise), 0, 255)
            array[top : top + rows, left : left + columns] = values.astype(np.uint8)
    return period


class Memory:
    """The largest memory of a process and its children together."""

    def __init__(self, process):
        self.process, self.most, self.done = psutil.Process(process), 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def _watch(self):
        while not self.done.wait(EACH):
            total = 0
            for each in self._family():
                try:
                    total += each.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most = max(self.most, total)

    def _family(self):
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.Error:
            return []


class Taken(NamedTuple):
    """What a run took."""

    seconds: float
    memory: int  # the most of all its processes together
    processors: float  # seconds
    others: float  # seconds of the processors that other programs took meanwhile


def command(*words):
    return [sys.executable, "-m", "fastrestore", *map(str, words)]


def restore(source, target, *words):
    """Run the command, and return what it took."""
    start, before, all_before = time.perf_counter(), processors(), of_all()
    level = ("--sigma", SIGMA, "--sigma-scale", "native")
    process = subprocess.Popen(command("denoise", source, "-o", target, *level, *words))
    manifest = Path(f"{target}.partial") / "manifest.jsonl"
    with Memory(process.pid) as memory:
        while True:
            try:
                status = process.wait(PROGRESS)
                break
            except subprocess.TimeoutExpired:
                done = (
                    max(0, len(manifest.read_bytes().splitlines()) - 1) if manifest.exists() else 0
                )
                print(f"{time.perf_counter() - start:6.0f} s  {done} chunks written, "
                      f"{memory.most / 1e9:.2f} GB", flush=True)  # fmt: skip
    assert status == 0, status
    used, seconds = processors() - before, time.perf_counter() - start
    return Taken(seconds, memory.most, used, of_all() - all_before - used)


def of_all():
    """Return the time of the processors that all programs have taken, this one excepted."""
    times, own = psutil.cpu_times(), time.process_time()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - own


def processors():
    """Return the time of the processors that processes have taken which have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plan(source, workers, chunks):
    """Return the prediction."""
    words = (source, "--workers", workers, "--chunks", chunks, "--json")
    found = subprocess.run(command("plan", *words), capture_output=True, check=True, text=True)
    return json.loads(found.stdout)


def gain_of(period, source, target, side):
    """Return the PSNR of the result in some parts, and by how much it exceeds the noisy image."""
    noisy, result = (zarr.open_array(path, mode="r") for path in (source, target))
    found = []
    for top in {0, side // 2 // 1024 * 1024, (side - 1) // 1024 * 1024}:
        part = (slice(top, min(side, top + 1024)),) * 2
        clean = period[: part[0].stop - top, : part[1].stop - top]
        found.append((psnr(clean, result[part]), psnr(clean, noisy[part])))
    after, before = np.mean(found, 0)
    assert after > before + GAIN, found
    return after, after - before


def compared(folder, args):
    """Print a run beside its prediction."""
    source, target = folder / "in.zarr", folder / "out.zarr"
    period = make(source, args.side)
    before = plan(source, args.workers, args.chunks)
    words = ["--scheduler", f"local:{args.workers}", "--chunks", args.chunks]
    seconds, memory, used, others = restore(source, target, *words, "--memory", args.memory)
    after = plan(source, args.workers, args.chunks)
    level, gain = gain_of(period, source, target, args.side)
    predicted = (before["seconds"] + after["seconds"]) / 2
    busy = used / args.workers  # on a busy computer the time is longer than this
    print(f"{args.side}x{args.side}, {args.workers} workers, chunks of {args.chunks}: "
          f"PSNR {level:.2f} dB, {gain:.2f} more than before")  # fmt: skip
    print(f"time    {seconds:8.1f} s   predicted {before['seconds']:.1f} s before and "
          f"{after['seconds']:.1f} s after the run, {predicted / seconds - 1:+.0%}; "
          f"processors {busy:.1f} s a worker, {predicted / busy - 1:+.0%}")  # fmt: skip
    print(f"other programs took {others:.1f} s of the {psutil.cpu_count()} processors meanwhile")
    assert memory < args.memory, memory
    expected = (args.workers + 1) * before["memory"]
    print(f"memory  {memory / 1e9:8.2f} GB  of all processes; predicted "
          f"{before['memory'] / 1e9:.2f} GB a worker, {expected / 1e9:.2f} GB in all")  # fmt: skip


def table(folder, args):
    """Print the rows of the benchmark."""
    source = folder / "in.zarr"
    period = make(source, args.side)
    print(f"throughput by number of workers, {args.side}x{args.side}, chunks of {args.chunks}")
    for workers in (1, 2):
        target = folder / f"out{workers}.zarr"
        words = ("--scheduler", f"local:{workers}", "--chunks", args.chunks)
        seconds, *_ = restore(source, target, *words)
        gain_of(period, source, target, args.side)
        print(f"  {workers} worker{'s' if workers > 1 else ' '} {seconds:7.1f} s  "
              f"{args.side**2 / 1e6 / seconds:.2f} megapixels a second")  # fmt: skip
    print("memory by size of the image, 2 workers")
    for side in (args.side // 4, args.side // 2, args.side):
        make(folder / f"{side}.zarr", side)
        words = ("--scheduler", "local:2", "--chunks", args.chunks)
        memory = restore(folder / f"{side}.zarr", folder / f"{side}-out.zarr", *words).memory
        print(f"  {side:6d} rows  {memory / 1e9:.2f} GB")
    network(folder, source, args)
    print("cost of chunks against one chunk, in threads of one process")
    alone, *_ = restore(source, folder / "one.zarr", "--chunks", args.side, "--workers", 1)
    for chunks in (args.side // 2, args.side // 4, args.side // 8):
        seconds, *_ = restore(
            source, folder / f"c{chunks}.zarr", "--chunks", chunks, "--workers", 1
        )
        print(f"  chunks of {chunks:5d}: {seconds / alone - 1:+.0%}")
    scheduler(folder)


def network(folder, source, args):
    """Print how many bytes two workers send to each other, and the prediction."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        words = ("--scheduler", cluster.scheduler_address, "--chunks", args.chunks)
        restore(source, folder / "network.zarr", *words)
        with Client(cluster) as client:
            moved = sum(client.run(received).values())
    predicted = plan(source, 2, args.chunks)["network"]
    print(f"bytes between 2 workers: {moved / 1e6:.1f} MB, predicted {predicted / 1e6:.1f} MB")


def received(dask_worker):
    """Return the bytes that a worker has received from others."""
    return sum(each["total"] for each in dask_worker.transfer_incoming_log)


def scheduler(folder):
    """Print what Dask takes by number of chunks: a store of small chunks without noise."""
    print("cost of graph and scheduler by number of chunks (sigma 0, so that nothing is filtered)")
    for count in (8, 16, 32):
        side = 64 * count
        path = folder / f"small{count}.zarr"
        zarr.create_array(path, data=np.zeros((side, side), np.uint8), chunks=(64, 64))
        start = time.perf_counter()
        words = ("--sigma", 0, "--scheduler", "local:2", "--chunks", 64)
        target = folder / f"small{count}-out.zarr"
        subprocess.run(command("denoise", path, "-o", target, *words), check=True)
        seconds = time.perf_counter() - start
        each = 1e3 * seconds / count**2
        print(f"  {count**2:5d} chunks: {seconds:6.1f} s, {each:.1f} ms a chunk")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=30000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--chunks", type=int, default=1024)
    parser.add_argument("--memory", type=float, default=3e9)
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        (table if args.rows else compared)(Path(folder), args)


if __name__ == "__main__":
    main()
