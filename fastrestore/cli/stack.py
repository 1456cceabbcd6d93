"""Stacks of named axes on the command line: image by image, as films or as volumes."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._io import stacks, volumes
from fastrestore._io.picture import Image
from fastrestore._io.volumes import Volume
from fastrestore.cli import noise, noise_models, options, outcomes, stack_noise
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.stack_noise import Part

Details = dict[str, Any]
# Takes an image (M, N) or (M, N, C), its path, and where to add details for the report
RestoreImage = Callable[[Image, Path, Details], Any]

AXES = {"planes": "", "film": "T", "volume": "Z"}  # kinds, and the axis that each needs
_WORDS = {"planes": "plane", "film": "film", "volume": "volume"}
_METHODS = {"planes": "bm3d", "film": "vbm3d", "volume": "bm4d"}
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]\d+)?")
_PLANE = "YXS"  # of an image: rows, columns and samples of a pixel
# Options that apply to single images or volumes only, and their defaults
_OTHERS = {
    "psd": None, "kernel": None, "stage": "final", "blend": 1.0, "chroma_strength": 1.0,
    "colorspace": "auto", "max_memory": None, "weights": None, "slice_axis": None,
    "channel_axis": None,
}  # fmt: skip
_PROFILES = ("np", "volume")  # defaults of the commands; that of the function depends on the kind


def add_kind(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --as; without a default it depends on the file."""
    text = "planes for TIFF, film for videos, volume for NIfTI" if default is None else default
    options.group(parser, options.CONTENTS).add_argument(
        "--as",
        dest="kind",
        choices=tuple(AXES),
        default=default,
        help="for stacks: each image by itself (planes), frames together (film), or slices "
        f"together (volume); default: {text}",
    )


def add_axes(parser: argparse.ArgumentParser) -> None:
    """Add --axes."""
    options.group(parser, options.CONTENTS).add_argument(
        "--axes",
        metavar="LETTERS",
        help="names of the axes, such as TZCYX: frames, slices, channels, rows, columns, and S for "
        "samples of a pixel; default: those in the file",
    )


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF of several pages; damaged files are not."""
    return bool(stacks.stored_axes(path))


def is_named(source: Path, args: argparse.Namespace) -> bool:
    """Whether `fastrestore volume` needs the names of the axes."""
    rest = volumes.stored_axes(source).translate(dict.fromkeys(map(ord, "CSYX")))
    return args.axes is not None or args.kind != "volume" or len(rest) > 1


def restore(
    source: Path, target: Path, args: argparse.Namespace, restore_image: RestoreImage
) -> Details:
    """Restore a stack for a command that restores images, by its function for one image."""
    volumes.check_output(target)
    volume = volumes.read_named(source, None)
    volumes.check_format(target, volume, source)
    kind = getattr(args, "kind", None) or "planes"
    parts: list[Part] = []
    with explained(source), _fewer_warnings():
        if kind == "planes":
            result = _planes(opaque(volume), source, restore_image, parts)
        else:
            result = _together(opaque(volume), source, args, parts)
    volumes.write(target, volume.with_values(_with_alpha(result, volume), target))
    return _described(volume, kind, parts)


def restore_named(source: Path, target: Path, args: argparse.Namespace) -> Details:
    """Restore a stack by `denoise` with named axes."""
    volume = volumes.read_named(source, args.axes)
    volumes.check_format(target, volume, source)
    parts: list[Part] = []
    with explained(source), _fewer_warnings():
        result = _together(opaque(volume), source, args, parts)
    volumes.write(target, volume.with_values(_with_alpha(result, volume), target))
    return _described(volume, args.kind, parts)


def _described(volume: Volume, kind: str, parts: list[Part]) -> Details:
    """Return what was found in the parts of a stack, and its shape."""
    shape = {"shape": list(volume.values.shape), "dtype": str(volume.values.dtype)}
    details: Details = {**stack_noise.pooled(parts), **shape, "axes": volume.axes, "kind": kind}
    name = _WORDS[kind]
    return details | {"note": f"{len(parts)} {name}{'' if len(parts) == 1 else 's'}"}


def opaque(volume: Volume) -> Volume:
    """Return a stack without alpha, which is not restored; a gray one without axis of samples."""
    if volume.stack is None or not volume.stack.has_alpha:
        return volume
    axis = volume.axes.index("S")
    colors = np.delete(volume.values, -1, axis)
    if colors.shape[axis] > 1:
        return replace(volume, values=colors)
    return replace(volume, values=colors.squeeze(axis), axes=volume.axes.replace("S", ""))


def _with_alpha(result: Any, volume: Volume) -> Any:
    """Return a result with the alpha of the stack."""
    if volume.stack is None or not volume.stack.has_alpha:
        return result
    axis = volume.axes.index("S")
    if result.ndim < volume.values.ndim:
        result = np.expand_dims(result, axis)
    alpha = np.take(volume.values, [-1], axis)
    return np.concatenate([result, alpha], axis)  # in a type that holds both


def _planes(volume: Volume, source: Path, restore_image: RestoreImage, parts: list[Part]) -> Image:
    """Restore image by image, with the samples of a pixel last; add what was found."""
    order = [k for k, name in enumerate(volume.axes) if name not in _PLANE]
    order += [volume.axes.index(name) for name in _PLANE if name in volume.axes]
    values = np.transpose(volume.values, order)
    first = len(order) - len(set(volume.axes) & set(_PLANE))
    results = []
    for index in np.ndindex(values.shape[:first]):
        names = [volume.axes[k] for k in order[:first]]
        place = ", ".join(f"{name}={k}" for name, k in zip(names, index, strict=True))
        parts.append(Part(place, {}))
        with _placed(place):
            results.append(restore_image(values[index], source, parts[-1].details))
    stack = np.reshape(results, values.shape)
    return np.transpose(stack, np.argsort(order))


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Name the image of a stack in messages about wrong values."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"at {place}: {error}") from error


@contextmanager
def _fewer_warnings() -> Iterator[None]:
    """Of warnings that differ only in numbers, show the first, and how many more there are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # to count equal ones, too
        yield
    kinds: dict[str, list[str]] = {}
    for each in caught:
        text = str(each.message)
        kinds.setdefault(_NUMBER.sub("", text), []).append(text)
    for first, *others in kinds.values():
        more = f" (and {len(others)} more such warnings)" if others else ""
        warnings.warn(first + more, stacklevel=2)


def _together(volume: Volume, source: Path, args: argparse.Namespace, parts: list[Part]) -> Any:
    """Restore by `denoise` with named axes; add what was found in its parts."""
    _check(args)
    profile = None if args.profile in _PROFILES else args.profile
    axes = axes_for(volume.axes, source, args.kind)
    result, infos = fastrestore.denoise(
        volume.values,
        axes=axes,
        kind=args.kind,
        profile=profile,
        data_range=args.data_range,
        workers=args.workers,
        backend=args.backend,
        progress=options.show_progress(args),
        return_info=True,
        **noise.arguments(args, volume.values.dtype, source),
    )
    sizes = dict(zip(axes, volume.values.shape, strict=True))
    names = [name for name in axes if name not in f"{_PLANE}{AXES[args.kind]}"]
    for info, index in zip(infos, np.ndindex(*(sizes[name] for name in names)), strict=True):
        place = ", ".join(f"{name}={k}" for name, k in zip(names, index, strict=True))
        used = {"method": _METHODS[args.kind], "profile": info.profile.name}
        parts.append(Part(place, {**used, **outcomes.details_of(info)}))
    return result


def _check(args: argparse.Namespace) -> None:
    """Raise on options that do not apply."""
    if getattr(args, "method", None) not in (None, "bm3d"):
        raise CommandError(f"--method {args.method} restores single images; write --as planes, or "
                           "leave --method out")  # fmt: skip
    if args.noise == noise_models.POISSON_AUTO:
        raise CommandError(f"--noise {args.noise} is for images; write --as planes, or --noise "
                           "poisson:GAIN,SIGMA")  # fmt: skip
    for name, default in _OTHERS.items():
        if getattr(args, name, default) != default:
            raise CommandError(f"{options.spelled(name)} does not apply to stacks of named axes "
                               f"with --as {args.kind}; leave it out")  # fmt: skip


def axes_for(axes: str, source: Path, kind: str) -> str:
    """Return axes with that of a kind: a single other axis is taken for it, but not time for Z."""
    wanted = AXES[kind]
    if wanted in axes:  # also if none is needed
        return axes
    others = [name for name in axes if name not in "CSYX"]
    if len(others) == 1 and (others[0], wanted) != ("T", "Z"):  # frames are no slices
        return axes.replace(others[0], wanted)
    possible = " or ".join(each for each, axis in AXES.items() if axis in axes)
    named = axes.replace("C", wanted)
    advice = f", or `fastrestore volume --as {kind} --axes {named}`" if named != axes else ""
    raise CommandError(f"--as {kind} needs an axis {wanted}, and the axes of {source} are {axes}; "
                       f"write --as {possible}{advice}")  # fmt: skip
