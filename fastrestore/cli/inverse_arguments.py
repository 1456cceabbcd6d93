"""Arguments of the commands for blur, holes, soft pictures and streaks."""

from __future__ import annotations

import argparse
from typing import Any

from fastrestore.cli.help_texts import DEBLUR, INPAINT, SHARPEN, STREAKS


def add_inverse(commands: Any) -> None:
    """Describe the commands."""
    add = _pictures(commands, "deblur", "undo a blur that is known, and remove noise", DEBLUR)
    add("--psf", required=True, metavar="FILE", help="what a point becomes: a picture, or NPY")
    _sigma(add, "auto")
    add("--method", choices=("bm3d", "pnp"), default="bm3d", help="default: bm3d")
    add(
        "--boundary", choices=("reflect", "periodic", "taper"), default="reflect",
        help="what lies beyond the border, see below; default: reflect",
    )  # fmt: skip
    add(
        "--denoiser", choices=("bm3d", "unet", "hybrid"),
        help="of --method pnp; networks need PyTorch; default: bm3d",
    )  # fmt: skip
    _shared(add, "np")

    add = _pictures(commands, "inpaint", "fill in missing pixels", INPAINT)
    add("--mask", required=True, metavar="FILE", help="picture that is not black where they miss")
    _sigma(add, "0", auto=False)
    add("--iterations", type=int, default=16, metavar="N", help="default: 16")
    _shared(add, "lc")

    add = _pictures(commands, "sharpen", "make details stand out, and remove noise", SHARPEN)
    _sigma(add, "auto")
    add("--alpha", type=float, default=1.5, metavar="X", help="1 denoises alone; default: 1.5")
    _shared(add, "np")

    add = _command(commands, "streaks", "remove streaks of sinograms, rings to be", STREAKS)
    add("--strength", type=float, default=1.0, metavar="X", help="more removes more; default: 1")
    add("--levels", type=int, metavar="N", help="of scale; default: as the detector is wide")
    add("--angle-axis", type=int, default=-2, metavar="N", help="default: -2")
    add("--detector-axis", type=int, default=-1, metavar="N", help="default: -1, the last")
    _always(add)


def _command(commands: Any, name: str, what: str, below: str) -> Any:
    """Begin a command of files in, files out."""
    command = commands.add_parser(
        name, help=what, epilog=below, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = command.add_argument
    add("inputs", nargs="+", metavar="IN", help="image files")
    add("-o", "--output", required=True, metavar="OUT", help="file, or directory for several IN")
    return add


def _pictures(commands: Any, name: str, what: str, below: str) -> Any:
    add = _command(commands, name, what, below)
    add("--channel-axis", type=int, metavar="N", help="of NPY with three axes: -1 is the last")
    add("--data-range", type=float, metavar="X", help="white minus black, in the file's own units")
    return add


def _sigma(add: Any, default: str, *, auto: bool = True) -> None:
    told = "2/255, 0.01 or auto" if auto else "2/255 or 0.01"
    add(
        "--sigma", metavar="S", default=default,
        help=f"standard deviation of the noise, {told}; default: {default}",
    )  # fmt: skip
    add("--sigma-scale", choices=("native", "8bit"), help="as for `fastrestore denoise`")


def _shared(add: Any, profile: str) -> None:
    add(
        "--profile", default=profile, choices=("np", "refilter", "fast", "lc", "high", "vn"),
        help=f"default: {profile}",
    )  # fmt: skip
    _always(add)


def _always(add: Any) -> None:
    add("--backend", metavar="NAME", help="see `fastrestore backends`; default: the fastest")
    add("--workers", type=int, metavar="N", help="threads; default: one for each core")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--quiet", action="store_true", help="no progress bar")
