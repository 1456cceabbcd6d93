"""Validators of arguments: the values they accept, and the errors that quote the others."""

import math

import numpy as np
import pytest

from fastrestore import NoiseSpec
from fastrestore._arrays import ranges, validate


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers(value):
    result = validate.integer("count", value, least=3, most=3)
    assert result == 3
    assert type(result) is int


@pytest.mark.parametrize(
    ("value", "bounds", "error", "message"),
    [
        (True, {}, TypeError, "count must be a whole number, got True"),
        (np.True_, {}, TypeError, "count must be a whole number, got True"),
        (2.0, {}, TypeError, "count must be a whole number, got 2.0"),
        (np.float32(2.5), {}, TypeError, "count must be a whole number, got 2.5"),
        (None, {"least": 1}, TypeError, "count must be a whole number of 1 or more, got None"),
        (np.zeros(3), {}, TypeError, r"count must be a whole number, got an array of shape \(3,\)"),
        (0, {"least": 1}, ValueError, "count must be a whole number of 1 or more, got 0"),
        (np.int64(9), {"least": 1, "most": 8}, ValueError, "whole number from 1 to 8, got 9"),
        (9, {"most": 8}, ValueError, "count must be a whole number of 8 or less, got 9"),
    ],
)
def test_other_whole_numbers(value, bounds, error, message):
    with pytest.raises(error, match=f"{message}$"):
        validate.integer("count", value, **bounds)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int16(2), np.array(2.0)])
def test_numbers(value):
    for check in (validate.number, validate.positive, validate.not_negative):
        result = check("level", value)
        assert result == 2.0
        assert type(result) is float


@pytest.mark.parametrize(
    ("value", "bounds", "error", "message"),
    [
        ("2", {}, TypeError, "level must be a number, got '2'"),
        ([2], {}, TypeError, r"level must be a number, got \[2\]"),
        (True, {}, TypeError, "level must be a number, got True"),
        (2j, {}, TypeError, "level must be a number, got 2j"),
        (np.ones(2), {}, ValueError, r"level must be a number, got an array of shape \(2,\)"),
        (math.nan, {"least": 0}, ValueError, "level must be a number of 0 or more, got nan"),
        (math.inf, {"above": 0}, ValueError, "level must be a number above 0, got inf"),
        (0, {"above": 0}, ValueError, "level must be a number above 0, got 0"),
        (-0.5, {"least": 0}, ValueError, "level must be a number of 0 or more, got -0.5"),
        (np.float64(2), {"least": 0, "most": 1}, ValueError, "a number from 0 to 1, got 2.0"),
    ],
)
def test_other_numbers(value, bounds, error, message):
    with pytest.raises(error, match=f"{message}$"):
        validate.number("level", value, **bounds)


def test_bounds_are_inclusive():
    assert validate.not_negative("level", 0) == 0
    assert validate.number("level", 1, least=0, most=1) == 1
    with pytest.raises(ValueError, match="above 0"):
        validate.positive("level", 0)


def test_flags():
    assert validate.flag("cuts", np.False_) is False
    for value in (1, None, "yes"):
        with pytest.raises(TypeError, match=f"cuts must be True or False, got {value!r}"):
            validate.flag("cuts", value)


def test_choices():
    assert validate.choice("mode", "b", ("a", "b")) == "b"
    assert validate.choice("mode", None, ("a", None)) is None
    for value, shown in (("c", "'c'"), (np.zeros(2), "an array"), (["a"], r"\['a'\]"), (3, "3")):
        with pytest.raises(ValueError, match=f"mode must be one of 'a', 'b', got {shown}"):
            validate.choice("mode", value, ("a", "b"))


def test_axes_and_indices():
    assert [validate.axis("axis", k, (4, 5, 6)) for k in (0, 2, -1, np.int64(-3))] == [0, 2, 2, 0]
    assert [validate.index("frame", k, 4) for k in (0, 3, -1)] == [0, 3, 3]
    for value in (3, -4):
        with pytest.raises(ValueError, match=rf"axis={value} is not an axis of shape \(4, 5, 6\)"):
            validate.axis("axis", value, (4, 5, 6))
        with pytest.raises(ValueError, match=f"frame must be from -3 to 2, got {value}"):
            validate.index("frame", value, 3)
    with pytest.raises(TypeError, match=r"axis must be a whole number, got 1.0"):
        validate.axis("axis", 1.0, (4, 5))


def test_shapes():
    assert validate.shape("shape", np.array([3, 4]), 2) == (3, 4)
    for error, values in (
        (ValueError, ((3,), (1, 2, 3), [])),
        (TypeError, (3, None, "ab", b"ab", {1, 2}, {}, np.array(2), math.inf)),
    ):
        for value in values:
            with pytest.raises(error, match=r"^shape must be 2 whole numbers above 0, got"):
                validate.shape("shape", value, 2)
    with pytest.raises(ValueError, match=r"each number of shape must be .* of 1 or more, got 0"):
        validate.shape("shape", (3, 0), 2)
    with pytest.raises(TypeError, match=r"each number of shape must be .* of 1 or more, got 2.5"):
        validate.shape("shape", (3, 2.5), 2)
    validate.same_shape("mask", np.zeros((2, 3)), (2, 3))
    with pytest.raises(ValueError, match=r"mask has shape \(2,\), but data has shape \(3,\)"):
        validate.same_shape("mask", np.zeros(2), (3,), "data")


def test_axes_of_images():
    validate.check_axes("image", (4, 5), None)
    validate.check_axes("image", (4, 5, 3), -1)
    for shape, axis, message in (
        ((4, 5, 3), None, "if axis -1 holds colors, write channel_axis=-1"),
        ((3, 4, 5), None, "if axis 0 holds colors, write channel_axis=0"),
        ((9, 4, 5), None, "to denoise a volume use bm4d, the frames of a video vbm3d"),
        ((4, 5), 0, r"image must have 3 axes for channel_axis=0, got shape \(4, 5\)"),
        ((4, 5, 3), 3, r"channel_axis=3 is not an axis of shape \(4, 5, 3\)"),
        ((0, 5), None, r"image is empty, its shape is \(0, 5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            validate.check_axes("image", shape, axis)
    with pytest.raises(TypeError, match="channel_axis must be a whole number, got True"):
        validate.check_axes("image", (4, 5), True)


def test_values_that_are_not_finite():
    validate.check_finite("image", np.array([1, 2]))
    values = np.ones((3, 4), np.float32)
    values[1, 2], values[2, 0] = np.nan, -np.inf
    with pytest.raises(ValueError, match=r"2 in all, the first is nan at \(1, 2\); replace them"):
        validate.check_finite("image", values)


def test_channels_come_first():
    image = np.arange(24.0).reshape(2, 3, 4)
    assert validate.channels("image", image[0], None).shape == (1, 3, 4)
    for axis in (0, 1, -1):
        planes = validate.channels("image", image, axis)
        np.testing.assert_array_equal(planes, np.moveaxis(image, axis, 0))
        assert np.shares_memory(planes, image)


def test_workers():
    assert validate.workers(np.int32(3)) == 3
    assert validate.workers(None) == validate.workers(-1) == validate.usable_processors() >= 1
    for value in (0, -2):
        with pytest.raises(ValueError, match="workers must be 1 or more, or -1 for all processors"):
            validate.workers(value)
    for value in (1.5, True, "2"):
        with pytest.raises(TypeError, match="workers must be a whole number, -1 for all"):
            validate.workers(value)


def test_ranges_of_data():
    values = np.arange(201.0)
    assert ranges.extent(None) is None
    assert ranges.range_of(np.float32(255), values) == 255
    assert ranges.range_of(None, values) == pytest.approx(198)
    assert ranges.range_of(None, np.ones(4)) == 1
    with pytest.raises(ValueError, match="data_range must be a number above 0, got 0"):
        ranges.range_of(0, values)
    assert validate.max_memory(None) is validate.max_memory(math.inf) is None
    with pytest.raises(ValueError, match="max_memory must be a number above 0, got -1"):
        validate.max_memory(-1)


def test_long_values_are_cut():
    assert validate.quoted("x" * 100) == "'" + "x" * 59
    assert validate.quoted(np.float64(0.5)) == "0.5"
    assert validate.quoted(np.zeros((2, 3))) == "an array of shape (2, 3)"


def test_values_of_several_lines_are_quoted_by_their_heading():
    spec = NoiseSpec([5.0], [[0.0]], [[5.0]], np.ones((1, 1, 1, 1)))
    assert validate.quoted(spec) == "NoiseSpec: white, 1 channel, in the units of the image"


COLUMN = np.array([True, False, True])


@pytest.mark.parametrize(
    ("given", "shape", "channel_axis", "expected"),
    [
        (None, (2, 3), None, None),
        (True, (2, 3), None, None),
        (np.ones((2, 3), bool), (2, 3), None, None),
        (COLUMN, (2, 3), None, [[COLUMN, COLUMN]]),
        (COLUMN.tolist(), (2, 3), None, [[COLUMN, COLUMN]]),
        (COLUMN[:, None], (3, 2), None, [np.stack([COLUMN, COLUMN], 1)]),
        (np.tile(COLUMN, (2, 1)), (2, 3, 4), -1, [[COLUMN, COLUMN]]),  # the spatial shape
        (np.tile(COLUMN, (2, 1)), (3, 2, 3), 0, [[COLUMN, COLUMN]]),  # not rows and columns
        (COLUMN[:, None, None], (3, 4, 4), 1, [np.broadcast_to(COLUMN[:, None], (3, 4))]),
        (np.arange(8).reshape(2, 2, 2) > 1, (2, 2, 2), -1, [[[0, 1], [1, 1]]] * 2),
        (np.arange(8).reshape(2, 2, 2) > 0, (2, 2, 2), -1, [[[0, 1], [1, 1]], [[1, 1], [1, 1]]]),
    ],
)
def test_masks(given, shape, channel_axis, expected):
    result = validate.mask("mask", given, shape, channel_axis)
    if expected is None:
        assert result is None
        return
    assert result.dtype == bool
    same = len({np.asarray(plane, bool).tobytes() for plane in expected}) == 1
    np.testing.assert_array_equal(result, np.asarray(expected[:1] if same else expected, bool))


@pytest.mark.parametrize(
    ("given", "channel_axis", "error", "message"),
    [
        (
            np.ones((2, 3)),
            None,
            TypeError,
            r"mask must be .* \(4, 3\).*got float64; write mask != 0",
        ),
        (np.ones(3, np.uint8), None, TypeError, "True where valid, got uint8; write mask != 0"),
        ("mask", None, TypeError, "mask must be an array, got str 'mask'"),
        (np.ma.ones((4, 3), bool), None, TypeError, "mask is a masked array"),
        (np.ones((3, 4), bool), None, ValueError, r"broadcasts to \(4, 3\), got shape \(3, 4\)$"),
        (np.zeros(3, bool), None, ValueError, "mask is False everywhere; it must be True where"),
        (COLUMN[None], 1, ValueError, "mask is False everywhere in channel 1"),
    ],
)
def test_other_masks(given, channel_axis, error, message):
    with pytest.raises(error, match=message):
        validate.mask("mask", given, (4, 3), channel_axis)


def test_a_mask_of_another_shape_names_the_spatial_shape():
    with pytest.raises(
        ValueError, match=r"\(4, 5, 3\), or to \(4, 5\) for all channels, got shape"
    ):
        validate.mask("mask", np.ones((5, 4), bool), (4, 5, 3), -1)
