"""Calls of single stages of the backend cupy on volumes."""

import numpy as np

from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.cupy._device import Memory
from fastrestore.backends.protocol import Execution, Matches
from fastrestore.backends.select import select
from support.stages import volume_stage

SIGMA = 15.0


def running(deterministic=False):
    return Execution(1, deterministic=deterministic, memory=Memory())


def white(sigma=SIGMA):
    return PlaneNoise.white(sigma)


def matched(cupy, volume, stage):
    """The match lists of a kernel, on the host."""
    found = select("cupy").bm4d_match(cupy.asarray(volume), stage, running())
    return found.offsets.get(), found.sizes.get()


def estimates(cupy, image, pilot, profile, which, noise, deterministic=False, channel=0):
    """The estimates of numpy and of the kernels, from the same matches."""
    stage = volume_stage(profile, which, noise, 255.0, channel=channel)
    seen = image if which == "basic" else pilot
    reference, engine, run = select("numpy"), select("cupy"), running(deterministic)
    matches = reference.bm4d_match(seen[channel], stage, run)
    there = Matches(
        tuple(cupy.asarray(grid.astype(np.int32)) for grid in matches.corners),
        cupy.asarray(matches.offsets), cupy.asarray(matches.sizes),
    )  # fmt: skip
    images = (image,) if which == "basic" else (image, pilot)
    on_gpu = tuple(cupy.asarray(np.ascontiguousarray(each)) for each in images)
    expected = reference.bm4d_filter(images, matches, stage, run)
    return expected, engine.bm4d_filter(on_gpu, there, stage, run).get()
