"""The noise as it is told on the command line, in the units of each file."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import CliError
from fastrestore._io.images import read
from fastrestore._io.picture import Image

POISSON = "poisson:"
_WAYS = ("sigma", "noise", "psd", "kernel")


def check(args: argparse.Namespace, parse: Callable[[str], object] | None = None) -> None:
    """Refuse what can be refused before a file is read; `parse` reads --noise."""
    ways = [way for way in _WAYS if hasattr(args, way)]
    told = [f"--{way} {getattr(args, way)}" for way in ways if getattr(args, way) is not None]
    if not told:
        *most, last = ["--sigma S", "--sigma auto", *(f"--{way}" for way in ways[1:])]
        raise CliError(f"the noise is not told; write {', '.join(most)} or {last}")
    if len(told) > 1:
        raise CliError(f"{' and '.join(told)} tell the noise in two ways; leave one out")
    if args.sigma is None and args.sigma_scale is not None:
        raise CliError(f"--sigma-scale {args.sigma_scale} goes with --sigma only; leave it out")
    if args.sigma is not None:
        parse_sigma(args.sigma)
    if "noise" in ways and args.noise is not None:
        (parse or parse_model)(args.noise)


def arguments(args: argparse.Namespace, image: Image, source: Path) -> dict[str, Any]:
    """Return what tells `bm3d` the noise of an image (M, N) or (M, N, C)."""
    import fastrestore

    if args.psd is not None:
        return {"psd": spectrum(args.psd)}
    if args.kernel is not None:
        return {"noise_kernel": spectrum(args.kernel)}
    if args.noise is None:
        sigma = own_units(
            parse_sigma(args.sigma), args.sigma, args.sigma_scale, image.dtype, source
        )
        return {"sigma": sigma}
    model = parse_model(args.noise)
    if model is None:
        return _estimated(image)
    return {"noise": fastrestore.PoissonGaussian(*model)}


def _estimated(image: Image) -> dict[str, Any]:
    """Estimate gain and sigma, one pair for all channels; without a gain noise is Gaussian."""
    import fastrestore

    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    gains, sigmas = np.transpose([fastrestore.estimate_poisson_gaussian(p) for p in planes])
    gain, sigma = float(gains.mean()), math.sqrt((sigmas**2).mean())
    return {"noise": fastrestore.PoissonGaussian(gain, sigma)} if gain > 0 else {"sigma": sigma}


def spectrum(name: str) -> Image:
    """Read a spectrum or a kernel."""
    return read(Path(name)).values


def parse_model(text: str) -> tuple[float, float] | None:
    """Read ``poisson:GAIN,SIGMA``, or None for ``poisson:auto``."""
    numbers = text.removeprefix(POISSON)
    if text.startswith(POISSON) and numbers == "auto":
        return None
    gain = sigma = math.nan
    if text.startswith(POISSON) and numbers.count(",") == 1:
        with contextlib.suppress(ValueError):
            gain, sigma = map(float, numbers.split(","))
    if not (0 < gain < math.inf and 0 <= sigma < math.inf):
        raise CliError(
            f"--noise {text} is not poisson:GAIN,SIGMA with a gain above 0 and a sigma of 0 or "
            "more, in the file's own units; write for example poisson:2.5,3, or poisson:auto"
        )
    return gain, sigma


def parse_sigma(text: str) -> float | None:
    """Read a number such as ``0.1``, a fraction such as ``25/255``, or None for ``auto``."""
    if text == "auto":
        return None
    above, slash, below = text.partition("/")
    try:
        sigma = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        sigma = math.nan
    if not 0 <= sigma < math.inf:
        raise CliError(
            f"--sigma {text} is not a number of 0 or more; write for example 0.1 or 25/255, or auto"
        )
    return sigma


def own_units(
    sigma: float | None,
    text: str,
    scale: str | None,
    dtype: np.dtype[Any],
    source: Path,
    top: int | None = None,
) -> float | None:
    """Bring sigma to the units of a file; `text` is how the user wrote it.

    `top` is the largest number in the file, if that is not the largest of its type.
    """
    if sigma is None:
        if scale is not None:
            raise CliError(f"--sigma auto needs no scale; leave --sigma-scale {scale} out")
        return None
    if dtype.kind == "f":
        if scale == "8bit":
            raise CliError(
                f"--sigma-scale 8bit is for integer files, and {source} is {dtype}; "
                "write sigma in the file's own units and leave --sigma-scale out"
            )
        return sigma
    if "/" in text and scale is not None:
        raise CliError(
            f"--sigma {text} is a fraction of the type's maximum; leave --sigma-scale {scale} out"
        )
    if scale == "native":
        return sigma
    if scale is None and sigma >= 1:
        raise CliError(_too_large(text, dtype, source))
    largest = int(np.iinfo(dtype).max) if top is None else top
    return (sigma / 255 if scale == "8bit" else sigma) * largest


def _too_large(text: str, dtype: np.dtype[Any], source: Path) -> str:
    """Say what to write instead of a bare sigma of 1 or more on integers."""
    if "/" in text:
        return (
            f"--sigma {text} is the whole range of {source} ({dtype}) or more; "
            "write a fraction under 1, such as 25/255"
        )
    return (
        f"--sigma {text} could mean several things for {source} ({dtype}); "
        f"write --sigma {text}/255 or --sigma {text} --sigma-scale 8bit for the scale 0..255, "
        "or --sigma-scale native for the file's own grey levels"
    )
