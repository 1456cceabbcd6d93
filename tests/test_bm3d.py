"""`bm3d`: quality, types, shapes, units, and messages for bad input."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.images import assert_close, camera, noisy, psnr, scene

import fastrestore
from fastrestore import Profile, bm3d


@pytest.mark.parametrize(
    ("sigma", "gain"), [(5, 2.0), (15, 4.5), (25, 6.0), (50, 8.0), (100, 10.0)]
)
def test_noise_is_removed(sigma, gain):
    clean = camera(60, 150, 160, 160)
    image = noisy(clean, sigma)
    basic, final = bm3d(image, sigma, stage="basic"), bm3d(image, sigma)
    assert psnr(clean, final) > psnr(clean, image) + gain
    assert sigma == 5 or psnr(clean, final) > psnr(clean, basic)


@pytest.mark.parametrize("profile", ["np", "fast", "lc", "balanced", "high", "vn"])
def test_every_profile_removes_noise(profile):
    clean = scene(72, 72)
    image = noisy(clean, 20)
    assert psnr(clean, bm3d(image, 20, profile=profile)) > psnr(clean, image) + 6


def test_pilot_replaces_the_basic_estimate(backend):
    clean = scene(32, 40)
    image = noisy(clean, 20)
    basic = bm3d(image, 20, stage="basic", backend=backend)
    final = bm3d(image, 20, backend=backend)
    np.testing.assert_array_equal(bm3d(image, 20, pilot=basic, backend=backend), final)
    oracle = bm3d(image, 20, pilot=clean, backend=backend)
    assert psnr(clean, oracle) > psnr(clean, final)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "longdouble", ">f4", ">f8"])
def test_float_types_are_kept(dtype):
    image = noisy(scene(24, 24), 10).astype(dtype)
    result = bm3d(image, 10)
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    expected = bm3d(image.astype("f4"), 10).astype(result.dtype)
    assert_close(result, expected, 255)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "i4", "u4", "i8", "u8"])
def test_integers_give_float32_in_the_same_units(dtype):
    image = np.clip(noisy(scene(24, 24), 10), 0, 127).astype(dtype)
    result = bm3d(image, 10)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, bm3d(image.astype("f4"), 10))


def layouts(image):
    wide = np.repeat(image, 2, axis=1)
    read_only = image.copy()
    read_only.flags.writeable = False
    return {
        "fortran": np.asfortranarray(image),
        "strided": wide[:, ::2],
        "reversed": image[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": read_only,
        "big-endian": image.astype(image.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("layout", ["fortran", "strided", "reversed", "read-only", "big-endian"])
def test_memory_layouts(layout):
    image = noisy(scene(30, 41), 10).astype("f4")
    other = layouts(image)[layout]
    before = other.copy()
    np.testing.assert_array_equal(bm3d(other, 10), bm3d(image, 10))
    np.testing.assert_array_equal(other, before)


def test_memory_mapped_file(tmp_path):
    image = noisy(scene(30, 41), 10).astype("f4")
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    result = bm3d(mapped, 10)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, bm3d(image, 10))


def test_arrays_of_other_libraries():
    """The array API standard is what JAX, torch and others share; NumPy has it too."""

    class Other:
        def __init__(self, values):
            self.values = values
            self.device = "cpu"

        def __dlpack__(self, **keywords):
            return self.values.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.values.__dlpack_device__()

        def __array_namespace__(self):
            return type("namespace", (), {"from_dlpack": staticmethod(Other.wrap)})

        @staticmethod
        def wrap(array):
            return Other(np.from_dlpack(array))

    image = noisy(scene(20, 20), 10)
    result = bm3d(Other(image), 10)
    assert isinstance(result, Other)
    np.testing.assert_array_equal(result.values, bm3d(image, 10))


class Tensor:
    """As much of a torch tensor as `bm3d` looks at."""

    def __init__(self, values, device="cpu", requires_grad=False):
        self.values, self.requires_grad = values, requires_grad
        kind = device.split(":")[0]
        self.device = type("device", (), {"type": kind, "__str__": lambda self: device})()

    def numpy(self):
        if self.values is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


@pytest.fixture
def torch(monkeypatch):
    module = type(sys)("torch")
    module.Tensor, module.from_numpy = Tensor, Tensor
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("torch")
def test_torch_tensors():
    image = noisy(scene(20, 20), 10)
    result = bm3d(Tensor(image), 10)
    assert isinstance(result, Tensor)
    np.testing.assert_array_equal(result.values, bm3d(image, 10))
    for tensor, message in (
        (Tensor(image, device="cuda:0"), r"image is on device 'cuda:0', which needs CuPy"),
        (Tensor(image, device="mps:0"), r"image is on device 'mps:0'.*image\.cpu\(\)"),
        (Tensor(image, requires_grad=True), r"requires a gradient.*image\.detach\(\)"),
        (Tensor(None), r"BFloat16.*image\.float\(\)"),
    ):
        with pytest.raises(TypeError, match=message):
            bm3d(tensor, 10)


@pytest.mark.parametrize("profile", ["np", "vn"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (7, 9), (8, 8), (2, 3), (9, 8)])
def test_images_smaller_than_a_block(backend, shape, profile):
    image = noisy(np.full(shape, 100.0), 10)
    result = bm3d(image, 10, backend=backend, profile=profile)
    assert result.shape == shape
    assert np.isfinite(result).all()
    if image.size > 8:
        assert np.abs(result - 100).mean() < np.abs(image - 100).mean()


def test_sigma_zero_returns_a_copy():
    image = scene(20, 20)
    result = bm3d(image, 0)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)
    assert bm3d(image.astype("u1"), 0.0).dtype == np.float32


@pytest.mark.parametrize("value", [0, 0.1, -3e7, 255])
@pytest.mark.parametrize("shape", [(40, 30), (1, 1)])
def test_a_constant_image_stays_constant(value, shape):
    image = np.full(shape, value, np.float64)
    result = bm3d(image, 5)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("scale", [2.0**-30, 0.5, 2.0, 1024.0, 2.0**40])
def test_scaling_by_powers_of_two_is_exact(scale):
    image = noisy(scene(40, 50), 20)
    np.testing.assert_array_equal(bm3d(scale * image, scale * 20), scale * bm3d(image, 20))


@pytest.mark.parametrize("scale", [255.0, 65535.0, 1e-3])
@pytest.mark.parametrize("offset", [0, 0.3, 1, -1])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_scaling_and_offset_of_units(scale, offset, dtype):
    clean = camera() / 255
    image = noisy(clean, 0.1)
    shift = scale * offset
    expected = scale * bm3d(image, 0.1) + shift
    assert_close(bm3d((scale * image + shift).astype(dtype), scale * 0.1), expected, scale)


@given(
    height=st.integers(1, 34),
    width=st.integers(1, 34),
    dtype=st.sampled_from(["f2", "f4", "f8", "u1", "i2", ">f4"]),
    exponent=st.integers(-8, 8),
    profile=st.sampled_from(["np", "fast", "lc"]),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_shapes_types_and_scales(height, width, dtype, exponent, profile, seed):
    scale = 1.0 if np.dtype(dtype).kind in "iu" else 2.0**exponent
    clean = np.add.outer(np.arange(height), np.arange(width)) + 20.0
    image = (scale * noisy(clean, 5, seed)).astype(dtype)
    before = image.copy()
    result = bm3d(image, 5 * scale, profile=profile)
    assert result.shape == image.shape
    assert result.dtype == (image.dtype.newbyteorder("=") if image.dtype.kind == "f" else "f4")
    assert np.isfinite(result.astype("f8")).all()
    low, high = image.astype("f8").min(), image.astype("f8").max()
    assert low - 5 * scale <= result.min()
    assert result.max() <= high + 5 * scale
    np.testing.assert_array_equal(image, before)


def hot_pixel(image, where, data_range=255):
    hot = image.copy()
    hot[where] += 1000 * data_range
    return hot


def test_a_hot_pixel_affects_only_its_surroundings():
    clean = np.pad(camera(), ((0, 130), (0, 130)), mode="reflect")
    image = noisy(clean, 20)
    hot = hot_pixel(image, (20, 30))
    far = (np.abs(np.arange(len(clean)) - 20) > 90)[:, None]
    far = far | (np.abs(np.arange(clean.shape[1]) - 30) > 90)
    plain, other = (bm3d(z, 20, data_range=255) for z in (image, hot))
    np.testing.assert_array_equal(plain[far], other[far])
    guessed, other = bm3d(image, 20), bm3d(hot, 20)
    assert abs(psnr(clean[far], other[far]) - psnr(clean[far], guessed[far])) < 0.01


def test_progress_reaches_the_total(backend):
    image = noisy(scene(24, 24), 10)
    for keywords in ({}, {"stage": "basic"}, {"pilot": image}):
        done, totals = [], []

        def report(share, total, done=done, totals=totals):
            done.append(share)
            totals.append(total)

        bm3d(image, 10, backend=backend, progress=report, **keywords)
        assert done == sorted(set(done))
        assert done[-1] == 100
        assert set(totals) == {100}


def test_progress_bar_is_off_by_default(capfd):
    image = noisy(scene(24, 24), 10)
    bm3d(image, 10)
    assert capfd.readouterr() == ("", "")
    bm3d(image, 10, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "bm3d" in err


def test_errors_of_the_progress_callable_propagate():
    def stop(done, total):
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        bm3d(noisy(scene(60, 60), 10), 10, progress=stop)


IMAGE = noisy(scene(16, 16), 5)
NAN, INFINITE = IMAGE.copy(), IMAGE.copy()
NAN[3, 4] = np.nan
INFINITE[0, 1] = -np.inf


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (
            TypeError,
            r"image must be an array, got list \[\[1.0\]\]; numpy.asarray\(image\)",
            {"image": [[1.0]]},
        ),
        (
            TypeError,
            r"image must be an array, got str 'a.png'; read the file first",
            {"image": "a.png"},
        ),
        (TypeError, r"image must be an array, got NoneType None", {"image": None}),
        (
            TypeError,
            r"image is a masked array.*mask=~image.mask.*filled",
            {"image": np.ma.array(IMAGE)},
        ),
        (TypeError, r"image is complex \(complex128\).*real.*imag", {"image": IMAGE * 1j}),
        (TypeError, r"image is boolean; convert it", {"image": IMAGE > 100}),
        (TypeError, r"real numbers, got dtype object", {"image": IMAGE.astype(object)}),
        (TypeError, r"real numbers, got dtype <U", {"image": IMAGE.astype(str)}),
        (ValueError, r"2 axes \(rows, columns\), got shape \(5,\)", {"image": np.ones(5)}),
        (
            ValueError,
            r"2 axes.*got shape \(4, 4, 3\); if axis -1 holds colors, write channel_axis=-1",
            {"image": np.ones((4, 4, 3))},
        ),
        (ValueError, r"axis 0 holds.*channel_axis=0", {"image": np.ones((4, 9, 9))}),
        (
            ValueError,
            r"2 axes.*to denoise a volume use bm4d.*vbm3d",
            {"image": np.ones((9, 9, 9))},
        ),
        (ValueError, r"2 axes.*got shape \(\)", {"image": np.float64(3)}),
        (ValueError, r"image is empty, its shape is \(0, 4\)", {"image": np.ones((0, 4))}),
        (ValueError, r"image has values.*1 in all.*nan at \(3, 4\)", {"image": NAN}),
        (ValueError, r"image has values.*1 in all.*-inf at \(0, 1\)", {"image": INFINITE}),
        (ValueError, r"sigma must be a number of 0 or more.*got -1", {"sigma": -1}),
        (ValueError, r"sigma must be .*got nan", {"sigma": float("nan")}),
        (ValueError, r"sigma must be .*got inf", {"sigma": np.inf}),
        (ValueError, r"sigma must be .*got an array of shape \(2,\)", {"sigma": np.ones(2)}),
        (TypeError, r"sigma must be .*got \[5\]", {"sigma": [5]}),
        (TypeError, r"sigma must be .*got '25'", {"sigma": "25"}),
        (TypeError, r"sigma must be .*got True", {"sigma": True}),
        (TypeError, r"sigma must be .*got 1j", {"sigma": 1j}),
        (
            ValueError,
            r"profile 'best' is unknown; known are np, refilter, iterative, fast",
            {"profile": "best"},
        ),
        (TypeError, r"profile must be a name or a Profile, got 3", {"profile": 3}),
        (ValueError, r"stage must be one of 'basic', 'final', got 'hard'", {"stage": "hard"}),
        (
            ValueError,
            r"pilot has shape \(3, 3\), but the image has shape \(16",
            {"pilot": np.ones((3, 3))},
        ),
        (TypeError, r"pilot must be an array, got list", {"pilot": [[1]]}),
        (ValueError, r"pilot has values.*1 in all.*nan at \(3, 4\)", {"pilot": NAN}),
        (ValueError, r"pilot guides the final stage", {"pilot": IMAGE, "stage": "basic"}),
        (ValueError, r"data_range must be .* above 0, got 0", {"data_range": 0}),
        (ValueError, r"data_range must be .*got inf", {"data_range": np.inf}),
        (TypeError, r"data_range must be .*got \(0, 1\)", {"data_range": (0, 1)}),
        (ValueError, r"image must have 3 axes for channel_axis=-1.*\(16", {"channel_axis": -1}),
        (
            ValueError,
            r"channel_axis=3 is not an axis of shape \(4, 4, 3\)",
            {"image": np.ones((4, 4, 3)), "channel_axis": 3},
        ),
        (TypeError, r"channel_axis must be a whole number.*got 'last'", {"channel_axis": "last"}),
        (ValueError, r"colorspace must be one of .*got 'lab'", {"colorspace": "lab"}),
        (
            ValueError,
            r"colorspace='opp' is for 3 channels, the image has 4; write colorspace=None",
            {"image": np.ones((4, 4, 4)), "channel_axis": 0, "colorspace": "opp"},
        ),
        (
            ValueError,
            r"sigma must be .*3 of them.*got an array of shape \(2,\)",
            {"image": np.ones((4, 4, 3)), "channel_axis": -1, "sigma": [1, 2]},
        ),
        (ValueError, r"workers must be 1 or more, .*got 0", {"workers": 0}),
        (ValueError, r"workers must be 1 or more, .*got -2", {"workers": -2}),
        (TypeError, r"workers must be a whole number.*got 1.5", {"workers": 1.5}),
        (TypeError, r"workers must be a whole number.*got True", {"workers": True}),
        (ValueError, r"backend='gpu': there is no such backend", {"backend": "gpu"}),
        (TypeError, r"backend must be a name.*got 3", {"backend": 3}),
        (TypeError, r"progress must be True, False or a callable", {"progress": "yes"}),
    ],
)
def test_bad_input(error, message, arguments):
    with pytest.raises(error, match=message):
        bm3d(**{"image": IMAGE, "sigma": 5, **arguments})


def test_sigma_may_be_any_real_scalar():
    expected = bm3d(IMAGE, 5.0)
    for sigma in (5, np.float32(5), np.array(5), np.int8(5)):
        np.testing.assert_array_equal(bm3d(IMAGE, sigma), expected)


def test_a_sigma_in_other_units_warns():
    image = noisy(scene(16, 16), 5) / 255
    with pytest.warns(UserWarning, match=r"sigma=25 exceeds the whole range of the image, "):
        bm3d(image, 25)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("the noise of psd or noise_kernel, of sigma=99,", {"noise_kernel": np.ones((99, 99))}),
        ("the noise of psd or noise_kernel, of sigma=25,", {"psd": np.full((16, 16), 400**2)}),
        ("the noise of the model noise=", {"noise": fastrestore.PoissonGaussian(50)}),
    ],
)
def test_a_warning_of_units_names_the_argument(message, options):
    """It named sigma=, which was not specified."""
    image = noisy(scene(16, 16), 5) / 255
    with pytest.warns(UserWarning, match=f"{message}.*exceeds the whole range of the image"):
        bm3d(image, **options)


def test_custom_profile():
    profile = Profile.named("np").replace(step_basic=4, group_final=8)
    assert psnr(scene(16, 16), bm3d(IMAGE, 5, profile=profile)) > psnr(scene(16, 16), IMAGE)
    assert fastrestore.bm3d is bm3d


@pytest.mark.parametrize(
    ("dtype", "far"), [("f8", 1e9), ("i4", -(2**24)), ("u4", 2**24), ("f4", 2**17)]
)
def test_large_offsets_keep_precision(dtype, far):
    image = np.round(noisy(scene(30, 34), 20)) + 500 * np.sign(far)
    result = bm3d((image + far).astype(dtype), 20).astype("f8") - far
    tolerance = 1e-3 if dtype == "f8" else np.spacing(np.float32(abs(far)))
    np.testing.assert_allclose(result, bm3d(image, 20), atol=tolerance)


def test_pilot_with_a_large_offset():
    image = noisy(scene(30, 34), 20)
    expected = bm3d(image, 20, pilot=scene(30, 34))
    result = bm3d(image + 1e9, 20, pilot=scene(30, 34) + 1e9) - 1e9
    np.testing.assert_allclose(result, expected, atol=1e-3)
