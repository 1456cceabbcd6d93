"""Videos read by PyAV: frames of the first video track, and the packets of all other tracks.

A damaged or truncated video is read as far as possible;
`FilmReader.damage` describes the damage at the end.
"""

from __future__ import annotations

import struct
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from fastrestore._io.errors import FileError
from fastrestore._io.hdr import HdrMetadata, read_hdr
from fastrestore._io.planes import Frame, Layout, Planes, as_planar, copy_planes, layout_of
from fastrestore._io.pyav import load_pyav, open_film, side_data
from fastrestore._io.truncation import ends_early

SAMPLES = 5  # frames for the estimate of the noise


@dataclass
class FilmInfo:
    """The properties of a video and its tracks."""

    width: int
    height: int
    pixel_format: str  # FFmpeg's name
    rate: Fraction
    time_base: Fraction
    colors: dict[str, int] = field(default_factory=dict)  # range, matrix, ...: FFmpeg's numbers
    aspect: Fraction | None = None  # width by height of a pixel
    matrix: list[int] | None = None  # rotation and mirroring that players apply
    hdr: HdrMetadata | None = None
    interlaced: bool = False  # whether frames consist of two fields
    field_order: int = 0  # FFmpeg's number; 0 is unknown
    metadata: dict[str, str] = field(default_factory=dict)
    track: Any = None  # the PyAV stream that is restored
    tracks: list[Any] = field(default_factory=list)  # all PyAV streams of the file, in order
    chapters: list[Any] = field(default_factory=list)


class FilmReader:
    """An open video; call `close` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = open_film(path)
        self._others: deque[Any] = deque()  # packets of other tracks, not yet taken
        self._count = 0  # frames that were read
        self._packets = self._bad = 0
        self._clocks: dict[int, _Clock] = {}  # of the other tracks
        self._info: FilmInfo | None = None
        self._shifted = False  # whether time stamps were changed
        try:
            self.track = _video_track(self.container, path)
            self._decoder = _decoder(self.track)
            self._source = self._decode()
            self._first: Any = next(self._source, None)
            if self._first is None:
                raise FileError(f"cannot read {path}: no frame could be decoded")
            self.layout: Layout = self._planes(self._first)[0]
            self._pixel_format: str = self._first.format.name
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    @property
    def length(self) -> int | None:
        """Number of frames, stored or estimated from the duration; None if unknown."""
        if self.track.frames:
            return int(self.track.frames)
        if self.container.duration is None:
            return None
        seconds = float(self.container.duration) / 1e6
        return max(1, round(seconds * float(_rate(self.track))))

    def frames(self) -> Iterator[Frame]:
        """Read frame by frame."""
        frame, clock = self._first, _Clock(strict=True)
        interval = 1 / (_rate(self.track) * self.track.time_base)
        while frame is not None:
            layout, planar, planes = self._planes(frame)
            if (layout, planar.width, planar.height) != (self.layout, *self._size()):
                raise FileError(
                    f"{self.path}: frame {self._count} is {planar.width} x {planar.height} "
                    f"{frame.format.name}, the first is {self._size()[0]} x {self._size()[1]} "
                    f"{self._pixel_format}; split the video there first"
                )
            planar.pts = clock.next(planar.pts, max(1, round(interval)))
            if clock.shift and not self._shifted:
                self._shifted = True
                warnings.warn(f"{self.path}: time stamps go back after {self._count} frames; the "
                              "rest follows without a gap", stacklevel=2)  # fmt: skip
            self._count += 1
            yield Frame(planes, planar)
            frame = next(self._source, None)

    def take_packets(self) -> Iterator[Any]:
        """Yield the packets of other tracks read since the last call."""
        while self._others:
            yield self._others.popleft()

    def samples(self) -> Iterator[Planes]:
        """Read a few frames spread over the video, from a second handle of the file."""
        found = 0
        with closing(open_film(self.path)) as container:
            track = _video_track(container, self.path)
            for k in range(SAMPLES):
                frame = _sample(container, track, Fraction(k, SAMPLES))
                if frame is not None and self._is_alike(frame):
                    found += 1
                    yield self._planes(frame)[2]
        if not found:  # damaged
            yield self._planes(self._first)[2]

    def damage(self) -> str | None:
        """Return what is wrong with the file, or None; call it after the last frame."""
        early = ends_early(self.path)
        whole = self._packets >= self.track.frames
        if self.container.format.name == "avi" and early is not None:
            whole = True  # AVI counts frames that repeat the one before, which have no packets
        if whole and not early and not self._bad:
            return None
        total = f" of {self.track.frames}" if self.track.frames else ""
        return f"{self.path} is damaged or truncated: {self._count}{total} frames could be read"

    def info(self) -> FilmInfo:
        """Return the properties of the video; they are read from the first frame, once."""
        if self._info is None:
            self._info = self._read_info()
        return self._info

    def _read_info(self) -> FilmInfo:
        frame, track, context = self._first, self.track, self.track.codec_context
        colors = {
            name: int(getattr(frame, name))
            for name in ("color_range", "colorspace", "color_primaries", "color_trc")
        }
        return FilmInfo(
            frame.width,
            frame.height,
            self._pixel_format,
            rate=_rate(track),
            time_base=track.time_base,
            colors=colors,
            aspect=track.sample_aspect_ratio or context.sample_aspect_ratio,
            matrix=_display_matrix(self._described()),
            hdr=read_hdr(self._described()),
            interlaced=self.interlaced,
            field_order=getattr(context, "field_order", 0),  # PyAV 18.1
            metadata=dict(self.container.metadata),
            track=track,
            tracks=list(self.container.streams),
            chapters=self.container.chapters(),
        )

    @property
    def interlaced(self) -> bool:
        """Whether the first frame consists of two fields."""
        return bool(self._first.interlaced_frame)

    def _described(self) -> Any:
        """Return the first frame with the side data of the file, which libvpx does not add."""
        if self._decoder is self.track.codec_context:
            return self._first
        with closing(open_film(self.path)) as container:
            return (
                _sample(container, _video_track(container, self.path), Fraction(0)) or self._first
            )

    def _is_alike(self, frame: Any) -> bool:
        """Whether a frame, maybe without alpha, has the size and the depth of the first one."""

        def key(other: Any) -> tuple[Any, ...]:
            return other.width, other.height, other.format.name.replace("yuva", "yuv")

        return key(frame) == key(self._first)

    def _size(self) -> tuple[int, int]:
        return self._first.width, self._first.height

    def _planes(self, frame: Any) -> tuple[Layout, Any, Planes]:
        """Return the layout, the planar frame and its planes."""
        try:
            planar = as_planar(frame)
        except FileError as error:
            raise FileError(f"cannot read {self.path}: {error}") from None
        return layout_of(planar), planar, copy_planes(planar)

    def _decode(self) -> Iterator[Any]:
        """Decode the video track, and keep the packets of other tracks."""
        errors = load_pyav().error.FFmpegError
        packets = self.container.demux([s for s in self.container.streams if _has_packets(s)])
        while True:
            try:
                packet = next(packets, None)
            except errors:  # the rest of the file is unreadable
                self._bad += 1
                return
            if packet is None:
                return
            if packet.stream.index != self.track.index:
                if packet.size:
                    self._others.append(self._in_order(packet))
                continue
            self._packets += packet.size > 0
            try:
                frames = self._decoder.decode(packet)
            except errors:
                self._bad += 1
                continue
            self._bad += packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            yield from frames

    def _in_order(self, packet: Any) -> Any:
        """Return a packet of another track with a time stamp that does not go back."""
        clock = self._clocks.setdefault(packet.stream.index, _Clock(strict=False))
        if packet.dts is not None:
            before = packet.dts
            packet.dts = clock.next(before, packet.duration or 1)
            if packet.pts is not None:
                packet.pts += packet.dts - before
        return packet


class _Clock:
    """Time stamps that increase, also where those of a joined or damaged file start again."""

    def __init__(self, *, strict: bool) -> None:
        self.shift, self._strict = 0, strict
        self._last: int | None = None

    def next(self, stamp: int | None, step: int) -> int:
        """Return the time of a frame or packet; `step` is its distance from the one before."""
        last = self._last
        if stamp is None:  # as in AVI, which stores only the frame rate
            stamp = 0 if last is None else last + step - self.shift
        elif last is not None and stamp + self.shift < last + self._strict:
            self.shift = last + step - stamp
        self._last = stamp + self.shift
        return self._last


def _video_track(container: Any, path: Path) -> Any:
    """Return the first video track that is not a cover image."""
    av = load_pyav()
    cover = av.stream.Disposition.attached_pic
    for track in container.streams.video:
        if not track.disposition & cover:
            if track.codec_context is None:
                raise FileError(f"cannot read {path}: there is no decoder for its video")
            return track
    kinds = ", ".join(track.type for track in container.streams) or "nothing"
    raise FileError(f"cannot read {path}: it has no video track, only {kinds}")


def _has_packets(track: Any) -> bool:
    return track.type in ("video", "audio", "subtitle")


def _decoder(track: Any) -> Any:
    """Return the codec context that decodes a track: libvpx for alpha, which FFmpeg's ignores."""
    context = track.codec_context
    tags = {name.lower(): text for name, text in track.metadata.items()}
    if context.name not in ("vp8", "vp9") or tags.get("alpha_mode") != "1":
        return context
    av = load_pyav()
    try:
        made = av.CodecContext.create("libvpx" if context.name == "vp8" else "libvpx-vp9", "r")
    except av.codec.codec.UnknownCodecError:
        return context
    made.extradata = context.extradata
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(made, name, getattr(context, name))
    return made


def _sample(container: Any, track: Any, part: Fraction) -> Any:
    """Decode one frame after a part of the duration, beyond damaged packets, or return None."""
    errors = load_pyav().error.FFmpegError
    with suppress(errors):
        if container.duration and part:
            container.seek((container.start_time or 0) + round(container.duration * part))
        for packet in container.demux(track):
            with suppress(errors):
                for frame in packet.decode():
                    return frame
    return None


def _rate(track: Any) -> Fraction:
    """Return the frames per second, 25 if the file does not state it."""
    rate: Fraction = track.average_rate or track.guessed_rate or Fraction(25)
    return rate


def _display_matrix(frame: Any) -> list[int] | None:
    """Return the rotation and mirroring of the video, or None."""
    data = side_data(frame).get("DISPLAYMATRIX")
    return None if data is None else list(struct.unpack_from("=9i", data))
