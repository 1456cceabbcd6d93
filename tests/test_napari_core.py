"""What the plugin for napari decides and computes, without napari."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from support.images import noisy, scene

import fastrestore
from fastrestore._napari import KEY, colors, estimates, script, tiff
from fastrestore._napari.axes import Axes, usual_kind
from fastrestore._napari.estimates import Estimates
from fastrestore._napari.part import HALO, MOST, NothingSeenError, View, visible_part
from fastrestore._napari.samples import blurred, film, photograph, sinogram, volume
from fastrestore._napari.settings import Settings

PLANE = Axes(("y", "x"))
IMAGE = noisy(scene(96, 80), 10).astype(np.float32)


def quiet(done, total):
    """Report nothing."""


class Recorded:
    """A lazy array that records what was read."""

    def __init__(self, values):
        self.values, self.read = values, []
        self.shape, self.ndim, self.dtype = values.shape, values.ndim, values.dtype

    def __getitem__(self, index):
        part = self.values[index]
        self.read.append(part.size)
        return part


@pytest.mark.parametrize(
    ("labels", "options", "letters"),
    [
        (("y", "x"), {}, "YX"),
        (("-2", "-1"), {"rgb": True}, "YXS"),
        (("z", "y", "x"), {"kind": "volume", "stacked": 0}, "ZYX"),
        (("z", "y", "x"), {"kind": "film", "stacked": 0}, "TYX"),
        (("t", "z", "c", "y", "x"), {"kind": "volume", "stacked": 1}, "TZCYX"),
        (("t", "z", "c", "y", "x"), {"kind": "film", "stacked": 1, "channels": 2}, "CTSYX"),
        (("-4", "-3", "-2", "-1"), {"kind": "volume", "stacked": 1}, "CZYX"),
        (("depth", "row", "column"), {}, "CYX"),
    ],
)
def test_letters_are_those_of_denoise(labels, options, letters):
    axes = Axes(labels, **options)
    assert axes.letters == letters
    shape = (2,) * len(labels) + (3,) * axes.rgb
    kind = {"axes": letters, "kind": axes.kind}
    assert fastrestore.denoise(np.ones(shape), 0, **kind).shape == shape


def test_usual_kind():
    assert usual_kind(("t", "z", "y", "x")) == ("volume", 1)
    assert usual_kind(("time", "y", "x")) == ("film", 0)
    assert usual_kind(("-3", "-2", "-1")) == ("planes", None)
    assert usual_kind(("z", "t")) == ("planes", None)


def test_arguments_name_only_what_differs_from_the_defaults():
    assert Settings(PLANE).arguments() == {}
    stack = Axes(("z", "y", "x"), "volume", 0)
    assert Settings(stack, model="white", strength=1.2).arguments() == {
        "noise": "white", "strength": 1.2, "axes": "ZYX", "kind": "volume"}  # fmt: skip
    assert Settings(PLANE, sigma=3.0, model="white").arguments() == {"sigma": 3.0}
    assert Settings(PLANE, method="unet", profile="fast").arguments() == {"method": "unet"}


def test_part_of_what_is_seen():
    view = View((0, 1), (0, 0), ((20, 30), (59, 200)))
    part = visible_part((96, 80), PLANE, view)
    assert part.region == (slice(20 - HALO, 60 + HALO), slice(30 - HALO, 80))
    assert part.shown == (slice(HALO, HALO + 40), slice(HALO, HALO + 50))
    assert part.start == (20, 30)
    assert not part.cut


def test_part_of_a_volume_has_slices_around():
    axes = Axes(("t", "z", "y", "x"), "volume", 1)
    view = View((2, 3), (1, 2, 0, 0), ((0, 0, 0, 0), (0, 0, 49, 49)))
    part = visible_part((3, 20, 50, 50), axes, view)
    assert part.region == (slice(1, 2), slice(0, 7), slice(0, 50), slice(0, 50))
    assert part.shown[:2] == (slice(0, 1), slice(2, 3))
    sideways = View((1, 3), (1, 2, 30, 0), ((0, 0, 0, 0), (0, 19, 0, 49)))
    part = visible_part((3, 20, 50, 50), axes, sideways)
    assert part.region == (slice(1, 2), slice(0, 20), slice(26, 35), slice(0, 50))
    assert part.shown[2] == slice(4, 5)


@pytest.mark.parametrize("kind", ["planes", "volume", "film"])
def test_part_is_limited(kind):
    stacked = None if kind == "planes" else 0
    axes = Axes(("z", "y", "x"), kind, stacked)
    view = View((1, 2), (30, 0, 0), ((0, 0, 0), (0, 8999, 8999)))
    part = visible_part((60, 9000, 9000), axes, view)
    assert part.cut
    sizes = [each.stop - each.start for each in part.region]
    assert 0.5 * MOST < np.prod(sizes) < 1.3 * MOST
    assert abs(part.start[1] + (sizes[1] - 2 * HALO) / 2 - 4500) <= 1


def test_channels_that_are_filtered_together_are_read_together():
    axes = Axes(("c", "y", "x"), channels=0)
    part = visible_part((4, 50, 60), axes, View((1, 2), (2, 0, 0), ((0, 0, 0), (0, 49, 59))))
    assert part.region[0] == part.shown[0] == slice(0, 4)


def test_never_drawn_layers_are_seen_as_a_whole():
    part = visible_part((96, 80), PLANE, View((0, 1), (0, 0), ((0, 0), (0, 0))))
    assert part.region == (slice(0, 96), slice(0, 80))


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View((0, 1, 2), (0, 0, 0), ((0,) * 3, (9,) * 3)), "2-D view"),
        (View((0, 2), (0, 0, 0), ((0,) * 3, (9,) * 3)), "Planes have the axes y and x"),
        (View((1, 2), (0, 0, 0), ((0, 70, 0), (0, 90, 9))), "not in view"),
    ],
)
def test_views_without_preview(view, message):
    with pytest.raises(NothingSeenError, match=message):
        visible_part((10, 60, 60), Axes(("z", "y", "x")), view)


def whole(shape):
    """Return a view of all of an array."""
    axes = tuple(range(len(shape) - 2, len(shape)))
    return View(axes, (0,) * len(shape), ((0,) * len(shape), tuple(size - 1 for size in shape)))


def test_preview_is_the_result_where_all_is_seen():
    part = visible_part(IMAGE.shape, PLANE, whole(IMAGE.shape))
    for settings in (Settings(PLANE, sigma=10.0), Settings(PLANE, profile="fast", strength=1.2)):
        restored, noise = Estimates().restore(IMAGE, part, settings, quiet)
        expected = fastrestore.denoise(IMAGE, **settings.arguments())
        np.testing.assert_allclose(restored, expected, atol=1e-3)
        assert noise.sigma == pytest.approx(10, rel=0.2)


def test_preview_of_a_volume_is_the_result():
    stack = noisy(np.stack([scene(40, 36)] * 6), 10).astype(np.float32)
    axes = Axes(("z", "y", "x"), "volume", 0)
    part = visible_part(stack.shape, axes, whole(stack.shape)._replace(point=(2, 0, 0)))
    cache = Estimates()
    settings = Settings(axes, model="white")
    expected = fastrestore.denoise(stack, noise="white", axes="ZYX", kind="volume")[2:3]
    for _ in range(2):  # the noise is estimated, and then known
        restored, noise = cache.restore(stack, part, settings, quiet)
        np.testing.assert_allclose(restored, expected, atol=1e-3)
    assert noise.text().startswith("white, sigma")


def test_noise_is_estimated_once_for_a_plane(monkeypatch):
    calls = []
    real = fastrestore.estimate_noise

    def counted(*args, **options):
        calls.append(1)
        return real(*args, **options)

    monkeypatch.setattr(estimates.fastrestore, "estimate_noise", counted)
    cache = Estimates()
    for corner, strength in ((0, 1.0), (0, 1.5), (10, 1.5)):
        part = visible_part(IMAGE.shape, PLANE, View((0, 1), (0, 0), ((corner,) * 2, (60, 60))))
        restored, _ = cache.restore(IMAGE, part, Settings(PLANE, strength=strength), quiet)
        assert restored.shape == (61 - corner, 61 - corner)
    assert len(calls) == 1
    cache.restore(IMAGE, part, Settings(PLANE, model="white"), quiet)
    assert len(calls) == 2
    cache.restore(IMAGE, part, Settings(PLANE, sigma=9.0), quiet)
    assert len(calls) == 2


def test_lazy_arrays_are_read_where_they_are_seen():
    lazy = Recorded(np.broadcast_to(IMAGE, (50, *IMAGE.shape)))
    axes = Axes(("t", "y", "x"))
    part = visible_part(lazy.shape, axes, View((1, 2), (7, 0, 0), ((0, 10, 10), (0, 40, 40))))
    Estimates().restore(lazy, part, Settings(axes), quiet)
    assert lazy.read == [57 * 57]


@pytest.mark.parametrize("alpha", [False, True])
def test_colors_keep_type_and_alpha(alpha):
    rgb = np.stack([IMAGE, IMAGE.max() - IMAGE, IMAGE / 2], -1).clip(0, 255).astype(np.uint8)
    image = np.concatenate([rgb, rgb[..., :1]], -1) if alpha else rgb
    settings = Settings(PLANE._replace(rgb=True), profile="fast")
    restored = fastrestore.denoise(colors.without_alpha(image, True), **settings.arguments())
    whole = colors.complete(restored, image, True)
    assert whole.dtype == np.uint8
    assert whole.shape == image.shape
    np.testing.assert_array_equal(whole[..., 3:], image[..., 3:])
    lines = script.script("a", "b", script.call("denoise", ["image"], settings.arguments()),
                          *colors.script_lines(image, True))  # fmt: skip
    np.testing.assert_array_equal(run(lines, image, rgb=True), whole)


def run(text, data, **others):
    """Run a script with a viewer that has one layer, and return what it adds."""
    added = []
    place = dict.fromkeys(["scale", "translate", "rotate", "shear", "affine", "units"])
    layer = SimpleNamespace(data=data, multiscale=False, axis_labels=None,
                            **{"rgb": False, **place, **others})  # fmt: skip
    psf = SimpleNamespace(data=np.ones((3, 3)))
    viewer = SimpleNamespace(
        layers={"a": layer, "psf": psf},
        add_image=lambda values, **options: added.append(values),
    )
    exec(text, {"viewer": viewer})
    return added[0]


def test_script_for_planes_of_a_stack():
    stack = np.stack([IMAGE[:40, :40]] * 2)
    expression = script.each_plane("deblur", ["psf"], {"sigma": 9.0}, 3, 2)
    text = script.script("a", "b", expression, ["psf = viewer.layers['psf'].data / 9"])
    result = run(text, stack)
    assert result.shape == stack.shape
    expected = fastrestore.deblur(stack[1], np.ones((3, 3)) / 9, 9.0)
    np.testing.assert_array_equal(result[1], expected)


META = {
    "name": "cells", "rgb": False, "axis_labels": ("t", "z", "y", "x"),
    "scale": (2.0, 0.5, 0.1, 0.2), "units": ("second", "micrometer", "micrometer", "nanometer"),
    "metadata": {KEY: {"function": "denoise", "arguments": {"strength": 1.2}}},
}  # fmt: skip


def test_stacks_keep_scale_units_labels_and_settings(tmp_path):
    path = str(tmp_path / "cells.ome.tif")
    stack = np.arange(2 * 3 * 8 * 9, dtype=np.float32).reshape(2, 3, 8, 9)
    assert tiff.write(path, stack, META) == [path]
    ((values, options, kind),) = tiff.reader(path)(path)
    np.testing.assert_array_equal(values, stack)
    assert kind == "image"
    assert {**options, "rgb": False} == META
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "TZYX"
        assert 'PhysicalSizeZ="0.5"' in file.ome_metadata
    assert [each.name for each in tmp_path.iterdir()] == ["cells.ome.tif"]


def test_axes_in_files():
    assert tiff._axes({"axis_labels": ("-3", "-2", "-1")}, 3) == "CYX"
    assert tiff._axes({"axis_labels": ("z", "y", "x"), "rgb": True}, 4) == "ZYXS"
    assert tiff._axes({"axis_labels": ("time", "wave", "y", "x")}, 4) == "TZYX"
    with pytest.raises(ValueError, match="at most 3 axes beside rows and columns, the layer 4"):
        tiff._axes({}, 6)


def test_files_without_sizes_and_of_other_kinds(tmp_path):
    path = str(tmp_path / "a.ome.tif")
    color = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    tiff.write(path, color, {"name": "a", "rgb": True, "axis_labels": ("y", "x")})
    ((values, options, _),) = tiff.read(path)
    np.testing.assert_array_equal(values, color)
    assert options["rgb"]
    assert options["scale"] == (1.0, 1.0)
    assert options["units"] == ("pixel", "pixel")
    assert tiff.reader("a.tif") is None
    assert tiff.reader([path]) is None
    with pytest.raises(ValueError, match="OME-TIFF has no int64"):
        tiff.write(path, np.zeros((4, 4), np.int64), {})
    np.testing.assert_array_equal(tiff.read(path)[0][0], color)


def test_lazy_stacks_are_written_plane_by_plane(tmp_path):
    lazy = Recorded(np.arange(4 * 6 * 7, dtype=np.uint16).reshape(4, 6, 7))
    path = str(tmp_path / "a.ome.tif")
    tiff.write(path, lazy, {"axis_labels": ("z", "y", "x")})
    assert lazy.read == [42] * 4
    np.testing.assert_array_equal(tiff.read(path)[0][0], lazy.values)


@pytest.mark.parametrize("sample", [photograph, volume, film, blurred, sinogram])
def test_samples(sample):
    for data, options, kind in sample():
        assert kind == "image"
        assert np.isfinite(data).all()
        assert len(options.get("axis_labels", data.shape)) == data.ndim
