"""`vbm3d` on a photograph that moves past, by radius; single frames beside it.

Seconds are for the whole clip of nine frames. Every row asserts the PSNR of its middle frame.
"""

import numpy as np
import pytest
from photographs import SIGMA, photograph

import fastrestore

COUNT, HEIGHT, WIDTH = 9, 240, 320
FLOORS = {0: 30.46, 1: 31.52, 4: 32.43}  # dB, by radius


@pytest.fixture(scope="module")
def clip():
    """Clean and noisy frames; each sees the photograph 3 pixels lower and 5 further right."""
    whole = photograph(512)
    clean = np.array([
        whole[100 + 3 * k : 100 + 3 * k + HEIGHT, 60 + 5 * k : 60 + 5 * k + WIDTH]
        for k in range(COUNT)
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


def test_single_frames(benchmark, clip, judge):
    benchmark.group = f"vbm3d {COUNT} frames {WIDTH}x{HEIGHT}"
    clean, noisy = clip

    def frame_by_frame():
        return [fastrestore.bm3d(frame, SIGMA) for frame in noisy]

    restored = benchmark.pedantic(frame_by_frame, rounds=3, warmup_rounds=1)
    judge(clean[COUNT // 2], restored[COUNT // 2], 30.57)
