"""Masks of valid pixels: other pixels have no influence, and valid ones are restored as well."""

import pickle

import numpy as np
import pytest
from support.images import assert_close, camera, noisy, psnr, scene

import fastrestore as fr
from fastrestore import bm3d
from fastrestore._arrays.masks import Mask
from fastrestore._collaborative.masking import Holes
from fastrestore._collaborative.request import Request, image_geometry
from fastrestore._collaborative.stage import make_context
from fastrestore._noise.planes import NoiseArguments
from fastrestore.backends.select import select

SIGMA = 20
CLEAN = scene(48, 56)
IMAGE = noisy(CLEAN, SIGMA)
COLOR = noisy(np.stack([CLEAN, CLEAN[::-1], CLEAN[:, ::-1]], -1), SIGMA)
FILLS = (np.nan, np.inf, -6e4, 7.0)


def holes(shape, seed=0):
    """A rectangle, a dead column, and 1 % of the pixels."""
    valid = np.random.default_rng(seed).random(shape) > 0.01
    valid[10:26, 20:40] = False
    valid[:, 5] = False
    return valid


VALID = holes(IMAGE.shape)
BY_CHANNEL = np.stack([holes(IMAGE.shape, seed) for seed in range(3)], -1)


def filled(image, valid, value):
    whole = np.broadcast_to(valid if valid.ndim == image.ndim else valid[..., None], image.shape)
    out = image.copy()
    out[~whole] = np.clip(value, np.finfo(out.dtype).min, None).astype(out.dtype)
    return out, whole


@pytest.mark.parametrize(
    ("image", "valid", "options"),
    [
        (IMAGE, VALID, {"sigma": SIGMA}),
        (IMAGE, VALID, {}),
        (IMAGE, VALID, {"sigma": SIGMA, "data_range": 255, "profile": "lc", "stage": "basic"}),
        (IMAGE, VALID, {"noise_kernel": np.full((1, 4), 10.0)}),
        (IMAGE, VALID, {"noise_kernel": np.full((1, 4), 10.0), "profile": "refilter"}),
        (IMAGE, VALID, {"noise": fr.PoissonGaussian(gain=2, sigma=5)}),
        (IMAGE.astype("f4"), VALID, {"sigma": SIGMA}),
        ((IMAGE / 64).astype("f2"), VALID, {"sigma": SIGMA / 64}),
        (IMAGE + 1e6, VALID, {"sigma": SIGMA}),
        (COLOR, VALID, {"sigma": SIGMA, "channel_axis": -1}),
        (COLOR, BY_CHANNEL, {"sigma": SIGMA, "channel_axis": -1}),
        (COLOR, BY_CHANNEL, {"channel_axis": -1, "colorspace": "pca"}),
        (COLOR, BY_CHANNEL, {"sigma": [10, 20, 0], "channel_axis": -1, "colorspace": None}),
        (np.stack([IMAGE] * 3, -1), VALID, {"sigma": SIGMA, "channel_axis": -1}),
        (IMAGE[:6, :30], VALID[6:12, 10:40], {"sigma": SIGMA}),
    ],
)
def test_values_of_invalid_pixels_have_no_influence(image, valid, options):
    restored = []
    for value in FILLS:
        given, whole = filled(image, valid, value)
        before = given.copy()
        result = bm3d(given, mask=valid, **options)
        np.testing.assert_array_equal(given, before)
        np.testing.assert_array_equal(result[~whole], given[~whole])
        restored.append(result[whole])
    assert np.isfinite(restored[0]).all()
    assert restored[0].std() > 0
    for result in restored[1:]:
        np.testing.assert_array_equal(result, restored[0])


@pytest.mark.parametrize("options", [{"pilot": CLEAN}, {"guide": CLEAN}, {"sigma": None}])
def test_other_arrays_may_be_nan_at_invalid_pixels(options):
    results = []
    for value in FILLS:
        given = {
            name: SIGMA if array is None else filled(array, VALID, value)[0]
            for name, array in options.items()
        }
        level = np.where(VALID, np.linspace(15, 25, 56), value)
        results.append(bm3d(IMAGE, **{"sigma": level, **given}, mask=VALID)[VALID])
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    with pytest.raises(ValueError, match=r"where mask is True, has values.*nan at \(0, 0\)"):
        bm3d(IMAGE, SIGMA, pilot=np.full(IMAGE.shape, np.nan), mask=VALID)
    with pytest.raises(ValueError, match=r"where mask is True, has values.*nan at \(0, 0\)"):
        bm3d(IMAGE, SIGMA, guide=np.full(IMAGE.shape, np.nan), mask=VALID)


def test_integers_are_returned_as_they_were():
    image = np.clip(IMAGE, 0, 255).astype("u1")
    expected = bm3d(image, SIGMA, mask=VALID)
    np.testing.assert_array_equal(expected[~VALID], image[~VALID])
    wide = image.astype("i4")
    wide[~VALID] = 2**31 - 1
    result = bm3d(wide, SIGMA, mask=VALID)
    assert result.dtype == np.float32
    assert (result[~VALID] == np.float32(2**31 - 1)).all()
    np.testing.assert_allclose(result[VALID], expected[VALID], atol=1e-3)


@pytest.mark.parametrize("options", [{"sigma": SIGMA}, {}, {"sigma": SIGMA, "guide": CLEAN}])
def test_a_mask_without_invalid_pixels_changes_nothing(options):
    for mask in (True, np.ones(IMAGE.shape, bool), np.ones((1, 56), bool)):
        np.testing.assert_array_equal(bm3d(IMAGE, mask=mask, **options), bm3d(IMAGE, **options))


def circle(size):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return y**2 + x**2 < (0.47 * size) ** 2


def rectangle(size):
    valid = np.ones((size, size), bool)
    valid[size // 4 : size // 2, size // 3 : 3 * size // 4] = False
    return valid


def columns(size):
    valid = np.ones((size, size), bool)
    valid[:, np.random.default_rng(3).choice(size, size // 32, replace=False)] = False
    return valid


def dead(share):
    return lambda size: np.random.default_rng(5).random((size, size)) > share


@pytest.mark.parametrize(
    ("make", "loss"),
    [(rectangle, 0.2), (circle, 0.25), (columns, 0.15), (dead(0.01), 0.05), (dead(0.05), 0.15)],
)
def test_valid_pixels_are_restored_nearly_as_well_as_in_the_whole_image(make, loss):
    clean = camera(height=96, width=96)
    image, valid = noisy(clean, SIGMA), make(96)
    whole = bm3d(image, SIGMA, data_range=255)
    image[~valid] = np.nan
    result = bm3d(image, SIGMA, data_range=255, mask=valid)
    assert psnr(clean[valid], result[valid]) > psnr(clean[valid], whole[valid]) - loss


def test_noise_and_range_are_those_of_the_valid_pixels():
    image = noisy(scene(160, 160), SIGMA)
    valid = np.ones(image.shape, bool)
    valid[:81] = False
    image[~valid] = 1e4 * np.random.default_rng(0).random(image[~valid].shape)
    result, info = bm3d(image, mask=valid, return_info=True)
    assert abs(info.sigma - SIGMA) < 2
    alone = bm3d(image[81:], info.sigma)
    assert np.sqrt(np.mean((result[100:] - alone[19:]) ** 2)) < 1.5


def test_blocks_match_only_blocks_with_the_same_far_pixels(backend):
    """On a constant image all blocks match, unless a mask prevents it."""
    valid = np.ones((40, 40), bool)
    valid[12:22, 15:26] = False
    valid[30, 30] = False
    mask = Mask(valid[None])
    assert mask.far.sum() == 6 * 7
    request = Request.validated(
        image_geometry(valid.shape, None), True, NoiseArguments(10.0), mask=valid, backend=backend
    )
    engine, execution = select(backend, True, "image"), request.execution
    context = make_context(np.full((1, 40, 40), 50.0), request.noise, request).with_range(1.0)
    stage, holes = context.stage(request.profile, "basic"), Holes.of(mask, context.units)
    flat = engine.load("flat", np.full((1, 40, 40), 50.0), context.units, execution)
    matched = holes.matched(engine.luminance(flat, context.weights, execution), engine, execution)
    matches = engine.bm3d_match(matched, stage, execution)
    arrays = [
        np.asarray(getattr(a, "get", lambda a=a: a)()) for a in (*matches.corners, *matches[1:])
    ]
    rows, cols, offsets, sizes = arrays
    several = 0
    for i, j in np.ndindex(sizes.shape):
        y, x = rows[i] + offsets[i, j, :, 0], cols[j] + offsets[i, j, :, 1]
        patterns = {mask.far[a : a + 8, b : b + 8].tobytes() for a, b in zip(y, x, strict=True)}
        assert len(patterns) == 1
        several += sizes[i, j] > 1
    assert several > 50


def test_tiles_give_the_same_bits():
    clean = camera(height=150, width=260)
    image, valid = noisy(clean, SIGMA), holes(clean.shape)
    valid[60:90, 100:140] = False
    image[~valid] = np.nan
    options = {"mask": valid, "profile": "lc", "stage": "basic"}
    whole = bm3d(image, SIGMA, **options)
    tiled = bm3d(image, SIGMA, max_memory=1.2e6, **options)
    np.testing.assert_array_equal(tiled, whole)
    color = np.stack([image, image[::-1], image], -1)
    options["mask"] = np.isfinite(color)
    whole = bm3d(color, SIGMA, channel_axis=-1, **options)
    tiled = bm3d(color, SIGMA, channel_axis=-1, max_memory=2.4e6, **options)
    np.testing.assert_array_equal(tiled, whole)


@pytest.mark.parametrize("valid", [VALID, BY_CHANNEL])
def test_backends_agree(engine, valid):
    image = np.round(COLOR)
    options = {"mask": valid, "channel_axis": -1, "profile": "lc"}
    expected = bm3d(image, SIGMA, backend="numpy", **options)
    assert_close(bm3d(image, SIGMA, backend=engine, **options), expected, 255)


def test_workers_do_not_matter():
    one, three = (bm3d(IMAGE, SIGMA, mask=VALID, workers=count) for count in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_plans_take_masks():
    image = np.where(VALID, IMAGE, np.nan)
    plan = fr.BM3DPlan(image.shape, image.dtype, SIGMA, mask=VALID)
    for each in (plan, pickle.loads(pickle.dumps(plan))):
        np.testing.assert_array_equal(each(image), bm3d(image, SIGMA, mask=VALID))
    level = np.where(VALID, np.linspace(15, 25, 56), np.nan)
    expected = bm3d(image, level, mask=VALID)
    np.testing.assert_array_equal(plan(image, sigma=level), expected)


@pytest.mark.parametrize(
    ("error", "message", "mask"),
    [
        (ValueError, "mask is False everywhere", np.zeros((48, 56), bool)),
        (ValueError, r"broadcasts to \(48, 56\), got shape \(56, 48\)", np.ones((56, 48), bool)),
        (TypeError, "got int64; write mask != 0", np.ones((48, 56), "i8")),
    ],
)
def test_other_masks(error, message, mask):
    with pytest.raises(error, match=message):
        bm3d(IMAGE, SIGMA, mask=mask)


@pytest.mark.parametrize("restore", [bm3d, lambda *a, **k: fr.vbm3d(a[0][None], mask=k["mask"])])
def test_sigma_cannot_be_estimated_from_isolated_pixels(restore):
    mask = np.add.outer(np.arange(48), np.arange(56)) % 2 > 0
    with pytest.raises(ValueError, match="sigma cannot be estimated where mask has no two valid"):
        restore(IMAGE, mask=mask)
    result = bm3d(IMAGE, SIGMA, mask=mask)
    assert psnr(CLEAN[mask], result[mask]) > psnr(CLEAN[mask], IMAGE[mask]) + 3


def test_nan_that_the_mask_does_not_exclude():
    image = np.where(VALID, IMAGE, np.nan)
    image[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"where mask is True, has .* 1 in all.*nan at \(2, 3\)"):
        bm3d(image, SIGMA, mask=VALID)
    with pytest.raises(ValueError, match=r"image has values that are NaN.*by mask=, an array of"):
        bm3d(image, SIGMA)


def test_fill_is_a_mean_of_valid_neighbors():
    values = np.arange(49.0).reshape(1, 7, 7) ** 2
    valid = np.ones((1, 7, 7), bool)
    valid[0, 3, 3] = False
    near = values[0, 2:5, 2:5]
    weights = np.outer([1, 2, 1], [1, 2, 1]) * valid[0, 2:5, 2:5]
    out = Mask(valid).fill(np.where(valid, values, np.nan))
    np.testing.assert_allclose(out[0, 3, 3], (near * weights).sum() / weights.sum())
    np.testing.assert_array_equal(out[valid], values[valid])


@pytest.mark.parametrize("shape", [(1, 1, 9), (2, 13, 40), (1, 5, 17, 3), (1, 2, 2)])
def test_fill_of_any_shape(shape):
    valid = np.random.default_rng(0).random((1, *shape[1:])) > 0.9
    valid.flat[-1] = True
    values = np.random.default_rng(1).random(shape)
    planes = np.where(valid, values, np.nan)
    out = Mask(valid).fill(planes)
    assert (out >= np.nanmin(planes) - 1e-12).all()
    assert (out <= np.nanmax(planes) + 1e-12).all()
    assert (Mask(valid).fill(np.where(valid, 0.1, np.nan)) == 0.1).all()
    assert Mask(valid).fill(np.zeros(shape, "u1")).dtype == np.float32
    assert Mask(valid).fill(np.zeros(shape, "i4")).dtype == np.float64


def test_far_pixels():
    valid = np.ones((1, 20, 20), bool)
    valid[0, :, 3:7] = False
    assert Mask(valid).far is None
    valid[0, :, 7] = False
    expected = np.zeros((20, 20), bool)
    expected[:, 5] = True
    np.testing.assert_array_equal(Mask(valid).far, expected)
    other = np.ones((2, 20, 20), bool)
    other[1] = valid
    np.testing.assert_array_equal(Mask(other).far, expected)


@pytest.mark.parametrize(
    "estimate", [fr.estimate_sigma, fr.estimate_psd, fr.estimate_poisson_gaussian]
)
def test_errors_about_nan_say_what_to_do_with_the_mask(estimate):
    """Estimators advised to replace NaN although they have a mask; a wrong mask was not named."""
    image = np.where(np.arange(64)[:, None] == 3, np.nan, np.add.outer(np.arange(64.0), range(64)))
    with pytest.raises(ValueError, match=r"NaN .*leave invalid pixels out by mask="):
        estimate(image)
    with pytest.raises(ValueError, match=r"NaN .*make mask False there, and True where valid"):
        estimate(image, mask=np.isnan(image))


def test_plan_keeps_its_mask():
    valid = VALID.copy()
    plan = fr.BM3DPlan(IMAGE.shape, IMAGE.dtype, SIGMA, mask=valid)
    before = plan(IMAGE)
    valid[...] = True
    np.testing.assert_array_equal(plan(IMAGE), before)
