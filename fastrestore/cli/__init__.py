"""The command line: ``fastrestore denoise noisy.png -o clean.png --sigma 25/255``.

This module holds the arguments only. Each command is a module of its own, with one function
``run(args)``, and is imported when it is asked for: ``fastrestore --help`` needs no numpy.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from fastrestore import __version__
from fastrestore._io.errors import CliError
from fastrestore.cli.help_texts import NOISE, TRAIN, UPSCALE, VIDEO, VOLUME
from fastrestore.cli.inverse_arguments import add_inverse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of this process.

    Returns
    -------
    int
        The exit status: 0, or 2 after an error, which is one line on standard error, 130
        after Ctrl-C, and 141 if the reader of standard output went away.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return _run(argv)
    except CliError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno is None:  # the library's own, such as that there is no such model
            return _fail(str(error))
        return _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")
    except KeyboardInterrupt as stop:
        told = f": {stop}" if str(stop) else ""
        print(f"fastrestore: interrupted{told}", file=sys.stderr)
        return 130


def _run(argv: Sequence[str] | None) -> int:
    """Read the arguments and run the command they name."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    command = importlib.import_module(f"fastrestore.cli.{args.command}")
    try:
        command.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # as in `fastrestore info *.png | head -1`
        _drop_output()
        return 141
    except OSError as error:
        if error.filename is None and error.errno is not None:
            _drop_output()
        raise
    return 0


def _drop_output() -> None:
    """Send what is still buffered nowhere, or Python fails to write it once more at its exit."""
    with contextlib.suppress(ValueError, OSError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line."""
    print(f"fastrestore: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str) -> int:
    """Print an error as one line and return the exit status."""
    print(f"fastrestore: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong argument as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        raise CliError(f"{message} (see `{self.prog} --help`)")


def _parser() -> _Parser:
    """Describe all the commands."""
    parser = _Parser(prog="fastrestore", description="Image restoration.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"fastrestore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_denoise(commands)
    _add_video(commands)
    _add_volume(commands)
    _add_upscale(commands)
    add_inverse(commands)
    _add_train(commands)
    _add_demo(commands)
    commands.add_parser("backends", help="list the backends and say which can run here")
    info = commands.add_parser("info", help="print size, type and range of images")
    info.add_argument("inputs", nargs="+", metavar="IN", help="image files")
    cache = commands.add_parser("cache", help="compiled kernels that are kept on disk")
    cache.add_argument(
        "action",
        choices=("warm", "info", "clear"),
        help="compile the kernels now; say where they are kept; remove them",
    )
    return parser


def _add_denoise(commands: argparse._SubParsersAction[_Parser]) -> None:
    denoise = commands.add_parser(
        "denoise",
        help="remove noise with BM3D, or a network",
        epilog=NOISE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = denoise.add_argument
    add("inputs", nargs="+", metavar="IN", help="image files")
    add("-o", "--output", required=True, metavar="OUT", help="file, or directory for several IN")
    add("--sigma", metavar="S", help="standard deviation of the noise, or auto, see below")
    add("--sigma-scale", choices=("native", "8bit"), help="what sigma is measured in, see below")
    add("--noise", metavar="MODEL", help="noise that follows the signal, see below")
    add("--psd", metavar="FILE", help="power spectrum of correlated noise, see below")
    add("--kernel", metavar="FILE", help="kernel of correlated noise, see below")
    add("--channel-axis", type=int, metavar="N", help="of NPY with three axes: -1 is the last")
    add(
        "--colorspace",
        choices=("auto", "opp", "ycbcr", "pca", "none"),
        default="auto",
        help="in which channels are filtered; default: auto, opponent colours for RGB",
    )
    add(
        "--chroma-strength",
        type=float,
        default=1.0,
        metavar="X",
        help="of colours, noise is taken for so many times as strong; default: 1",
    )
    add(
        "--blend",
        type=float,
        default=1.0,
        metavar="X",
        help="share of the result, the rest is the noisy image; default: 1",
    )
    add("--data-range", type=float, metavar="X", help="white minus black, in the file's own units")
    add(
        "--method",
        choices=("bm3d", "dncnn", "unet", "hybrid"),
        default="bm3d",
        help="networks need PyTorch, and take white noise of --sigma alone; default: bm3d",
    )
    add("--weights", metavar="FILE", help="of --method, in place of those of the library")
    add(
        "--profile",
        choices=("np", "refilter", "fast", "lc", "high", "vn"),
        default="np",
        help="default: np",
    )
    add(
        "--max-memory",
        type=float,
        metavar="BYTES",
        help="working memory, as 2e9: larger images are done in tiles, with the same result",
    )
    _add_shared(denoise)


def _add_shared(command: _Parser) -> None:
    """Add what all commands that restore have."""
    add = command.add_argument
    add("--stage", choices=("basic", "final"), default="final", help="default: final")
    add("--backend", metavar="NAME", help="see `fastrestore backends`; default: the fastest")
    add("--workers", type=int, metavar="N", help="threads; default: one for each core")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--quiet", action="store_true", help="no progress bar")


def _add_video(commands: argparse._SubParsersAction[_Parser]) -> None:
    video = commands.add_parser(
        "video",
        help="remove noise from films with V-BM3D",
        epilog=VIDEO,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = video.add_argument
    add("input", metavar="IN", help="film, or numbered pictures such as frames/%%05d.png")
    add("output", metavar="OUT", help="film (.mp4, .mkv, .mov, .webm, .avi), or pictures")
    add("--sigma", metavar="S", help="standard deviation of the noise, or auto, see below")
    add("--sigma-scale", choices=("native", "8bit"), help="what sigma is measured in, see below")
    add(
        "--chroma-strength",
        type=float,
        default=1.0,
        metavar="X",
        help="of colours, noise is taken for so many times as strong; default: 1",
    )
    add(
        "--radius",
        type=int,
        default=4,
        metavar="N",
        help="frames before and after each that are looked through, 0 to 16; default: 4",
    )
    add("--no-scene-cuts", dest="scene_cuts", action="store_false", help="do not look for cuts")
    add(
        "--profile",
        choices=("video", "fast", "lc", "np", "high", "vn"),
        default="video",
        help="default: video",
    )
    _add_encoder(video)
    _add_shared(video)


def _add_encoder(command: _Parser) -> None:
    """Add what is about the film that is written."""
    add = command.add_argument
    add("--codec", metavar="NAME", help="encoder, as FFmpeg calls it; default: by OUT's extension")
    add("--crf", type=float, metavar="Q", help="quality of the encoder: less is better and larger")
    add("--lossless", action="store_true", help="lose nothing after restoring, in large files")
    add("--pixel-format", metavar="NAME", help="as FFmpeg calls it; default: that of IN")
    add("--fps", metavar="RATE", help="frames a second of a film made of pictures")


def _add_volume(commands: argparse._SubParsersAction[_Parser]) -> None:
    volume = commands.add_parser(
        "volume",
        help="remove noise from volumes with BM4D",
        epilog=VOLUME,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = volume.add_argument
    add("input", metavar="IN", help="TIFF of several pages, NPY or NIfTI")
    add("output", metavar="OUT", help="file of the same kind, or NPY")
    add("--sigma", metavar="S", help="standard deviation of the noise, or auto, see below")
    add("--sigma-scale", choices=("native", "8bit"), help="what sigma is measured in, see below")
    add("--noise", metavar="MODEL", help="noise that follows the signal, see below")
    add("--psd", metavar="FILE", help="power spectrum of correlated noise, see below")
    add("--channel-axis", type=int, metavar="N", help="of NPY with four axes: -1 is the last")
    add("--slice-axis", type=int, metavar="N", help="see fastrestore.bm4d")
    add("--data-range", type=float, metavar="X", help="white minus black, in the file's own units")
    add("--profile", default="volume", metavar="NAME", help="default: volume")
    _add_shared(volume)


def _add_upscale(commands: argparse._SubParsersAction[_Parser]) -> None:
    upscale = commands.add_parser(
        "upscale",
        help="make pictures and films larger with a network",
        epilog=UPSCALE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = upscale.add_argument
    add("inputs", nargs="+", metavar="IN", help="image files, or folders of them")
    add("-o", "--output", required=True, metavar="OUT", help="file, or directory for several IN")
    add("--scale", type=int, default=4, metavar="N", help="times larger; default: 4")
    add("--model", metavar="NAME", help="or a file of weights; default: srgan, of films vsrgan")
    add("--channel-axis", type=int, metavar="N", help="of NPY with three axes: -1 is the last")
    add("--data-range", type=float, metavar="X", help="white minus black, in the file's own units")
    add("--tile", type=int, metavar="N", help="pixels along a side of the pieces; default: as fit")
    add("--device", metavar="NAME", help="cpu, cuda or cuda:1; default: a GPU if there is one")
    _add_encoder(upscale)
    add("--overwrite", action="store_true", help="replace files that exist")
    add("-q", "--quiet", action="store_true", help="no progress bar")


def _add_train(commands: argparse._SubParsersAction[_Parser]) -> None:
    train = commands.add_parser(
        "train",
        help="train a network on photographs (needs PyTorch)",
        epilog=TRAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = train.add_argument
    add(
        "network",
        choices=("dncnn", "unet", "ffdnet", "srresnet", "srvgg", "gan", "vsrgan"),
        help="what to train",
    )
    add("--images", required=True, metavar="DIR", help="folder of photographs, and those in it")
    add("--only", metavar="FILE", help="train on these alone: paths in DIR, one in each line")
    add("--out", required=True, metavar="OUT", help="folder for weights, log and checkpoint")
    add("--recipe", metavar="FILE", help="numbers of the training, as JSON")
    add("--color", action="store_true", help="for colour images; default: see below")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a number of the recipe: steps, batch, patch, sigma, rate, sizes.layers, ...",
    )
    add("--films", metavar="DIR", help="folders of frames, beside films made of the photographs")
    add(
        "--perceptual",
        metavar="FILE",
        help="SqueezeNet 1.1 of Keras, for recipes that compare by it",
    )
    add("--minutes", type=float, metavar="T", help="stop after so many, to be called again")
    add("--device", metavar="D", help="cpu, cuda or cuda:1; default: a GPU if there is one")
    add("--threads", type=int, metavar="N", help="of the processor; default: as PyTorch has it")
    add("--tensorboard", action="store_true", help="write for TensorBoard, too")
    add("-q", "--quiet", action="store_true", help="print nothing but errors")


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> None:
    demo = commands.add_parser(
        "demo", help="add noise to a photograph, remove it and compare", allow_abbrev=False
    )
    add = demo.add_argument
    add(
        "-o", "--output", metavar="OUT", help="default: fastrestore-demo.png, which may be replaced"
    )
    add("--sigma", type=float, default=25.0, metavar="S", help="on the scale 0..255; default: 25")
    add("--overwrite", action="store_true", help="replace the OUT you named if it exists")
