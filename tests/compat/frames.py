"""`BM3Dv2` beside the filter of VapourSynth whose arguments it takes; see ``run``."""

import inspect

import numpy as np
import pytest
import vapoursynth

from fastrestore.compat import BM3Dv2

SIGMA = 10.0
FRAMES = 3


@pytest.fixture(scope="module")
def clean():
    rows, columns = np.mgrid[:96, :112]
    frame = 0.5 + 0.4 * np.sin(rows / 5) * ((columns // 12) % 2)
    return np.stack([np.roll(frame, 2 * k, 1) for k in range(FRAMES)]).astype(np.float32)


@pytest.fixture(scope="module")
def noisy(clean):
    noise = np.random.default_rng(0).normal(0, SIGMA / 255, clean.shape)
    return (clean + noise).astype(np.float32)


def psnr(clean, restored):
    return -10 * np.log10(np.mean((np.asarray(restored) - clean) ** 2))


def clip(frames):
    """Return gray frames as a clip."""
    core = vapoursynth.core
    shape = {"width": frames.shape[2], "height": frames.shape[1], "length": len(frames)}
    blank = core.std.BlankClip(format=vapoursynth.GRAYS, **shape)

    def filled(n, f):
        copy = f.copy()
        np.copyto(np.asarray(copy[0]), frames[n])
        return copy

    return core.std.ModifyFrame(blank, blank, filled)


def original(frames, ref=None, **arguments):
    """Filter frames with VapourSynth."""
    arguments |= {} if ref is None else {"ref": clip(ref)}
    result = vapoursynth.core.bm3dcpu.BM3Dv2(clip(frames), **arguments)
    return np.stack([np.array(np.asarray(frame[0])) for frame in result.frames()])


def test_every_argument_has_its_name():
    ours = [*inspect.signature(BM3Dv2).parameters]
    theirs = vapoursynth.core.bm3dcpu.BM3Dv2.signature
    names = [part.split(":")[0] for part in theirs.split(";") if part]
    # Of those that are left out, one chooses a sum of integers, and ours is exact already
    assert [name for name in names if name not in ours] == ["zero_init"]


@pytest.mark.parametrize("arguments", [{}, {"block_step": 4, "bm_range": 12}, {"radius": 1}])
def test_frames_are_as_good(clean, noisy, arguments):
    arguments |= {"sigma": SIGMA}
    ours, theirs = BM3Dv2(noisy, **arguments), original(noisy, **arguments)
    assert psnr(clean, ours) > psnr(clean, theirs) - 0.05
    assert psnr(clean, theirs) > psnr(clean, noisy) + 3


def test_a_reference(clean, noisy):
    pilot = original(noisy, sigma=SIGMA)
    ours = BM3Dv2(noisy, pilot, sigma=SIGMA)
    theirs = original(noisy, ref=pilot, sigma=SIGMA)
    assert psnr(clean, ours) > psnr(clean, theirs) - 0.05
