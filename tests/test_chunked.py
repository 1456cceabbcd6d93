"""Dask arrays: chunks give the result of the whole image, bit for bit."""

import warnings

import numpy as np
import pytest

import fastrestore
from fastrestore import Profile

da = pytest.importorskip("dask.array")

# Small blocks and search windows, so that small images have several chunks
SMALL = Profile.named("np").replace(
    radius_basic=3, radius_final=4, block_basic=4, block_final=4, step_basic=3, step_final=2
)
SHAPE, CHUNKS = (61, 75), (25, 31)


def photograph(shape=SHAPE, dtype=np.float32):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 15, shape)
    image[shape[0] // 3 :, shape[1] // 4 :] += 60
    return (image + np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))).astype(dtype)


def check(image, chunks=CHUNKS, **options):
    """Compare the result of chunks with that of the whole image."""
    options = {"profile": SMALL, **options}
    whole = fastrestore.bm3d(image, **options)
    lazy = fastrestore.bm3d(da.from_array(image, chunks=chunks), **options)
    assert isinstance(lazy, da.Array)
    assert (lazy.dtype, lazy.shape, type(lazy._meta)) == (whole.dtype, whole.shape, np.ndarray)
    result = lazy.compute(scheduler="synchronous")
    assert result.dtype == whole.dtype
    np.testing.assert_array_equal(result, whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_chunks_equal_the_whole_gray_image(dtype):
    check(photograph(dtype=dtype), sigma=15)


def test_chunks_equal_the_whole_color_image():
    check(photograph((*SHAPE, 3)), (25, 31, 2), sigma=15, channel_axis=-1)


def test_chunks_equal_the_whole_image_with_a_map():
    sigma = np.linspace(5, 40, 61 * 75).reshape(SHAPE)
    check(photograph(), sigma=sigma)


def test_an_array_of_xarray_keeps_its_coordinates():
    xarray = pytest.importorskip("xarray")
    image = photograph()
    names = {"y": np.arange(61) * 0.5, "x": np.arange(75)}
    given = xarray.DataArray(image, names, ("y", "x"), "tile", {"units": "counts"})
    for labeled in (given, given.chunk({"y": 25, "x": 31})):
        result = fastrestore.bm3d(labeled, 15, profile=SMALL)
        assert type(result.data) is type(labeled.data)
        xarray.testing.assert_identical(
            result.compute(), given.copy(data=fastrestore.bm3d(image, 15, profile=SMALL))
        )


def test_unfit_chunks_are_joined_with_a_warning():
    image = photograph()
    lazy = da.from_array(image, chunks=(7, 75))
    with pytest.warns(UserWarning, match=r"chunks as small as \(5, 75\).*rechunked to \(61, 75\)"):
        restored = fastrestore.bm3d(lazy, 15, profile=SMALL)
    np.testing.assert_array_equal(restored, fastrestore.bm3d(image, 15, profile=SMALL))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a short last chunk is joined to the one before
        assert fastrestore.bm3d(lazy.rechunk(58), 15, profile=SMALL).shape == (61, 75)


def test_nan_in_one_chunk_is_reported_before_any_chunk_is_restored():
    image = photograph()
    image[60, 70] = np.nan
    lazy = fastrestore.bm3d(da.from_array(image, chunks=CHUNKS), 15, profile=SMALL)
    with pytest.raises(ValueError, match=r"1 in a chunk .* begins at \(25, 62\).* nan at \(60, 70"):
        lazy.compute(scheduler="synchronous")
