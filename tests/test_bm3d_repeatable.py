"""The same bits whatever the threads, the process, the tile."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from images import camera, noisy

from fastrestore import bm3d


def image():
    return noisy(camera(40, 150, 181, 170), 25).astype(np.float32)


@pytest.fixture(scope="module")
def expected():
    return bm3d(image(), 25, workers=2)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, -1, None])
def test_any_number_of_workers(expected, workers):
    np.testing.assert_array_equal(bm3d(image(), 25, workers=workers), expected)


def test_repeated_calls(expected):
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
    """Python 3.12 warns of any fork with threads about; ours have ended before it."""
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
    """One pixel's change is felt within the halo; a much smaller halo would not do."""
    clean = camera(0, 100, 250, 250)
    before = noisy(clean, 25).astype(np.float32)
    after = before.copy()
    after[125, 125] += 200
    a, b = (bm3d(z, 25, data_range=255, stage=stage) for z in (before, after))
    rows, columns = np.nonzero(a != b)
    reach = max(np.abs(rows - 125).max(), np.abs(columns - 125).max())
    limit = HALO // 2 if stage == "basic" else HALO
    assert limit / 2 < reach <= limit
