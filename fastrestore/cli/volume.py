"""``fastrestore volume``: a noisy volume in, a restored volume out."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from fastrestore._io.errors import CliError, explained
from fastrestore._io.images import check_input, check_output
from fastrestore._io.volumes import READERS, Volume, array, check_format, read, write
from fastrestore.cli import noise_options

RICIAN = "rician:"


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then restore the volume."""
    import fastrestore

    noise_options.check(args, _model)
    source, target = Path(args.input), Path(args.output)
    check_input(source, READERS)
    check_output(target, overwrite=args.overwrite, known=READERS)
    volume = read(source, args.channel_axis)
    check_format(target, volume, source)
    bm4d: Any = fastrestore.bm4d
    with explained(source):
        result = bm4d(
            volume.values,
            **_told(args, volume, source),
            channel_axis=-1 if volume.values.ndim == 4 else None,
            slice_axis=args.slice_axis,
            profile=args.profile,
            stage=args.stage,
            data_range=args.data_range,
            workers=args.workers,
            backend=args.backend,
            progress=sys.stderr.isatty() and not args.quiet,
        )
    write(target, volume.restored(result, target))


def _told(args: argparse.Namespace, volume: Volume, source: Path) -> dict[str, Any]:
    """Return what tells `bm4d` the noise."""
    if args.psd is not None:
        return {"sigma": None, "psd": array(args.psd)}
    if args.noise is not None:
        return {"sigma": None, "noise": _model(args.noise)}
    sigma = noise_options.parse_sigma(args.sigma)
    own = noise_options.own_units(sigma, args.sigma, args.sigma_scale, volume.values.dtype, source)
    return {"sigma": own}


def _model(text: str) -> Any:
    """Read ``rician:SIGMA`` or ``poisson:GAIN,SIGMA``."""
    import fastrestore

    if not text.startswith(RICIAN):
        model = noise_options.parse_model(text)
        if model is None:
            raise CliError(f"--noise {text} is for images; write --noise poisson:GAIN,SIGMA")
        return fastrestore.PoissonGaussian(*model)
    try:
        sigma = float(text.removeprefix(RICIAN))
    except ValueError:
        sigma = math.nan
    if not 0 < sigma < math.inf:
        raise CliError(f"--noise {text} is not rician:SIGMA with a sigma above 0, in the file's "
                       "own units; write for example rician:20")  # fmt: skip
    return fastrestore.Rician(sigma)
