"""Images, stacks, volumes and videos by one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastrestore._io import files, images, volumes
from fastrestore._io import films as videos
from fastrestore._io.errors import FileError
from fastrestore._io.files import extension
from fastrestore._io.stores import choose, zarrs
from fastrestore.cli import batch, films, options, restoring, schedulers, store, video, volume
from fastrestore.cli.batch import Details
from fastrestore.cli.errors import CommandError
from fastrestore.cli.kinds import Kind
from fastrestore.cli.layers import Lazy
from fastrestore.cli.restoring import Restore

EXTENSIONS = (
    *images.readable_extensions(), *volumes.NIFTI, *videos.EXTENSIONS, *choose.EXTENSIONS,
)  # fmt: skip


def restore_media(args: argparse.Namespace, restore: Restore, lazy: Lazy) -> int:
    """Restore images by `restore`, videos and volumes as their commands, stores by `lazy`.

    Return the exit status.
    """
    _check_encoder(args)
    store.check(args)

    def process_file(source: Path, target: Path) -> Details:
        if args.axes is not None:
            raise CommandError(f"--axes {args.axes} is for Zarr and HDF5; for {source} write "
                               "`fastrestore volume --axes`")  # fmt: skip
        if videos.is_film(str(source)):
            return video.restore(source, target, video.options_of(args, source))
        if _is_volume(source, args):
            return volume.restore(source, target, volume.options_of(args, source))
        return restoring.restore_image(args, restore, source, target)

    with schedulers.connected(args) as cluster:

        def process(source: Path, target: Path) -> Details:
            if not store.is_store(source, args):
                return process_file(source, target)
            runner = cluster or schedulers.threads(args)
            return store.restore(args, lazy, source, target, runner)

        elsewhere = None
        if cluster is not None:
            elsewhere = cluster.files(process_file, lambda path: not store.is_store(path, args))
        return batch.process_files(args, process, MEDIA, elsewhere)


def _is_volume(source: Path, args: argparse.Namespace) -> bool:
    """Whether a file is a NIfTI file to restore as a volume or film; one slice is an image."""
    if extension(source) not in volumes.NIFTI or args.kind == "planes":
        return False
    return volumes.stored_axes(source) != "XY"


def _check_encoder(args: argparse.Namespace) -> None:
    """Raise if there are options of an encoder and no video."""
    given = [name for name in films.ENCODER if getattr(args, name)]
    name = args.inputs[0]
    if given and len(args.inputs) == 1 and images.can_read(Path(name)):
        if videos.is_film(name):
            return
        raise CommandError(f"{options.spelled(given[0])} is for videos, and {name} is not one; "
                           "leave it out")  # fmt: skip


def _check_input(path: Path) -> None:
    """Raise `FileError` if a file is missing, or of an unknown format."""
    if videos.is_sequence(str(path)) or zarrs.is_zarr(path):
        return
    files.check_input(path, EXTENSIONS)
    if not path.is_file():
        raise FileError(f"{path} is not a regular file")


def _name(path: Path) -> str:
    """Return the name of a result."""
    if choose.is_store(path):
        return choose.output_name(path)
    return videos.output_name(path) if videos.is_film(str(path)) else images.output_name(path)


def _check_output(path: Path) -> None:
    """Raise if a result cannot be written."""
    if choose.is_store_name(path):
        choose.check_target(path)
        return
    if videos.is_film(str(path)):
        videos.check_target(path)
    elif extension(path) in volumes.NIFTI:
        volumes.check_output(path)
    else:
        images.check_output(path)


MEDIA = Kind(
    "images, volumes or videos", EXTENSIONS, _check_input, _name, _check_output, zarrs.is_zarr
)
