"""PyTorch or a skip, and small networks with random weights."""

import os

import pytest

from fastrestore import nets


def torch_or_skip():
    """Return PyTorch or skip; fail instead if FASTRESTORE_TEST_REQUIRE names "torch".

    Only PyTorch may be missing: the other packages of networks belong to the extra "test".
    """
    if "torch" in os.environ.get("FASTRESTORE_TEST_REQUIRE", ""):
        import torch

        return torch
    return pytest.importorskip("torch", reason="networks need the extra 'nets'")


SMALL = {
    "dncnn": lambda channels: nets.DnCNN(channels, layers=5, width=8),
    "ffdnet": lambda channels: nets.FFDNet(channels, layers=4, width=8),
    "unet": lambda channels: nets.UNet(channels, widths=(8, 8, 16), blocks=1),
    "no sigma": lambda channels: nets.UNet(channels, widths=(8, 8), blocks=2, takes_sigma=False),
}


def shaken(net, seed=0):
    """Replace all weights by random values."""
    import torch

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value += 0.05 * torch.randn(value.shape, generator=random)
    return net.eval()
