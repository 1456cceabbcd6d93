"""Stacks that the plugin for napari writes and reads: places, axes, units and several images."""

import numpy as np
import pytest
import tifffile

from fastrestore._napari import KEY, tiff

STACK = np.arange(3 * 8 * 9, dtype=np.float32).reshape(3, 8, 9)


def again(tmp_path, stack, **meta):
    """Write a layer, and return its values and options as they are read."""
    path = str(tmp_path / "a.ome.tif")
    tiff.write(path, stack, meta)
    ((values, options, _),) = tiff.read(path)
    np.testing.assert_array_equal(values, stack)
    return values, options


def test_the_place_in_the_world_is_kept(tmp_path):
    place = {"translate": (1.0, 2.0, 3.0), "rotate": np.diag([1.0, -1, -1]),
             "shear": np.array([0.0, 0.5, 0.0]), "affine": np.eye(4) * 2,
             "scale": (2.0, -1.0, 1.0)}  # fmt: skip
    _, options = again(tmp_path, STACK, axis_labels=("z", "y", "x"), **place)
    for name, expected in place.items():
        np.testing.assert_array_equal(options[name], expected)
    assert not options["metadata"]


def test_an_unmoved_layer_has_no_more_than_before(tmp_path):
    place = {"translate": (0, 0, 0), "rotate": np.eye(3), "shear": np.zeros(3), "affine": np.eye(4)}
    _, options = again(tmp_path, STACK, axis_labels=("z", "y", "x"), scale=(1, 1, 1), **place)
    assert not set(place) & set(options)


def test_axes_without_labels_are_those_along_which_the_layer_was_restored(tmp_path):
    done = {KEY: {"arguments": {"axes": "ZYX", "kind": "volume"}}}
    labels = {"axis_labels": ("-3", "-2", "-1"), "scale": (3.0, 1.0, 1.0)}
    _, options = again(tmp_path, STACK, metadata=done, **labels)
    assert options["axis_labels"] == ("z", "y", "x")
    assert options["scale"] == (3.0, 1.0, 1.0)
    assert options["metadata"] == done
    planes = {KEY: {"arguments": {"axes": "CYX"}}}
    _, options = again(tmp_path, STACK, metadata=planes, **labels)
    assert options["axis_labels"] == ("c", "y", "x")
    assert tuple(options["scale"]) == (3.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(1, 8, 9), (2, 1, 8, 9), (1, 1, 1, 9)])
def test_axes_with_one_element_are_kept(tmp_path, shape):
    labels = ("t", "z", "y", "x")[-len(shape) :]
    values, options = again(tmp_path, np.ones(shape, np.uint8), axis_labels=labels)
    assert values.shape == shape
    assert options["axis_labels"] == labels


def test_each_image_of_a_file_is_a_layer(tmp_path):
    path = str(tmp_path / "two.ome.tif")
    with tifffile.TiffWriter(path, ome=True) as file:
        sizes = {"PhysicalSizeX": 0.3, "PhysicalSizeXUnit": "\u03bcm"}  # mu, not the micro sign
        file.write(STACK, metadata={"axes": "ZYX", **sizes}, photometric="minisblack")
        sizes = {"PhysicalSizeX": 2, "PhysicalSizeXUnit": "in"}
        file.write(STACK[0] + 1, metadata={"axes": "YX", **sizes}, photometric="minisblack")
    (first, options, _), (second, others, _) = tiff.read(path)
    np.testing.assert_array_equal(first, STACK)
    np.testing.assert_array_equal(second, STACK[0] + 1)
    assert (options["name"], others["name"]) == ("two (1)", "two (2)")
    assert (options["units"][-1], others["units"][-1]) == ("micrometer", "inch")
    assert (options["scale"][-1], others["scale"][-1]) == (0.3, 2.0)


def test_colors_in_planes_and_samples_that_are_no_colors(tmp_path):
    path = str(tmp_path / "a.ome.tif")
    colors = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    tifffile.imwrite(path, colors, photometric="rgb", planarconfig="separate")
    ((values, options, _),) = tiff.read(path)
    assert options["rgb"]
    np.testing.assert_array_equal(values, np.moveaxis(colors, 0, -1))
    tifffile.imwrite(path, np.moveaxis(colors[:2], 0, -1), photometric="minisblack",
                     planarconfig="contig", metadata={"axes": "YXS"})  # fmt: skip
    ((values, options, _),) = tiff.read(path)
    assert not options["rgb"]
    assert options["axis_labels"] == ("s", "y", "x")
    np.testing.assert_array_equal(values, colors[:2])
