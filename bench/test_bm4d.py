"""`bm4d` by size, on a photograph that moves from slice to slice, compared with the closed program.

Every row asserts its PSNR; floors lie about 0.1 dB below what was measured. The noisy
volumes have 20.2 dB.
"""

import numpy as np
import pytest
from photographs import SIGMA, photograph

import fastrestore

FLOORS = {32: 32.78, 64: 32.53, 128: 32.51}  # dB, by the side of 32 slices


@pytest.fixture(scope="module")
def volume():
    """Return a function of the side: a clean volume of 32 slices, and a noisy one."""

    def make(side):
        image = photograph(256)
        slices = [np.roll(image, (k, 2 * k), (0, 1))[64 : 64 + side, 64 : 64 + side]
                  for k in range(32)]  # fmt: skip
        clean = np.array(slices, np.float32)
        noise = np.random.default_rng(0).standard_normal(clean.shape)
        return clean, (clean + SIGMA * noise).astype(np.float32)

    return make


def record_speed(benchmark, clean):
    """Record the speed beside the time."""
    rate = clean.size / 1e6 / benchmark.stats.stats.median
    benchmark.extra_info["megavoxels_a_second"] = round(rate, 3)


@pytest.mark.parametrize("side", FLOORS)
def test_bm4d(benchmark, volume, judge, side):
    benchmark.group = f"bm4d {side}x{side}x32"
    clean, noisy = volume(side)
    restored = benchmark.pedantic(fastrestore.bm4d, (noisy, SIGMA), rounds=3, warmup_rounds=1)
    record_speed(benchmark, clean)
    judge(clean, restored, FLOORS[side])


def test_peer_bm4d(benchmark, volume, judge):
    """Run the closed reference binaries: two stages, profile np, their own choice of threads."""
    peer = pytest.importorskip("bm4d")
    side = 64
    benchmark.group = f"bm4d {side}x{side}x32"
    clean, noisy = volume(side)
    restored = benchmark.pedantic(
        lambda: peer.bm4d(noisy / 255, SIGMA / 255) * 255, rounds=1, warmup_rounds=0
    )
    record_speed(benchmark, clean)
    judge(clean, restored, FLOORS[side] - 0.2)
