"""Figures that compare images."""

import sys

import numpy as np
import pytest
from support.images import noisy, scene

from fastrestore import plot
from fastrestore.metrics import psnr

CLEAN = scene(48, 40)
NOISY = noisy(CLEAN, 10)


@pytest.fixture(autouse=True)
def no_window():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_panels():
    figure = plot.compare(NOISY, CLEAN + 1, truth=CLEAN, data_range=255)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == f"noisy\n{psnr(CLEAN, NOISY, data_range=255):.2f} dB"
    assert titles[1].startswith("restored\n48.13 dB")
    assert titles[2] == "truth"
    deviation = (NOISY - CLEAN).std()
    assert (
        titles[3] == f"Removed: noisy \N{MINUS SIGN} restored\nstandard deviation {deviation:.3g}"
    )
    shown = figure.axes[3].images[0].get_array()
    np.testing.assert_allclose(shown, NOISY - CLEAN - 1)
    figure.canvas.draw()


def test_two_rows():
    figure = plot.compare(NOISY, CLEAN + 1, CLEAN, truth=CLEAN, rows=2)
    places = [axes.get_subplotspec().colspan.start for axes in figure.axes]
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes]
    assert places == [0, 1, 2, 0, 1, 2]
    assert titles[3:] == ["truth"] + [f"Removed: noisy \N{MINUS SIGN} restored {k}" for k in (1, 2)]
    figure = plot.compare(NOISY, CLEAN, rows=2)
    assert [axes.get_visible() for axes in figure.axes] == [True, True, False, True]
    with pytest.raises(ValueError, match="rows must be 1 or 2; got 3"):
        plot.compare(NOISY, CLEAN, rows=3)


def test_zoom_is_that_of_all_panels():
    figure = plot.compare(NOISY, CLEAN)
    figure.axes[0].set_xlim(5, 10)
    assert [axes.get_xlim() for axes in figure.axes] == [(5, 10)] * 3


def test_colors_and_the_middle_of_a_stack():
    color = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    figure = plot.compare(color, color, channel_axis=-1)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), color / 255)
    stack = np.zeros((5, 8, 9)) + np.arange(5.0)[:, None, None]
    figure = plot.compare(stack, stack)
    assert np.all(figure.axes[0].images[0].get_array() == 2)


def test_errors(monkeypatch):
    with pytest.raises(TypeError, match="needs a noisy array and one or more restored"):
        plot.compare(NOISY)
    with pytest.raises(ValueError, match="restored has"):
        plot.compare(NOISY, CLEAN[1:])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"plot.compare needs matplotlib; install it with pip"):
        plot.compare(NOISY, CLEAN)
