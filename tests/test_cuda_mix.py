"""The CUDA kernel that loads and stores images, executed on the CPU, against NumPy."""

import numpy as np
import pytest
from support.cudasim import module

from fastrestore._arrays.color import _MATRICES
from fastrestore.backends.cupy._image import _TYPES, THREADS, constants
from fastrestore.backends.host import load, store
from fastrestore.backends.protocol import Execution, Unchanged, Units

EXECUTION = Execution(1)
SEEDS = (0, 1, 2, 3)
OPPONENT = np.array(_MATRICES["opp"])
RESULTS = [(kind, "f8" if kind in ("u4", "i4", "u8", "i8", "f8") else "f4") for kind in _TYPES]


def image(kind, shape, seed=0):
    """Pixels over the whole range of a type."""
    rng = np.random.default_rng(seed)
    if kind[0] == "f":
        return (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-5, 5, shape)).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)


def strides(array):
    return tuple(np.int64(step // array.itemsize) for step in array.strides)


def first(array):
    """The first pixel: a contiguous array where a view of any layout begins."""
    return array[:1, :1, :1]


def mix(source, out, matrix=None, exponent=0, exact=None, original=None, seed=0, after=0):
    """Launch the kernel on views of any layout."""
    _, height, width = out.shape
    flags, steps, third = None, (0, 0), source
    if exact is not None:
        flags, third = np.ascontiguousarray(exact, np.uint8), original
        steps = (1, 0) if exact.shape[1:] == (1, 1) else (height * width, 1)
    across, down = THREADS
    module("bm3d_mix", **dict(constants(source.dtype, out.dtype, third.dtype))).launch(
        "bm3d_mix",
        (-(-width // across), -(-height // down), len(out)),
        THREADS,
        (
            first(source), *(np.int32(size) for size in source.shape), *strides(source),
            first(out), np.int32(height), np.int32(width), *strides(out),
            None if matrix is None else np.ascontiguousarray(matrix, np.float32),
            np.int32(exponent), np.int32(after), flags, *(np.int32(step) for step in steps),
            first(third) if flags is not None else None, *strides(third),
        ),
        seed=seed,
    )  # fmt: skip
    return out


def unwritten(shape, kind="f4"):
    return np.full(shape, np.nan, kind)


def assert_close(actual, expected):
    """To the rounding of a sum of float32."""
    atol = 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", _TYPES)
def test_each_type_is_scaled_with_one_rounding(kind, seed):
    source = image(kind, (2, 11, 37), seed)
    for exponent in (-9, 0, 3):
        expected = load("", source, Units(exponent, np.eye(2), (1, 1)), EXECUTION)
        actual = mix(source, unwritten(source.shape), exponent=exponent, seed=seed)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("kind", "result"), RESULTS)
def test_each_type_is_stored_and_keeps_original_pixels(kind, result):
    estimate, original = image("f4", (3, 9, 35)), image(kind, (3, 9, 35), 1)
    exact = np.random.default_rng(2).random(original.shape) < 0.5
    expected = unwritten(original.shape, result)
    units = Units(4, np.eye(3), (1, 1))
    store(estimate, units, Unchanged(exact, original), expected, EXECUTION)
    actual = mix(estimate, unwritten(original.shape, result), None, -4, exact, original)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_channels_and_pixels(seed):
    estimate, original = image("f4", (3, 17, 33)), image("u1", (3, 17, 33), 1)
    flags = np.random.default_rng(seed).random((3, 17, 33)) < 0.5
    for exact in (flags, flags[:, :1, :1], np.array([False, True, False])[:, None, None]):
        expected = unwritten(original.shape)
        units = Units(-2, np.linalg.inv(OPPONENT), (1, 1))
        store(estimate, units, Unchanged(exact, original), expected, EXECUTION)
        actual = mix(estimate, unwritten(original.shape), OPPONENT, 2, exact, original, seed)
        assert_close(actual, expected)
        kept = np.broadcast_to(exact, original.shape)
        np.testing.assert_array_equal(actual[kept], original[kept])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "i4", "f8"])
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_matrices(kind, rows, seed):
    source = image(kind, (3, 10, 34), seed)
    matrix = np.random.default_rng(seed).normal(0, 1, (rows, 3)).astype(np.float32)
    wide = np.float64 if kind in ("i4", "f8") else np.float32
    for exponent in (-5, 6):
        total = np.zeros((rows, 10, 34), wide)
        for k in range(3):
            total += matrix.astype(wide)[:, k, None, None] * source[k].astype(wide)
        expected = np.ldexp(total, exponent).astype(np.float32)
        actual = mix(source, unwritten(total.shape), matrix, exponent, seed=seed)
        np.testing.assert_array_equal(actual, expected)
        assert_close(actual, load("", source, Units(exponent, matrix, (1, 1)), EXECUTION))


def test_color_transform_round_trip():
    source = image("u1", (3, 12, 40)).astype("f4")
    channels = mix(source, unwritten(source.shape), OPPONENT, -8)
    assert_close(mix(channels, unwritten(source.shape), np.linalg.inv(OPPONENT), 8), source)


@pytest.mark.parametrize("least", [1, 2, 8, 11, 40])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (3, 40), (5, 33), (9, 8)])
def test_borders_are_mirrored_as_often_as_needed(shape, least):
    source = image("u1", (3, *shape))
    for matrix in (np.eye(3), OPPONENT):
        expected = load("", source, Units(-8, matrix, (least, least)), EXECUTION)
        given = None if matrix is not OPPONENT else matrix
        actual = mix(source, unwritten(expected.shape), given, -8)
        assert_close(actual, expected)


def test_padding_is_cropped():
    source = image("f4", (2, 12, 40))
    np.testing.assert_array_equal(mix(source, unwritten((2, 5, 33))), source[:, :5, :33])


LAYOUTS = {
    "channels last": lambda base: base.transpose(2, 0, 1),
    "transposed": lambda base: base.transpose(2, 1, 0),
    "reversed": lambda base: base[::-1, ::-1, ::-1].transpose(2, 0, 1),
    "every other pixel": lambda base: base[1::2, ::-2].transpose(2, 0, 1),
    "some channels": lambda base: base[2:, 3:, 2:0:-1].transpose(2, 0, 1),
    "repeated": lambda base: np.broadcast_to(base[:1, :1].transpose(2, 0, 1), (3, 9, 35)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_the_images_that_are_read(layout, seed):
    source = LAYOUTS[layout](image("u2", (23, 38, 3)))
    expected = source.astype("f4")
    np.testing.assert_array_equal(mix(source, unwritten(source.shape), seed=seed), expected)
    exact, other = np.arange(source.size).reshape(source.shape) % 3 == 0, unwritten(source.shape)
    zeros = np.zeros(source.shape, "f4")
    actual = mix(zeros, other, exact=exact, original=source, seed=seed)
    np.testing.assert_array_equal(actual, np.where(exact, expected, 0))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "repeated"])
def test_layouts_of_the_image_that_is_written(layout):
    base = unwritten((23, 38, 3), "f8")
    out = LAYOUTS[layout](base)
    expected = image("f4", out.shape)
    mix(expected, out)
    np.testing.assert_array_equal(out, expected)
    assert np.isfinite(base).sum() == out.size  # and nothing else


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_images_of_more_than_2_to_the_31_bytes(axis):
    memory = np.zeros(2**31 + 64, np.uint8)  # only what is touched takes memory
    steps = [9, 3, 1]
    steps[axis] = 2**30 + 9
    source = np.lib.stride_tricks.as_strided(memory, (3, 3, 3), steps)
    source[...] = image("u1", source.shape)
    np.testing.assert_array_equal(mix(source, unwritten(source.shape)), source)
    exact, zeros = np.ones(source.shape), np.zeros(source.shape, "f4")
    actual = mix(zeros, unwritten(source.shape), exact=exact, original=source)
    np.testing.assert_array_equal(actual, source)
    if axis == 0:
        total = mix(source, unwritten((1, 3, 3)), np.ones((1, 3)))
        np.testing.assert_array_equal(total[0], source.astype("f4").sum(0))


@pytest.mark.parametrize("exponent", [-1000, -140, 140, 1000])
def test_units_of_very_different_scale(exponent):
    pixels = np.arange(1, 133, dtype="f4").reshape(1, 4, 33)
    source = np.ldexp(pixels.astype("f8"), -exponent)
    np.testing.assert_array_equal(mix(source, unwritten(source.shape), exponent=exponent), pixels)
    there = mix(pixels, unwritten(source.shape, "f8"), exponent=-exponent)
    np.testing.assert_array_equal(there, source)
    colors = np.repeat(source, 3, axis=0)
    gray = mix(colors, unwritten(source.shape), OPPONENT[:1], exponent)
    np.testing.assert_allclose(gray, pixels, rtol=1e-6)


@pytest.mark.parametrize("top", [1.9 * 2.0**127, 1.9 * 2.0**-124])
def test_sums_at_the_ends_of_float32(top):
    pixels = np.full((3, 2, 5), top, "f4")
    matrix, exponent = np.ones((1, 3)), int(np.frexp(top)[1])
    loaded = mix(pixels, unwritten((1, 2, 5)), matrix, -exponent)
    np.testing.assert_allclose(loaded, 3 * 0.95, rtol=1e-6)
    back = mix(loaded, unwritten((3, 2, 5)), np.ones((3, 1)) / 3, after=exponent)
    np.testing.assert_allclose(back, pixels, rtol=1e-6)
