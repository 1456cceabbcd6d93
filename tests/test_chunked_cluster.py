"""Dask arrays on worker processes: a worker that is killed, one with another version."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest

import fastrestore
from fastrestore import Profile

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
versions = pytest.importorskip("fastrestore._chunked.versions")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]

SMALL = Profile.named("np").replace(
    radius_basic=3, radius_final=4, block_basic=4, block_final=4, step_basic=3, step_final=2
)
LONGEST = 120  # seconds to wait for a result


@contextlib.contextmanager
def cluster(count, **options):
    with (
        distributed.LocalCluster(
            count, threads_per_worker=1, dashboard_address=None, memory_limit=0, **options
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


def image():
    noisy = np.random.default_rng(0).normal(100, 15, (300, 320)).astype(np.float32)
    noisy[90:, 50:] += 60
    return noisy


def computed(dask_scheduler):
    """Return how many chunks have their basic estimate."""
    return sum("image-basic" in str(key) for key, task in dask_scheduler.tasks.items()
               if task.state == "memory")  # fmt: skip


def test_a_killed_worker_changes_nothing():
    noisy = image()
    lazy = fastrestore.bm3d(da.from_array(noisy, chunks=(30, 32)), 15, profile=SMALL)
    with cluster(3) as client:
        pids = list(client.run(os.getpid).values())
        future = client.compute(lazy)
        until = time.monotonic() + LONGEST
        while client.run_on_scheduler(computed) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        assert not future.done()
        os.kill(pids[0], signal.SIGKILL)
        result = future.result(timeout=LONGEST)
        assert pids[0] not in client.run(os.getpid).values()
    np.testing.assert_array_equal(result, fastrestore.bm3d(noisy, 15, profile=SMALL))


def test_kernels_use_one_thread_in_a_worker():
    lazy = fastrestore.bm3d(da.from_array(image(), chunks=150), 15, profile=SMALL)
    facts = next(
        part for key, part in dict(lazy.__dask_graph__()).items() if "facts_of" in str(key)
    )
    parts = getattr(facts, "args", facts)  # a tuple in older versions of Dask
    settings = next(part for part in parts if hasattr(part, "workers"))
    assert settings.workers == 1


@pytest.mark.parametrize(
    ("found", "message"),
    [("None", r"has none \("), ("type(sys)('fastrestore')", r"has 0\.0\.1")],
)
def test_workers_are_asked_for_their_version_before_the_graph_is_built(found, message):
    preload = [f"import sys\nsys.modules['fastrestore'] = other = {found}\n"
               "if other: other.__version__ = '0.0.1'"]  # fmt: skip
    lazy = da.from_array(image(), chunks=150)
    with cluster(1, preload=preload), pytest.raises(RuntimeError, match=message):
        fastrestore.bm3d(lazy, 15, profile=SMALL)


def test_a_worker_with_another_version_is_reported(monkeypatch):
    lazy = fastrestore.bm3d(da.from_array(image(), chunks=150), 15, profile=SMALL)
    monkeypatch.setattr(fastrestore, "__version__", "0.0.1")
    with pytest.raises(RuntimeError, match=r"fastrestore 0\.0\.1 on this worker.*graph is of"):
        lazy.compute(scheduler="synchronous")
