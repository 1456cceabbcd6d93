"""``fastrestore video``: a noisy film in, a restored film out.

Films are read and written as streams: memory does not grow with their length. Which colours they
are restored in, and why, is said in `fastrestore.cli.video_restore`.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from fastrestore._io.codecs import CONTAINERS
from fastrestore._io.encode import FilmWriter
from fastrestore._io.errors import CliError, explained
from fastrestore._io.film import Film
from fastrestore._io.images import READERS, check_output
from fastrestore._io.planes import Shot
from fastrestore._io.sequence import Sequence, SequenceWriter, check_pictures, is_pattern
from fastrestore.cli import noise_options, video_restore


def run(args: argparse.Namespace) -> None:
    """Check all that can be checked, then restore frame by frame."""
    _check(args)
    check_encoder(args)
    with closing(source_of(args)) as source:
        check_film_output(args)
        noise = _levels(source, args)
        sink = sink_of(source, args)
        if source.interlaced:
            warnings.warn(f"{source.path} is interlaced; deinterlace it first", stacklevel=1)
        with explained(source.path):
            shots = video_restore.restored(source.shots(), source.layout, noise, _options(args))
            carry(shots, source, sink, args)
        complaint = source.complaint()
        if complaint is not None:
            raise CliError(f"{complaint}; {sink.path} holds them restored")


def carry(shots: Iterator[Shot], source: Any, sink: Any, args: argparse.Namespace) -> None:
    """Write what is restored; after Ctrl-C the file holds what was until then."""
    try:
        with _progress(source, args) as tick:
            for shot in shots:
                with _undisturbed():
                    sink.copy(source.taken())
                    sink.write(shot)
                tick()
        with _undisturbed():
            sink.copy(source.taken())
            sink.finish()
    except KeyboardInterrupt:
        if not sink.frames:
            sink.abort()
            raise KeyboardInterrupt("no frame was written yet") from None
        sink.finish()
        count = f"{sink.frames} frames were" if sink.frames > 1 else "1 frame was"
        raise KeyboardInterrupt(f"{count} written to {sink.path}") from None
    except BaseException:
        sink.abort()
        raise


def _check(args: argparse.Namespace) -> None:
    """Refuse what can be refused before a file is read."""
    if args.sigma is None:
        raise CliError("the noise is not told; write --sigma S or --sigma auto")
    if noise_options.parse_sigma(args.sigma) is None and args.sigma_scale is not None:
        raise CliError(f"--sigma auto needs no scale; leave --sigma-scale {args.sigma_scale} out")
    if not 0 < args.chroma_strength < math.inf:
        raise CliError(f"--chroma-strength {args.chroma_strength:g} is no number above 0")
    if not 0 <= args.radius <= 16:
        raise CliError(f"--radius {args.radius} is no number of frames from 0 to 16")


def check_encoder(args: argparse.Namespace) -> None:
    """Refuse what no encoder can do, and what pictures have none for."""
    if args.crf is not None and args.lossless:
        raise CliError(f"--lossless has no quality to choose; leave --crf {args.crf:g} out")
    if args.crf is not None and not 0 <= args.crf <= 63:
        raise CliError(f"--crf {args.crf:g} is no number from 0, the best, to 63")
    if is_pattern(args.output):
        told = [f"--{name}" for name in ("codec", "crf", "lossless", "pixel_format")
                if getattr(args, name)]  # fmt: skip
        if told:
            raise CliError(f"{told[0].replace('_', '-')} is for films, and {args.output} stands "
                           "for pictures; leave it out")  # fmt: skip


def source_of(args: argparse.Namespace) -> Any:
    """Open IN."""
    path = Path(args.input)
    if is_pattern(args.input):
        return Sequence(args.input, _rate(args))
    if args.fps is not None:
        raise CliError(f"--fps {args.fps} is for pictures; {path} has its own rate")
    if path.is_dir():
        raise CliError(f"{path} is a directory; write the pictures in it as in {path / '%05d.png'}")
    if not path.exists():
        raise CliError(f"{path}: no such file")
    if path.suffix.lower() in READERS:
        raise CliError(f"{path} is one picture; `fastrestore denoise` restores it (or, if it is a "
                       "stack of them, `fastrestore volume`), and numbered pictures are written as "
                       "in frames/%05d.png")  # fmt: skip
    return Film(path)


def _rate(args: argparse.Namespace) -> Fraction | None:
    """Read a frame rate."""
    if args.fps is None:
        return None
    try:
        rate = Fraction(args.fps)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise CliError(f"--fps {args.fps} is no rate; write for example 25 or 30000/1001")
    return rate


def sink_of(source: Any, args: argparse.Namespace, scale: int = 1) -> Any:
    """Open OUT, for frames so many times as large."""
    if is_pattern(args.output):
        numbers = source.numbers if isinstance(source, Sequence) else None
        return SequenceWriter(args.output, numbers)
    heading = source.heading()
    larger = replace(heading, width=scale * heading.width, height=scale * heading.height)
    return FilmWriter(Path(args.output), larger, args)


def check_film_output(args: argparse.Namespace) -> None:
    """Refuse an OUT that cannot be written, before anything is computed."""
    path = Path(args.output)
    if path.resolve() == Path(args.input).resolve():
        raise CliError(f"{path} is both IN and OUT; write another OUT")
    if is_pattern(args.output):
        check_pictures(args.output, overwrite=args.overwrite)
    else:
        check_output(path, overwrite=args.overwrite, known=CONTAINERS)


def _levels(source: Any, args: argparse.Namespace) -> video_restore.Noise:
    """Return the noise of each plane."""
    layout = source.layout
    sigma = noise_options.parse_sigma(args.sigma)
    if sigma is None:
        noise = video_restore.estimated(source.samples(), layout)
        if not any(noise.planes):
            warnings.warn(f"{source.path}: no noise was found, frames stay as they are",
                          stacklevel=2)  # fmt: skip
        return noise
    own = noise_options.own_units(
        sigma, args.sigma, args.sigma_scale, layout.dtype, source.path, layout.top
    )
    assert own is not None
    return video_restore.told(own, layout, stored=args.sigma_scale == "native")


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `vbm3d` is told beside the noise."""
    return {
        "radius": args.radius,
        "profile": args.profile,
        "stage": args.stage,
        "chroma_strength": args.chroma_strength,
        "scene_cuts": args.scene_cuts,
        "workers": args.workers,
        "backend": args.backend,
    }


@contextmanager
def _progress(source: Any, args: argparse.Namespace) -> Iterator[Callable[[], object]]:
    """Show frames a second and the time that is left, where someone looks."""
    if args.quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    import tqdm

    with tqdm.tqdm(total=source.length, desc="video", unit=" frames", leave=False) as bar:
        yield bar.update


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: a packet between encoder and file would be lost."""
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
