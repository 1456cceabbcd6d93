"""Films written by PyAV: frames encoded, all other tracks copied packet by packet.

The file is written under another name and renamed when it is whole.
"""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastrestore._io import codecs
from fastrestore._io.errors import CliError, reason
from fastrestore._io.film import Heading, library
from fastrestore._io.picture import Picture
from fastrestore._io.planes import FULL, LIMITED, Shot, put

# Matroska does not say where loudspeakers stand, and MP4 has to
_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}
# What players would show and the new film does not mean, or writes itself
_UNTRUE = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands"}


class FilmWriter:
    """A film to write: `write` and `copy`, then `finish` or `abort`."""

    def __init__(self, path: Path, heading: Heading, args: Any) -> None:
        self.path, self.frames, self._done = path, 0, False
        self._heading = heading
        self._target = Path(os.path.realpath(path))
        name = f".fastrestore-{secrets.token_hex(8)}.tmp"
        self._temporary = self._target.with_name(name)
        self._container = library().open(
            str(self._temporary), "w", format=codecs.CONTAINERS[path.suffix.lower()].format
        )
        try:
            self._container.metadata.update(_true(heading.metadata))
            self._tracks: dict[int, Any] = {}
            for track in heading.tracks or [None]:
                if track is heading.track:
                    self._video = self._add_video(heading, args)
                else:
                    self._add_copy(track)
            if heading.chapters:
                self._container.set_chapters(heading.chapters)
            self._start(args)
        except BaseException:
            self.abort()
            raise

    def write(self, shot: Shot) -> None:
        """Encode a frame."""
        frame, context = self._frame(shot), self._video.codec_context
        if frame.format.name != context.pix_fmt:
            frame = codecs.converted(frame, context.pix_fmt)
        with self._told():
            self._container.mux(self._video.encode(frame))
        self.frames += 1

    def copy(self, packets: Iterable[Any]) -> None:
        """Write packets of other tracks as they are."""
        for packet in packets:
            track = self._tracks.get(packet.stream.index)
            if track is not None:
                packet.stream = track
                with self._told():
                    self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder holds back, and give the file its name."""
        if self._done:
            return
        self._done = True
        try:
            with self._told():
                self._container.mux(self._video.encode(None))
                self._container.close()
                self._temporary.replace(self._target)
        finally:
            self._temporary.unlink(missing_ok=True)

    def abort(self) -> None:
        """Leave nothing behind."""
        try:
            with suppress(CliError), self._told():  # there is another error to tell of
                self._container.close()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _frame(self, shot: Shot) -> Any:
        """Return the restored frame, or make one of a picture."""
        if not isinstance(shot.held, Picture):
            return put(shot.planes, shot.held)
        if shot.held.alpha is not None and not self.frames:
            warnings.warn(f"{self.path}: the alpha of the pictures is left out", stacklevel=2)
        heading = self._heading
        frame = library().VideoFrame(heading.width, heading.height, heading.pixels)
        frame.pts, frame.time_base, frame.color_range = self.frames, heading.time_base, FULL
        return put(shot.planes, frame)

    def _add_video(self, heading: Heading, args: Any) -> Any:
        """Add the track that is encoded."""
        codec = codecs.encoder(args, self.path, heading.pixels)
        try:
            track = self._container.add_stream(codec.name, rate=heading.rate)
        except ValueError:
            raise CliError(
                f"{self.path}: {self.path.suffix} cannot hold {codec.name}; leave --codec out"
            ) from None
        context = track.codec_context
        context.width, context.height = heading.width, heading.height
        context.pix_fmt = codecs.pixel_format(codec, heading.pixels, args)
        codecs.check_size(codec.name, context.format)
        context.time_base = track.time_base = codecs.time_base(codec.name, self.path, heading)
        _describe(context, heading)
        if heading.matrix is not None:
            track.set_display_matrix(heading.matrix)
        if heading.track is not None:
            track.metadata.update(_true(heading.track.metadata))
            track.disposition = heading.track.disposition
        context.options = codecs.options(codec.name, args)
        return track

    def _add_copy(self, track: Any) -> None:
        """Add a track whose packets are copied."""
        label = _label(track)
        if track.type == "data" or (
            track.type == "attachment" and self._container.format.name != "matroska"
        ):
            warnings.warn(f"{label} is left out", stacklevel=2)
            return
        try:
            made = self._container.add_stream_from_template(track, opaque=True)
        except ValueError:
            raise CliError(
                f"{self.path}: {self.path.suffix} cannot hold {label}; write .mkv"
            ) from None
        if track.type == "audio" and track.codec_context.layout.name in _LAYOUTS:
            made.codec_context.layout = _LAYOUTS[track.codec_context.layout.name]
        made.metadata.update(_true(track.metadata))
        made.disposition = track.disposition
        self._tracks[track.index] = made

    def _start(self, args: Any) -> None:
        """Open the encoder and write the head of the file."""
        context = self._video.codec_context
        try:
            self._container.start_encoding()
        except (library().error.FFmpegError, OSError, ValueError) as error:
            size = f"{context.width} x {context.height} {context.pix_fmt}"
            raise CliError(
                f"cannot write {self.path}: {context.name}, {size}: {reason(error)}"
            ) from error
        if "crf" in context.options:  # the encoder has taken those it knows
            raise CliError(f"--crf {args.crf:g}: {context.name} has no such quality; leave it out")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of writing into a `CliError`."""
        try:
            yield
        except (library().error.FFmpegError, OSError, ValueError) as error:
            odd = isinstance(error, ValueError) and self._tracks and self.path.suffix != ".mkv"
            advice = "; .mkv holds other tracks of all kinds" if odd else ""
            raise CliError(f"cannot write {self.path}: {reason(error)}{advice}") from error


def _describe(context: Any, heading: Heading) -> None:
    """Tell the encoder what the colours mean and how wide a pixel is."""
    for name, number in heading.colours.items():
        setattr(context, name, number)
    if codecs.is_rgb(heading.pixels) and not codecs.is_rgb(context.pix_fmt):
        context.color_range, context.colorspace = LIMITED, codecs.BT709
    elif not codecs.is_rgb(heading.pixels) and codecs.is_rgb(context.pix_fmt):
        context.color_range, context.colorspace = FULL, codecs.RGB
    elif heading.pixels.startswith("yuvj"):
        context.color_range = FULL
    if heading.aspect:
        context.sample_aspect_ratio = heading.aspect


def _label(track: Any) -> str:
    """Name a track that is copied."""
    codec = getattr(track, "name", None) or "unknown"
    return f"track {track.index} ({track.type}, {codec}) of the film"


def _true(metadata: dict[str, str]) -> dict[str, str]:
    """Leave out what is not true of another file."""
    return {key: text for key, text in metadata.items() if key.lower() not in _UNTRUE}
