"""`vbm3d` on a photograph that moves past, by radius and size; single frames and peers beside it.

Seconds are for the whole clip of nine frames. Every row asserts the PSNR of its middle frame.
BM3DCPU runs through VapourSynth where both are installed (`vapoursynth-bm3dcpu`), in the two passes
its authors advise: the first is the pilot of the second.
"""

import numpy as np
import pytest
from photographs import SIGMA, photograph

import fastrestore

COUNT, HEIGHT, WIDTH = 9, 240, 320
FLOORS = {0: 30.33, 1: 31.63, 4: 32.50}  # dB, by radius
SIZES = {(120, 160): 32.95, (480, 640): 28.15}  # rows, columns: dB, at radius 4


@pytest.fixture(scope="module")
def clip():
    """Clean and noisy frames; each sees the photograph 3 pixels lower and 5 further right."""
    return made(photograph(512)[100:, 60:], HEIGHT, WIDTH)


def made(whole, height, width):
    """Make a clip of a part of a photograph that moves."""
    clean = np.array([
        whole[3 * k : 3 * k + height, 5 * k : 5 * k + width] for k in range(COUNT)
    ])  # fmt: skip
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    return clean, (clean + SIGMA * noise).astype(np.float32)


@pytest.mark.parametrize("radius", FLOORS)
def test_vbm3d(benchmark, clip, judge, radius):
    benchmark.group = f"vbm3d {COUNT} frames {WIDTH}x{HEIGHT}"
    clean, noisy = clip
    restored = benchmark.pedantic(
        fastrestore.vbm3d, (noisy, SIGMA), {"radius": radius}, rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["frames_a_second"] = round(COUNT / benchmark.stats.stats.median, 2)
    judge(clean[COUNT // 2], restored[COUNT // 2], FLOORS[radius])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_size(benchmark, judge, size):
    benchmark.group = "vbm3d by size, radius 4"
    clean, noisy = made(photograph(1024)[356:, 326:], *size)
    restored = benchmark.pedantic(fastrestore.vbm3d, (noisy, SIGMA), rounds=3, warmup_rounds=1)
    benchmark.extra_info["frames_a_second"] = round(COUNT / benchmark.stats.stats.median, 2)
    judge(clean[COUNT // 2], restored[COUNT // 2], SIZES[size])


@pytest.mark.parametrize(("step", "reach", "floor"), [(8, 9, 27.38), (4, 12, 28.18)])
def test_peer_bm3dcpu(benchmark, clip, judge, step, reach, floor):
    """Run VBM3D of BM3DCPU, radius 4: its default of blocks and range, and a finer one."""
    vapoursynth = pytest.importorskip("vapoursynth")
    if not hasattr(vapoursynth.core, "bm3dcpu"):
        pytest.skip("vapoursynth-bm3dcpu is not installed")
    benchmark.group = f"vbm3d {COUNT} frames {WIDTH}x{HEIGHT}"
    clean, noisy = clip
    options = {"sigma": SIGMA, "block_step": step, "bm_range": reach, "radius": 4}

    def frame_of(n, f):
        frame = f.copy()
        np.copyto(np.asarray(frame[0]), noisy[n] / 255)
        return frame

    def restore():
        blank = vapoursynth.core.std.BlankClip(
            format=vapoursynth.GRAYS, width=WIDTH, height=HEIGHT, length=COUNT
        )
        source = vapoursynth.core.std.ModifyFrame(blank, blank, frame_of)
        pilot = vapoursynth.core.bm3dcpu.BM3Dv2(source, **options)
        video = vapoursynth.core.bm3dcpu.BM3Dv2(source, ref=pilot, **options)
        return [255 * np.array(frame[0]) for frame in video.frames()]

    restored = benchmark.pedantic(restore, rounds=3, warmup_rounds=1)
    benchmark.extra_info["frames_a_second"] = round(COUNT / benchmark.stats.stats.median, 2)
    judge(clean[COUNT // 2], restored[COUNT // 2], floor)


def test_single_frames(benchmark, clip, judge):
    benchmark.group = f"vbm3d {COUNT} frames {WIDTH}x{HEIGHT}"
    clean, noisy = clip

    def frame_by_frame():
        return [fastrestore.bm3d(frame, SIGMA) for frame in noisy]

    restored = benchmark.pedantic(frame_by_frame, rounds=3, warmup_rounds=1)
    judge(clean[COUNT // 2], restored[COUNT // 2], 30.57)
