"""Color transforms: names, matrices, and the axes of principal components."""

import numpy as np
import pytest

from fastrestore._arrays import color


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("auto", 3, "opp"), ("auto", 4, None), ("auto", 1, None), ("opp", 3, "opp"),
        ("opp", 1, None), ("ycbcr", 3, "ycbcr"), ("pca", 5, "pca"), ("pca", 1, None),
        (None, 3, None),
    ],
)  # fmt: skip
def test_names_are_resolved(name, count, expected):
    assert color.check(name, count) == expected


def test_transforms_for_other_numbers_of_channels_raise():
    with pytest.raises(ValueError, match=r"colorspace must be one of .*, got 'lab'"):
        color.check("lab", 3)
    with pytest.raises(ValueError, match="colorspace='opp' is for 3 channels, the image has 4"):
        color.check("opp", 4)
    with pytest.raises(ValueError, match=r"chroma_strength=2 is for colou?rs; .*channel_axis"):
        color.check_chroma(2.0, None, 1, None)
    with pytest.raises(ValueError, match="chroma_strength=2 is for color transforms"):
        color.check_chroma(2.0, None, 2, -1)


@pytest.mark.parametrize("name", ["opp", "ycbcr"])
def test_luminance_comes_first_and_keeps_gray(name):
    matrix, weights = color.transform(name, None, np.ones(3))
    np.testing.assert_allclose(matrix @ np.full(3, 7.0), [7, 0, 0], atol=1e-5)
    assert weights.tolist() == [1, 0, 0]
    assert np.linalg.matrix_rank(matrix) == 3


def test_principal_components_ignore_the_noise():
    """The noisiest channel is not the first component."""
    rng = np.random.default_rng(0)
    sigmas = np.array([1.0, 30.0, 1.0])
    signal = rng.normal(0, 20, (1, 64, 64)) * np.array([3.0, 0.1, 1.0])[:, None, None]
    noisy = signal + sigmas[:, None, None] * rng.normal(size=(3, 64, 64))
    matrix, weights = color.transform("pca", np.cov(noisy.reshape(3, -1)), sigmas)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert abs(matrix[0, 0]) > 0.9  # without the correction it would be channel 1
    assert matrix[0].sum() > 0
    assert weights.tolist() == [1, 0, 0]
