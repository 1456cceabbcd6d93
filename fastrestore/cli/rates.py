"""Measure how fast worker processes of this computer restore parts of a large image.

The processes are started as `--scheduler local:N` starts them, and all are busy at a time, so that
they share caches and memory as in a run. What is counted is the time of the processors, which other
programs change less than the time that passes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastrestore
from fastrestore._arrays.validate import usable_processors
from fastrestore._io.images import to_type
from fastrestore._io.stores import choose, zarrs
from fastrestore._io.stores.partial import Partial
from fastrestore._io.stores.source import Source
from fastrestore.cli import layers, schedulers, store
from fastrestore.cli.cost import Job, Rates, Used, depth_of

_SIDE = 1024  # rows and columns of the largest chunk that is measured
_LEAST = 192  # of the smallest whose graph is that of larger ones
_SIGMA = 20.0  # noise of the image that is drawn, for a range of 255
_REPEATS = 2
_PAUSE = 2.0  # seconds in which processes that have nothing to do are watched
_ROWS = (5, 10)  # least and most rows of chunks of the image that is written
_PIXELS = 5000  # rows that this image has about


class Sample(NamedTuple):
    """A part of a noisy image."""

    values: Any  # rows, columns
    sigma: float


def sample(job: Job, source: Source | None) -> Sample:
    """Return the middle of an image; without an image, or without noise in it, a drawn one."""
    wide = 2 * depth_of(job) + min(job.side, _SIDE)
    if source is not None:
        middle = tuple(size // 2 for size in source.shape[:-2])
        part = tuple(_middle(size, wide) for size in source.shape[-2:])
        values = source.values[(*middle, *part)]
        sigma = float(np.mean(fastrestore.estimate_noise(values).sigma))
        if sigma > 0:
            return Sample(values, sigma)
    rows, columns = (min(size, wide) for size in job.shape[-2:])
    noise = np.random.default_rng(0).normal(0, _SIGMA, (rows, columns))
    scale = 1.0 if job.dtype.kind == "f" else min(np.iinfo(job.dtype).max, 65535) / 255
    return Sample(to_type(scale * (_scene(rows, columns) + noise), job.dtype), scale * _SIGMA)


def _middle(size: int, wide: int) -> slice:
    first = max(0, (size - wide) // 2)
    return slice(first, min(size, first + wide))


def _scene(rows: int, columns: int) -> Any:
    """Draw edges, ramps and textures on a range of 255."""
    y, x = (each % 512 / 512 for each in np.mgrid[:rows, :columns])
    waves = np.sin(40 * x * (1 + y)) * np.sin(25 * y) * 40
    return 60 + 60 * x + waves + 60 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.08)


def measured(job: Job, part: Sample) -> Rates:
    """Measure with as many processes as there are workers, or processors."""
    loaded = time.process_time()  # of a command, until it begins
    count = min(job.workers, usable_processors())
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, schedulers.processes(count) as client:
        _run(client, Path(folder), part, 2, _LEAST, job)
        opened = time.perf_counter() - start
        idle = _idle(client, count)
        stages = _stages(client, job, part)
        used = _parts(client, Path(folder), part, idle, job)
        start = time.perf_counter()
    closed = time.perf_counter() - start
    return Rates(stages, used, idle, loaded + opened + closed, usable_processors())


def _idle(client: Any, count: int) -> Used:
    """Return the share of a processor that a worker, and the scheduler, take without a task."""
    before = _used(client)
    time.sleep(_PAUSE)
    used = _used(client).since(before)
    return Used(used.worker / count / _PAUSE, used.server / _PAUSE)


def _stages(client: Any, job: Job, part: Sample) -> dict[str, float]:
    """Return the time of each stage for a pixel, with all workers busy."""
    tasks = [
        client.submit(_seconds, part, job, workers=[worker], pure=False)
        for worker in client.nthreads()
    ]
    found = client.gather(tasks)
    return {which: float(np.mean([each[which] for each in found])) for which in job.stages}


def _seconds(part: Sample, job: Job) -> dict[str, float]:
    """Return the mean time of each stage for a pixel, in a worker."""
    call: dict[str, Any] = {"sigma": part.sigma, "profile": job.profile, "workers": 1}
    pilot = fastrestore.bm3d(part.values, **call, stage="basic")
    spent: dict[str, float] = {}
    for which in job.stages:
        own = {"stage": "basic"} if which == "basic" else {"pilot": pilot}
        start = time.thread_time()
        for _ in range(_REPEATS):
            fastrestore.bm3d(part.values, **call, **own)
        spent[which] = (time.thread_time() - start) / _REPEATS / part.values.size
    return spent


def _parts(client: Any, folder: Path, part: Sample, idle: Used, job: Job) -> Used:
    """Return what a chunk takes besides its stages: tasks, reading, writing and checking it."""
    side = max(_LEAST, min(job.side, _SIDE))
    rows = int(np.clip(_PIXELS // side, *_ROWS))
    before, start = _used(client), time.perf_counter()
    _run(client, folder, part._replace(sigma=0.0), rows, side, job)
    used, elapsed = _used(client).since(before), time.perf_counter() - start
    count = len(client.nthreads())
    larger = max(1.0, (job.side / side) ** 2)
    return Used(
        larger * max(0.0, used.worker - idle.worker * elapsed * count) / rows**2,
        max(0.0, used.server - idle.server * elapsed) / rows**2,
    )


def _used(client: Any) -> Used:
    workers = sum(client.run(time.process_time).values())
    return Used(workers, time.process_time())


def _run(client: Any, folder: Path, part: Sample, rows: int, side: int, job: Job) -> None:
    """Restore a store with rows and columns of equal chunks, as the command does."""
    path, target = (folder / f"{name}-{rows}x{side}{zarrs.EXTENSION}" for name in ("in", "out"))
    _write(path, part.values, rows, side)
    source = choose.read_source(path)
    plan = layers.Plan("YX", "planes", {"Y": side, "X": side})
    partial = Partial(target, source, (side, side), {})

    def lazy(values: Any, *_: Any) -> Any:
        return fastrestore.bm3d(values, part.sigma, stage=job.stage, profile=job.profile, workers=1)

    try:
        runner = schedulers.Cluster(client, "local")
        store.run(argparse.Namespace(quiet=True), partial, plan, (side, side), lazy, runner)
        partial.finish()
    finally:
        partial.close()


def _write(path: Path, values: Any, rows: int, side: int) -> None:
    """Write an image that repeats a part."""
    short = [(0, max(0, side - size)) for size in values.shape]
    values = np.pad(values, short, mode="symmetric")[:side, :side]
    shape = (rows * side, rows * side)
    array = zarrs.need_zarr().create_array(
        path, shape=shape, dtype=values.dtype, chunks=(side, side)
    )
    for row in range(rows):
        array[row * side : (row + 1) * side] = np.tile(values, rows)
