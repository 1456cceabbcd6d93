"""`fastrestore.compat.bm3d`: kernels and color transforms."""

import numpy as np
import pytest
from support.images import scene

from fastrestore.compat import bm3d as package


@pytest.fixture(scope="module")
def color():
    clean = scene(48, 56) / 255
    return np.stack([clean, clean[::-1], clean[:, ::-1]], axis=-1)


def test_kernels():
    kernel = package.gaussian_kernel((5, 7), 1.0, 2.0)
    assert kernel.shape == (5, 7)
    assert kernel.sum() == pytest.approx(1)
    assert kernel[1, 3] / kernel[2, 3] == pytest.approx(np.exp(-0.5))
    assert kernel[2, 1] / kernel[2, 3] == pytest.approx(np.exp(-0.5))
    np.testing.assert_array_equal(
        package.gaussian_kernel((4, 4), 1.0).T, package.gaussian_kernel([4, 4], 1)
    )
    with pytest.raises(ValueError, match="std must be a number above 0, got 0"):
        package.gaussian_kernel((3, 3), 0)
    with pytest.raises(ValueError, match=r"size must be 2 numbers, got \(3,\)"):
        package.gaussian_kernel((3,), 1)
    with pytest.raises(ValueError, match="size must be 2 numbers, got 3"):
        package.gaussian_kernel(3, 1)


@pytest.mark.parametrize("mode", ["opp", "YCbCr"])
def test_color_transforms(color, mode):
    there, most, least, scale, matrix = package.rgb_to(color, mode)
    assert (there.min(), there.max()) == (0, 1)
    np.testing.assert_allclose(there * (most - least) + least, color @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(scale, (matrix**2).sum(1) / (most - least) ** 2)
    back = package.rgb_to(there, mode, inverse=True, o_max=most, o_min=least)
    np.testing.assert_allclose(back[0], color, atol=1e-12)
    assert back[3] is None
    gray = np.repeat(color[..., :1], 3, axis=-1)
    assert np.isfinite(package.rgb_to(gray, mode)[0]).all()
    with pytest.raises(ValueError, match="colormode must be one of 'opp', 'YCbCr', got 'lab'"):
        package.rgb_to(color, "lab")
    with pytest.raises(ValueError, match=r"img must have the shape \(M, N, 3\), got \(48, 56\)"):
        package.rgb_to(color[..., 0])
