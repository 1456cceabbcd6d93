"""The functions of the numpy backend on another image type."""

import numpy as np

from fastrestore.backends import host
from fastrestore.backends.host import bm3d_memory, memory, replays, warm
from fastrestore.backends.numpy import engine as numpy
from fastrestore.backends.protocol import Matches
from support.readonly_backend import (
    NAME,
    capabilities,
    least_size,
    why_no_device,
    why_unavailable,
)  # fmt: skip

__all__ = [
    "NAME", "bm3d_memory", "capabilities", "least_size", "memory", "replays", "warm",
    "why_no_device", "why_unavailable",
]  # fmt: skip


class Held:
    """Samples of an image; only shape and indexing work as for arrays."""

    __slots__ = ("_values",)

    def __init__(self, values):
        self._values = readonly(values)

    shape = property(lambda self: self._values.shape)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, key):
        return Held(self._values[key])

    def __array__(self, *_, **__):
        raise TypeError("only the backend reads its images")


def readonly(values):
    """Return a copy that cannot be written to."""
    values = np.array(values)
    values.flags.writeable = False
    return values


def read(held):
    """Return the array of an image; anything else is an error."""
    assert isinstance(held, Held)
    return held._values


def held_matches(matches):
    return Matches(tuple(map(Held, matches.corners)), Held(matches.offsets), Held(matches.sizes))


def read_matches(matches):
    return Matches(tuple(map(read, matches.corners)), read(matches.offsets), read(matches.sizes))


def bring(array):
    return readonly(host.bring(array))


def empty(shape, dtype, like):
    return host.empty(shape, dtype, like)


def load(name, planes, units, execution):
    return Held(host.load(name, planes, units, execution))


def covariance(planes):
    return host.covariance(planes)


def luminance(channels, weights, execution):
    return Held(host.luminance(read(channels), weights, execution))


def replaced(images, where, values, execution):
    plain = read(values) if isinstance(values, Held) else values
    return Held(host.replaced(read(images), where, plain, execution))


def robust_range(image, execution):
    return host.robust_range(read(image), execution)


def robust_ranges(images, execution):
    return host.robust_ranges(read(images), execution)


def store(channels, units, unchanged, out, execution):
    host.store(read(channels), units, unchanged, out, execution)


def fetch(channels):
    return readonly(read(channels))


def put(channels):
    return Held(channels)


def bm3d_match(image, stage, execution):
    return held_matches(numpy.bm3d_match(read(image), stage, execution))


def bm3d_filter(images, matches, stage, execution):
    seen = tuple(read(image) for image in images)
    return Held(numpy.bm3d_filter(seen, read_matches(matches), stage, execution))


def bm3d_backward(gradient, estimate, images, matches, stage, execution):
    raise NotImplementedError("no gradients")


def bm3d_errors(pilot, matches, stage, execution):
    return numpy.bm3d_errors(read(pilot), read_matches(matches), stage, execution)


def bm4d_match(image, stage, execution):
    return held_matches(numpy.bm4d_match(read(image), stage, execution))


def bm4d_filter(images, matches, stage, execution):
    seen = tuple(read(image) for image in images)
    return Held(numpy.bm4d_filter(seen, read_matches(matches), stage, execution))


class VideoStage:
    """A stage of the backend numpy."""

    def __init__(self, shape, stage, execution):
        self._stage = numpy.video_stage(shape, stage, execution)

    def put(self, slot, matched, noisy, pilot):
        guide = None if pilot is None else read(pilot)
        self._stage.put(slot, read(matched), read(noisy), guide)

    def matches(self, slots, center):
        return held_matches(self._stage.matches(slots, center))

    def filter(self, slots, center):
        self._stage.filter(slots, center)

    def take(self, slot):
        return Held(self._stage.take(slot))


video_stage = VideoStage
