"""``fastrestore demo``: add noise to a photograph and remove it."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image, Picture, to_type
from fastrestore.backends import select
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.paths import check_overwrite
from fastrestore.metrics import psnr

DEFAULT = "fastrestore-demo.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add(
        "-o",
        "--output",
        metavar="OUT",
        help="output file; default: fastrestore-demo.png, which is replaced",
    )
    add(
        "--sigma",
        type=float,
        default=25.0,
        metavar="S",
        help="noise level on a scale from 0 to 255; default: 25",
    )
    add("--overwrite", action="store_true", help="replace OUT if it exists")


def run(args: argparse.Namespace) -> None:
    """Denoise the photograph, print the gain in PSNR and the time, and write both images."""
    import pywt.data

    if not 0 <= args.sigma < math.inf:
        raise CommandError(f"--sigma {args.sigma:g}: write a non-negative number, such as 25")
    output = Path(args.output or DEFAULT)
    images.check_output(output)
    check_overwrite(output, overwrite=args.overwrite or args.output is None)
    clean = np.asarray(pywt.data.camera(), np.float32)
    noise = np.random.default_rng(0).normal(0, args.sigma, clean.shape)
    noisy = clean + noise.astype(np.float32)
    with explained("demo"):
        backend = select.select().NAME
        restored, times = _timed(noisy, args.sigma, backend)
    before = psnr(clean, noisy, data_range=255)
    after = psnr(clean, np.clip(restored, 0, 255), data_range=255)
    images.write(output, Picture(_side_by_side(noisy, restored)))
    print(f"image    camera, {clean.shape[0]} x {clean.shape[1]}, noise of sigma {args.sigma:g}")
    print(f"backend  {backend}")
    print(f"PSNR     {before:.2f} dB before, {after:.2f} dB after")
    print(f"time     {times}")
    print(f"output   {output}")


def _timed(noisy: Image, sigma: float, backend: str) -> tuple[Image, str]:
    """Denoise, twice if the first call compiles, and return the result and the times."""

    def call() -> tuple[Image, float]:
        start = time.perf_counter()
        restored = fastrestore.bm3d(noisy, sigma, data_range=255, progress=sys.stderr.isatty())
        return restored, time.perf_counter() - start

    restored, first = call()
    if backend == "numpy":  # it compiles nothing and takes minutes
        return restored, f"{first:.2f} s"
    restored, second = call()
    return (
        restored,
        f"first call {first:.2f} s (compiles or loads the kernels), then {second:.2f} s",
    )


def _side_by_side(noisy: Image, restored: Image) -> Image:
    """Return the noisy image, a white line and the restored image, from left to right."""
    line = np.full((noisy.shape[0], 4), 255, np.uint8)
    return np.concatenate([to_type(noisy, np.uint8), line, to_type(restored, np.uint8)], axis=1)
