"""The command line: what a line says if noise may be left, or options changed the result."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commandline import NOISE8, keep_images, works

from fastrestore._noise.choice import UNKNOWN, WHITE
from fastrestore.cli.outcomes import RESTORED, Outcome

CAMERA = "if noise is left, try --noise camera"


def line(name, reason):
    noise = {"model": "white", "sigma": [2.0], "estimated": True, "reason": reason}
    return Outcome(Path(name), Path("out"), RESTORED, {"noise": noise}, 1.0).line()


@pytest.mark.parametrize(
    ("name", "reason", "expected"),
    [
        ("a.png", UNKNOWN + "white noise was assumed", True),
        ("a.jpg", UNKNOWN + "weak noise of a camera was assumed", True),
        ("a.JPG", WHITE, True),
        ("a.png", WHITE, False),
        ("a.mkv", UNKNOWN + "white noise was assumed", False),
        ("a.jpg", "the model 'white' was requested", False),
        ("a.jpg", "the noise depends on the brightness and has a spectrum", False),
    ],
)
def test_hint(name, reason, expected):
    assert (CAMERA in line(name, reason)) == expected


def test_options_that_change_the_result(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep_images(monkeypatch)
    Image.fromarray(np.stack([NOISE8] * 3, -1)).save("a.png")
    out = works(capsys, "denoise", "a.png", "--chroma-strength", "1.5", "--blend", "0.5")
    assert ", chroma strength 1.5, blend 0.5; " in out
