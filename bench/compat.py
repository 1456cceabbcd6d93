"""Print PSNR of `fastrestore.compat` and of the packages bm3d 4.0.3 and bm4d 4.2.5, call by call.

    pip install bm3d==4.0.3 bm4d==4.2.5 scikit-image
    python bench/compat.py [--images DIR] [--only TEXT]

The originals need `numpy.trapz`, which NumPy 2.4 removed; it is put back here. A call that fails or
ends the process is printed as "fails". Images are the first two of a folder, or two of
`skimage.data`, reduced to 256 x 256, with values in [0, 1].
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIDE, DEPTH = 256, 24
SECONDS = 240  # until a call has failed


def main() -> None:
    """Print a line for each call."""
    options = _options()
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # noqa: NPY201
    print(f"{'call':44} {'bm3d':>7} {'ours':>7} {'gain':>7} {'s bm3d':>7} {'s ours':>7}")
    worst = 0.0
    for name, call, clean in _calls(_images(options)):
        if options.only in name:
            gain = _compare(name, call, clean)
            worst = min(worst, gain)
    print(f"lowest gain {worst:.2f} dB")


def _compare(name: str, call: Callable[[Any, Any], Any], clean: Array) -> float:
    """Print PSNR and time of a call of both packages; return the gain of ours."""
    scores, seconds = [], []
    for package in ("", "fastrestore.compat."):
        if package:  # not the compilation
            _run(package, call)
        start = time.perf_counter()
        result = _apart(package, call)
        seconds.append(time.perf_counter() - start)
        scores.append(np.nan if result is None else _psnr(clean, np.asarray(result)))
    texts = ["  fails" if np.isnan(each) else f"{each:7.2f}" for each in scores]
    gain = scores[1] - scores[0]
    print(
        f"{name:44} {texts[0]} {texts[1]} {gain:7.2f} {seconds[0]:7.1f} {seconds[1]:7.1f}",
        flush=True,
    )
    return 0.0 if np.isnan(gain) else gain


def _apart(package: str, call: Callable[[Any, Any], Any]) -> Any:
    """Call a package in a process of its own, which it may end; None if it fails."""
    context = multiprocessing.get_context("fork")
    there, here = context.Pipe()
    process = context.Process(target=lambda: there.send(_run(package, call)))
    process.start()
    there.close()
    try:
        result = here.recv() if here.poll(SECONDS) else None
    except EOFError:
        result = None
    process.kill()
    process.join()
    return result


def _run(package: str, call: Callable[[Any, Any], Any]) -> Any:
    """Call the modules bm3d and bm4d of a package."""
    modules = [importlib.import_module(f"{package}{name}") for name in ("bm3d", "bm4d")]
    try:
        return call(*modules)
    except Exception as error:
        if package:
            raise
        return print(f"  bm3d: {type(error).__name__}: {error}")


def _psnr(clean: Array, restored: Array) -> float:
    return float(-10 * np.log10(np.mean((restored.reshape(clean.shape) - clean) ** 2)))


def _calls(images: tuple[Array, Array, Array]) -> Iterator[tuple[str, Any, Array]]:
    """Yield name, call and clean image."""
    gray, color, volume = images
    yield from _profiles(gray)
    yield from _spectra(gray)
    yield from _stages(gray)
    yield from _attributes(gray)
    yield from _channels(color)
    yield from _volumes(volume)


def _noisy(clean: Array, level: float, kernel: Array | None = None) -> tuple[Array, Array]:
    """Return a noisy image, and the power spectrum of the noise."""
    white = np.random.default_rng(0).standard_normal(clean.shape)
    if kernel is None:
        return clean + level * white, np.full(clean.shape, level**2 * clean.size)
    transfer = np.fft.fftn(kernel / np.sqrt((kernel**2).sum()), clean.shape)
    noise = np.fft.ifftn(np.fft.fftn(white) * transfer).real
    return clean + level * noise, level**2 * np.abs(transfer) ** 2 * clean.size


def _profiles(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    for level in (5, 15, 25, 50, 75):
        noisy, _ = _noisy(clean, level / 255)
        for name in ("np", "vn", "vn_old", "high", "deb"):
            yield (
                f"bm3d {name}, sigma {level}",
                lambda m, _, z=noisy, n=name, s=level: m.bm3d(z, s / 255, n),
                clean,
            )
        yield (
            f"bm3d BM3DProfileLC(), sigma {level}",
            lambda m, _, z=noisy, s=level: m.bm3d(z, s / 255, m.BM3DProfileLC()),
            clean,
        )


def _kernels() -> dict[str, Array]:
    """Return the kernels g1, g2 and g3 of Mäkinen, Azzari and Foi, 2020."""
    line = 16 - np.abs(np.linspace(1, 31, 31) - 16)
    v, u = np.mgrid[-16:17, -16:17].astype(float)
    window = np.exp(-(u**2 + v**2) / 200)
    return {
        "g1": line[None],
        "g2": np.cos(np.hypot(u, v)) * window,
        "g3": np.cos(u + v) * window,
    }


def _spectra(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    for label, kernel in _kernels().items():
        for level in (15, 35):
            noisy, psd = _noisy(clean, level / 255, kernel)
            for name in ("np", "refilter"):
                yield (
                    f"bm3d {name}, psd {label}, sigma {level}",
                    lambda m, _, z=noisy, p=psd, n=name: m.bm3d(z, p, n),
                    clean,
                )
    psf = np.exp(-(np.arange(-7, 8)[:, None] ** 2 + np.arange(-7, 8) ** 2) / 2 / 1.6**2)
    psf /= psf.sum()
    transfer = np.fft.fft2(np.roll(np.pad(psf, (0, SIDE - 15)), (-7, -7), (0, 1)))
    blurred = np.fft.ifft2(np.fft.fft2(clean) * transfer).real
    for level in (2.0, 7.0):
        noisy, psd = _noisy(blurred, level / 255)
        for name in ("np", "deb"):
            yield (
                f"bm3d_deblurring {name}, white psd, sigma {level:g}",
                lambda m, _, z=noisy, p=psd, n=name: m.bm3d_deblurring(z, p, psf, n),
                clean,
            )
    noisy, psd = _noisy(blurred, 5 / 255, _kernels()["g1"])
    yield "bm3d_deblurring, psd g1", lambda m, _: m.bm3d_deblurring(noisy, psd, psf), clean


def _stages(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    noisy, _ = _noisy(clean, 25 / 255)
    yield (
        "bm3d HARD_THRESHOLDING",
        lambda m, _: m.bm3d(noisy, 25 / 255, stage_arg=m.BM3DStages.HARD_THRESHOLDING),
        clean,
    )
    rough = _noisy(clean, 8 / 255)[0]
    yield "bm3d with an estimate", lambda m, _: m.bm3d(noisy, 25 / 255, stage_arg=rough), clean
    other = clean + np.random.default_rng(1).normal(0, 25 / 255, clean.shape)

    def reused(m: Any, _: Any) -> Any:
        matches = m.bm3d(noisy, 25 / 255, blockmatches=(True, True))[1]
        return m.bm3d(other, 25 / 255, blockmatches=matches)

    yield "bm3d with kept blockmatches", reused, clean
    yield "bm3d, sigma as an array", lambda m, _: m.bm3d(noisy, np.array(25 / 255)), clean
    yield "bm3d, values to 255", lambda m, _: m.bm3d(noisy * 255, 25) / 255, clean


def _attributes(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    noisy, _ = _noisy(clean, 25 / 255)
    values = {
        "filter_strength": 1.2, "transform_2d_ht_name": "dct", "transform_2d_wiener_name": "haar",
        "bs_ht": 4, "bs_wiener": 12, "step_ht": 6, "step_wiener": 5, "max_3d_size_ht": 4,
        "max_3d_size_wiener": 8, "search_window_ht": 15, "search_window_wiener": 15,
        "tau_match": 1500, "tau_match_wiener": 200, "lambda_thr3d": 3.5, "mu2": 1.0, "beta": 0.0,
        "beta_wiener": 1.0, "sharpen_alpha": 1.2, "gamma": 0.0,
    }  # fmt: skip
    for name, value in values.items():

        def call(m: Any, _: Any, name: str = name, value: Any = value) -> Any:
            profile = m.BM3DProfile()
            setattr(profile, name, value)
            return m.bm3d(noisy, 25 / 255, profile)

        yield f"bm3d {name} = {value}", call, clean


def _channels(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    for level in (15, 25, 50):
        noisy, _ = _noisy(clean, level / 255)
        for space in ("opp", "YCbCr"):
            yield (
                f"bm3d_rgb {space}, sigma {level}",
                lambda m, _, z=noisy, c=space, s=level: m.bm3d_rgb(z, s / 255, colorspace=c),
                clean,
            )
        yield (
            f"bm3d, 3 channels, sigma {level}",
            lambda m, _, z=noisy, s=level: m.bm3d(z, s / 255),
            clean,
        )
    levels = [10 / 255, 20 / 255, 40 / 255]
    noisy = clean + np.random.default_rng(0).normal(0, 1, clean.shape) * levels
    yield "bm3d, 3 channels, list of sigmas", lambda m, _: m.bm3d(noisy, levels), clean
    yield "bm3d_rgb, list of sigmas", lambda m, _: m.bm3d_rgb(noisy, levels), clean
    kernel = _kernels()["g1"]
    parts = [_noisy(clean[..., k], 25 / 255, kernel) for k in range(3)]
    shifted = np.stack(
        [np.roll(z - clean[..., k], 40 * k, 0) for k, (z, _) in enumerate(parts)], -1
    )
    correlated = clean + shifted
    psd = parts[0][1]
    yield "bm3d_rgb, psd g1", lambda m, _: m.bm3d_rgb(correlated, psd), clean
    yield "bm3d, 3 channels, psd g1", lambda m, _: m.bm3d(correlated, psd), clean


def _volumes(clean: Array) -> Iterator[tuple[str, Any, Array]]:
    for level in (10, 25, 50):
        noisy, _ = _noisy(clean, level / 255)
        for name in ("np", "8x8"):
            yield (
                f"bm4d {name}, sigma {level}",
                lambda _, m, z=noisy, n=name, s=level: m.bm4d(z, s / 255, n),
                clean,
            )
        yield (
            f"bm4d HARD_THRESHOLDING, sigma {level}",
            lambda _, m, z=noisy, s=level: m.bm4d(
                z, s / 255, stage_arg=m.BM4DStages.HARD_THRESHOLDING
            ),
            clean,
        )
        yield (
            f"bm4d BM4DProfileLC(), sigma {level}",
            lambda _, m, z=noisy, s=level: m.bm4d(z, s / 255, m.profiles.BM4DProfileLC()),
            clean,
        )
    noisy, psd = _noisy(clean, 25 / 255, _kernels()["g1"][..., None])
    yield "bm4d, psd g1", lambda _, m: m.bm4d(noisy, psd), clean
    pair, _ = _noisy(np.stack([clean, clean[::-1]]), 25 / 255)
    yield (
        "bm4d_multichannel",
        lambda _, m: m.bm4d_multichannel(pair, 25 / 255),
        np.stack([clean, clean[::-1]]),
    )


def _images(options: argparse.Namespace) -> tuple[Array, Array, Array]:
    """Return a gray image, a color image, and a volume that moves through the gray one."""
    from skimage import data, io, transform

    if options.images:
        gray, color = (io.imread(path) for path in sorted(options.images.iterdir())[:2])
    else:
        gray, color = data.camera(), data.astronaut()
    if color.ndim == 2:
        color = data.astronaut()
    pictures = [
        transform.resize(each, (SIDE, SIDE), anti_aliasing=True).astype(np.float64)
        for each in (gray, color)
    ]
    part = pictures[0][64:, 64:]
    volume = np.stack([part[k : k + 80, k // 2 : k // 2 + 80] for k in range(DEPTH)], axis=-1)
    return pictures[0], pictures[1], volume


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of a gray and a color image")
    parser.add_argument("--only", default="", help="run the calls whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
