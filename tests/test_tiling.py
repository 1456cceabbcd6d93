"""Tiles: halo, grid, coverage, and the exactness that follows from them."""

import math

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from fastrestore import Profile
from fastrestore._collaborative.tiling import Grid

STAGES = ("basic", "final")
SHAPES = [(300, 417), (90, 1000), (64, 64), (257, 1)]


def size(span):
    return span.stop - span.start


def grids():
    return [Grid.of(Profile.named(name), STAGES) for name in ("fast", "lc", "np")] + [
        Grid(halo=5, multiple=3), Grid(halo=0, multiple=1), Grid(halo=7, multiple=12),
    ]  # fmt: skip


@pytest.mark.parametrize("stages", [("basic",), ("final",), STAGES])
def test_the_halo_is_the_sum_of_all_stages(stages):
    profile = Profile.named("np").replace(
        radius_basic=5, block_basic=4, step_basic=2, radius_final=7, block_final=6, step_final=3
    )
    grid = Grid.of(profile, stages)
    halos = {"basic": 2 * 5 + 4 - 1, "final": 2 * 7 + 6 - 1}
    steps = {"basic": 2, "final": 3}
    assert grid.halo == sum(halos[stage] for stage in stages)
    assert grid.multiple == math.lcm(*(steps[stage] for stage in stages))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grid", grids(), ids=str)
@pytest.mark.parametrize("more", [0, 1, 40])
def test_tiles_cover_the_image_once(shape, grid, more):
    side = grid.least() + more
    count = np.zeros(shape, int)
    for tile in grid.tiles(shape, side):
        count[tile.write] += 1
        for axis in (0, 1):
            read, write, inner = tile.read[axis], tile.write[axis], tile.inner[axis]
            assert size(read) <= side
            assert read.start % grid.multiple == 0
            assert read.start + inner.start == write.start
            assert size(inner) == size(write) > 0
            assert read.start <= max(0, write.start - grid.halo)
            assert read.stop >= min(shape[axis], write.stop + grid.halo)
            assert read.stop <= shape[axis]
    assert (count == 1).all()


def test_small_images_are_one_tile():
    grid = Grid(halo=5, multiple=3)
    tiles = list(grid.tiles((20, 30), 30))
    assert len(tiles) == 1
    assert tiles[0].read == tiles[0].write == tiles[0].inner == (slice(0, 20), slice(0, 30))
    assert len(list(grid.tiles((20, 31), 30))) > 1


@pytest.mark.parametrize("halo", [0, 3, 8])
def test_tiles_are_exact(halo):
    """A filter that reaches as far as the halo, on a grid of references, gives the same result."""
    image = np.random.default_rng(0).random((83, 120))
    grid = Grid(halo, multiple=4)

    def filtered(part):
        largest = maximum_filter(part, 2 * halo + 1, mode="nearest")
        largest[::4, ::4] = 0  # the grid begins at the corner of the part
        return largest

    result = np.empty_like(image)
    for tile in grid.tiles(image.shape, grid.least() + 9):
        result[tile.write] = filtered(image[tile.read])[tile.inner]
    np.testing.assert_array_equal(result, filtered(image))
    if halo:  # a smaller halo is not enough
        short = Grid(halo - 1, multiple=4)
        for tile in short.tiles(image.shape, short.least() + 1):
            result[tile.write] = filtered(image[tile.read])[tile.inner]
        assert not np.array_equal(result, filtered(image))


def test_the_largest_side_within_a_limit():
    grid, shape = Grid(halo=5, multiple=3), (200, 300)

    def cost(height, width):
        return height * width

    for limit in (16**2, 1000, 20000, 59999):
        side = grid.side(shape, limit, cost)
        assert cost(min(side, 200), min(side, 300)) <= limit
        assert cost(min(side + 1, 200), min(side + 1, 300)) > limit
    assert grid.side(shape, 60000, cost) == 300
    assert grid.side(shape, grid.least() ** 2, cost) == grid.least()
    assert grid.side(shape, grid.least() ** 2 - 1, cost) == 0
