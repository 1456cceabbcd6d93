"""What users do while something is computed, and layers that are unusual or fail."""

import numpy as np
import pytest
from support.images import noisy, scene
from support.viewer import LIMIT, click, finish, napari_or_skip, press, previewed

napari_or_skip()

IMAGE = noisy(scene(48, 52), 10).astype(np.float32)
STACK = np.stack([IMAGE[:32, :36] + k for k in range(6)])


def denoised(qtbot, widget):
    """Press the button, and return the result."""
    widget.profile.value = "fast"
    click(widget.run)
    finish(qtbot, widget)
    return widget.done[-1].after


def test_a_new_result_is_not_hidden_by_an_older_one(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE)
    widget = opened("Denoise")
    first, second = denoised(qtbot, widget), denoised(qtbot, widget)
    assert [each for each in viewer.layers if each.visible] == [second]
    click(widget.undo)
    assert [each for each in viewer.layers if each.visible] == [first]
    click(widget.undo)
    assert [each for each in viewer.layers if each.visible] == [layer]


def test_the_key_shows_the_older_result_after_the_last_was_deleted(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE)
    widget = opened("Denoise")
    first, second = denoised(qtbot, widget), denoised(qtbot, widget)
    viewer.layers.remove(second)
    assert first.visible
    press(viewer, "B")
    assert [each for each in viewer.layers if each.visible] == [layer]
    assert "before" in viewer.status
    viewer.layers.remove(first)
    assert layer.visible
    assert not widget.undo.enabled


def test_two_widgets_are_undone_in_any_order(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE)
    denoise, streaks = opened("Denoise"), opened("Remove streaks")
    denoised(qtbot, denoise)
    click(streaks.run)
    finish(qtbot, streaks)
    click(denoise.undo)
    click(streaks.undo)
    assert list(viewer.layers) == [layer]
    assert layer.visible


@pytest.mark.parametrize("data", [IMAGE[:30], STACK])
def test_data_replaced_in_the_middle(viewer, opened, qtbot, data):
    layer = viewer.add_image(np.stack([IMAGE] * 12), name="a")
    widget = opened("Denoise")
    click(widget.run)
    layer.data = data
    finish(qtbot, widget)
    assert list(viewer.layers) == [layer]
    assert widget.status.value == "a has other data now; its result is not shown."
    assert widget.kind.value == "planes"
    assert len(widget.stacked.choices) == data.ndim - 2


def test_preview_follows_data_place_and_contrast_of_its_source(viewer, opened, qtbot):
    layer = viewer.add_image(IMAGE)
    widget = opened("Denoise")
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    previewed(qtbot, widget, lambda: setattr(layer, "data", IMAGE + 1000))
    preview = widget.preview.layer
    assert preview.data.mean() > 1000
    layer.contrast_limits = (900, 1300)
    np.testing.assert_allclose(preview.contrast_limits, (900, 1300))

    def move():
        layer.scale, layer.rotate, layer.translate = (2, 3), 30, (5, 7)
        layer.affine = [[1, 0.1, 3], [0, 1, 4], [0, 0, 1]]

    previewed(qtbot, widget, move)
    layer.units = ("um", "um")
    assert preview.units == layer.units  # at once, because napari warns if they differ
    first = preview.data_to_world((0, 0))
    later = np.asarray(layer.world_to_data(first)) + np.array([5, 6])
    np.testing.assert_allclose(preview.data_to_world((5, 6)), layer.data_to_world(later))
    widget.shown.value = False
    layer.contrast_limits = (0, 1)
    np.testing.assert_allclose(preview.contrast_limits, (900, 1300))


def test_the_key_compares_the_preview_with_the_image(viewer, opened, qtbot):
    viewer.add_image(IMAGE)
    widget = opened("Denoise")
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    press(viewer, "B")
    assert not widget.preview.layer.visible
    assert widget.status.value == "Before."
    click(widget.compare)
    assert widget.preview.layer.visible
    widget.shown.value = False
    assert not widget.compare.enabled
    result = denoised(qtbot, widget)
    press(viewer, "B")
    assert not result.visible


def test_closing_a_dock_ends_its_work(viewer, opened, qtbot):
    layer = viewer.add_image(np.stack([IMAGE] * 40))
    widget = opened("Denoise")
    previewed(qtbot, widget, lambda: setattr(widget.shown, "value", True))
    click(widget.run)
    viewer.window.remove_dock_widget(widget.native.parent())
    finish(qtbot, widget)
    assert list(viewer.layers) == [layer]
    assert not widget.preview.active


def test_a_deleted_widget_is_called_no_more(viewer, opened, qtbot):
    viewer.add_image(np.stack([IMAGE] * 40))
    widget = opened("Denoise")
    calls = []
    for name in ("_progress", "_added", "_failed", "_ended"):
        setattr(widget, name, lambda *_, name=name: calls.append(name))
    click(widget.run)
    task = widget.task
    qtbot.waitUntil(lambda: bool(calls), timeout=LIMIT)
    widget._closed()
    calls.clear()
    qtbot.waitUntil(lambda: not task._worker.is_running, timeout=LIMIT)
    qtbot.wait(50)
    assert not calls
    assert widget.task is None


def test_lazy_layers_that_fail(viewer, opened, qtbot):
    array = pytest.importorskip("dask.array")

    def read(block, block_info=None):
        if block_info[0]["chunk-location"][0] == 5:
            raise OSError("the disk is gone")
        return block

    lazy = array.from_array(STACK, chunks=(1, -1, -1)).map_blocks(read, dtype=np.float32)
    viewer.add_image(lazy, contrast_limits=(0, 255), axis_labels=("z", "y", "x"))
    widget = opened("Denoise")
    click(widget.run)
    finish(qtbot, widget)
    assert "the disk is gone" in widget.status.value
    assert len(viewer.layers) == 1
    assert widget.run.enabled


def test_large_lazy_volumes_are_restored_in_chunks(viewer, opened, qtbot, monkeypatch):
    import fastrestore
    from fastrestore._napari import lazy

    array = pytest.importorskip("dask.array")
    monkeypatch.setattr(lazy, "WHOLE", 1000)
    viewer.add_image(array.from_array(STACK, chunks=(2, -1, -1)), axis_labels=("z", "y", "x"))
    widget = opened("Denoise")
    assert widget.reads.value.startswith("chunks; the result takes")
    widget.noise.value = "white"
    click(widget.run)
    finish(qtbot, widget)
    result = widget.done[-1].after
    expected = fastrestore.denoise(STACK, noise="white", axes="ZYX", kind="volume")
    np.testing.assert_array_equal(result.data, expected)
    exec(widget.job().script, {"viewer": viewer})
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)


@pytest.mark.parametrize("values", [0.0, -1.0, np.nan])
def test_layers_that_are_no_psf(viewer, opened, values):
    viewer.add_image(IMAGE, name="image")
    viewer.add_image(np.full((5, 5), values), name="psf", contrast_limits=(0, 1))
    widget = opened("Deblur")
    click(widget.run)
    assert "The PSF needs a sum above 0; that of psf is" in widget.status.value
    assert widget.task is None
