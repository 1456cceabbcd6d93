"""Videos written by PyAV: frames are encoded, all other tracks copied packet by packet.

The file is written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastrestore._io import codecs
from fastrestore._io.errors import FileError, reason
from fastrestore._io.files import Replacement
from fastrestore._io.film_reader import FilmInfo
from fastrestore._io.hdr import encoder_options as hdr_options
from fastrestore._io.picture import Picture
from fastrestore._io.planes import Frame, store_planes
from fastrestore._io.pyav import (
    BT709,
    FULL,
    LIMITED,
    RGB,
    TAG_ERRORS,
    convert,
    is_rgb,
    load_pyav,
)
from fastrestore._io.subtitles import Convert, add_converted, converted_packet

# Matroska does not store speaker positions, and MP4 requires them
_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}
# Metadata that is not valid for the new file, or that the muxer writes
_OUTDATED = {
    "encoder", "duration", "major_brand", "minor_version", "compatible_brands", "alpha_mode",
}  # fmt: skip


class FilmWriter:
    """A video to write: call `write` and `copy_packets`, then `finish` or `abort`."""

    def __init__(self, path: Path, info: FilmInfo, options: codecs.EncoderOptions) -> None:
        self.path, self.count, self._done = path, 0, False
        self._info, self._options = info, options
        container = codecs.CONTAINERS[path.suffix.lower()].format
        with self._explained():
            self._new = Replacement(path)
        try:
            self._container = load_pyav().open(
                f"file:{self._new.temporary}", "w", format=container, metadata_errors=TAG_ERRORS
            )
        except BaseException:
            self._new.discard()
            raise
        try:
            self._container.metadata.update(_valid_metadata(info.metadata))
            self._tracks: dict[int, tuple[Any, Convert | None]] = {}
            for track in info.tracks or [None]:
                if track is info.track:
                    self._video = self._add_video()
                else:
                    self._add_copy(track)
            if info.chapters:
                self._container.set_chapters(info.chapters)
            self._start()
        except BaseException:
            self.abort()
            raise

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        encoded, context = self._to_pyav(frame), self._video.codec_context
        if encoded.format.name != context.pix_fmt:
            encoded = convert(encoded, context.pix_fmt)
        with self._explained():
            self._container.mux(self._video.encode(encoded))
        self.count += 1

    def copy_packets(self, packets: Iterable[Any]) -> None:
        """Write packets of other tracks unchanged."""
        for packet in packets:
            track, convert = self._tracks.get(packet.stream.index, (None, None))
            if track is None:
                continue
            written = packet if convert is None else converted_packet(packet, convert)
            if written is not None:
                written.stream = track
                with self._explained():
                    self._container.mux(written)

    def finish(self) -> None:
        """Write the frames still in the encoder, and give the file its final name."""
        if self._done:
            return
        self._done = True
        try:
            with self._explained():
                self._container.mux(self._video.encode(None))
                self._container.close()
                self._new.commit()
        finally:
            self._new.discard()

    def abort(self) -> None:
        """Remove the unfinished file."""
        try:
            with suppress(FileError), self._explained():  # an earlier error is reported
                self._container.close()
        finally:
            self._new.discard()

    def _to_pyav(self, frame: Frame) -> Any:
        """Return a PyAV frame with the planes of `frame`."""
        if not isinstance(frame.origin, Picture):
            return store_planes(frame.planes, frame.origin)
        if frame.origin.alpha is not None and not self.count:
            warnings.warn(f"{self.path}: the alpha of the images is not written", stacklevel=2)
        info = self._info
        made = load_pyav().VideoFrame(info.width, info.height, info.pixel_format)
        made.pts, made.time_base, made.color_range = self.count, info.time_base, FULL
        return store_planes(frame.planes, made)

    def _add_video(self) -> Any:
        """Add the track that is encoded."""
        info, options = self._info, self._options
        codec = codecs.encoder(options, self.path, info.pixel_format)
        try:
            track = self._container.add_stream(codec.name, rate=info.rate)
        except ValueError:
            raise FileError(
                f"{self.path}: {self.path.suffix} does not support {codec.name}; "
                "choose another codec"
            ) from None
        context = track.codec_context
        context.width, context.height = info.width, info.height
        context.pix_fmt = codecs.pixel_format(codec, info.pixel_format, options)
        codecs.check_size(codec.name, context.format)
        context.time_base = track.time_base = codecs.time_base(codec.name, self.path, info)
        _set_colors(context, info)
        if info.matrix is not None:
            track.set_display_matrix(info.matrix)
        if info.track is not None:
            track.metadata.update(_valid_metadata(info.track.metadata))
            track.disposition = info.track.disposition
        codecs.set_fields(context, self.path, info)
        self._check_hdr(codec.name)
        context.options = codecs.encoder_options(context, options, info)
        return track

    def _check_hdr(self, codec: str) -> None:
        """Warn if HDR metadata is not written."""
        hdr, lost = self._info.hdr, []
        if hdr and (hdr.points or hdr.luminance or hdr.light) and hdr_options(codec, hdr) is None:
            lost.append("HDR10 metadata")
        if hdr and hdr.dynamic:
            lost.append("dynamic HDR metadata")
        if lost:
            warnings.warn(f"{self.path}: {codec} does not store the {' and the '.join(lost)} of "
                          "the video", stacklevel=2)  # fmt: skip

    def _add_copy(self, track: Any) -> None:
        """Add a track whose packets are copied."""
        label = _label(track)
        if track.type == "data" or (
            track.type == "attachment" and self._container.format.name != "matroska"
        ):
            warnings.warn(f"{label} is not written", stacklevel=2)
            return
        made, convert = self._added(track)
        if made is None:
            return
        if track.type == "audio" and track.codec_context.layout.name in _LAYOUTS:
            made.codec_context.layout = _LAYOUTS[track.codec_context.layout.name]
        made.metadata.update(_valid_metadata(track.metadata))
        made.disposition = track.disposition
        self._tracks[track.index] = made, convert

    def _added(self, track: Any) -> tuple[Any, Convert | None]:
        """Add a track like another one, or with subtitles in a form that the container supports.

        Subtitles in other forms, and tracks that not even Matroska supports, are not written; for
        other tracks this is an error.
        """
        with suppress(ValueError):
            return self._container.add_stream_from_template(track, opaque=True), None
        converted = add_converted(self._container, track)
        if converted is not None:
            return converted
        problem = f"{self.path.suffix} does not support {_label(track)}"
        if track.type != "subtitle" and self._container.format.name != "matroska":
            raise FileError(f"{self.path}: {problem}; write .mkv")
        warnings.warn(f"{self.path}: {problem}, which is not written", stacklevel=2)
        return None, None

    def _start(self) -> None:
        """Open the encoder and write the header of the file."""
        context = self._video.codec_context
        try:
            self._container.start_encoding()
        except (load_pyav().error.FFmpegError, OSError, ValueError) as error:
            size = f"{context.width} x {context.height} {context.pix_fmt}"
            raise FileError(
                f"cannot write {self.path}: {context.name}, {size}: {reason(error)}"
            ) from error
        if "crf" in context.options:  # encoders remove the options that they use
            raise FileError(f"crf={self._options.crf:g}: {context.name} does not support it; "
                            "leave it out")  # fmt: skip

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of writing into a `FileError`."""
        try:
            yield
        except (load_pyav().error.FFmpegError, OSError, ValueError) as error:
            unsuitable = (
                isinstance(error, ValueError) and self._tracks and self.path.suffix != ".mkv"
            )
            advice = "; .mkv supports all kinds of other tracks" if unsuitable else ""
            raise FileError(f"cannot write {self.path}: {reason(error)}{advice}") from error


def _set_colors(context: Any, info: FilmInfo) -> None:
    """Set range and matrix of the colors, and the aspect ratio of a pixel."""
    for name, number in info.colors.items():
        setattr(context, name, number)
    if is_rgb(info.pixel_format) and not is_rgb(context.pix_fmt):
        context.color_range, context.colorspace = LIMITED, BT709
    elif not is_rgb(info.pixel_format) and is_rgb(context.pix_fmt):
        context.color_range, context.colorspace = FULL, RGB
    elif info.pixel_format.startswith("yuvj"):
        context.color_range = FULL
    if info.aspect:
        context.sample_aspect_ratio = info.aspect


def _label(track: Any) -> str:
    """Return a name for a track in messages."""
    codec = getattr(track, "name", None) or "unknown"
    return f"track {track.index} ({track.type}, {codec}) of the video"


def _valid_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata that stays valid in another file."""
    return {key: text for key, text in metadata.items() if key.lower() not in _OUTDATED}
