"""Dask arrays: chunks give the result of the whole image, bit for bit."""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrestore
from fastrestore import Profile

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
flatten = pytest.importorskip("dask.core").flatten
arrays = pytest.importorskip("fastrestore._chunked.arrays")
halos = pytest.importorskip("fastrestore._chunked.halos")
Cuts = pytest.importorskip("fastrestore._chunked.cuts").Cuts

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


def restored(function, lazy, *args, **options):
    """Restore an array whose chunks may be too small."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* rechunked to")
        return function(lazy, *args, **options)


def check(image, chunks=CHUNKS, **options):
    """Compare the result of chunks with that of the whole image."""
    options = {"profile": SMALL, **options}
    whole = fastrestore.bm3d(image, **options)
    lazy = restored(fastrestore.bm3d, da.from_array(image, chunks=chunks), **options)
    assert isinstance(lazy, da.Array)
    assert (lazy.dtype, lazy.shape, type(lazy._meta)) == (whole.dtype, whole.shape, np.ndarray)
    result = lazy.compute(scheduler="synchronous")
    assert result.dtype == whole.dtype
    np.testing.assert_array_equal(result, whole)


def sizes(total, least):
    """Chunks of random sizes of an axis, the last of which may be short."""

    def cut(parts):
        out = []
        while sum(out) < total:
            out.append(min(parts[len(out) % len(parts)], total - sum(out)))
        return tuple(out)

    return st.lists(st.integers(least, total), min_size=1, max_size=4).map(cut)


KINDS = {
    "gray": ((), {"sigma": 15}),
    "color": ((3,), {"sigma": 15, "channel_axis": -1}),
    "channels": ((2,), {"sigma": [10, 0], "channel_axis": -1, "colorspace": None}),
    "map": ((), {"sigma": np.linspace(5, 40, 61 * 75).reshape(SHAPE)}),
    "psd": ((), {"noise_kernel": np.full((1, 5), 6.0)}),
    "map and psd": ((), {"sigma": np.full((61, 1), 9.0), "noise_kernel": np.ones((2, 2))}),
    "poisson": ((), {"noise": fastrestore.PoissonGaussian(2.0, 5.0)}),
    "estimated": ((), {"noise": "white"}),
    "basic": ((), {"sigma": 15, "stage": "basic"}),
}


# Whether tasks read the borders of neighbors, or whole neighbors
LARGE = st.sampled_from([0.0, float("inf")])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    chunks=st.tuples(sizes(61, 12), sizes(75, 12)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
    shift=st.sampled_from([0, 0, 1e6]),
    large=LARGE,
)
def test_chunks_of_any_size_give_the_whole_result(kind, chunks, dtype, shift, large):
    more, options = KINDS[kind]
    image = photograph((*SHAPE, *more), dtype) + np.asarray(
        shift if np.dtype(dtype).kind == "f" and kind != "poisson" else 0, dtype
    )
    with patch.object(halos, "LARGE", large):
        check(image, (*chunks, *(1 for _ in more)), **options)


def test_a_gray_image_in_color_is_one_channel():
    gray = photograph()
    check(np.stack([gray] * 3, -1), (25, 31, 1), sigma=15, channel_axis=-1)


def test_levels_by_brightness_and_correlated_channels():
    rng = np.random.default_rng(0)
    clean = photograph((192, 192, 3), np.float64)
    noisy = clean + 0.1 * clean * rng.normal(0, 1, clean.shape)
    spec = fastrestore.estimate_noise(noisy, channel_axis=-1, model="camera")
    assert spec.levels.shape[1] > 1
    check(noisy, (90, 110, 3), profile="fast", noise=spec, channel_axis=-1)


def test_the_profile_for_estimated_noise_is_chosen_by_the_graph():
    image = photograph((170, 300))
    assert fastrestore.estimate_noise(image).model == "white"
    check(image, (85, 150), profile="np")


def test_a_pilot():
    image = photograph()
    check(image, sigma=15, pilot=photograph(dtype=np.float64) / 2 + 50)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    chunks=st.tuples(sizes(18, 6), sizes(25, 8), sizes(33, 8)),
    axes=st.sampled_from([(0, 1, 2), (1, 0, 2), (2, 1, 0)]),
    mapped=st.booleans(),
    large=LARGE,
)
def test_chunks_of_volumes_give_the_whole_result(chunks, axes, mapped, large):
    profile = Profile.named("volume").replace(
        radius_basic=2, radius_final=2, radius_slices_basic=1, radius_slices_final=1,
        slices_basic=2, slices_final=3, step_slices_basic=2, step_slices_final=3,
    )  # fmt: skip
    volume = np.random.default_rng(0).normal(50, 10, (18, 25, 33)).astype(np.float32)
    volume[9:, 12:] += 40
    sigma = np.linspace(5, 20, volume.size).reshape(volume.shape).transpose(axes) if mapped else 10
    volume, chunks = volume.transpose(axes), tuple(chunks[k] for k in axes)
    whole = fastrestore.bm4d(volume, sigma, profile=profile)
    lazy = da.from_array(volume, chunks=chunks)
    with patch.object(halos, "LARGE", large):
        lazy = restored(fastrestore.bm4d, lazy, sigma, profile=profile)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole)


def test_repeated_slices_are_refused():
    volume = np.random.default_rng(0).normal(50, 10, (44, 20, 20))
    volume[13] = volume[12]
    lazy = fastrestore.bm4d(da.from_array(volume, chunks=(22, 20, 20)), 10, slice_axis=0)
    with pytest.raises(ValueError, match=r"1 slices that are equal .* number 13 of 43"):
        lazy.compute(scheduler="synchronous")


@pytest.mark.parametrize("case", ["plain", "basic", "scenes", "color", "estimated"])
def test_chunks_of_frames_give_the_whole_video(case):
    shape = (14, 40, 44, 3) if case == "color" else (14, 40, 44)
    frames = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    for k, frame in enumerate(frames):
        frame[10 + k :] += 60
    if case == "scenes":
        frames[7:] = 255 - frames[7:]
    options = {"sigma": None if case == "estimated" else 10, "radius": 1}
    options |= {"stage": "basic"} if case == "basic" else {}
    options |= {"channel_axis": -1} if case == "color" else {}
    whole = fastrestore.vbm3d(frames, **options)
    lazy = fastrestore.vbm3d(da.from_array(frames, chunks=(5, *shape[1:])), **options)
    assert lazy.dtype == whole.dtype
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), whole)


def test_networks_differ_by_rounding_only():
    torch = pytest.importorskip("torch")
    from fastrestore.nets import UNet

    torch.manual_seed(0)
    net = UNet(widths=(6, 8), blocks=1)
    image = photograph((60, 151))
    lazy_image = da.from_array(image, chunks=(33, 50))
    for sigma in (15, None, np.linspace(5, 30, image.size).reshape(image.shape)):
        whole = fastrestore.denoise(image, sigma, method=net, device="cpu")
        lazy = fastrestore.denoise(lazy_image, sigma, method=net, device="cpu")
        assert lazy.numblocks == (2, 3)
        np.testing.assert_allclose(
            lazy.compute(scheduler="synchronous"), whole, rtol=0, atol=1e-5 * np.ptp(whole)
        )


def test_stacks_are_restored_image_by_image():
    stack = np.stack([photograph(), photograph()[::-1]])[:, None]
    options = {"axes": "TCYX", "profile": SMALL}
    whole = fastrestore.denoise(stack, 15, **options)
    lazy = fastrestore.denoise(da.from_array(stack, chunks=(1, 1, 25, 31)), 15, **options)
    np.testing.assert_array_equal(lazy, whole)


def test_sinograms_are_chunks_of_a_stack():
    rng = np.random.default_rng(0)
    stack = 50 + rng.normal(0, 1, (3, 40, 64)) + rng.normal(0, 2, (3, 1, 64))
    whole = fastrestore.remove_streaks(stack)
    lazy = fastrestore.remove_streaks(da.from_array(stack, chunks=(1, 40, 64)))
    np.testing.assert_array_equal(lazy, whole)
    with pytest.warns(UserWarning, match="rechunked to whole sinograms"):
        lazy = fastrestore.remove_streaks(da.from_array(stack, chunks=(1, 20, 64)))
    np.testing.assert_array_equal(lazy, whole)


def test_the_noise_is_estimated_as_for_the_whole_image():
    image = photograph((150, 200, 3))
    whole = fastrestore.estimate_noise(image, channel_axis=-1)
    lazy = fastrestore.estimate_noise(da.from_array(image, chunks=(60, 70, 1)), channel_axis=-1)
    for name in ("sigma", "brightness", "levels", "spectrum"):
        np.testing.assert_array_equal(getattr(lazy.compute(), name), getattr(whole, name))


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


@pytest.mark.filterwarnings("ignore:frames is rechunked")
@pytest.mark.parametrize(
    ("function", "task", "message"),
    [
        (lambda film: fastrestore.vbm3d(film, 10), "videos._restored", "frame 75 has .* NaN"),
        (fastrestore.remove_streaks, "simple._without_streaks", r"nan at \(75, 20, 20\)"),
    ],
)
def test_nan_in_a_far_chunk_of_a_stack(monkeypatch, function, task, message):
    def restored(*_, **__):
        raise AssertionError("a chunk is restored")

    monkeypatch.setattr(f"fastrestore._chunked.{task}", restored)
    stack = np.random.default_rng(0).normal(100, 10, (80, 32, 40)).astype(np.float32)
    for value, error, text in ((7, AssertionError, "restored"), (np.nan, ValueError, message)):
        stack[75, 20, 20] = value
        with pytest.raises(error, match=text):
            function(da.from_array(stack, chunks=(40, -1, -1))).compute(scheduler="sync")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "refilter"}, "'refilter' filters the residual again.*not supported"),
        ({"profile": "iterative"}, "'iterative' iterates.*not supported"),
        ({"mask": np.ones(SHAPE, bool)}, "mask=.* is not supported for a chunked array"),
        ({"return_info": True}, "return_info=True is not supported for a chunked array"),
        ({"progress": True}, "ProgressBar"),
        ({"sigma": np.ones((3, 3))}, r"got an array of shape \(3, 3\)"),
        ({"sigma": -1}, "sigma must be"),
    ],
)
def test_what_cannot_be_done_in_chunks_is_refused_at_once(options, message):
    lazy = da.from_array(photograph(), chunks=CHUNKS)
    with pytest.raises(ValueError, match=message):
        fastrestore.bm3d(lazy, **{"sigma": 15, "profile": SMALL, **options})


@pytest.mark.parametrize("shape", [(3, 40), (1, 1), (40, 3, 2)])
def test_an_image_smaller_than_a_block_is_restored_as_a_whole(shape):
    axis = 2 if len(shape) == 3 else None
    check(photograph(shape), (20, 20, 2)[: len(shape)], sigma=15, channel_axis=axis)


def test_principal_components_are_refused():
    lazy = da.from_array(photograph((*SHAPE, 4)), chunks=(30, 40, 4))
    with pytest.raises(ValueError, match="colorspace='pca' is not supported"):
        fastrestore.bm3d(lazy, 15, profile=SMALL, channel_axis=-1, colorspace="pca")


def test_chunks_of_unknown_size_or_kind_are_refused():
    lazy = da.from_array(photograph(), chunks=CHUNKS)
    with pytest.raises(ValueError, match=r"unknown sizes.*image\.compute_chunk_sizes\(\)"):
        fastrestore.bm3d(lazy[lazy[:, 0] > 0], 15)
    with pytest.raises(TypeError, match="image is complex"):
        fastrestore.bm3d(lazy.astype(complex), 15)
    masked = lazy.map_blocks(np.ma.masked_invalid, meta=np.ma.empty((0, 0), np.float32))
    with pytest.raises(TypeError, match="masked"):
        fastrestore.bm3d(masked, 15)


def test_a_negative_map_and_an_outlier_are_reported():
    image = photograph(dtype=np.float64)
    lazy = da.from_array(image, chunks=CHUNKS)
    result = fastrestore.bm3d(lazy, lazy - 150, profile=SMALL)
    with pytest.raises(ValueError, match=r"sigma must be 0 or more everywhere, got .* -"):
        result.compute(scheduler="synchronous")
    image[3, 4] = 1e9
    lazy = da.from_array(image, chunks=CHUNKS)
    with pytest.raises(ValueError, match="image has values from"):
        fastrestore.bm3d(lazy, 15, profile=SMALL).compute(scheduler="synchronous")


def test_few_photons_are_refused_with_what_works():
    counts = np.random.default_rng(0).poisson(np.full((128, 128), 0.5)).astype(float)
    image = da.from_array(counts, chunks=64)
    with pytest.raises(ValueError, match=r"few photons.*noise='white' \(--noise white\)"):
        fastrestore.bm3d(image, noise=fastrestore.PoissonGaussian(1)).compute()
    assert fastrestore.bm3d(image, noise="white").compute().std() < counts.std() / 2


def test_measures_of_the_whole_image_do_not_keep_its_chunks():
    """Tasks that look at all pixels read the source by keys of their own."""
    lazy = da.from_array(photograph(), chunks=CHUNKS) + 0
    for array in (lazy, lazy.rechunk((30, 40)), lazy[None], lazy.T):
        other = arrays.again(array)
        mine, theirs = dict(array.__dask_graph__()), dict(other.__dask_graph__())
        assert not set(flatten(array.__dask_keys__())) & set(theirs)
        assert len(theirs) == len(mine)
        np.testing.assert_array_equal(other, array)


@pytest.mark.parametrize("noise", [{"sigma": 15}, {"sigma": None}])
def test_the_place_of_a_nan_is_that_in_the_image(noise):
    image = photograph((4200, 4100))
    image[4190, 4080] = np.nan  # beyond 2**24 pixels noise is estimated from squares
    lazy = fastrestore.bm3d(da.from_array(image, chunks=2100), **noise)
    with pytest.raises(ValueError, match=r"nan at \(4190, 4080\)"):
        lazy[:9, :9].compute(scheduler="synchronous")


def test_the_pilot_is_checked():
    image, pilot = photograph(), photograph()
    lazy = da.from_array(image, chunks=CHUNKS)
    with pytest.raises(ValueError, match=r"pilot has shape \(30, 75\), but the image has shape"):
        fastrestore.bm3d(lazy, 15, pilot=pilot[:30], profile=SMALL)
    pilot[60, 70] = np.inf
    result = fastrestore.bm3d(lazy, 15, pilot=pilot, profile=SMALL)
    with pytest.raises(ValueError, match=r"pilot has values .* inf at \(60, 70\)"):
        result.compute(scheduler="synchronous")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda x: np.ma.masked_less(x, 90), r"chunk \(\d, \d\) of image is a masked array"),
        (lambda x: x.astype("f8"), "float64, but image is a Dask array .* float32"),
        (lambda x: x[:-1], r"shape \((24|34), \d+\) .* shape \((25|36), \d+\)"),
    ],
)
def test_chunks_that_are_not_what_the_array_says_are_reported(made, message):
    lazy = da.from_array(photograph(), chunks=CHUNKS)
    lazy = lazy.map_blocks(made, chunks=lazy.chunks, meta=np.empty((0, 0), "f4"))
    with pytest.raises(TypeError, match=message):
        fastrestore.bm3d(lazy, 15, profile=SMALL).compute(scheduler="synchronous")


def test_delayed_objects_are_refused():
    lazy = da.from_array(photograph(), chunks=CHUNKS)
    with pytest.raises(TypeError, match=r"noise is a delayed object of Dask; pass noise\.compute"):
        fastrestore.bm3d(lazy, noise=fastrestore.estimate_noise(lazy))
    with pytest.raises(TypeError, match=r"image is a delayed object .*from_delayed\(image"):
        fastrestore.bm3d(dask.delayed(photograph()), 15)


def test_the_noise_of_an_array_of_xarray():
    xarray = pytest.importorskip("xarray")
    lazy = xarray.DataArray(photograph((150, 200)), dims=("y", "x")).chunk(60)
    spec = fastrestore.estimate_noise(lazy).compute()
    assert spec.sigma == fastrestore.estimate_noise(photograph((150, 200))).sigma


def test_a_chunk_has_few_tasks():
    """The scheduler takes about a millisecond for each of them."""
    image = da.zeros((900, 1200), chunks=75, dtype=np.float32)
    (graph,) = dask.optimize(fastrestore.bm3d(image, 15, profile=SMALL))
    tasks = len(dict(graph.__dask_graph__()))
    assert tasks < 10 * image.npartitions


def test_borders_are_copies():
    """A slice would keep the whole chunk in memory."""
    chunk = photograph()[None]
    cuts = Cuts.of(((61, 61), (75, 75)), (5, 7))
    borders = halos.borders_of(chunk, cuts.spans((0, 1)))
    assert {key: part.shape for key, part in borders.items()} == {
        (0, 1): (1, 5, 75), (1, -1): (1, 61, 7),
    }  # fmt: skip
    assert not any(np.shares_memory(part, chunk) for part in borders.values())
