"""``fastrestore denoise``: noisy files in, restored files out."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore.cli._error import CliError, explained, reason
from fastrestore.cli._io import (
    READERS,
    check_format,
    check_input,
    check_output,
    read,
    to_type,
    write,
)


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then denoise file by file; the first error ends it."""
    sigma = parse_sigma(args.sigma)
    inputs = [Path(name) for name in args.inputs]
    for path in inputs:
        check_input(path)
    for source, target in zip(inputs, _outputs(inputs, args), strict=True):
        _denoise_file(source, target, sigma, args)


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
    sigma: float | None, text: str, scale: str | None, dtype: np.dtype[Any], source: Path
) -> float | None:
    """Bring sigma to the units of a file; `text` is how the user wrote it."""
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
    return (sigma / 255 if scale == "8bit" else sigma) * int(np.iinfo(dtype).max)


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


def _outputs(inputs: list[Path], args: argparse.Namespace) -> list[Path]:
    """Return where each result goes, all of them checked."""
    folder = Path(args.output)
    if not _is_folder(args.output, len(inputs)):
        check_output(folder, overwrite=args.overwrite)
        return [folder]
    outputs = [folder / path.name for path in inputs]
    for k, output in enumerate(outputs):
        if output in outputs[:k]:
            first = inputs[outputs.index(output)]
            raise CliError(f"{first} and {inputs[k]} would both be written to {output}")
    _make_folder(folder)
    for output in outputs:
        check_output(output, overwrite=args.overwrite)
    return outputs


def _is_folder(output: str, count: int) -> bool:
    """Say whether OUT is meant as a directory."""
    if not output:
        raise CliError("the name after -o is empty; write a file or a directory")
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if Path(output).is_dir() or output.endswith(separators):
        return True
    if count > 1 and (Path(output).suffix.lower() in READERS or Path(output).exists()):
        raise CliError(f"{output}: several inputs need a directory; write {output}{os.sep}")
    return count > 1


def _make_folder(folder: Path) -> None:
    """Make the directory for the results unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"cannot create directory {folder}: {reason(error)}") from error


def _denoise_file(
    source: Path, target: Path, sigma: float | None, args: argparse.Namespace
) -> None:
    """Read, denoise and write one image."""
    import fastrestore

    image = read(source)
    check_format(target, image.dtype, source)
    sigma = own_units(sigma, args.sigma, args.sigma_scale, image.dtype, source)
    with explained(source):
        result = fastrestore.bm3d(
            image,
            sigma,
            profile=args.profile,
            stage=args.stage,
            data_range=args.data_range,
            workers=args.workers,
            backend=args.backend,
            progress=sys.stderr.isatty() and not args.quiet,
        )
        result = to_type(result, image.dtype)
    write(target, result)
