"""``fastrestore demo``: noise on a photograph, and off again."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np

from fastrestore._io.errors import CliError, explained
from fastrestore._io.images import check_output, to_type, write
from fastrestore._io.picture import Image, Picture

DEFAULT = "fastrestore-demo.png"


def run(args: argparse.Namespace) -> None:
    """Denoise the photograph, print what it brought and how long it took, and draw it."""
    import pywt.data

    from fastrestore.backends.select import select
    from fastrestore.metrics import psnr

    if not 0 <= args.sigma < math.inf:
        raise CliError(f"--sigma {args.sigma:g}: write a number of 0 or more, such as 25")
    output = Path(args.output or DEFAULT)
    check_output(output, overwrite=args.overwrite or args.output is None)
    clean = np.asarray(pywt.data.camera(), np.float32)
    noise = np.random.default_rng(0).normal(0, args.sigma, clean.shape)
    noisy = clean + noise.astype(np.float32)
    with explained("demo"):
        backend = select().NAME
        restored, times = _timed(noisy, args.sigma, backend)
    before = psnr(clean, noisy, data_range=255)
    after = psnr(clean, np.clip(restored, 0, 255), data_range=255)
    write(output, Picture(_side_by_side(noisy, restored)))
    print(f"image    camera, {clean.shape[0]} x {clean.shape[1]}, noise of sigma {args.sigma:g}")
    print(f"backend  {backend}")
    print(f"PSNR     {before:.2f} dB before, {after:.2f} dB after")
    print(f"time     {times}")
    print(f"picture  {output}")


def _timed(noisy: Image, sigma: float, backend: str) -> tuple[Image, str]:
    """Denoise, a second time too where the first call compiles, and say how long it took."""
    import fastrestore

    def call() -> tuple[Image, float]:
        start = time.perf_counter()
        restored = fastrestore.bm3d(noisy, sigma, data_range=255, progress=sys.stderr.isatty())
        return restored, time.perf_counter() - start

    restored, first = call()
    if backend == "numpy":  # compiles nothing, and takes minutes
        return restored, f"{first:.2f} s"
    restored, then = call()
    return restored, f"first call {first:.2f} s (compiles or loads the kernels), then {then:.2f} s"


def _side_by_side(noisy: Image, restored: Image) -> Image:
    """Draw the noisy image on the left and the restored one on the right of a white line."""
    line = np.full((noisy.shape[0], 4), 255, np.uint8)
    return np.concatenate([to_type(noisy, np.uint8), line, to_type(restored, np.uint8)], axis=1)
