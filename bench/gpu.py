"""Print times and quality on a GPU, compared with the CPU and other GPU programs, in one table.

    python bench/gpu.py --images DIR [--peers] [--rows 512 hd color triton video volume]
    python bench/gpu.py --images DIR --executed-on-cpu

Times of the GPU are those of device events around one call, the image and the result being there,
median of 20 after 3 to warm up; a call of an array of NumPy, with both transfers, is shown beside
them. DIR holds gray photographs (Set12), for the last row, "quality". Peers are `bm3d-triton`
(needs torch) and `bm3d-cupy`.

Without a GPU the second form compares the quality: the kernels run on the CPU as in the tests,
with what `tests/cuda/requirements.txt` lists.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import photographs

import fastrestore
from fastrestore import BM3DPlan, Profile, bm3d, bm4d, vbm3d
from fastrestore._arrays import interop
from fastrestore._collaborative.profile import PROFILES
from fastrestore.metrics import psnr

# What bm3d-triton has: DCT and Haar, thresholds of the paper
LIKE_TRITON = Profile(
    transform_basic="dct", threshold=2.7, wiener=1.0, match_basic=2500.0, match_noise_basic=0.0,
    match_final=400.0, match_noise_final=0.0,
)  # fmt: skip
FIRST = """
import sys, time
import numpy as np
start = time.perf_counter()
import cupy, fastrestore
image = cupy.asarray(np.random.default_rng(0).normal(100, 25, (512, 512)).astype(np.float32))
fastrestore.bm3d(image, 25, backend="cupy")
cupy.cuda.get_current_stream().synchronize()
print(time.perf_counter() - start)
"""


def main() -> int:
    """Print the requested rows."""
    options = _options()
    if options.executed_on_cpu:
        _start_shim()
        options.rows = ["quality"]
    reason = fastrestore.backends.select.why_unavailable("cupy")
    if reason is not None:
        print(f"nothing to measure: {reason}", file=sys.stderr)
        return 2
    cupy = interop.load_cupy()
    name = "no GPU: kernels executed on the CPU"
    if not options.executed_on_cpu:
        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, fastrestore {fastrestore.__version__}\n")
    print("| what | at least | measured |\n| --- | --- | --- |")
    steps = {
        "512": lambda: speed(512, 512, {"np": 2.0, "fast": None, "lc": None, "high": None}),
        "hd": lambda: speed(1080, 1920, {"np": 15.0, "fast": 1.5}),
        "color": color,
        "triton": lambda: triton() if options.peers else None,
        "cupy": lambda: headline(options.peers),
        "video": video,
        "volume": volume,
        "large": large,
        "first": first,
        "quality": lambda: quality(options.images),
    }
    for row in options.rows or steps:
        steps[row]()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of gray photographs")
    parser.add_argument("--peers", action="store_true", help="measure other programs, too")
    parser.add_argument("--executed-on-cpu", action="store_true", help="quality without a GPU")
    parser.add_argument("--rows", nargs="+", help="only these")
    return parser.parse_args()


def _start_shim() -> None:
    """Run CuPy on the CUDA shim of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support import cudashim
    from support.gpu import WHY_NO_GPU

    if WHY_NO_GPU:
        raise SystemExit(WHY_NO_GPU)
    cudashim.start()


def line(what: str, wanted: str, measured: str) -> None:
    """Print a row."""
    print(f"| {what} | {wanted} | {measured} |", flush=True)


def timed(call, rounds: int = 20) -> float:
    """Milliseconds of a call on the GPU: the median."""
    cupy = interop.load_cupy()
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end))
    return statistics.median(times)


def wall(call, rounds: int = 7) -> float:
    """Milliseconds of a call that waits for its result: the median."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A photograph of 0..255 and its noisy version."""
    clean = photographs.photograph(max(height, width))[:height, :width]
    return clean, photographs.noisy(clean)


def speed(height: int, width: int, profiles: dict[str, float | None]) -> None:
    """Time of gray images, by profile, with and without transfers."""
    cupy = interop.load_cupy()
    clean, noisy = pair(height, width)
    image = cupy.asarray(noisy)
    for profile, limit in profiles.items():
        plan = BM3DPlan(image.shape, sigma=25, profile=profile, backend="cupy")
        out = plan(image)
        exact = BM3DPlan(image.shape, sigma=25, profile=profile, backend="cupy", deterministic=True)
        score = psnr(clean, out, data_range=255)
        assert score > psnr(clean, noisy, data_range=255) + 5
        line(
            f"{width}x{height} gray, {profile}",
            "" if limit is None else f"{limit:g} ms",
            f"{timed(lambda: plan(image, out=out)):.3f} ms "  # noqa: B023
            f"(bm3d() {timed(lambda: bm3d(image, 25, profile=profile)):.3f}, "  # noqa: B023
            f"deterministic {timed(lambda: exact(image, out=out)):.3f}, "  # noqa: B023
            f"NumPy in and out {wall(lambda: plan(noisy)):.3f}), {score:.2f} dB",  # noqa: B023
        )


def color(height: int = 512, width: int = 512) -> None:
    """Time of a color image over that of its luminance."""
    cupy = interop.load_cupy()
    _, noisy = pair(height, width)
    image = cupy.asarray(np.stack([noisy, noisy[::-1], noisy[:, ::-1]], axis=-1))
    gray = cupy.asarray(noisy)
    both = (
        BM3DPlan(image.shape, sigma=25, channel_axis=-1, backend="cupy"),
        BM3DPlan(gray.shape, sigma=25, backend="cupy"),
    )
    three, one = timed(lambda: both[0](image)), timed(lambda: both[1](gray))
    line(f"{width}x{height} color, np", "", f"{three:.3f} ms, {three / one:.2f} times gray")


def triton(size: int = 512) -> None:
    """Comparison with bm3d-triton at its settings."""
    import bm3d_triton
    import torch

    cupy = interop.load_cupy()
    clean, noisy = pair(size, size)
    given = torch.from_numpy(noisy / 255).cuda()[None, None]
    image = cupy.asarray(noisy / 255)
    plan = BM3DPlan(image.shape, sigma=25 / 255, profile=LIKE_TRITON, backend="cupy")

    def theirs():
        out = bm3d_triton.denoise(given, sigma=25 / 255)
        torch.cuda.synchronize()
        return out

    def ours():
        out = plan(image)
        cupy.cuda.get_current_stream().synchronize()
        return out

    times = wall(ours), wall(theirs)
    scores = [
        psnr(clean / 255, np.clip(result, 0, 1), data_range=1)
        for result in (ours().get(), theirs()[0, 0].cpu().numpy())
    ]
    line(
        f"bm3d-triton, {size}x{size}, its settings",
        "10 times faster",
        f"{times[1] / times[0]:.1f} times: {times[0]:.2f} ms, {scores[0]:.2f} dB against "
        f"{times[1]:.2f} ms, {scores[1]:.2f} dB",
    )


def headline(peers: bool) -> None:
    """The example of bm3d-cupy: 300x451x3, sigma 0.1."""
    from skimage.data import cat

    cupy = interop.load_cupy()
    clean = cat().astype(np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    noisy = clean + np.float32(0.1) * noise
    image = cupy.asarray(noisy)
    plan = BM3DPlan(image.shape, sigma=0.1, channel_axis=-1, backend="cupy")

    def ours():
        out = plan(image)
        cupy.cuda.get_current_stream().synchronize()
        return out

    took, score = wall(ours), psnr(clean, ours(), data_range=1)
    assert score > 30
    if not peers:
        line("300x451x3, sigma 0.1", "", f"{took:.2f} ms, {score:.2f} dB")
        return
    from bm3d_cupy import bm3d_gpu

    def theirs():
        out = bm3d_gpu(image, cupy.asarray(0.1, dtype=cupy.float32))
        cupy.cuda.get_current_stream().synchronize()
        return out

    other, theirs_score = wall(theirs), psnr(clean, theirs(), data_range=1)
    line(
        "bm3d-cupy, 300x451x3, sigma 0.1",
        "50 times faster",
        f"{other / took:.1f} times: {took:.2f} ms, {score:.2f} dB against {other:.2f} ms, "
        f"{theirs_score:.2f} dB",
    )


def video(height: int = 480, width: int = 864, count: int = 24) -> None:
    """Frames per second of a panning gray video, and its PSNR compared with the CPU."""
    cupy = interop.load_cupy()
    clean, _ = pair(height + 2 * count, width + 4 * count)
    clean = np.stack([clean[2 * k :, 4 * k :][:height, :width] for k in range(count)])
    noisy = photographs.noisy(clean)
    frames = cupy.asarray(noisy)
    options = {"data_range": 255.0, "scene_cuts": False}
    took = timed(lambda: vbm3d(frames, 25, **options), 3) / 1e3
    scores = [psnr(clean, vbm3d(each, 25, **options), data_range=255) for each in (frames, noisy)]
    cpu = psnr(clean, vbm3d(noisy, 25, backend="numba", **options), data_range=255)
    line(
        f"{width}x{height} gray, {count} frames, radius 4",
        "",
        f"{count / took:.1f} frames per second, {scores[0]:.2f} dB "
        f"(NumPy in and out {scores[1]:.2f}, on the CPU {cpu:.2f})",
    )


def volume(depth: int = 64, side: int = 256) -> None:
    """Megavoxels per second, and PSNR compared with the CPU."""
    cupy = interop.load_cupy()
    clean, _ = pair(side + depth, side + depth)
    clean = np.stack([clean[k:, k // 2 :][:side, :side] for k in range(depth)])
    noisy = photographs.noisy(clean)
    there = cupy.asarray(noisy)
    took = timed(lambda: bm4d(there, 25, data_range=255.0), 5) / 1e3
    score = psnr(clean, bm4d(there, 25), data_range=255)
    cpu = psnr(clean, bm4d(noisy, 25, backend="numba"), data_range=255)
    line(
        f"volume of {depth}x{side}x{side}",
        "",
        f"{clean.size / 1e6 / took:.1f} megavoxels a second, {score:.2f} dB (on the CPU {cpu:.2f})",
    )


def large(size: int = 8192, limit: float = 2e9) -> None:
    """Compare a large image with and without a memory limit, with deterministic sums."""
    cupy = interop.load_cupy()
    _, noisy = pair(size, size)
    image = cupy.asarray(noisy)
    options = {"data_range": 255.0, "deterministic": True}
    whole = bm3d(image, 25, **options)
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.used_bytes()
    pool.set_limit(size=before + image.nbytes + int(limit))
    start = time.perf_counter()
    tiled = bm3d(image, 25, max_memory=limit, **options)
    cupy.cuda.get_current_stream().synchronize()
    took = time.perf_counter() - start
    pool.set_limit(size=0)
    same = bool((tiled == whole).all())
    line(
        f"{size}x{size}, limit {limit / 1e9:g} GB",
        "works, equals the whole",
        f"{'equal' if same else 'DIFFERENT'}, {took:.2f} s",
    )


def first() -> None:
    """The first call in a new process, with and without compiled kernels in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"CUPY_CACHE_DIR": folder}
        seconds = [
            float(
                subprocess.run(
                    [sys.executable, "-c", FIRST],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(2)
        ]
    line(
        "first call, import of CuPy and start of the driver included",
        "3 s",
        f"{seconds[0]:.2f} s, and {seconds[1]:.2f} s from the disk cache",
    )


def quality(images: Path | None, sigma: float = 25.0) -> None:
    """PSNR on CPU and GPU for every profile."""
    if images is None:
        line("PSNR against the CPU", "within 0.01 dB", "not measured: give --images")
        return
    from PIL import Image

    paths = sorted(path for path in images.iterdir() if path.suffix in (".png", ".jpg"))
    for profile in PROFILES:
        scores = []
        for number, path in enumerate(paths):
            clean = np.asarray(Image.open(path).convert("L"), np.float64)
            noise = np.random.default_rng(number).standard_normal(clean.shape)
            noisy = clean + sigma * noise
            scores.append([
                psnr(clean, bm3d(noisy, sigma, profile=profile, backend=name), data_range=255)
                for name in ("cupy", "numba")
            ])  # fmt: skip
        gpu, cpu = np.mean(scores, axis=0)
        worst = max(abs(a - b) for a, b in scores)
        line(
            f"PSNR, {len(paths)} images, sigma {sigma:g}, {profile}",
            "within 0.01 dB",
            f"{gpu:.3f} dB, on the CPU {cpu:.3f}; largest difference {worst:.4f}",
        )


if __name__ == "__main__":
    sys.exit(main())
