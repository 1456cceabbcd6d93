"""`bm3d` by image size, backend and profile, with its peers in the same run.

Every row asserts the PSNR of what it timed; the floors lie about 0.1 dB below what was measured.
The noisy photographs have 20.2 dB.
"""

import numpy as np
import pytest
from photographs import SIGMA

import fastrestore
from fastrestore.backends.select import MODULES, why_unavailable

# Floors in dB: by image size at np, by profile at 512, and for peers, called as they should be.
FLOORS = {64: 27.16, 256: 30.22, 512: 29.86, 1024: 29.82, 2048: 29.85}
PROFILES = {"np": 29.86, "fast": 29.33, "lc": 29.67, "balanced": 29.73, "high": 29.87, "vn": 29.81}
PEER = 28.0


def cases():
    """List size and backend; numpy is the slow specification and gets one small crop."""
    for name in MODULES:
        reason = why_unavailable(name)
        marks = [pytest.mark.skip(reason)] if reason else []
        for size in (64,) if name == "numpy" else (256, 512, 1024, 2048):
            yield pytest.param(size, name, marks=marks)


@pytest.mark.parametrize(("size", "backend"), list(cases()))
def test_bm3d(benchmark, pair, warm, judge, size, backend):
    benchmark.group = f"bm3d np {size}x{size}"
    clean, noisy = pair(size)
    warm(backend)
    restored = benchmark.pedantic(
        fastrestore.bm3d,
        (noisy, SIGMA),
        {"backend": backend},
        rounds=1 if backend == "numpy" else 5,
        warmup_rounds=0 if backend == "numpy" else 1,
    )
    judge(clean, restored, FLOORS[size])


@pytest.mark.parametrize("profile", PROFILES)
def test_profile(benchmark, pair, warm, judge, profile):
    benchmark.group = "bm3d profiles 512x512"
    clean, noisy = pair(512)
    warm("numba", profile)
    restored = benchmark.pedantic(
        fastrestore.bm3d,
        (noisy, SIGMA),
        {"backend": "numba", "profile": profile},
        rounds=5,
        warmup_rounds=1,
    )
    judge(clean, restored, PROFILES[profile])


def test_peer_bm3d(benchmark, pair, judge):
    """Run the closed reference binaries: two stages, profile np, their own choice of threads."""
    peer = pytest.importorskip("bm3d")
    benchmark.group = "bm3d np 512x512"
    clean, noisy = pair(512)
    peer.bm3d(pair(64)[1], SIGMA)
    restored = benchmark.pedantic(peer.bm3d, (noisy, SIGMA), rounds=1)
    judge(clean, restored, PEER)


def test_peer_skimage_nl_means(benchmark, pair, judge):
    restoration = pytest.importorskip("skimage.restoration")
    benchmark.group = "bm3d np 512x512"
    clean, noisy = pair(512)
    options = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * SIGMA, "sigma": SIGMA}
    restored = benchmark.pedantic(
        restoration.denoise_nl_means, (noisy,), options, rounds=3, warmup_rounds=1
    )
    judge(clean, restored, PEER)


def test_peer_opencv_nl_means(benchmark, pair, judge):
    """OpenCV takes 8 bits only, so its input is rounded and clipped."""
    cv2 = pytest.importorskip("cv2")
    benchmark.group = "bm3d np 512x512"
    clean, noisy = pair(512)
    image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    restored = benchmark.pedantic(
        cv2.fastNlMeansDenoising, (image, None, SIGMA), rounds=3, warmup_rounds=1
    )
    judge(clean, restored, PEER)
