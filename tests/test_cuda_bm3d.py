"""Whole `bm3d` with the CUDA kernels: on a GPU where there is one, else executed on the CPU."""

import numpy as np
import pytest
from fakecupy import Cupy
from images import assert_close, camera, noisy

from fastrestore import _cupy, bm3d
from fastrestore.backends import cupy as backend
from fastrestore.backends.cupy import _device, _module


@pytest.fixture
def cupy(monkeypatch):
    """The stand-in in the place of CuPy, and nothing kept of another one."""
    module = Cupy()
    for kept in (backend._why_unavailable, _module.kernel, _device._small):
        kept.cache_clear()
    _module._ready.clear()
    monkeypatch.setattr(_cupy, "load", lambda: module)
    monkeypatch.setattr(_cupy, "loaded", lambda: module)
    yield module
    for kept in (backend._why_unavailable, _module.kernel, _device._small):
        kept.cache_clear()
    _module._ready.clear()


def integer(image):
    return np.round(np.clip(image, 0, 255)).astype(np.float32)


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("profile", ["np", "fast", "lc", "vn", "high", "refilter"])
def test_profiles(profile):
    image = integer(noisy(camera(height=48, width=41), 20))
    expected = bm3d(image, 20, profile=profile, backend="numpy")
    assert_close(bm3d(image, 20, profile=profile, backend="cupy"), expected, 255)
