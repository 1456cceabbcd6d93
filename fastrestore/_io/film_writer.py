"""Videos written by PyAV: frames are encoded, all other tracks copied packet by packet.

The file is written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastrestore._arrays.replacement import Replacement
from fastrestore._io import codecs
from fastrestore._io.errors import FileError, reason
from fastrestore._io.film_reader import FilmInfo
from fastrestore._io.hdr import HdrMetadata
from fastrestore._io.hdr import encoder_options as hdr_options
from fastrestore._io.matroska import CODECS, one_frame_film
from fastrestore._io.picture import Picture
from fastrestore._io.planes import Frame, store_planes
from fastrestore._io.pyav import (
    BT709,
    FULL,
    LIMITED,
    RGB,
    TAG_ERRORS,
    convert,
    is_full_range,
    is_rgb,
    load_pyav,
)
from fastrestore._io.scheduling import kept_scheduling
from fastrestore._io.subtitles import Convert, add_converted, converted_packet

# Matroska does not store speaker positions, and MP4 requires them
_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}
_GLOBAL_HEADER = 1 << 22  # FFmpeg's flag for headers apart from packets
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
            with kept_scheduling():
                self._start()
        except BaseException:
            self.abort()
            raise

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        encoded, pixel_format = self._to_pyav(frame), self._context.pix_fmt
        if encoded.format.name != pixel_format or self._limited:
            encoded = convert(encoded, pixel_format, limited=self._limited)
        with self._explained():
            self._encode(encoded)
        self.count += 1

    def _encode(self, frame: Any) -> None:
        """Encode a frame, or None at the end, and write the packets."""
        for packet in self._context.encode(frame):
            packet.stream = self._video
            self._container.mux(packet)

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
                self._encode(None)
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
        info = self._info
        codec = codecs.encoder(self._options, self.path, info.pixel_format)
        hdr, name = info.hdr, self._container.format.name
        try:
            if hdr and hdr.is_static and codec.name in CODECS and name in ("matroska", "webm"):
                track = self._add_described(codec, hdr)
            else:
                track = self._container.add_stream(codec.name, rate=info.rate)
                self._context = track.codec_context
                self._configure(self._context, codec)
                self._check_hdr(codec.name)
        except FileError:
            raise
        except ValueError:
            raise FileError(
                f"{self.path}: {self.path.suffix} does not support {codec.name}; "
                "choose another codec"
            ) from None
        track.time_base = self._context.time_base
        if info.matrix is not None:
            track.set_display_matrix(info.matrix)
        if info.track is not None:
            track.metadata.update(_valid_metadata(info.track.metadata))
            track.disposition = info.track.disposition
        codecs.warn_of_fields(codec.name, self.path, info)
        if name in ("matroska", "webm"):  # PyAV cannot set what these store themselves
            codecs.warn_of_aspect(codec.name, self.path, info)
        return track

    def _configure(self, context: Any, codec: Any) -> None:
        """Set the options of an encoder."""
        info, options = self._info, self._options
        context.width, context.height, context.framerate = info.width, info.height, info.rate
        context.pix_fmt = codecs.pixel_format(codec, info.pixel_format, options)
        codecs.check_size(codec.name, self.path, context.format)
        context.time_base = codecs.time_base(codec.name, self.path, info)
        _set_colors(context, info)
        self._limited = codecs.loses_range(context, self.path, info, lossless=options.lossless)
        if self._limited:
            context.color_range = LIMITED
        codecs.set_fields(context, info)
        context.options = codecs.encoder_options(context, options, info)

    def _add_described(self, codec: Any, hdr: HdrMetadata) -> Any:
        """Add a track with HDR10 metadata that only the container stores."""
        av = load_pyav()
        contexts = [av.CodecContext.create(codec.name, "w") for _ in range(2)]
        with warnings.catch_warnings(record=True) as caught:  # both warn of the same
            for context in contexts:
                caught.clear()
                self._configure(context, codec)
                context.flags |= _GLOBAL_HEADER
        for item in caught:
            warnings.warn(item.message, stacklevel=2)
        self._context, trial = contexts
        blank = av.VideoFrame(trial.width, trial.height, trial.pix_fmt)
        blank.pts, blank.time_base = 0, trial.time_base
        with self._explained(), kept_scheduling():
            self._context.open()
            packets = trial.encode(blank) + trial.encode(None)
            with one_frame_film(trial, bytes(packets[0]), hdr) as film:
                return self._container.add_stream_from_template(film.streams.video[0], opaque=True)

    def _check_hdr(self, codec: str) -> None:
        """Warn if HDR metadata is not written."""
        hdr, lost = self._info.hdr, []
        if hdr and hdr.is_static and hdr_options(codec, hdr) is None:
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
        context = self._context
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
    elif info.pixel_format.startswith(("yuvj", "gray")) or context.pix_fmt.startswith("gray"):
        full = is_full_range(info.pixel_format, info.colors.get("color_range", 0))
        context.color_range = FULL if full else LIMITED
    if info.aspect:
        context.sample_aspect_ratio = info.aspect


def _label(track: Any) -> str:
    """Return a name for a track in messages."""
    codec = getattr(track, "name", None) or "unknown"
    return f"track {track.index} ({track.type}, {codec}) of the video"


def _valid_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata that stays valid in another file."""
    return {key: text for key, text in metadata.items() if key.lower() not in _OUTDATED}
