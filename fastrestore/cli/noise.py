"""The noise specification: options as keyword arguments of the public functions."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli.errors import CommandError

POISSON = "poisson:"
_OPTIONS = ("sigma", "noise", "psd", "kernel")


class Sigma(NamedTuple):
    """The options --sigma and --sigma-scale."""

    text: str
    value: float | None  # None estimates it from the data
    scale: str | None  # "native", "8bit" or None

    @classmethod
    def parse(cls, args: argparse.Namespace) -> Sigma:
        """Read a number such as ``0.1``, a fraction such as ``25/255``, or ``auto``."""
        text, scale = args.sigma, args.sigma_scale
        if text == "auto":
            if scale is not None:
                raise CommandError(f"--sigma auto has no scale; leave --sigma-scale {scale} out")
            return cls(text, None, None)
        value = _fraction(text)
        if not 0 <= value < math.inf:
            raise CommandError(
                f"--sigma {text} is not a non-negative number; write for example 0.1 or 25/255, "
                "or auto"
            )
        return cls(text, value, scale)

    def in_units_of(
        self, dtype: np.dtype[Any], source: Path, largest: int | None = None
    ) -> float | None:
        """Return sigma in the units of a file; None for ``auto``.

        `largest` is the maximum of the file's values, by default that of `dtype`.
        """
        if self.value is None:
            return None
        self._check(dtype, source)
        if dtype.kind == "f" or self.scale == "native":
            return self.value
        top = int(np.iinfo(dtype).max) if largest is None else largest
        return (self.value / 255 if self.scale == "8bit" else self.value) * top

    def _check(self, dtype: np.dtype[Any], source: Path) -> None:
        """Raise if sigma and its scale do not suit the type of a file, or are ambiguous."""
        text, scale = self.text, self.scale
        if dtype.kind == "f":
            if scale == "8bit":
                raise CommandError(
                    f"--sigma-scale 8bit is for integer files, and {source} is {dtype}; "
                    "write sigma in the file's own units and leave --sigma-scale out"
                )
            return
        if "/" in text and scale is not None:
            raise CommandError(
                f"--sigma {text} is a fraction of the type's maximum; "
                f"leave --sigma-scale {scale} out"
            )
        assert self.value is not None
        if scale is None and self.value >= 1:
            raise CommandError(_too_large(text, dtype, source))


def check(args: argparse.Namespace, parse_model: Callable[[str], object] | None = None) -> None:
    """Check the options before a file is read; `parse_model` reads --noise."""
    options = [name for name in _OPTIONS if hasattr(args, name)]
    given = [
        f"--{name} {getattr(args, name)}" for name in options if getattr(args, name) is not None
    ]
    if not given:
        *most, last = ["--sigma S", "--sigma auto", *(f"--{name}" for name in options[1:])]
        raise CommandError(f"the noise is not specified; add {', '.join(most)} or {last}")
    if len(given) > 1:
        raise CommandError(f"specify the noise once: got both {' and '.join(given)}")
    if args.sigma is None and args.sigma_scale is not None:
        raise CommandError(f"--sigma-scale {args.sigma_scale} needs --sigma; leave it out")
    if args.sigma is not None:
        Sigma.parse(args)
    elif "noise" in options and args.noise is not None:
        (parse_model or parse_poisson)(args.noise)


def arguments(args: argparse.Namespace, image: Image, source: Path) -> dict[str, Any]:
    """Return the keyword arguments of `bm3d` for the noise of an image (M, N) or (M, N, C)."""
    if args.psd is not None:
        return {"psd": images.read(Path(args.psd)).values}
    if args.kernel is not None:
        return {"noise_kernel": images.read(Path(args.kernel)).values}
    if args.noise is None:
        return {"sigma": Sigma.parse(args).in_units_of(image.dtype, source)}
    model = parse_poisson(args.noise)
    if model is None:
        return _estimate_poisson(image)
    return {"noise": fastrestore.PoissonGaussian(*model)}


def parse_poisson(text: str) -> tuple[float, float] | None:
    """Read ``poisson:GAIN,SIGMA``; None for ``poisson:auto``."""
    numbers = text.removeprefix(POISSON)
    if text.startswith(POISSON) and numbers == "auto":
        return None
    gain = sigma = math.nan
    if text.startswith(POISSON) and numbers.count(",") == 1:
        with contextlib.suppress(ValueError):
            gain, sigma = map(float, numbers.split(","))
    if not (0 < gain < math.inf and 0 <= sigma < math.inf):
        raise CommandError(
            f"--noise {text} is not poisson:GAIN,SIGMA with a positive gain and a non-negative "
            "sigma, in the file's own units; write for example poisson:2.5,3, or poisson:auto"
        )
    return gain, sigma


def _estimate_poisson(image: Image) -> dict[str, Any]:
    """Estimate one gain and sigma for all channels; without a gain the noise is Gaussian."""
    axis = None if image.ndim == 2 else -1
    gains, sigmas = fastrestore.estimate_poisson_gaussian(image, channel_axis=axis)
    gain, sigma = float(np.mean(gains)), math.sqrt(np.square(sigmas).mean())
    return {"noise": fastrestore.PoissonGaussian(gain, sigma)} if gain > 0 else {"sigma": sigma}


def _fraction(text: str) -> float:
    """Read a number or a fraction; NaN if it is neither."""
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError):
        return math.nan


def _too_large(text: str, dtype: np.dtype[Any], source: Path) -> str:
    """Return the message for a sigma of 1 or more without a scale, for integers."""
    if "/" in text:
        return (
            f"--sigma {text} is at least the whole range of {source} ({dtype}); "
            "specify a fraction below 1, such as 25/255"
        )
    return (
        f"--sigma {text} is ambiguous for {source} ({dtype}); "
        f"write --sigma {text}/255 or --sigma {text} --sigma-scale 8bit for the scale 0..255, "
        "or --sigma-scale native for the file's own gray levels"
    )
