"""Print PSNR and SSIM of fastrestore, and optionally of `bm3d` 4.0.3, over a folder of images.

    python bench/quality.py --images DIR --sigma 15 25 50 [--peers] [--profile np]
    python bench/quality.py --images DIR --sigma 25 --at-least 25:29.9
    python bench/quality.py --images DIR --sigma 25 --color --skip FILE

Image number i in name order (from 0) gets the noise ``default_rng(i)`` times sigma, in float64
and not clipped. Results are clipped to 0..255 before they are judged, as in the papers.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Denoiser = Callable[[FloatArray, float], FloatArray]
Score = tuple[float, float]  # PSNR in dB, SSIM


def main() -> int:
    """Print a table for each noise level; return 1 if a mean is under its floor."""
    options = _options()
    paths = _paths(options)
    if not paths:
        print(f"{options.images} has no image to measure", file=sys.stderr)
        return 2
    programs: dict[str, Denoiser] = {"fastrestore": _fastrestore(options)}
    if options.peers:
        programs["bm3d"] = _bm3d(options.workers)
    floors: dict[float, float] = dict(options.at_least)
    passed = True
    for sigma in options.sigma:
        mean = table(paths, sigma, programs, "RGB" if options.color else "L")
        if sigma in floors and not mean >= floors.pop(sigma):
            print(f"sigma {sigma:g}: the mean PSNR is under the floor", file=sys.stderr)
            passed = False
    if floors:
        print("--at-least names a noise level that was not run", file=sys.stderr)
        return 2
    return 0 if passed else 1


def _paths(options: argparse.Namespace) -> list[Path]:
    """Images of the folder in the order of their names, less those of a list."""
    unwanted = set(options.skip.read_text().split()) if options.skip else set()
    found = [path for path in options.images.rglob("*") if path.suffix in (".png", ".jpg")]
    paths = [p for p in found if p.relative_to(options.images).as_posix() not in unwanted]
    return sorted(paths, key=lambda path: path.name)[: options.limit]


def table(paths: list[Path], sigma: float, programs: dict[str, Denoiser], mode: str) -> float:
    """Print one line an image as it is done, then the mean; return the mean PSNR of ours."""
    print(f"\nsigma {sigma:g}\n")
    heads = [f"{name} {measure}" for name in programs for measure in ("PSNR dB", "SSIM")]
    compared = len(programs) > 1
    _line("image", *heads, *(["difference dB"] if compared else []))
    _line(*["---"] * (1 + len(heads) + compared))
    scores: list[list[Score]] = []
    for number, path in enumerate(paths):
        clean = read(path, mode)
        noisy = clean + sigma * np.random.default_rng(number).standard_normal(clean.shape)
        scores.append([judge(clean, program(noisy, sigma)) for program in programs.values()])
        _row(path.stem, scores[-1])
    means = [
        (
            math.fsum(row[k][0] for row in scores) / len(scores),
            math.fsum(row[k][1] for row in scores) / len(scores),
        )
        for k in range(len(programs))
    ]
    _row("mean", means)
    if compared:
        smallest = min(row[0][0] - row[1][0] for row in scores)
        print(f"\nsmallest difference {smallest:+.3f} dB", flush=True)
    return means[0][0]


def read(path: Path, mode: str) -> FloatArray:
    """Read an image as gray levels (L) or colors (RGB) 0..255."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert(mode), np.float64)


def judge(clean: FloatArray, restored: FloatArray) -> Score:
    """Return PSNR and SSIM, the latter with the Gaussian window of its paper."""
    from skimage.metrics import structural_similarity

    from fastrestore.metrics import psnr

    similarity: Callable[..., Any] = structural_similarity  # it has no types
    clipped = np.clip(restored, 0, 255)
    ssim = similarity(
        clean,
        clipped,
        data_range=255,
        channel_axis=_channel_axis(clean),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return psnr(clean, clipped, data_range=255), float(ssim)


def _channel_axis(image: FloatArray) -> int | None:
    return None if image.ndim == 2 else -1


def _fastrestore(options: argparse.Namespace) -> Denoiser:
    import fastrestore

    def denoise(noisy: FloatArray, sigma: float) -> FloatArray:
        restored: FloatArray = fastrestore.bm3d(
            noisy,
            sigma,
            channel_axis=_channel_axis(noisy),
            profile=options.profile,
            workers=options.workers,
            backend=options.backend,
        )
        return restored

    return denoise


def _bm3d(workers: int | None) -> Denoiser:
    import bm3d

    profile = bm3d.BM3DProfile()
    profile.num_threads = workers or 0  # 0 lets it choose

    def denoise(noisy: FloatArray, sigma: float) -> FloatArray:
        call = bm3d.bm3d if noisy.ndim == 2 else bm3d.bm3d_rgb
        restored: FloatArray = call(noisy, sigma, profile)
        return restored

    return denoise


def _row(name: str, scores: list[Score]) -> None:
    cells = [cell for psnr, ssim in scores for cell in (f"{psnr:.3f}", f"{ssim:.4f}")]
    if len(scores) > 1:
        cells.append(f"{scores[0][0] - scores[1][0]:+.3f}")
    _line(name, *cells)


def _line(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="PSNR and SSIM over a folder of images")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--skip", type=Path, metavar="FILE", help="paths in DIR to leave out")
    parser.add_argument("--color", "--colour", action="store_true", help="RGB instead of gray")
    parser.add_argument("--sigma", type=float, nargs="+", default=[15.0, 25.0, 50.0])
    parser.add_argument("--peers", action="store_true", help="bm3d 4.0.3 (np) beside it: slow")
    parser.add_argument("--profile", default="np")
    parser.add_argument("--backend", default=None)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--limit", type=int, default=None, help="only the first images")
    parser.add_argument(
        "--at-least",
        type=_floor,
        nargs="+",
        default=[],
        metavar="SIGMA:DB",
        help="exit with 1 if the mean PSNR at this sigma is less",
    )
    return parser.parse_args()


def _floor(text: str) -> tuple[float, float]:
    sigma, _, floor = text.partition(":")
    return float(sigma), float(floor)


if __name__ == "__main__":
    sys.exit(main())
