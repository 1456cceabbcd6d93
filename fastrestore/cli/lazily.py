"""The method of ``fastrestore denoise`` for a Dask array, whose parts are restored later."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import fastrestore
from fastrestore._io import images
from fastrestore.cli import noise, noise_models, options
from fastrestore.cli.errors import CommandError

# Options that do not apply to parts, and their defaults
_OTHERS: dict[str, Any] = {"max_memory": None, "compare": None, "channel_axis": None}
_OF_PLANES: dict[str, Any] = {
    "kernel": None, "colorspace": "auto", "chroma_strength": 1.0, "blend": 1.0, "method": None,
    "weights": None,
}  # fmt: skip
_PROFILES = {"film": "video", "volume": "volume"}
_METHODS = {"film": "vbm3d", "volume": "bm4d"}


def check(args: argparse.Namespace, source: Path) -> None:
    """Raise on options that do not apply to stores."""
    kind = args.kind or "planes"
    unused = _OTHERS if kind == "planes" else _OTHERS | _OF_PLANES
    for name, default in unused.items():
        if getattr(args, name) != default:
            value = getattr(args, name)
            what = "files that are restored in parts" if name in _OTHERS else f"--as {kind}"
            raise CommandError(f"{options.spelled(name)} {value} does not apply to {what}, such as "
                               f"{source}; leave it out")  # fmt: skip
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images in memory; for {source} write "
                           "--noise poisson:GAIN,SIGMA, or leave it out")  # fmt: skip


def method(args: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Return the method and the profile, for the report."""
    if kind == "planes":
        name = args.method or args.weights or "bm3d"
        return {"method": name, "profile": args.profile if name in ("bm3d", "hybrid") else None}
    return {"method": _METHODS[kind], "profile": _profile(args, kind)}


def _profile(args: argparse.Namespace, kind: str) -> str:
    """Return the profile; the default of the command is one for planes."""
    return _PROFILES[kind] if args.profile == "np" else str(args.profile)


def together(args: argparse.Namespace, values: Any, kind: str, source: Path) -> Any:
    """Restore a film or a volume, whose frames or slices are the first axis."""
    specification = noise.arguments(args, values.dtype, source)
    if args.psd is not None:
        specification |= {"psd": images.read(Path(args.psd)).values}
    common = {
        "channel_axis": -1 if values.ndim == 4 else None,
        "profile": _profile(args, kind),
        "stage": args.stage,
        "data_range": args.data_range,
        "workers": args.workers,
        "backend": args.backend,
    }
    if kind == "film":
        return fastrestore.vbm3d(values, **common, **specification)
    return fastrestore.bm4d(values, slice_axis=0, **common, **specification)
