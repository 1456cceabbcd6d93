"""Each action of the plugin for napari by its widgets, without a screen."""

import numpy as np
import pytest
from support.images import noisy, scene
from support.viewer import LIMIT, MANIFEST, click, finish, napari_or_skip, press, previewed

napari_or_skip()

import fastrestore  # noqa: E402
from fastrestore._napari import KEY  # noqa: E402
from fastrestore._napari.preview import camera_of  # noqa: E402

CLEAN = scene(64, 72)
IMAGE = noisy(CLEAN, 10).astype(np.float32)
STACK = np.stack([IMAGE[:40, :44] + k for k in range(6)])


def test_denoise_a_plane(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE, name="a", scale=(0.5, 0.25), units=("um", "um"),
                             metadata={"stage": 3}, contrast_limits=(10, 200))  # fmt: skip
    widget = opened("Denoise")
    assert widget.layer.value is layer
    assert not widget.stacked.visible
    widget.noise.value = "given level"
    widget.sigma.value, widget.strength.value, widget.profile.value = 10, 1.1, "fast"
    click(widget.run)
    assert widget.cancel.enabled
    assert not widget.run.enabled
    finish(qtbot, widget)
    result = viewer.layers[-1]
    expected = fastrestore.denoise(IMAGE, 10, strength=1.1, profile="fast")
    np.testing.assert_array_equal(result.data, expected)
    assert result.name == "a (denoised)"
    np.testing.assert_array_equal(result.scale, layer.scale)
    assert result.units == layer.units
    np.testing.assert_allclose(result.contrast_limits, (10, 200))
    assert result.metadata["stage"] == 3
    done = result.metadata[KEY]
    assert done["function"] == "denoise"
    assert done["arguments"] == {"sigma": 10, "strength": 1.1, "profile": "fast"}
    assert done["noise"] == ["sigma 10"]
    assert not layer.visible
    assert widget.run.enabled
    assert not widget.cancel.enabled
    assert viewer.layers.selection.active is layer


@pytest.mark.parametrize(
    ("labels", "kind", "options"),
    [
        (("z", "y", "x"), "volume", {"axes": "ZYX", "kind": "volume"}),
        (("t", "y", "x"), "film", {"axes": "TYX", "kind": "film"}),
        (("c", "y", "x"), "planes", {"axes": "CYX"}),
    ],
)
def test_labels_choose_what_is_restored_together(viewer, opened, qtbot, labels, kind, options):
    viewer.add_image(STACK, axis_labels=labels)
    widget = opened("Denoise")
    assert widget.kind.value == kind
    widget.noise.value = "white"
    click(widget.run)
    finish(qtbot, widget)
    result = viewer.layers[-1]
    np.testing.assert_array_equal(result.data, fastrestore.denoise(STACK, noise="white", **options))
    assert result.axis_labels == labels
    assert len(result.metadata[KEY]["noise"]) == (6 if kind == "planes" else 1)


def test_axes_are_chosen_by_hand(viewer, opened, qtbot):
    stack = np.stack([STACK[:3], STACK[3:]], 1)  # of shape (3, 2, 40, 44)
    viewer.add_image(stack)
    widget = opened("Denoise")
    assert widget.kind.value == "planes"
    widget.kind.value = "volume"
    widget.stacked.value, widget.channels.value = 0, 1
    assert widget.settings()[1].axes.letters == "ZSYX"
    widget.channels.value = 0
    click(widget.run)
    assert "need different axes" in widget.status.value
    assert widget.task is None


def test_colors(viewer, opened, qtbot):
    rgb = np.stack([IMAGE, IMAGE, 255 - IMAGE], -1).clip(0, 255).astype(np.uint8)
    viewer.add_image(rgb, rgb=True)
    widget = opened("Denoise")
    widget.profile.value = "fast"
    click(widget.run)
    finish(qtbot, widget)
    result = viewer.layers[-1]
    assert result.rgb
    assert result.data.dtype == np.uint8
    assert np.abs(result.data[..., 0] - CLEAN).std() < 7
    click(widget.compare)
    click(widget.compare)
    assert viewer.layers[-1].name.endswith("(removed)")
    assert viewer.layers[-1].data.shape == IMAGE.shape


def test_preview_follows_sliders_and_view(viewer, opened, qtbot):
    layer = viewer.add_image(np.stack([IMAGE, IMAGE[::-1]]), scale=(1, 2, 2), name="a")
    widget = opened("Denoise")
    widget.profile.value = "fast"
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    preview = widget.preview.layer
    assert preview.data.shape == (1, 64, 72)
    assert viewer.layers.index(preview) == viewer.layers.index(layer) + 1
    assert viewer.layers.selection.active is layer
    assert preview not in widget.layer.choices
    assert widget.found.value.startswith("white, sigma")
    first, point = preview.data.copy(), int(preview.translate[0])
    previewed(qtbot, widget, lambda: setattr(widget.strength, "value", 1.8))
    assert np.abs(np.diff(preview.data)).mean() < np.abs(np.diff(first)).mean()
    previewed(qtbot, widget, lambda: viewer.dims.set_point(0, 1 - point))
    assert preview.translate[0] == 1 - point
    layer.corner_pixels = np.array([[0, 10, 20], [0, 41, 51]])
    previewed(qtbot, widget, lambda: camera_of(viewer).events.zoom())
    assert preview.data.shape == (1, 32, 32)
    np.testing.assert_allclose(preview.translate, (1 - point, 20, 40))
    widget.shown.value = False
    assert list(viewer.layers) == [layer]


def test_preview_says_why_there_is_none(viewer, opened, qtbot):
    viewer.add_image(STACK)
    widget = opened("Denoise")
    widget.kind.value = "planes"
    viewer.dims.ndisplay = 3
    widget.shown.value = True
    qtbot.waitUntil(lambda: "2-D view" in widget.status.value, timeout=LIMIT)
    assert len(viewer.layers) == 1
    previewed(qtbot, widget, lambda: setattr(viewer.dims, "ndisplay", 2))
    assert len(viewer.layers) == 2


def test_preview_ends_with_its_layer(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE)
    widget = opened("Denoise")
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    viewer.layers.remove(widget.preview.layer)
    assert not widget.shown.value
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    viewer.layers.remove(layer)
    assert not widget.shown.value
    assert not viewer.layers


def test_noise_is_plotted(viewer, opened, qtbot):
    pytest.importorskip("matplotlib")
    viewer.add_image(IMAGE)
    widget = opened("Denoise")
    assert not widget.plot.enabled
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    click(widget.plot)
    picture = widget.window_of_noise.children()[-1].pixmap()
    assert picture.width() > 400
    widget.window_of_noise.close()


def test_cancel_in_the_middle(viewer, opened, qtbot):
    layer = viewer.add_image(np.stack([IMAGE] * 60))
    widget = opened("Denoise")
    click(widget.run)
    qtbot.waitUntil(lambda: widget.bar.value > 0, timeout=LIMIT)
    assert widget.bar.value < 90
    click(widget.cancel)
    finish(qtbot, widget)
    assert list(viewer.layers) == [layer]
    assert widget.status.value == "Cancelled."
    assert widget.run.enabled
    assert layer.visible


def test_layer_removed_in_the_middle(viewer, opened, qtbot):
    layer = viewer.add_image(np.stack([IMAGE] * 60), name="a")
    widget = opened("Denoise")
    click(widget.run)
    qtbot.waitUntil(lambda: widget.bar.value > 0, timeout=LIMIT)
    viewer.layers.remove(layer)
    finish(qtbot, widget)
    assert not viewer.layers
    assert "a was removed" in widget.status.value
    click(widget.run)
    assert "Open an image" in widget.status.value


def test_errors_are_shown(viewer, opened, qtbot):
    viewer.add_image(np.full((20, 20), np.nan, np.float32))
    widget = opened("Denoise")
    click(widget.run)
    finish(qtbot, widget)
    assert "NaN" in widget.status.value
    assert len(viewer.layers) == 1


def test_before_after_removed_and_undo(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE, name="a")
    widget = opened("Denoise")
    for _ in range(2):
        click(widget.run)
        finish(qtbot, widget)
    result = widget.done[-1].after
    seen = []
    for _ in range(3):
        press(viewer, "B")
        comparison = widget.done[-1]
        shown = [each for each in comparison.layers if each.visible]
        assert len(shown) == 1
        seen.append(shown[0])
    removed = widget.done[-1].removed
    assert seen == [layer, removed, result]
    np.testing.assert_allclose(removed.data, IMAGE - result.data, atol=1e-4)
    low, high = removed.contrast_limits
    assert low == -high
    layer.contrast_limits = (5, 150)
    np.testing.assert_allclose(result.contrast_limits, (5, 150))
    click(widget.undo)
    assert result not in viewer.layers
    assert removed not in viewer.layers
    layer.contrast_limits = (6, 140)
    assert len(widget.done) == 1
    click(widget.undo)
    assert list(viewer.layers) == [layer]
    assert layer.visible
    assert not widget.undo.enabled
    press(viewer, "B")  # does nothing
    assert list(viewer.layers) == [layer]


def test_a_key_of_the_user_is_kept(viewer, opened, qtbot):
    pressed = []
    viewer.bind_key("B", lambda viewer: pressed.append(1))
    viewer.add_image(IMAGE)
    widget = opened("Denoise")
    click(widget.run)
    finish(qtbot, widget)
    press(viewer, "B")
    assert pressed == [1]


def test_copied_python_does_the_same(viewer, opened, qtbot):
    from qtpy.QtWidgets import QApplication

    viewer.add_image(STACK, name="it's", axis_labels=("z", "y", "x"), scale=(3, 1, 1))
    widget = opened("Denoise")
    widget.noise.value = "white"
    click(widget.copy)
    text = QApplication.clipboard().text()
    click(widget.run)
    finish(qtbot, widget)
    result = viewer.layers[-1]
    assert result.metadata[KEY]["script"] == text
    exec(text, {"viewer": viewer})
    again = viewer.layers[-1]
    assert again is not result
    np.testing.assert_array_equal(again.data, result.data)
    np.testing.assert_array_equal(again.scale, result.scale)


def test_lazy_planes_are_restored_when_they_are_seen(viewer, opened, qtbot):
    array = pytest.importorskip("dask.array")
    lazy = array.from_array(np.stack([IMAGE] * 5), chunks=(2, 50, 50))
    viewer.add_image(lazy)
    widget = opened("Denoise")
    widget.noise.value = "given level"
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    click(widget.run)
    finish(qtbot, widget)
    result = viewer.layers[-1].data
    assert isinstance(result, array.Array)
    expected = fastrestore.denoise(np.asarray(lazy), 10, axes="CYX")
    np.testing.assert_array_equal(np.asarray(result), expected)
    click(widget.compare)
    click(widget.compare)
    assert isinstance(viewer.layers[-1].data, array.Array)
    exec(widget.job().script, {"viewer": viewer})
    assert isinstance(viewer.layers[-1].data, array.Array)
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data[2]), expected[2])


def test_multiscale_layers_are_restored_at_full_resolution(viewer, opened, qtbot):
    viewer.add_image([IMAGE, IMAGE[::2, ::2]], multiscale=True)
    widget = opened("Denoise")
    widget.noise.value = "given level"
    click(widget.run)
    finish(qtbot, widget)
    np.testing.assert_array_equal(viewer.layers[-1].data, fastrestore.denoise(IMAGE, 10))


def test_rotated_parts_are_in_place(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE, rotate=30, scale=(2, 3), translate=(5, 7))
    widget = opened("Denoise")
    layer.corner_pixels = np.array([[10, 20], [41, 51]])
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    preview = widget.preview.layer
    np.testing.assert_allclose(preview.data_to_world((1, 2)), layer.data_to_world((11, 22)))


def test_deblur(viewer, opened, qtbot):
    viewer.open_sample("fastrestore", "blurred")
    image = viewer.layers["blurred"]
    image.data = image.data[200:280, 200:280]
    widget = opened("Deblur")
    assert widget.layer.value is image
    assert widget.psf.value is viewer.layers["psf"]
    widget.estimate.value = False
    click(widget.run)
    finish(qtbot, widget)
    psf = viewer.layers["psf"].data.astype(float)
    expected = fastrestore.deblur(image.data, psf / psf.sum(), 2)
    np.testing.assert_array_equal(widget.done[-1].after.data, expected)
    widget.psf.value = image
    click(widget.run)
    assert "Choose another layer as the PSF" in widget.status.value


def test_deblur_a_stack(viewer, opened, qtbot):
    viewer.add_image(STACK[:2], name="stack")
    viewer.add_image(np.ones((3, 3)), name="psf")
    widget = opened("Deblur")
    assert widget.psf.value.name == "psf"
    widget.strength.value = 0.9
    click(widget.run)
    finish(qtbot, widget)
    expected = fastrestore.deblur(STACK[1], np.full((3, 3), 1 / 9), strength=0.9)
    np.testing.assert_array_equal(widget.done[-1].after.data[1], expected)


def test_streaks(viewer, opened, qtbot):
    viewer.open_sample("fastrestore", "sinogram")
    layer = viewer.layers[0]
    widget = opened("Remove streaks")
    widget.strength.value = 0.8
    click(widget.run)
    finish(qtbot, widget)
    expected = fastrestore.remove_streaks(layer.data, strength=0.8)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    widget.detector.value = widget.angles.value
    click(widget.run)
    assert "need different axes" in widget.status.value


def test_save_and_open_again(viewer, opened, qtbot, tmp_path):
    viewer.open_sample("fastrestore", "volume")
    layer = viewer.layers[0]
    layer.data = layer.data[:5, :40, :40]
    widget = opened("Denoise")
    widget.noise.value = "white"
    click(widget.run)
    finish(qtbot, widget)
    result = viewer.layers[-1]
    path = str(tmp_path / "a.ome.tif")
    viewer.layers.selection = {result}
    assert viewer.layers.save(path, selected=True, plugin="fastrestore") == [path]
    again = viewer.open(path, plugin="fastrestore")[0]
    np.testing.assert_array_equal(again.data, result.data)
    np.testing.assert_allclose(again.scale, (1, 0.2, 0.2))
    assert again.units == result.units
    assert again.axis_labels == ("z", "y", "x")
    assert again.metadata[KEY]["script"] == result.metadata[KEY]["script"]


def test_a_widget_before_any_image(viewer, opened, qtbot):
    widget = opened("Denoise")
    click(widget.run)
    assert "Open an image" in widget.status.value
    click(widget.copy)
    widget.shown.value = True
    viewer.add_image(STACK, axis_labels=("z", "y", "x"))
    assert widget.layer.value is viewer.layers[0]
    assert widget.kind.value == "volume"
    qtbot.waitUntil(lambda: widget.preview.layer is not None, timeout=LIMIT)


def test_manifest():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "fastrestore"
