"""Films read by PyAV: frames of the first video track, and the packets of all the others.

A film that is damaged or cut short is read as far as it goes; `Film.complaint` tells of it at the
end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from fastrestore._io.errors import CliError, reason
from fastrestore._io.planes import Layout, Planes, Shot, layout_of, opened, planes_of

SAMPLES = 5  # frames that noise is estimated from


def library() -> Any:
    """Return PyAV, or say how to get it."""
    try:
        import av
    except ImportError:
        raise CliError(
            "films need PyAV; install it with pip install 'fastrestore[video]', or restore "
            "numbered pictures, such as frames/%05d.png"
        ) from None
    return av


@dataclass
class Heading:
    """What a film says beside its frames."""

    width: int
    height: int
    pixels: str  # FFmpeg's name of the pixel format
    rate: Fraction
    time_base: Fraction
    colours: dict[str, int] = field(default_factory=dict)  # FFmpeg's numbers
    aspect: Fraction | None = None  # of a pixel
    matrix: list[int] | None = None  # rotation and mirroring, as players see to it
    metadata: dict[str, str] = field(default_factory=dict)
    track: Any = None  # of PyAV, that was restored
    tracks: list[Any] = field(default_factory=list)  # of PyAV: all of the file in their order
    chapters: list[Any] = field(default_factory=list)


class Film:
    """A film to read; close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = _open(path)
        self.others: deque[Any] = deque()  # packets of other tracks that were read
        self.count = 0  # frames that were read
        self._packets = self._bad = 0
        try:
            self.track = _video_track(self.container, path)
            self._source = self._frames()
            self._first: Any = next(self._source, None)
            if self._first is None:
                raise CliError(f"{path} has no frames that can be read")
            self.layout: Layout = self._planes(self._first)[0]
            self.name: str = self._first.format.name
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    @property
    def length(self) -> int | None:
        """Number of frames, as far as the file tells or its duration lets one guess."""
        if self.track.frames:
            return int(self.track.frames)
        if self.container.duration is None:
            return None
        seconds = float(self.container.duration) / 1e6
        return max(1, round(seconds * float(_rate(self.track))))

    def shots(self) -> Iterator[Shot]:
        """Read frame by frame."""
        frame, when = self._first, None
        tick = 1 / (_rate(self.track) * self.track.time_base)
        while frame is not None:
            layout, held, planes = self._planes(frame)
            if (layout, held.width, held.height) != (self.layout, *self._size()):
                raise CliError(
                    f"{self.path}: frame {self.count} is {held.width} x {held.height} "
                    f"{frame.format.name}, the first is {self._size()[0]} x {self._size()[1]} "
                    f"{self.name}; cut the film there first"
                )
            if held.pts is None:  # as in AVI: frames follow each other at the rate
                held.pts = 0 if when is None else round(when + tick)
            when = held.pts
            self.count += 1
            yield Shot(planes, held)
            frame = next(self._source, None)

    def taken(self) -> Iterator[Any]:
        """Hand over the packets of other tracks that were read since the last time."""
        while self.others:
            yield self.others.popleft()

    def samples(self) -> Iterator[Planes]:
        """Read some frames from all over the film, of a file that is opened once more."""
        with closing(_open(self.path)) as container:
            track = _video_track(container, self.path)
            for k in range(SAMPLES):
                if container.duration and k:
                    begin = container.start_time or 0
                    container.seek(begin + round(container.duration * k / SAMPLES))
                frame = next(_decoded(container, track), None)
                if frame is not None:
                    yield self._planes(frame)[2]

    def complaint(self) -> str | None:
        """Say what was wrong with the file, once all of it was read."""
        whole = self._packets >= self.track.frames and not _ends_early(self.path)
        if whole and not self._bad:
            return None
        told = f" of {self.track.frames}" if self.track.frames else ""
        return f"{self.path} is damaged or cut short: {self.count}{told} frames could be read"

    def heading(self) -> Heading:
        """Describe the film."""
        frame, track, context = self._first, self.track, self.track.codec_context
        colours = {
            name: int(getattr(frame, name))
            for name in ("color_range", "colorspace", "color_primaries", "color_trc")
        }
        return Heading(
            frame.width,
            frame.height,
            self.name,
            _rate(track),
            track.time_base,
            colours,
            track.sample_aspect_ratio or context.sample_aspect_ratio,
            _matrix(frame),
            dict(self.container.metadata),
            track,
            list(self.container.streams),
            self.container.chapters(),
        )

    @property
    def interlaced(self) -> bool:
        """Whether the first frame is made of two fields."""
        return bool(self._first.interlaced_frame)

    def _size(self) -> tuple[int, int]:
        return self._first.width, self._first.height

    def _planes(self, frame: Any) -> tuple[Layout, Any, Planes]:
        """Return what the planes are, the frame made of planes, and them."""
        try:
            held = opened(frame)
        except CliError as error:
            raise CliError(f"cannot read {self.path}: {error}") from None
        return layout_of(held), held, planes_of(held)

    def _frames(self) -> Iterator[Any]:
        """Decode the video track, and put the packets of others aside."""
        errors = library().error.FFmpegError
        packets = self.container.demux([s for s in self.container.streams if _has_packets(s)])
        while True:
            try:
                packet = next(packets, None)
            except errors:  # what follows cannot be found
                self._bad += 1
                return
            if packet is None:
                return
            if packet.stream.index != self.track.index:
                if packet.size:
                    self.others.append(packet)
                continue
            self._packets += packet.size > 0
            try:
                frames = packet.decode()
            except errors:
                self._bad += 1
                continue
            self._bad += packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            yield from frames


def _open(path: Path) -> Any:
    """Open a file that may be a film."""
    av = library()
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise CliError(f"cannot read {path}: {reason(error)}") from error


def _video_track(container: Any, path: Path) -> Any:
    """Return the first video track that is no picture of a cover."""
    av = library()
    cover = av.stream.Disposition.attached_pic
    for track in container.streams.video:
        if not track.disposition & cover:
            if track.codec_context is None:
                raise CliError(f"cannot read {path}: there is no decoder for its video")
            return track
    kinds = ", ".join(track.type for track in container.streams) or "nothing"
    raise CliError(f"cannot read {path}: it has no video track, but {kinds}")


def _has_packets(track: Any) -> bool:
    return track.type in ("video", "audio", "subtitle")


def _decoded(container: Any, track: Any) -> Iterator[Any]:
    """Decode what can be decoded."""
    try:
        yield from container.decode(track)
    except library().error.FFmpegError:
        return


def _rate(track: Any) -> Fraction:
    """Frames a second; of a film that does not say, 25."""
    rate: Fraction = track.average_rate or track.guessed_rate or Fraction(25)
    return rate


def _matrix(frame: Any) -> list[int] | None:
    """Return how the frames are to be turned."""
    import numpy as np

    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return [int(value) for value in np.frombuffer(bytes(data), np.int32)]
    return None


def _ends_early(path: Path) -> bool:
    """Whether a Matroska file is shorter than it says; FFmpeg reads it without a word."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return False
    length, start = _length(head, 4)
    if head[start + length :][:4] != b"\x18\x53\x80\x67":  # the segment: all the rest
        return False
    length, start = _length(head, start + length + 4)
    streamed = length == 2**56 - 1
    return not streamed and start + length > path.stat().st_size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length of Matroska, whose first bits tell its own, and where what it counts begins."""
    first = data[at]
    size = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + size]) & ((1 << 7 * size) - 1)
    return value, at + size
