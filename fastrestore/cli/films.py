"""Reading, processing and writing a video frame by frame, shared by `video` and `upscale`.

Videos are streams: the memory used does not grow with their length.
"""

from __future__ import annotations

import argparse
import glob
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

from fastrestore._io import films, images
from fastrestore._io.errors import FileError
from fastrestore._io.films import EncoderOptions, Frame, Reader, Writer
from fastrestore.cli import signals
from fastrestore.cli.errors import CommandError, explained
from fastrestore.cli.kinds import Kind
from fastrestore.cli.options import VIDEOS, group, show_progress, spelled
from fastrestore.cli.paths import check_overwrite


def check_input(path: Path) -> None:
    """Raise if a file is missing, or is no video."""
    if films.is_sequence(str(path)):
        return
    if path.is_dir() or not path.exists():
        films.open_reader(str(path), None)  # which says what is wrong
    if images.can_read(path):
        raise FileError(f"{path} is one image; `fastrestore denoise` restores it (or, if it "
                        "is a stack, `fastrestore volume`); specify numbered images as "
                        "frames/%05d.png")  # fmt: skip


FILMS = Kind("videos", films.EXTENSIONS, check_input, films.output_name, films.check_target)


ENCODER = ("codec", "crf", "lossless", "pixel_format", "fps")  # options


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """Add the options of the encoder."""
    add = group(parser, VIDEOS).add_argument
    add(
        "--codec",
        metavar="NAME",
        help="FFmpeg's name of the encoder; default: libx264 for .mp4, .m4v, .mov and .mkv, "
        "libvpx-vp9 for .webm, mpeg4 for .avi",
    )
    text = (
        "quality of the encoder: lower is better and larger; default: 17 for libx264, 22 for "
        "libvpx-vp9, almost without visible loss"
    )
    add("--crf", type=float, metavar="Q", help=text)
    add("--lossless", action="store_true", help="encode without loss, in large files")
    add("--pixel-format", metavar="NAME", help="FFmpeg's name; default: that of IN")
    add("--fps", metavar="RATE", help="frames per second of a video made from numbered images")


# Restores the frames of an open video
Process = Callable[[Reader], Iterator[Frame]]


def process_film(args: argparse.Namespace, process: Process, scale: float = 1) -> None:
    """Read the video `args.input`, and write what `process` returns to `args.output`."""
    films.check_output(args.output)
    _check_distinct(Path(args.input), Path(args.output))
    check_overwrite(films.existing_output(args.output), overwrite=args.overwrite)
    restore_film(Path(args.input), Path(args.output), args, process, scale)


def restore_film(
    source: Path, target: Path, args: argparse.Namespace, process: Process, scale: float = 1
) -> int:
    """Read the video `source`, and write what `process` returns to `target`; count the frames.

    The result of a damaged video is written, and the damage raised.
    """
    encoder = _encoder_options(args, target)
    films.check_output(str(target))
    _check_distinct(source, target)
    with closing(_open_reader(source, args)) as reader:
        with explained(source):
            frames = process(reader)
        writer = films.open_writer(str(target), reader, encoder, scale)
        if reader.interlaced:
            warnings.warn(f"{source} is interlaced; deinterlace it first", stacklevel=1)
        with explained(source):
            _write_frames(frames, reader, writer, args)
        damage = reader.damage()
        if damage is not None:
            raise FileError(f"{damage}; {target} holds the result")
    return writer.count


def _check_distinct(source: Path, target: Path) -> None:
    """Raise if a video would replace itself while it is read."""
    if target.resolve() == source.resolve():
        raise CommandError(f"{target} is both input and output; choose another output")


def _write_frames(
    frames: Iterator[Frame], source: Reader, writer: Writer, args: argparse.Namespace
) -> None:
    """Write frames and the packets of other tracks.

    Ctrl-C ends the file after the last frame if it is the only one, and otherwise removes it.
    """
    try:
        with _progress(source, args) as report:
            for frame in frames:
                if signals.stopping.is_set():
                    raise KeyboardInterrupt
                with _interrupt_deferred():
                    writer.copy_packets(source.take_packets())
                    writer.write(frame)
                report()
        with _interrupt_deferred():
            writer.copy_packets(source.take_packets())
            writer.finish()
    except KeyboardInterrupt as stop:
        if not writer.count or not is_only_one(args):
            writer.abort()
            raise signals.described(stop, "no frame was written yet") from None
        writer.finish()
        count = f"{writer.count} frames were" if writer.count > 1 else "1 frame was"
        raise signals.described(stop, f"{count} written to {writer.path}") from None
    except BaseException:
        writer.abort()
        raise


def is_only_one(args: argparse.Namespace) -> bool:
    """Whether one video is restored, not a folder or several files."""
    names: list[str] = getattr(args, "inputs", [""])
    return len(names) == 1 and not Path(names[0]).is_dir() and not glob.has_magic(names[0])


def _encoder_options(args: argparse.Namespace, target: Path) -> EncoderOptions:
    """Check and return the options of the encoder."""
    encoder = EncoderOptions(args.codec, args.crf, args.lossless, args.pixel_format)
    if args.crf is not None and args.lossless:
        raise CommandError(f"--lossless has no quality setting; leave --crf {args.crf:g} out")
    if args.crf is not None and not 0 <= args.crf <= 63:
        raise CommandError(f"--crf {args.crf:g} is not a number from 0 (best) to 63")
    given = [name for name, value in encoder._asdict().items() if value]
    if given and films.is_sequence(str(target)):
        raise CommandError(f"{spelled(given[0])} is for videos, and {target} is a pattern "
                           "of images; leave it out")  # fmt: skip
    return encoder


def _open_reader(source: Path, args: argparse.Namespace) -> Reader:
    """Open the input."""
    if films.is_sequence(str(source)):
        return films.open_reader(str(source), _frame_rate(args.fps))
    if args.fps is not None:
        raise CommandError(f"--fps {args.fps} is for images; {source} has its own frame rate")
    check_input(source)
    return films.open_reader(str(source), None)


def _frame_rate(text: str | None) -> Fraction | None:
    """Read a frame rate."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise CommandError(f"--fps {text} is not a rate; write for example 25 or 30000/1001")
    return rate


@contextmanager
def _progress(source: Reader, args: argparse.Namespace) -> Iterator[Callable[[], object]]:
    """Show frames per second and the remaining time on a terminal."""
    if not show_progress(args):
        yield lambda: None
        return
    import tqdm

    with tqdm.tqdm(total=source.length, desc="video", unit=" frames", leave=False) as bar:
        yield bar.update


@contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block, where no packet is lost between encoder and file."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if pending:
        raise KeyboardInterrupt
