"""What restoring a large image in parts costs: tasks, overlap, memory, network and time."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastrestore._chunked.cuts import Cuts, farthest, reaches
from fastrestore._collaborative.profile import named_profile
from fastrestore.backends.protocol import Execution, Which
from fastrestore.backends.select import select

STAGES: dict[str, tuple[Which, ...]] = {"basic": ("basic",), "final": ("basic", "final")}
SIDES = (1024, 768, 512, 384, 256, 192, 128)  # of chunks, from which --memory chooses
_ESTIMATE = 4  # bytes of a pixel of the basic estimate
_WAVE = 3  # rows of chunks whose estimates are held, because chunks below need them
_COPIES = 4  # of a chunk with its overlap, while it is restored: parts, joined, loaded, result
_TASKS = 5  # for a chunk, besides two for each stage
_SURVEY = 2**20  # pixels of a sample, on which noise and range are measured


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


class Used(NamedTuple):
    """Seconds of processors."""

    worker: float
    server: float  # scheduler and client, which are one process, and use one processor

    def since(self, before: Used) -> Used:
        """Return what was used between two moments."""
        return Used(self.worker - before.worker, self.server - before.server)


class Rates(NamedTuple):
    """Seconds of processors, with as many others busy as there will be."""

    stages: dict[str, float]  # for a pixel
    part: Used  # for a chunk, besides the stages: tasks, reading, writing and checking it
    idle: Used  # for each second, whatever is done
    start: float  # seconds until workers have loaded the package, and until they have ended
    processors: int  # of the computer


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
    work = {which: job.read(which) * rates.stages[which] for which in job.stages}
    once = sum(math.prod(job.shape) * rates.stages[which] for which in job.stages)
    stages = sum(work.values())
    return Cost(
        job.parts, _tasks(job), stages / once - 1, base + memory(job), _network(job),
        rates.start + _seconds(job, rates, stages),
    )  # fmt: skip


def _seconds(job: Job, rates: Rates, stages: float) -> float:
    """Return the time from the first chunk to the last.

    It is that of the workers, or of the scheduler if it cannot keep up. Workers that are no more
    than the processors of this computer share them with the scheduler and the client.
    """
    rounds = math.ceil(job.parts / job.workers) / job.parts
    worker = (stages + job.parts * rates.part.worker) * rounds
    server = job.parts * rates.part.server
    bounds = [worker / (1 - rates.idle.worker), server / (1 - rates.idle.server)]
    if job.workers <= rates.processors:
        free = rates.processors - job.workers * rates.idle.worker - rates.idle.server
        bounds.append((job.workers * worker + server) / free)
    return max(bounds)


def side_within(limit: float, job: Job, processes: int) -> int:
    """Return the rows and columns of the largest chunks that fit in memory; 0 if none fit.

    `processes` load the package.
    """
    for side in SIDES:
        if memory_of_all(job._replace(side=side), processes) <= limit:
            return side
    return 0


def memory_of_all(job: Job, processes: int) -> float:
    """Bytes of all workers, in processes of this computer that load the package."""
    return processes * own_memory() + job.workers * memory(job)


def _sizes(size: int, side: int) -> tuple[int, ...]:
    """Divide an axis."""
    return tuple(min(side, size - first) for first in range(0, size, side))


def _tasks(job: Job) -> int:
    """Count the tasks of Dask: to look at a chunk, read it, copy borders, filter and write."""
    return job.parts * (_TASKS + 2 * len(job.stages))


def memory(job: Job) -> float:
    """Bytes of the kernels for a chunk, and of chunks that are held for others."""
    profile, backend = named_profile(job.profile), select(None)
    depth = depth_of(job)
    high, wide = (min(size, job.side + 2 * depth) for size in job.shape[-2:])
    kernels = backend.bm3d_memory((1, high, wide), 0, profile, Execution(workers=1))
    held = min(_WAVE * job.side, job.shape[-2]) * job.shape[-1] * (_ESTIMATE + job.dtype.itemsize)
    own = _COPIES * high * wide * (_ESTIMATE + job.dtype.itemsize)
    return float(kernels + own + held / job.workers)


def depth_of(job: Job) -> int:
    """Return how many pixels a stage reads beyond a chunk, at most."""
    return max(reaches(named_profile(job.profile), which, 2)[0].depth for which in job.stages)


def _network(job: Job) -> float:
    """Bytes that come from other workers, if each chunk is on any of them, and two samples.

    Less is moved if chunks stay where their neighbors are, which Dask attempts.
    """
    moved = 2.0 * min(_SURVEY, math.prod(job.shape)) * job.dtype.itemsize
    for which in job.stages:
        pilot = _ESTIMATE if which != job.stages[0] else 0
        moved += job.read(which) * (job.dtype.itemsize + pilot)
    return moved * (1 - 1 / job.workers)


def own_memory() -> float:
    """Memory of this process, which has loaded the kernels, as a worker will."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not on Linux
        return 350e6
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
