"""Synthetic videos for the tests."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np

TICK = Fraction(1, 600)
LIMITED, FULL = 1, 2
PACKED = {"bgr0": 4, "rgb24": 3}  # interleaved samples per pixel
BT709 = {"color_range": LIMITED, "colorspace": 1, "color_primaries": 1, "color_trc": 1}


def planes_of(frame):
    """Every plane as it is stored."""
    bits = frame.format.components[0].bits
    dtype = np.dtype("u1" if bits <= 8 else "<u2")
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        views.append(rows[:, : plane.width * PACKED.get(frame.format.name, 1)])
    return views


def drawn(number, plane, shape, sigma, top, rng):
    """A moving pattern with noise, inside the range."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    clean = 120 + 50 * np.sin((x + 2 * number) / 9 + plane) + 30 * ((y // 12 + x // 12) % 2)
    noisy = clean * (top + 1) / 256 + rng.normal(0, sigma, shape)
    return np.clip(np.rint(noisy), 0, top)


def draw_video(path, *, pixels="yuv420p", count=8, size=(64, 48), times=None, codec="ffv1",
               sigma=10, colors=BT709, tracks=(), rate=24, options=None, **extra):  # fmt: skip
    """Draw a video; return its planes, frame by frame."""
    rng, kept = np.random.default_rng(0), []
    with av.open(str(path), "w", options=extra.get("muxer", {})) as out:
        out.metadata.update(extra.get("metadata", {}))
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = stream.time_base = TICK
        for name, value in colors.items():
            setattr(stream.codec_context, name, value)
        if "aspect" in extra:
            stream.codec_context.sample_aspect_ratio = extra["aspect"]
        if "rotation" in extra:
            stream.set_display_rotation(extra["rotation"])
        added = [add(out) for add in tracks]
        out.start_encoding()
        for number in range(count):
            frame = av.VideoFrame(*size, pixels)
            top = 2 ** frame.format.components[0].bits - 1
            for k, view in enumerate(planes_of(frame)):
                view[...] = drawn(number, k, view.shape, sigma, top, rng)
            kept.append([view.copy() for view in planes_of(frame)])
            frame.pts, frame.time_base = (times or range(0, 25 * count, 25))[number], TICK
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for fill in added:
            fill()
    return kept


def sound(codec, language=None):
    """An audio track of noise."""

    def add(out):
        track = out.add_stream(codec, rate=48000, layout="stereo")
        if language:
            track.metadata["language"] = language

        def fill():
            rng = np.random.default_rng(1)
            for k in range(8):
                samples = rng.normal(0, 0.1, (2, 1024)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * k, Fraction(1, 48000)
                out.mux(track.encode(frame))
            out.mux(track.encode(None))

        return fill

    return add


def frames(path):
    """Decode a video: time stamps in seconds, and planes."""
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        found = [
            (frame.pts * frame.time_base, [view.copy() for view in planes_of(frame)])
            for frame in container.decode(track)
        ]
    return [when for when, _ in found], [planes for _, planes in found]


def first(path):
    """The first frame, and the metadata of the file."""
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        said = SimpleNamespace(
            time_base=track.time_base,
            rate=track.average_rate,
            aspect=track.sample_aspect_ratio,
            codec=track.codec_context.name,
            metadata={key.lower(): text for key, text in container.metadata.items()},
        )
        return next(container.decode(track)), said


def packets(path, kind):
    """The packets of another track: time stamps in seconds, and bytes."""
    with av.open(str(path)) as container:
        track = next(s for s in container.streams if s.type == kind)
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(track)
            if packet.size
        ]


def keep_frames(monkeypatch):
    """Replace vbm3d by the identity, with a lag, and collect its arguments."""
    calls = []

    def vbm3d(video, sigma=None, **options):
        calls.append({"sigma": sigma, **options})
        held = []
        for frame in video:
            held.append(frame)
            if len(held) > 4:
                yield held.pop(0).astype(np.float32)
        yield from (frame.astype(np.float32) for frame in held)

    monkeypatch.setattr("fastrestore.vbm3d", vbm3d)
    return calls
