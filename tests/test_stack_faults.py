"""Stacks of named axes: wrong arguments, values and files end in one line that names the place."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from support.commandline import fails, works

import fastrestore
from fastrestore.cli import main

PAGE = (16, 18)


def noisy(*shape):
    return 100 + np.random.default_rng(0).normal(0, 5, (*shape, *PAGE))


@pytest.mark.parametrize("kind", ["planes", "film", "volume"])
def test_noise_level_of_each_channel(kind):
    stack, sigma = noisy(3, 2), np.array([5.0, 10.0]).reshape(2, 1, 1)
    axes = "ZCYX" if kind == "volume" else "TCYX"
    result = fastrestore.denoise(stack, sigma, axes=axes, kind=kind)
    for channel, level in enumerate((5, 10)):
        one = fastrestore.denoise(stack[:, channel], level, axes=axes.replace("C", ""), kind=kind)
        np.testing.assert_array_equal(result[:, channel], one)


def test_advice_on_keywords_with_axes():
    with pytest.raises(TypeError, match="denoise has no argument psd; bm3d has it"):
        fastrestore.denoise(noisy(2), axes="ZYX", psd=np.ones(PAGE))
    with pytest.raises(TypeError, match=r"denoise\(\) got an unexpected keyword argument 'sigmas'"):
        fastrestore.denoise(noisy(2), axes="ZYX", sigmas=5)


@pytest.fixture
def stack(monkeypatch, tmp_path):
    """Return a function that writes a.tif."""
    monkeypatch.chdir(tmp_path)

    def write(values, axes):
        tifffile.imwrite("a.tif", values.astype(np.float32), imagej=True, metadata={"axes": axes})

    return write


DENOISE = ("denoise", "a.tif", "-o", "b.tif")


def test_message_names_the_image(capsys, stack):
    values = noisy(3, 2)
    values[2, 1, 0, 0] = np.nan
    stack(values, "ZCYX")
    assert "a.tif: at Z=2, C=1: image has values that are NaN" in fails(
        capsys, *DENOISE, "--sigma", "5"
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("command", [DENOISE, ("volume", "a.tif", "-o", "b.tif", "--as", "planes")])
def test_warnings_that_differ_in_numbers_are_one(capsys, stack, command):
    stack(noisy(3, 2), "ZCYX")
    assert main([*command, "--sigma", "500"]) == 0
    shown = capsys.readouterr().err
    assert shown.count("warning:") == 1
    assert "exceeds the whole range" in shown
    assert "(and 5 more such warnings)" in shown


def test_estimated_poisson_noise_is_for_images(capsys, stack):
    stack(noisy(3, 2), "ZCYX")
    message = fails(capsys, *DENOISE, "--noise", "poisson:auto", "--as", "volume")
    assert "--noise poisson:auto is for images; write --as planes" in message


def test_slices_stored_as_channels(capsys, stack):
    stack(noisy(3), "CYX")
    message = fails(capsys, *DENOISE, "--sigma", "5", "--as", "volume")
    assert "write --as planes, or `fastrestore volume --as volume --axes ZYX`" in message
    works(
        capsys, "volume", "a.tif", "-o", "b.tif", "--sigma", "5", "--as", "volume", "--axes", "ZYX"
    )
    with tifffile.TiffFile("a.tif") as before, tifffile.TiffFile("b.tif") as after:
        expected = fastrestore.bm4d(before.asarray(), 5, slice_axis=0)
        np.testing.assert_array_equal(after.asarray(), expected)
