"""``fastrestore FILE``: what a file or a directory is, and the commands that can restore it."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastrestore._io import files, films, images
from fastrestore._io.errors import FileError
from fastrestore._io.formats import BY_EXTENSION
from fastrestore._io.picture import Image
from fastrestore._io.stores import choose
from fastrestore.cli import info, info_stacks, kinds, outcomes
from fastrestore.cli.commands import PROGRAM
from fastrestore.cli.errors import CommandError, status_of
from fastrestore.cli.noise_models import FILE as SPEC

NOISE_SIDE = 512  # pixels: the noise of the center is estimated, in a second
WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt")
VOLUMES = (".nii", ".nii.gz")
MOST_AXES = 3  # of images
SHOWN = 6  # kinds of other files in a directory
_WIDTH = 10  # of the first column, as in info_stacks.py


class Advice(NamedTuple):
    """What a command does, and its words."""

    text: str
    words: tuple[str, ...]


def advise(names: Sequence[str]) -> int:
    """Describe files and directories, and print the commands for them; return the exit status."""
    errors: list[str] = []
    for count, given in enumerate(names):
        name = str(Path(given).absolute()) if given.startswith("-") else given
        try:
            if choose.is_store(Path(name)):
                lines = _store(Path(name))
            else:
                lines = _folder(Path(name)) if Path(name).is_dir() else _file(name)
        except (FileError, CommandError) as error:
            errors.append(str(error))
            continue
        print("\n".join([*[""] * (count > len(errors)), *lines]))
    return status_of(errors, len(names))


def _file(name: str) -> list[str]:
    """Describe a file."""
    path = Path(name)
    kind = files.extension(path)
    if kind == SPEC:
        return _lines(f"{_shown(name)}: a noise specification", _for_specification(name))
    if kind in WEIGHTS:
        return _lines(f"{_shown(name)}: weights of a network", _for_weights(name))
    if info_stacks.is_described(name):
        return _stack(name)
    if kind not in BY_EXTENSION:
        raise FileError(f"{_shown(name)}: files with the extension {path.suffix!r} are not known; "
                        f"`{PROGRAM} formats` lists those that are")  # fmt: skip
    kinds.check_image(path)
    shape = _shape(path)
    if len(shape) > MOST_AXES:
        sizes = " x ".join(map(str, shape))
        return _lines(f"{_shown(name)}: an array of {sizes}", _for_arrays(name, len(shape)))
    return _image(path)


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of an NPY file; an empty one for other files, and if it cannot be read."""
    if images.records_axes(path):
        return ()
    try:
        shape: tuple[int, ...] = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (ValueError, OSError):
        return ()
    return shape


def _image(path: Path) -> list[str]:
    """Describe an image and its noise."""
    picture = images.read(path)
    name, image = str(path), picture.values
    lines = [info.description(name, picture)]
    if image.ndim == 3 and not images.records_axes(path):
        return _lines(lines[0], _for_arrays(name, image.ndim))
    noise = _noise(image)
    lines += [f"  {'noise':{_WIDTH}}{noise}"] if noise else []
    return _lines("\n".join(lines), _for_image(path, image.ndim == 2))


def _noise(image: Image) -> str:
    """Describe the noise of the center of an image; an empty text if it cannot be estimated."""
    from fastrestore._noise import blind

    tops = (max(0, n - NOISE_SIDE) // 2 for n in image.shape[:2])
    center = image[tuple(slice(top, top + NOISE_SIDE) for top in tops)]
    try:
        spec = blind.choice_of(center, None if image.ndim == 2 else -1, None, "auto").spec
    except ValueError:  # values that are not finite, or few pixels
        return ""
    noise = {"model": spec.model, "sigma": spec.sigma.tolist(), "estimated": True}
    return outcomes.noise_text({"noise": noise})


def _for_image(path: Path, is_gray: bool) -> list[Advice]:
    """Return the commands for an image."""
    name = str(path)
    network = "" if _has_torch() else " (needs PyTorch)"
    page = str(path.with_name(f"{path.stem}.html"))
    return [
        Advice("remove the noise", ("restore", name)),
        Advice("remove the noise, and show both on a page", ("restore", name, "--compare", page)),
        Advice(f"enlarge it{network}", ("upscale", name)),
        Advice("sharpen it", ("sharpen", name)),
        Advice("remove a blur; psf.png is the image of a point",
               ("deblur", name, "--psf", "psf.png")),
        Advice("fill in what is not black in mask.png", ("inpaint", name, "--mask", "mask.png")),
        *[Advice("make colors of it, if it is a Bayer mosaic", ("demosaic", name))] * is_gray,
        Advice("describe its noise", ("info", "--noise", name)),
    ]  # fmt: skip


def _for_arrays(name: str, count: int) -> list[Advice]:
    """Return the commands for NPY files of three or more axes."""
    if count > MOST_AXES:
        axes = "QTZCYX"[-count:]
        text = f"if its axes are {axes}: frames, slices, channels, rows and columns"
        return [Advice(text, ("volume", name, "--axes", axes))]
    return [
        Advice("if the last axis has colors", ("denoise", name, "--channel-axis", "-1")),
        Advice("if it is a volume", ("volume", name)),
    ]


def _store(path: Path) -> list[str]:
    """Describe a Zarr store or an HDF5 file."""
    source = choose.read_source(path)
    sizes = " x ".join(map(str, source.shape))
    where = f", {source.place.name}" if source.place.name else ""
    named = f", axes {source.axes}" if source.axes else ""
    chunks = " x ".join(map(str, source.storage))
    first = f"{_shown(str(path))}{where}: {sizes}, {source.dtype}{named}, in chunks of {chunks}"
    unnamed = len(source.shape) > 2 and not source.axes
    axes = ("--axes", "ZYX" if len(source.shape) == 3 else "TZCYX") if unnamed else ()
    found = [Advice("remove the noise, chunk by chunk", ("denoise", str(path), *axes))]
    found += [Advice("predict the time, for two processes", ("plan", str(path), "--workers", "2"))]
    return _lines(first, found)


def _stack(name: str) -> list[str]:
    """Describe a stack, a volume or a video."""
    fields = info_stacks.describe(name)
    first = [line for line in info_stacks.lines(fields) if not line.startswith("  restore")]
    if films.is_film(name):
        found = _for_film(name)
    elif files.extension(Path(name)) in VOLUMES:
        found = [Advice("remove the noise, slices together", ("restore", name))]
    else:
        found = _for_stack(name, fields["axes"])
    return _lines(f"{_shown(name)}: " + "\n".join(first), found)


def _for_stack(name: str, axes: str) -> list[Advice]:
    """Return the commands for a TIFF file of several pages."""
    found = [Advice("remove the noise, each image by itself", ("restore", name))]
    others = set(axes) - set("CSYX")
    if len(others) == 1 or "Z" in others:
        text = "slices of a volume together"
        found.append(Advice(text, ("restore", name, "--as", "volume")))
    if len(others) == 1 or "T" in others:
        found.append(Advice("frames of a film together", ("restore", name, "--as", "film")))
    return found


def _for_film(name: str) -> list[Advice]:
    """Return the commands for a video."""
    network = "" if _has_torch() else " (needs PyTorch)"
    return [
        Advice("remove the noise", ("restore", name)),
        Advice(f"enlarge it{network}", ("upscale", name, "-o", _beside(name, "-large"))),
    ]


def _for_specification(name: str) -> list[Advice]:
    """Return the commands for a file of `NoiseSpec.save`."""
    return [Advice("remove this noise from an image", ("denoise", "photo.png", "--noise", name))]


def _for_weights(name: str) -> list[Advice]:
    """Return the commands for a file of weights."""
    return [
        Advice("if it removes noise", ("denoise", "photo.png", "--weights", name)),
        Advice("if it enlarges", ("upscale", "photo.png", "--model", name)),
        Advice("if it fills in holes",
               ("inpaint", "photo.png", "--mask", "mask.png", "--model", name)),
    ]  # fmt: skip


def _folder(path: Path) -> list[str]:
    """Count the files in a directory."""
    entries = [entry for entry in _entries(path) if not entry.name.startswith(".")]
    folders = [entry for entry in entries if entry.is_dir()]
    found: dict[str, Counter[str]] = {"images": Counter(), "videos": Counter(),
                                      "volumes": Counter(), "others": Counter()}  # fmt: skip
    for entry in entries:
        if not entry.is_dir():
            kind, form = _kind(entry)
            found[kind][form] += 1
    total = sum(count.total() for count in found.values())
    lines = [f"{_shown(path)}: a directory of {_counted(total, 'file', 'files')}"]
    for kind, counts in found.items():
        if counts:
            lines.append(f"  {kind:{_WIDTH}}{_counts(counts)}")
    if folders:
        inner = _counted(len(folders), "directory", "directories")
        lines.append(f"  {'and':{_WIDTH}}{inner}")
    totals = {kind: counts.total() for kind, counts in found.items()}
    return _lines("\n".join(lines), _for_folder(path, totals, bool(folders)))


def _entries(path: Path) -> list[Path]:
    """Return what is in a directory."""
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error


def _kind(path: Path) -> tuple[str, str]:
    """Return the kind of a file, and its format."""
    kind = files.extension(path)
    if kind in BY_EXTENSION:
        return "images", BY_EXTENSION[kind].name
    if kind in VOLUMES:
        return "volumes", "NIfTI"
    return ("videos" if films.is_film(str(path)) else "others"), kind or "no extension"


def _for_folder(path: Path, counts: dict[str, int], has_folders: bool) -> list[Advice]:
    """Return the commands for a directory, by its numbers of files of each kind."""
    name, target = str(path), f"{path.resolve().name or 'images'}-restored"
    found = []
    if sum(counts.values()) > counts["others"]:
        found += [
            Advice("remove the noise of all of them", ("restore", name)),
            Advice("the same, into another directory", ("restore", name, "-o", target)),
        ]
    if has_folders:
        text = "also in the directories in it, whose tree is kept"
        found.append(Advice(text, ("restore", name, "--recursive", "-o", target)))
    if found:
        found.append(Advice("only print what would be written", (*found[-1].words, "--dry-run")))
    if counts["images"] > 1:
        text = "merge them into one image, if they show the same scene"
        found.append(Advice(text, ("burst", name)))
    return found


def _lines(first: str, found: Iterable[Advice]) -> list[str]:
    """Return the lines to print: a description, and commands that can be pasted."""
    lines = [*first.split("\n"), ""]
    for advice in found:
        lines += [f"{advice.text}:", f"    {_command(advice.words)}"]
    return lines


def _command(words: Sequence[str]) -> str:
    """Return a command, quoted for the shell."""
    command, *rest = (os.fsencode(word).decode(errors="backslashreplace") for word in words)
    if sys.platform == "win32":
        return f"{PROGRAM} {command} {subprocess.list2cmdline(rest)}"
    return f"{PROGRAM} {command} {shlex.join(rest)}"


def _beside(name: str, suffix: str = "-restored") -> str:
    """Return the name of a result beside a file."""
    path = Path(name)
    ending = path.name[len(path.name) - len(files.extension(path)) :]
    return str(path.with_name(path.name.removesuffix(ending) + suffix + ending))


def _counts(counts: Counter[str]) -> str:
    """Return counts by format, the most frequent ones first."""
    words = [f"{count} {form}" for form, count in counts.most_common(SHOWN)]
    rest = counts.total() - sum(count for _, count in counts.most_common(SHOWN))
    return ", ".join(words + ([f"{rest} more"] if rest else []))


def _counted(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count} {one if count == 1 else many}"


def _shown(name: str | Path) -> str:
    """Return a file name; bytes that are not text are escaped."""
    return outcomes.shown(Path(name))


def _has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None
