"""Limits of GPUs: shared memory, threads of a block, blocks of a grid."""

import numpy as np
import pytest
from support.clips import video
from support.images import assert_close, noisy, scene
from support.stages import image_stage
from support.video_kernels import white as video_white
from support.video_kernels import windows
from support.volume_kernels import estimates, white
from support.volumes import VOLUME, cells
from support.volumes import noisy as noisy_volume

from fastrestore import BackendUnavailableError, BM3DPlan, Profile, bm3d, bm4d, vbm3d
from fastrestore._collaborative.tiling import Grid
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.cupy import _covariance, _image, _layout, engine
from fastrestore.backends.cupy import bm3d as images
from fastrestore.backends.cupy import bm4d as volumes
from fastrestore.backends.cupy import vbm3d as videos
from fastrestore.backends.cupy._layout import (
    Blocks,
    filter_layout,
    match_layout,
    video_match_layout,
)
from fastrestore.backends.protocol import Execution

RUN = Execution(1)
SHARED = {"75": 64, "86": 99, "90": 227}  # KiB by compute capability
LARGE = {
    shape: VOLUME.replace(
        slices_basic=shape[0], block_basic=shape[1], step_slices_basic=1, step_basic=4,
        slices_final=shape[0], block_final=shape[1], step_slices_final=1, step_final=4,
        radius_basic=3, radius_final=3, group_basic=64, group_final=64, transform_basic="dct",
        match_basic=60_000, match_final=60_000,
    )
    for shape in ((8, 8, 8), (1, 16, 16))
}  # fmt: skip


FEW = VOLUME.replace(group_basic=2, group_final=2)  # which compiles soon


def integer(height, width):
    return np.round(np.clip(noisy(scene(height, width), 20), 0, 255)).astype(np.float32)


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("which", ["basic", "final"])
@pytest.mark.parametrize("shape", LARGE)
def test_large_groups_of_large_blocks_fit_every_gpu(stand_in, shape, which, capability):
    stand_in.shared = SHARED[capability] * 1024
    clean = cells(9, 18, 19).astype(np.float32)[None]
    image = noisy_volume(clean, 15)
    expected, actual = estimates(stand_in, image, clean, LARGE[shape], which, white(15))
    assert_close(actual, expected, 255)


@pytest.mark.parametrize(("capability", "warps"), [("75", 2), ("86", 2), ("90", 4)])
def test_wide_windows_fit_every_gpu(stand_in, capability, warps):
    stand_in.shared = SHARED[capability] * 1024
    changes = {"radius_basic": 127, "block_basic": 16, "step_basic": 16, "group_basic": 4}
    stage = video_white({**changes, "transform_basic": "dct", "predict_basic": 3})
    both = windows(stand_in, video(2, 18, 20)[1], stage, [0, 1])
    expected, found = (window.matches([0, 1], 0) for window in both)
    np.testing.assert_array_equal(found.offsets.get(), expected.offsets)
    layout = video_match_layout(Blocks.of(stage)._replace(radius=127))
    assert layout.warps == warps


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("shape", [(2, 2), (8, 8), (16, 16), (1, 4, 4), (8, 8, 8)])
def test_every_group_can_be_filtered(stand_in, capability, shape):
    stand_in.shared = SHARED[capability] * 1024
    for group in (1, 2, 16, 64):
        layout = filter_layout(Blocks(shape, group, 1, 5))
        assert layout.shared <= stand_in.shared
        assert layout.part == group or 2 * layout.shared > 48 * 1024


def test_plans_compile_the_kernels_that_are_launched(stand_in):
    stand_in.shared = SHARED["75"] * 1024
    blocks = {"block_basic": 16, "group_basic": 64, "step_basic": 16, "transform_basic": "dct"}
    BM3DPlan((20, 20), sigma=20, profile=Profile(**blocks), stage="basic", backend="cupy")
    assert any({"-DGROUP=64", "-DPART=32"} <= set(options) for options in stand_in.options)


def test_what_does_not_fit_raises(stand_in):
    stand_in.shared = SHARED["75"] * 1024
    with pytest.raises(
        BackendUnavailableError,
        match=r"a search radius of 127 for blocks of 8x8x8 takes \d+ bytes of shared memory, and "
        r"this GPU has 65536; use a smaller radius, or backend='numba'",
    ):
        match_layout(Blocks((8, 8, 8), 2, 8, 127))


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_tiles_fit_into_one_launch(step):
    profile = Profile(step_basic=step, step_final=8)
    grid = Grid.of(profile, ("basic", "final"))

    def cost(height, width):
        return engine.bm3d_memory((1, height, width), 0, profile, RUN)

    for shape in ((2**18, 100), (2**16, 2**16)):
        side = grid.side(shape, 2**62, cost)
        rows = min(side, shape[0])
        assert side > 2**14
        assert (rows - 8) // step + 2 <= 65535  # thread blocks of the kernels by reference
        assert -(-rows // 4) <= 65535  # of the last kernel
        assert rows * min(side, shape[1]) <= 2**30


def fewer_blocks(monkeypatch, count):
    """Lower the limit of a grid in the backend."""
    for module in (_image, _layout, images, volumes, videos):
        monkeypatch.setattr(module, "MOST_BLOCKS", count)


def assert_grids(fake, most):
    """No launch has had more blocks along y or z."""
    grids = [entry[2] for entry in fake.log if entry[0] == "launch" and entry[1].startswith("bm")]
    assert grids
    assert max(max(grid[1:]) for grid in grids) <= most


def test_images_of_many_rows_are_restored_in_tiles(fake, monkeypatch):
    profile = Profile(
        step_basic=1, step_final=2, radius_basic=1, radius_final=1, group_basic=2, group_final=2
    )
    image = integer(130, 9)
    options = {"profile": profile, "deterministic": True, "backend": "cupy"}
    whole = bm3d(image, 20, **options)
    fewer_blocks(monkeypatch, 90)
    fake.log.clear()
    np.testing.assert_array_equal(bm3d(image, 20, **options), whole)
    assert_grids(fake, 90)


def test_volumes_of_many_rows_are_converted_in_parts(fake, monkeypatch):
    volume = noisy_volume(cells(9, 12, 11), 15)
    expected = bm4d(volume, 15, profile=FEW, backend="cupy")
    fewer_blocks(monkeypatch, 9)  # 14 would be needed for the tall image
    fake.log.clear()
    np.testing.assert_array_equal(bm4d(volume, 15, profile=FEW, backend="cupy"), expected)
    assert_grids(fake, 9)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 9, 9), "1 channels of 6 slices are too many for the kernels, which support 5 slices"),
        (
            (4, 30, 9),
            r"a volume of shape \(4, 30, 9\) is too large for the kernels, which .* 5 ref",
        ),
    ],
)
def test_volumes_of_too_many_blocks_raise(fake, monkeypatch, shape, message):
    fewer_blocks(monkeypatch, 5)
    with pytest.raises(MemoryError, match=message):
        bm4d(fake.asarray(noisy_volume(cells(*shape), 15)), 15, profile=FEW)


def test_frames_of_too_many_rows_raise(fake, monkeypatch):
    fewer_blocks(monkeypatch, 5)
    with pytest.raises(MemoryError, match="frames of 60 rows are too high for the kernels"):
        vbm3d(fake.asarray(video(2, 60, 12)[1]), 20)


def test_tables_of_covariances_may_be_cleared_by_other_threads(monkeypatch):
    class Cleared(dict):
        """As if another thread cleared it after every write."""

        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            self.clear()

    monkeypatch.setattr(_covariance, "_TABLES", Cleared())
    stage = image_stage(Profile(), "basic", PlaneNoise.white(20.0), 255.0)
    assert _covariance.covariance_table(stage).values.shape[-2:] == (8, 8)
