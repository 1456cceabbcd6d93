"""What notebooks and prompts show of a result with `return_info`."""

import copy
import pickle
import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from support.images import noisy, scene
from support.nets import torch_or_skip

import fastrestore
from fastrestore import Info, report
from fastrestore.metrics import psnr

CLEAN = scene(48, 40)
NOISY = noisy(CLEAN, 10)
OPTIONS = {"profile": "fast", "return_info": True}


def pictures(html):
    """Return the pictures of HTML as arrays of float."""
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    return [np.asarray(Image.open(BytesIO(b64decode(text))), float) for text in sources]


def test_result_is_a_pair():
    result = fastrestore.bm3d(NOISY, 10, **OPTIONS)
    restored, info = result
    assert isinstance(result, tuple)
    assert isinstance(info, Info)
    np.testing.assert_array_equal(restored, fastrestore.bm3d(NOISY, 10, profile="fast"))
    assert result[0] is restored
    assert result.noisy is NOISY


def test_text():
    lines = repr(fastrestore.bm3d(NOISY, 10, **OPTIONS)).splitlines()
    assert lines[0] == "Restored, a pair (image, info):"
    assert lines[1] == "  image    shape (48, 40), float64"
    assert lines[2] == "  noise    given, sigma 10"
    assert re.fullmatch(r"  removed  standard deviation \d+(\.\d+)?", lines[4])
    estimated = repr(fastrestore.bm3d(NOISY, noise="white", **OPTIONS))
    assert re.search(r"noise    estimated, white, sigma \d", estimated)
    color = np.stack([NOISY] * 3 + [CLEAN] * 3, -1)
    text = repr(fastrestore.bm3d(color, [9, 9, 9, 0, 0, 1], channel_axis=-1, **OPTIONS))
    assert "given, sigma 0 to 9" in text


def test_html_shows_before_after_and_removed():
    result = fastrestore.bm3d(NOISY, 10, **OPTIONS)
    html = result._repr_html_()
    before, after, removed = pictures(html)
    assert before.shape == NOISY.shape
    assert psnr(before, after, data_range=255) < 40
    middle = np.corrcoef((removed - 128).ravel(), (NOISY - result[0]).ravel())[0, 1]
    assert middle > 0.99
    assert "noise    given, sigma 10" in html
    assert re.findall(r'alt="([^"]*)"', html)[:2] == ["before", "after"]


def test_channels_and_stacks_are_arranged():
    color = np.stack([NOISY, CLEAN, CLEAN])
    result = fastrestore.denoise(color, 5, channel_axis=0, **OPTIONS)
    assert pictures(result._repr_html_())[0].shape == (48, 40, 3)
    video = np.stack([NOISY[:16, :20] + 9 * k for k in range(5)], -1)
    result = fastrestore.vbm3d(video, 5, time_axis=-1, **OPTIONS)
    before = pictures(result._repr_html_())[0]
    assert before.shape == (16, 20)
    assert np.corrcoef(before.ravel(), video[..., 2].ravel())[0, 1] > 0.99
    result = fastrestore.bm4d(np.stack([NOISY[:12, :14]] * 4) + np.arange(4)[:, None, None], 5,
                              return_info=True)  # fmt: skip
    assert pictures(result._repr_html_())[0].shape == (12, 14)
    assert "shape (4, 12, 14)" in repr(result)


def test_large_images_are_cut_and_small_ones_enlarged():
    large = np.zeros((400, 500))
    large[200, 250] = 1
    first = pictures(report.figures(large, large))[0]
    assert first.shape == (320, 320)
    assert np.argwhere(first > first.min()).tolist() == [[160, 160]]
    assert 'width="160" height="160"' in report.figures(np.eye(20), np.eye(20))


def test_tuning_masks_and_tensors():
    torch = torch_or_skip()
    tuned = fastrestore.denoise(NOISY, 10, tune=True, **OPTIONS)
    assert len(tuned[1].trials) > 1
    assert len(pictures(tuned._repr_html_())) == 3
    damaged = NOISY.copy()
    damaged[3:6, 4:7] = np.nan
    masked = fastrestore.bm3d(damaged, 10, mask=np.isfinite(damaged), **OPTIONS)
    assert "nan" not in repr(masked)
    assert len(pictures(masked._repr_html_())) == 3
    tensor = fastrestore.bm3d(torch.tensor(NOISY, dtype=torch.float32), 10, **OPTIONS)
    assert "shape (48, 40), float32" in repr(tensor)
    assert len(pictures(tensor._repr_html_())) == 3


@pytest.mark.parametrize("copied", [copy.copy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies(copied):
    result = fastrestore.bm3d(NOISY, 10, **OPTIONS)
    other = copied(result)
    np.testing.assert_array_equal(other[0], result[0])
    assert repr(other) == repr(result)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "image",
    [
        NOISY * np.float32(1e35),  # squares are infinite in float32
        NOISY.astype(np.uint64) + np.uint64(2**60),  # all the same in float32
        np.where(np.eye(*NOISY.shape, dtype=bool), np.inf, NOISY).astype(np.float32),
    ],
    ids=["huge", "large integers", "infinite outside the mask"],
)
def test_unusual_values_are_described_without_warnings(image):
    pair = fastrestore.bm3d(image, mask=np.isfinite(image), **OPTIONS)
    assert "standard deviation" in repr(pair)
    assert "nan" not in repr(pair)
    assert pair._repr_html_().count("<figure") == 3
