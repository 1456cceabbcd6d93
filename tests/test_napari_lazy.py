"""Lazy volumes and films of the plugin for napari, in chunks, without napari."""

import numpy as np
import pytest
from support.images import noisy, scene

import fastrestore
from fastrestore._napari import lazy
from fastrestore._napari.axes import Axes
from fastrestore._napari.settings import Settings
from fastrestore._napari.whole import denoised

array = pytest.importorskip("dask.array")
STACK = noisy(np.stack([scene(46, 24)] * 20), 10).astype(np.float32)
FILM = noisy(np.stack([scene(24, 20)] * 70), 10).astype(np.float32)
ZYX = Axes(("z", "y", "x"), "volume", 0)
TYX = Axes(("t", "y", "x"), "film", 0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(lazy, "WHOLE", 1000)
    monkeypatch.setattr(lazy, "CHUNK", {"volume": (20, 23), "film": (35, -1)})


def quiet(done, total):
    """Report nothing."""


@pytest.mark.parametrize(("axes", "stack"), [(ZYX, STACK), (TYX, FILM)])
def test_chunks_give_the_result_of_the_whole(axes, stack):
    settings = Settings(axes, sigma=10.0)
    image = array.from_array(stack, chunks=(1, -1, -1))
    assert lazy.is_chunked(image, settings)
    reports = []
    result = denoised(image, settings, lambda *each: reports.append(each))
    expected = fastrestore.denoise(stack, **settings.arguments())
    np.testing.assert_array_equal(result.data, expected)
    assert reports[-1][0] == reports[-1][1] == len(reports)


def test_colors_of_a_film_keep_type_and_alpha():
    colors = np.stack([FILM, FILM / 2, 255 - FILM, FILM], -1).clip(0, 255).astype(np.uint8)
    settings = Settings(TYX._replace(rgb=True), sigma=10.0)
    result = denoised(array.from_array(colors), settings, quiet).data
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[..., 3], colors[..., 3])
    expected = denoised(colors, settings, quiet).data
    np.testing.assert_array_equal(result, expected)


def test_chunks_are_cancelled():
    class StoppedError(Exception):
        """What a report raises."""

    def report(done, total):
        if done > 3:
            raise StoppedError
        reports.append(done)

    reports = []
    with pytest.raises(StoppedError):
        denoised(array.from_array(STACK, chunks=(1, -1, -1)), Settings(ZYX, sigma=10.0), report)
    assert len(reports) == 3


def test_films_whose_noise_chunks_cannot_estimate():
    rng = np.random.default_rng(0)
    film = array.from_array(rng.normal(100, 10, (70, 24, 20)).astype(np.float32))
    with pytest.raises(ValueError, match=r"one scene only.*In the widget: Noise, given level"):
        denoised(film, Settings(TYX), quiet)


def test_what_is_read_is_said(monkeypatch):
    image = array.from_array(STACK, chunks=(1, -1, -1))
    assert lazy.memory(STACK, Settings(ZYX)) == ""
    assert "planes that are seen" in lazy.memory(image, Settings(Axes(("z", "y", "x"))))
    assert lazy.memory(image, Settings(ZYX)) == "chunks; the result takes 8.8e-05 GB of memory"
    monkeypatch.setattr(lazy, "WHOLE", STACK.size)
    assert not lazy.is_chunked(image, Settings(ZYX))
    assert lazy.memory(image, Settings(ZYX)) == "the whole layer, in about 0.0011 GB of memory"
