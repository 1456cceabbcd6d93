"""Counts of `bench/nets.py`: parameters and multiply-adds of the networks that run in a call."""

from pathlib import Path

import numpy as np
import pytest
from support.nets import SMALL, torch_or_skip

torch = torch_or_skip()

from fastrestore import denoise, nets  # noqa: E402


@pytest.fixture(scope="module")
def counting():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "bench")
        import counting

        return counting


class Separable(nets.Network):
    """A convolution of each channel, one of each pixel, and a layer that is not used."""

    channels, radius, takes_sigma, sigmas = 1, 1, True, (0.0, 1.0)

    def __init__(self):
        super().__init__()
        self.each = torch.nn.Conv2d(2, 6, 3, padding=1, groups=2, bias=False)
        self.mix = torch.nn.Conv2d(6, 1, 1)
        self.spare = torch.nn.Linear(5, 5)

    def forward(self, image, sigma=None):
        return self.mix(self.each(torch.cat([image, sigma.expand_as(image)], 1)))


def test_counts_are_those_of_the_layers(counting):
    net = Separable().eval()
    found = counting.count(lambda: nets.apply(net, np.eye(20, 30), 0.1))
    assert found.multiply_adds == 20 * 30 * (6 * 9 + 6)
    assert found.parameters == 6 * 9 + 6 + 1 + 30  # with the layer that is not used


def test_counts_of_a_method_are_those_of_all_its_networks(counting):
    image = 100 + 20 * np.random.default_rng(0).standard_normal((32, 40))
    unet, other = (SMALL["unet"](1).eval() for _ in range(2))

    one = counting.count(lambda: nets.apply(unet, image, 20))
    two = counting.count(lambda: [nets.apply(net, image, 20) for net in (unet, other, unet)])
    assert one.parameters == sum(value.numel() for value in unet.parameters())
    assert two.parameters == 2 * one.parameters  # the third call is that of the first network
    assert two.multiply_adds == 3 * one.multiply_adds > 0
    hybrid = counting.count(lambda: denoise(image, 20, method="hybrid"))
    classical = counting.count(lambda: denoise(image, 20, method="bm3d"))
    assert min(hybrid.parameters, hybrid.multiply_adds) > 0
    assert (classical.parameters, classical.multiply_adds) == (0, 0)


def test_every_built_in_network_is_counted(counting):
    for name in nets.names():
        call = counting.call_of(name, 64)
        if call is None:  # a part of "hybrid"
            assert name not in ("unet-gray", "srresnet-x4", "vsrgan-x4")
            continue
        found = counting.count(call)
        assert found.multiply_adds > 0
        assert found.parameters == counting.parameters(name)
