"""The noise specification: options as keyword arguments of the public functions."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastrestore
from fastrestore._io import images
from fastrestore._io.images import Image
from fastrestore.cli import noise_models, options, outcomes
from fastrestore.cli.errors import CommandError

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


def check(args: argparse.Namespace) -> None:
    """Check the options before a file is read."""
    every = {name: getattr(args, name, None) for name in _OPTIONS}
    given = [f"--{name} {value}" for name, value in every.items() if value is not None]
    if len(given) > 1:
        raise CommandError(f"specify the noise once: got both {' and '.join(given)}")
    if args.sigma is None and args.sigma_scale is not None:
        raise CommandError(f"--sigma-scale {args.sigma_scale} needs --sigma; leave it out")
    if args.sigma is not None:
        Sigma.parse(args)
    if every["noise"] is not None:
        noise_models.parse(every["noise"])
    if "strength" in args:
        options.check_strength(args)


def arguments(
    args: argparse.Namespace, dtype: np.dtype[Any], source: Path, largest: int | None = None
) -> dict[str, Any]:
    """Return the keyword arguments for --sigma, --noise and --strength.

    `dtype` and `largest` are type and maximum of the values in the file.
    """
    shared = {} if args.strength == 1 else {"strength": args.strength}
    if args.noise is not None:
        return {"sigma": None, "noise": noise_models.parse(args.noise), **shared}
    if args.sigma is None:  # estimated, whatever it is
        return {"sigma": None, **shared}
    level = Sigma.parse(args).in_units_of(dtype, source, largest)
    return {"sigma": level, **({"noise": "white"} if level is None else {}), **shared}


def of_image(args: argparse.Namespace, image: Image, source: Path) -> dict[str, Any]:
    """Return the keyword arguments of `bm3d` for the noise of an image (M, N) or (M, N, C)."""
    common = arguments(args, image.dtype, source)
    if args.psd is not None:
        return common | {"psd": images.read(Path(args.psd)).values}
    if args.kernel is not None:
        return common | {"noise_kernel": images.read(Path(args.kernel)).values}
    if common.get("noise") == noise_models.POISSON_AUTO:
        return common | _estimate_poisson(image)
    return common


def _estimate_poisson(image: Image) -> dict[str, Any]:
    """Estimate one gain and sigma for all channels; without a gain the noise is Gaussian."""
    axis = None if image.ndim == 2 else -1
    gains, sigmas = fastrestore.estimate_poisson_gaussian(image, channel_axis=axis)
    gain, sigma = float(np.mean(gains)), math.sqrt(np.square(sigmas).mean())
    if gain > 0:
        return {"noise": fastrestore.PoissonGaussian(gain, sigma)}
    return {"sigma": sigma, "noise": None}


def is_estimated(noise: dict[str, Any]) -> bool:
    """Whether a function of the library estimates the noise."""
    named = isinstance(noise.get("noise", "auto"), str)
    return noise["sigma"] is None and named and not {"psd", "noise_kernel"} & set(noise)


def call(restore: Callable[..., Any], noise: dict[str, Any], details: dict[str, Any]) -> Any:
    """Call a function of the library, and add the noise that it estimates or uses to `details`."""
    result, info = restore(**noise, return_info=True)
    details |= outcomes.details_of(info)
    return result


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
