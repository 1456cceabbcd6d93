"""The backend contract, tested with an additional backend that has its own image type."""

import importlib
import inspect
import json

import numpy as np
import pytest
from support.clips import SMALL as VIDEO
from support.clips import video
from support.images import noisy, scene
from support.volumes import VOLUME, cells
from support.volumes import noisy as noisy_volume

import fastrestore
from fastrestore import Profile, bm3d, bm4d, psd_from_kernel, vbm3d
from fastrestore.backends import select
from fastrestore.backends.protocol import Availability, Backend, VideoStage

SMALL = Profile(
    radius_basic=4, radius_final=4, group_basic=4, group_final=4, step_basic=4, step_final=4
)
LINE = np.full((1, 5), 20 / 5**0.5)


@pytest.fixture
def added(monkeypatch):
    """Add a backend to the table."""
    monkeypatch.setitem(select.MODULES, "mine", "support.readonly_backend")
    select.why_unavailable.cache_clear()
    yield "mine"
    select.why_unavailable.cache_clear()


def functions(protocol):
    """The functions of a protocol, and the names of their parameters."""
    members = inspect.getmembers(protocol, inspect.isfunction)
    return {name: parameters(each)[1:] for name, each in members if name[0] != "_"}


def parameters(function):
    return list(inspect.signature(function).parameters)


def unlike(module, protocol):
    """The functions of a protocol that a module lacks, or has with other parameters."""
    return [
        name
        for name, names in functions(protocol).items()
        if not callable(getattr(module, name, None)) or parameters(getattr(module, name)) != names
    ]


BACKENDS = [*select.MODULES.values(), "support.readonly_backend"]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_engine_has_the_functions_of_the_contract(name):
    package, engine = (importlib.import_module(each) for each in (name, f"{name}.engine"))
    assert unlike(package, Availability) == []
    assert unlike(engine, Backend) == []
    assert package.NAME == engine.NAME
    assert package.capabilities == engine.capabilities
    known = {"image", "sharpen", "volume", "video", "matches", "gradients", "float64", "factors"}
    known |= {"batch", "uncertainty", "axes", "learning"}
    assert package.capabilities <= known


@pytest.mark.parametrize(
    "stage",
    [
        "fastrestore.backends.cupy.vbm3d",
        "fastrestore.backends.numba.vbm3d",
        "fastrestore.backends.numpy.vbm3d",
        "support.readonly_backend.engine",
    ],
)
def test_every_video_stage_has_the_methods_of_the_contract(stage):
    made = importlib.import_module(stage).VideoStage
    for name, names in functions(VideoStage).items():
        assert parameters(getattr(made, name))[1:] == names


def test_other_modules_are_not_backends():
    assert set(unlike(json, Backend)) == set(functions(Backend))
    assert len(functions(Backend)) >= 15


IMAGE = noisy(scene(30, 34), 20)
COLOR = np.stack([IMAGE, IMAGE[::-1] + 5, 255 - IMAGE], axis=-1)
WIDE = noisy(scene(150, 76), 20)
CALLS = {
    "gray": lambda: bm3d(IMAGE, 20, profile=SMALL),
    "basic": lambda: bm3d(IMAGE, 20, profile=SMALL, stage="basic"),
    "integers": lambda: bm3d(IMAGE.astype(np.int16), 20, profile=SMALL),
    "color": lambda: bm3d(COLOR, (20, 10, 0), profile=SMALL, channel_axis=-1),
    "pca": lambda: bm3d(COLOR, 20, profile=SMALL, channel_axis=-1, colorspace="pca"),
    "estimated": lambda: bm3d(IMAGE, profile=SMALL),
    "far from 0": lambda: bm3d(IMAGE + 1e6, 20, profile=SMALL),
    "smaller than a block": lambda: bm3d(IMAGE[:5, :3], 20, profile=SMALL),
    "map": lambda: bm3d(IMAGE, np.linspace(0, 30, 34), profile=SMALL),
    "psd": lambda: bm3d(IMAGE, psd=psd_from_kernel(LINE, IMAGE.shape), profile=SMALL),
    "noise model": lambda: bm3d(IMAGE, noise=fastrestore.Rician(20), profile=SMALL),
    "pilot": lambda: bm3d(IMAGE, 20, pilot=scene(30, 34), profile=SMALL),
    "guide": lambda: bm3d(IMAGE, 20, guide=scene(30, 34), profile=SMALL),
    "refilter": lambda: bm3d(IMAGE, noise_kernel=LINE, profile=SMALL.replace(residual=1.0)),
    "iterative": lambda: bm3d(IMAGE, noise_kernel=LINE, profile=SMALL.replace(iterations=2)),
    "tiles": lambda: bm3d(WIDE, 20, profile=TILED, max_memory=400e3),
    "tiles of a map": lambda: bm3d(WIDE, WIDE / 10 + 30, profile=TILED, max_memory=500e3),
    "sharpen": lambda: fastrestore.sharpen(IMAGE, 20),
    "plan": lambda: fastrestore.BM3DPlan(IMAGE.shape, "f8", 20, profile=SMALL)(IMAGE),
    "volume": lambda: bm4d(CUBES, 15, profile=VOLUME),
    "volume map": lambda: bm4d(CUBES, np.linspace(0, 20, 14), profile=VOLUME),
    "volume psd": lambda: bm4d(
        CUBES, psd=psd_from_kernel(np.full((1, 3, 2), 5.0), CUBES.shape), profile=VOLUME
    ),
    "volume by another axis": lambda: bm4d(CUBES, 15, slice_axis=2, profile=VOLUME),
    "video": lambda: vbm3d(FRAMES, 20, radius=2, profile=VIDEO),
    "video stream": lambda: np.array(list(vbm3d(iter(FRAMES), radius=1, profile=VIDEO))),
    "video in color": lambda: vbm3d(
        np.stack([FRAMES, 255 - FRAMES, FRAMES[::-1]], 1),
        (20, 20, 0),
        channel_axis=1,
        radius=1,
        profile=VIDEO,
    ),
}
TILED = SMALL.replace(radius_basic=2, radius_final=2)
CUBES = noisy_volume(cells(6, 11, 14), 15)
FRAMES = video(5, 20, 22)[1]


@pytest.mark.parametrize("name", CALLS)
def test_images_of_another_kind_give_equal_results(added, name):
    with fastrestore.use_backend("numpy"):
        expected = CALLS[name]()
    with fastrestore.use_backend(added):
        result = CALLS[name]()
    assert type(result) is np.ndarray
    assert result.dtype == expected.dtype
    assert result.flags.writeable
    np.testing.assert_array_equal(result, expected)


def test_memory_limits_require_tiles(added, monkeypatch):
    """The memory limits above are small enough to require tiles."""
    engine, shapes = select.select(added), []
    whole = engine.bm3d_match

    def match(image, stage, execution):
        shapes.append(image.shape)
        return whole(image, stage, execution)

    monkeypatch.setattr(engine, "bm3d_match", match)
    with fastrestore.use_backend(added):
        CALLS["tiles"]()
    assert len(shapes) >= 4
    assert max(shapes) < WIDE.shape


def test_added_backend_is_listed_and_selected(added, capsys):
    fastrestore.show_backends()
    assert "mine   available\n" in capsys.readouterr().out
    assert select.select(added).NAME == "mine"
    with pytest.raises(ValueError, match=r"use one of 'auto', .*'numpy', .*'mine'"):
        select.select("yours")
