"""Count parameters and multiply-adds of the networks that run in a call, whatever they are.

A hook sees every network that is called, and a dispatch mode of PyTorch every convolution and
matrix product, so nothing here depends on the inputs of a network. Operations of other libraries,
such as those of `bm3d`, are not counted.
"""

from dataclasses import dataclass

import numpy as np
from photographs import SIGMA, noisy, photograph
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

import fastrestore
from fastrestore import nets
from fastrestore.nets import VSRGAN


@dataclass(frozen=True)
class Count:
    """Of one call."""

    parameters: int
    multiply_adds: float


def count(call):
    """Run a call; return what its networks needed."""
    used = {}

    def see(module, _):
        used.update({id(value): value for value in module.parameters()})

    hook = register_module_forward_pre_hook(see)
    counter = FlopCounterMode(display=False)  # counts a multiply-add as two operations
    try:
        with counter:
            call()
    finally:
        hook.remove()
    total = sum(value.numel() for value in used.values())
    return Count(total, counter.get_total_flops() / 2)


def parameters(name):
    """Return the number of parameters of built-in weights."""
    return sum(value.numel() for value in nets.load(name).parameters())


def call_of(name, side):
    """Return a call whose result is an image of side x side; None if no function takes the network.

    That of a network for videos is of the second frame.
    """
    net = nets.load(name)
    image = noisy(photograph(side))[:: net.scale, :: net.scale]
    if net.channels > 1:
        image = np.stack([image] * net.channels, -1)
    options = {"channel_axis": None if net.channels == 1 else -1, "data_range": 255}
    if isinstance(net, VSRGAN):
        return _second_frame(net, image, options)
    if net.scale > 1:
        return lambda: fastrestore.super_resolve(image, net.scale, model=net, **options)
    try:
        nets.apply(net, image[:16, :16], SIGMA, **options)
    except (RuntimeError, TypeError, ValueError):
        return None  # a part of a method, which also needs the result of bm3d
    return lambda: nets.apply(net, image, SIGMA, **options)


def _second_frame(net, image, options):
    """Return a call for the second frame of a video; the first costs less."""

    def video():
        while True:
            yield image + np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
            yield image

    frames = fastrestore.super_resolve_video(
        video(), net.scale, model=net, scene_cuts=False, **options
    )
    next(frames)
    return lambda: next(frames)
