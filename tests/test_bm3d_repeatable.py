"""Results do not depend on threads, processes or tiles."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.images import camera, noisy, scene

from fastrestore import BM3DPlan, Profile, bm3d
from fastrestore._collaborative.tiling import Grid
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select


def image():
    return noisy(camera(40, 150, 181, 170), 25).astype(np.float32)


@pytest.fixture(scope="module")
def expected():
    return bm3d(image(), 25, workers=2)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, -1, None])
def test_workers_do_not_change_results(expected, workers):
    np.testing.assert_array_equal(bm3d(image(), 25, workers=workers), expected)


def test_repeated_calls_give_equal_results(expected):
    for _ in range(3):
        np.testing.assert_array_equal(bm3d(image(), 25), expected)


def test_many_threads_at_once(expected):
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: bm3d(image(), 25, workers=2), range(8)):
            np.testing.assert_array_equal(result, expected)


def _child(queue):
    queue.put(bm3d(image(), 25))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this platform"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_under_fork(expected):
    """Python 3.12 warns about a fork while threads run; ours have ended before it."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    result = queue.get(timeout=120)
    child.join()
    np.testing.assert_array_equal(result, expected)


# Two stages of twice the search radius and a block less one: 2 * (2 * 19 + 8 - 1).
HALO = 90


@pytest.mark.parametrize("origin", [(0, 0), (3, 96), (48, 99), (99, 51)])
def test_a_tile_with_its_halo_equals_the_whole(origin):
    """Tiles are cut on the grid of reference blocks, at multiples of the step."""
    whole_image = noisy(camera(0, 100, 330, 290), 25).astype(np.float32)
    whole = bm3d(whole_image, 25, data_range=255)
    top, left = origin
    height, width = min(231, 330 - top), min(213, 290 - left)
    tile = bm3d(whole_image[top : top + height, left : left + width], 25, data_range=255)
    inner = tuple(
        slice(
            HALO if start else 0,
            size if start + size == full else size - HALO,
        )
        for start, size, full in zip(origin, tile.shape, whole.shape, strict=True)
    )
    part = whole[top : top + height, left : left + width]
    assert tile[inner].size > 1000
    np.testing.assert_array_equal(tile[inner], part[inner])


@pytest.mark.parametrize("stage", ["basic", "final"])
def test_the_halo_is_no_larger_than_needed(stage):
    """A changed pixel affects results within the halo, and beyond half of it."""
    clean = camera(0, 100, 250, 250)
    before = noisy(clean, 25).astype(np.float32)
    after = before.copy()
    after[125, 125] += 200
    a, b = (bm3d(z, 25, data_range=255, stage=stage) for z in (before, after))
    rows, columns = np.nonzero(a != b)
    reach = max(np.abs(rows - 125).max(), np.abs(columns - 125).max())
    limit = HALO // 2 if stage == "basic" else HALO
    assert limit / 2 < reach <= limit


@pytest.mark.parametrize("profile", ["fast", "lc", "np", "vn"])
def test_memory_limit_does_not_change_results(profile):
    image = noisy(camera(100, 100, 310, 260), 20)
    expected = bm3d(image, 20, profile=profile)
    grid = Grid.of(Profile.named(profile), ("basic", "final"))
    side = grid.least() + 60
    run = Execution(1)
    limit = select("numba").bm3d_memory((1, side, side), 0, Profile.named(profile), run)
    assert len(list(grid.tiles(image.shape, side))) >= 4
    np.testing.assert_array_equal(bm3d(image, 20, profile=profile, max_memory=limit), expected)


@pytest.mark.parametrize("options", [{"stage": "basic"}, {"pilot": True}, {"guide": True},
    {"channel_axis": 0}, {"sigma": np.linspace(0, 30, 300)}, {"noise_kernel": np.ones((3, 3)) * 5},
])  # fmt: skip
def test_tiles_with_each_option(options):
    clean = camera(100, 100, 280, 300)
    image = noisy(clean, 20)
    if "channel_axis" in options:
        image = np.stack([image, image[::-1], clean])
    given = {k: clean if v is True else v for k, v in options.items()}
    given = {"sigma": None if "noise_kernel" in options else 20, **given}
    profile = Profile.named("fast").replace(step_basic=4)
    expected = bm3d(image, profile=profile, **given)
    tiled = bm3d(image, profile=profile, max_memory=3.4e6 * (1 + 2 * (image.ndim - 2)), **given)
    np.testing.assert_array_equal(tiled, expected)
    seen = []
    bm3d(image, profile=profile, max_memory=4e6 * (1 + 2 * (image.ndim - 2)), **given,
         progress=lambda done, total: seen.append(done / total))  # fmt: skip
    assert seen[-1] == 1
    assert seen == sorted(seen)


def test_too_little_memory():
    image = noisy(scene(200, 210), 20)
    with pytest.raises(MemoryError, match=r"max_memory=1000 bytes .* a tile of \d+x"):
        bm3d(image, 20, max_memory=1000)
    with pytest.raises(MemoryError, match="'refilter' filters the residual again, without tiles"):
        bm3d(image, 20, max_memory=1000, profile="refilter")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_plan_that_another_thread_used_during_a_fork():
    small = image()[:40, :40]
    plan = BM3DPlan(small.shape, sigma=25, profile="fast", workers=1)
    expected = plan(small)
    entered, left = threading.Event(), threading.Event()

    def hold():
        with plan._lock:
            entered.set()
            left.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(60)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)  # ends the child if the lock is never released
        status = 1
        try:
            np.testing.assert_array_equal(plan(small), expected)
            status = 0
        finally:
            os._exit(status)
    left.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
