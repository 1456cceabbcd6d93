"""Windows of frames of the backend cupy beside those of numpy."""

from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.cupy._device import Memory
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select
from support.clips import SMALL
from support.stages import image_stage

SLOTS = [3, 4, 0, 1, 2]


def running():
    return Execution(1, memory=Memory())


def windows(cupy, frames, stage, slots=SLOTS):
    """A window of numpy, and one of the kernels, with the same frames in them."""
    shape = (len(slots), 1, *frames.shape[1:])
    both = [select(name).video_stage(shape, stage, running()) for name in ("numpy", "cupy")]
    for slot, frame in zip(slots, frames, strict=True):
        there = cupy.asarray(frame)
        both[0].put(slot, frame, frame[None], None)
        both[1].put(slot, there, there[None], None)
    return both


def white(changes, sigma=20.0):
    return image_stage(SMALL.replace(**changes), "basic", PlaneNoise.white(sigma), 255.0)
