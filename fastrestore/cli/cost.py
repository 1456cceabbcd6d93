"""What restoring a large image in parts costs: tasks, overlap, memory, network and time."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastrestore
from fastrestore._arrays.validate import usable_processors
from fastrestore._chunked.cuts import Cuts, farthest, reaches
from fastrestore._collaborative.profile import named_profile
from fastrestore._io.images import to_type
from fastrestore._io.stores import zarrs
from fastrestore._io.stores.partial import write_part
from fastrestore._io.stores.source import Place
from fastrestore.backends.protocol import Execution, Which
from fastrestore.backends.select import select

STAGES: dict[str, tuple[Which, ...]] = {"basic": ("basic",), "final": ("basic", "final")}
SIDES = (1024, 768, 512, 384, 256, 192, 128)  # of chunks, from which --memory chooses
_SAMPLE = 512  # rows and columns of the image that is restored to measure the rates
_SIGMA = 20.0  # of its noise, for a range of 255
_ESTIMATE = 4  # bytes of a pixel of the basic estimate
_WAVE = 3  # rows of chunks whose estimates are held, because chunks below need them
_COPIES = 4  # of a chunk with its overlap, while it is restored: parts, joined, loaded, result
_TASKS = 5  # for a chunk, besides two for each stage
_SURVEY = 2**20  # pixels of a sample, on which noise and range are measured
_START = 6.0  # seconds until workers have loaded the package and its kernels


class Job(NamedTuple):
    """What is to be restored, and by how many workers."""

    shape: tuple[int, ...]  # planes, rows, columns
    dtype: np.dtype[Any]
    side: int
    workers: int
    profile: str = "np"
    stage: str = "final"

    @property
    def stages(self) -> tuple[Which, ...]:
        """The stages that are run."""
        return STAGES[self.stage]

    @property
    def planes(self) -> int:
        """Number of images."""
        return math.prod(self.shape[:-2])

    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the chunks along rows and columns; a last one that is short is added."""
        return tuple(_sizes(size, self.side) for size in self.shape[-2:])

    @property
    def parts(self) -> int:
        """Number of chunks."""
        return self.planes * math.prod(map(len, self.chunks()))

    def read(self, which: Which) -> int:
        """Pixels that a stage filters, overlap included."""
        reach = reaches(named_profile(self.profile), which, 2)
        cuts = Cuts.of(self.chunks(), farthest([reach]))
        lengths: list[int] = []
        for axis, sizes in enumerate(self.chunks()):
            numbers = ((k, 0) if axis == 0 else (0, k) for k in range(len(sizes)))
            parts = [cuts.spans(number)[axis].read(reach[axis]) for number in numbers]
            lengths.append(sum(part.stop - part.start for part in parts))
        return self.planes * math.prod(lengths)


class Rates(NamedTuple):
    """Seconds on one processor, with as many others busy as there will be."""

    stages: dict[str, float]  # for a pixel
    chunk: float  # for rounding, writing and checking a pixel


class Cost(NamedTuple):
    """What a job costs."""

    chunks: int
    tasks: int
    overlap: float  # share of the pixels that are filtered once more
    memory: float  # bytes of a worker
    network: float  # bytes between workers
    seconds: float


def cost(job: Job, rates: Rates, base: float) -> Cost:
    """Predict what a job costs; `base` is the memory of a worker that has nothing to do."""
    pixels = math.prod(job.shape)
    work = {which: job.read(which) * rates.stages[which] for which in job.stages}
    once = sum(pixels * rates.stages[which] for which in job.stages)
    filtered = sum(work.values()) + pixels * rates.chunk
    rounds = math.ceil(job.parts / job.workers) * job.workers / job.parts
    return Cost(
        job.parts, _tasks(job), sum(work.values()) / once - 1, base + memory(job),
        _network(job), _START + filtered * rounds / job.workers,
    )  # fmt: skip


def side_within(limit: float, job: Job, processes: int) -> int:
    """Return the rows and columns of the largest chunks that fit in memory; 0 if none fit.

    `processes` load the package.
    """
    base = processes * own_memory()
    for side in SIDES:
        if base + job.workers * memory(job._replace(side=side)) <= limit:
            return side
    return 0


def _sizes(size: int, side: int) -> tuple[int, ...]:
    """Divide an axis."""
    return tuple(min(side, size - first) for first in range(0, size, side))


def _tasks(job: Job) -> int:
    """Count the tasks of Dask: to look at a chunk, read it, copy borders, filter and write."""
    return job.parts * (_TASKS + 2 * len(job.stages))


def memory(job: Job) -> float:
    """Bytes of the kernels for a chunk, and of chunks that are held for others."""
    profile, backend = named_profile(job.profile), select(None)
    depth = max(reaches(profile, which, 2)[0].depth for which in job.stages)
    high, wide = (min(size, job.side + 2 * depth) for size in job.shape[-2:])
    kernels = backend.bm3d_memory((1, high, wide), 0, profile, Execution(workers=1))
    rows, columns = map(len, job.chunks())
    held = min(_WAVE, rows) * columns * job.side**2 * (_ESTIMATE + job.dtype.itemsize)
    own = _COPIES * high * wide * (_ESTIMATE + job.dtype.itemsize)
    return float(kernels + own + held / job.workers)


def _network(job: Job) -> float:
    """Bytes that come from other workers, if each chunk is on any of them, and two samples.

    Less is moved if chunks stay where their neighbors are, which Dask attempts.
    """
    moved = 2.0 * min(_SURVEY, math.prod(job.shape)) * job.dtype.itemsize
    for which in job.stages:
        pilot = _ESTIMATE if which != job.stages[0] else 0
        moved += job.read(which) * (job.dtype.itemsize + pilot)
    return moved * (1 - 1 / job.workers)


def measured(job: Job) -> Rates:
    """Measure the rates with as many threads as there are workers, or processors."""
    count = min(job.workers, usable_processors())
    random = np.random.default_rng(0)
    image = _scene() + random.normal(0, _SIGMA, (_SAMPLE, _SAMPLE))
    noisy = image.astype(np.float32)
    basic = fastrestore.bm3d(noisy, _SIGMA, stage="basic", profile=job.profile)

    def first() -> None:
        fastrestore.bm3d(noisy, _SIGMA, stage="basic", profile=job.profile, workers=1)

    def second() -> None:
        fastrestore.bm3d(noisy, _SIGMA, pilot=basic, profile=job.profile, workers=1)

    with ThreadPoolExecutor(count) as pool, tempfile.TemporaryDirectory() as folder:
        stages = {"basic": _seconds(pool, count, first)}
        if "final" in job.stages:
            stages["final"] = _seconds(pool, count, second)
        chunk = _seconds(pool, count, lambda: _handle(Path(folder), basic, job.dtype))
    pixels = _SAMPLE**2
    return Rates({name: value / pixels for name, value in stages.items()}, chunk / pixels)


def _seconds(pool: ThreadPoolExecutor, count: int, function: Callable[[], None]) -> float:
    """Return the least mean time of a function in three runs of all threads.

    Time of the processors is counted, which other programs that are running do not change much.
    """
    times = []
    for _ in range(3):
        start = time.process_time()
        for each in [pool.submit(function) for _ in range(count)]:
            each.result()
        times.append((time.process_time() - start) / count)
    return min(times)


def _handle(folder: Path, values: Any, dtype: np.dtype[Any]) -> None:
    """Round, write and check a part, as a task does."""
    path = Path(tempfile.mkdtemp(dir=folder)) / f"a{zarrs.EXTENSION}"
    part = to_type(values, dtype)
    zarrs.need_zarr().create_array(path, shape=part.shape, dtype=dtype, chunks=part.shape)
    write_part(part, Place("zarr", str(path)), (0, 0), part.shape)


def _scene() -> Any:
    """Draw edges, ramps and textures on a range of 255."""
    y, x = np.mgrid[:_SAMPLE, :_SAMPLE] / _SAMPLE
    waves = np.sin(40 * x * (1 + y)) * np.sin(25 * y) * 40
    return 60 + 60 * x + waves + 60 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.08)


def own_memory() -> float:
    """Memory of this process, which has loaded the kernels, as a worker will."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not on Linux
        return 350e6
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
