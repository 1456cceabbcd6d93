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


class Code:
    """An object whose pickle runs code."""

    def __reduce__(self):
        return open, ("code-was-run", "w")


SMALL = {
    "dncnn": lambda channels: nets.DnCNN(channels, layers=5, width=8),
    "ffdnet": lambda channels: nets.FFDNet(channels, layers=4, width=8),
    "unet": lambda channels: nets.UNet(channels, widths=(8, 8, 16), blocks=1),
    "no sigma": lambda channels: nets.UNet(channels, widths=(8, 8), blocks=2, takes_sigma=False),
}


def shaken(net, seed=0, size=0.05):
    """Add random values of this size to all weights."""
    import torch

    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value += size * torch.randn(value.shape, generator=random)
    return net.eval()


def spandrel_or_skip():
    """Return spandrel or skip; fail instead if FASTRESTORE_TEST_REQUIRE names "spandrel".

    It imports a few functions of torchvision, of which PyPI's builds fail beside the build of
    PyTorch for CPUs. No network in the tests calls them.
    """
    import sys
    import types

    torch_or_skip()
    name = "torchvision.transforms.functional"
    stub = types.ModuleType(name)
    stub.InterpolationMode = stub.rotate = stub.normalize = None
    parts = {"torchvision": types.ModuleType("torchvision"), name: stub}
    parts["torchvision.transforms"] = types.ModuleType("torchvision.transforms")
    with pytest.MonkeyPatch.context() as patch:
        for part, module in parts.items():
            patch.setitem(sys.modules, part, module)
        if "spandrel" in os.environ.get("FASTRESTORE_TEST_REQUIRE", ""):
            import spandrel

            return spandrel
        return pytest.importorskip("spandrel", reason="networks of others need 'community'")


WINDOWS = {"embed_dim": 8, "num_heads": [2, 2], "depths": [2, 2], "window_size": 8}
# Class, its sizes, and options of the instance; each is small
COMMUNITY = {
    "SwinIR": ("SwinIR", {**WINDOWS, "mlp_ratio": 2, "upscale": 2, "upsampler": "pixelshuffle"}),
    "SwinIR denoiser": ("SwinIR", {**WINDOWS, "mlp_ratio": 2}),
    "Swin2SR": ("Swin2SR", {**WINDOWS, "mlp_ratio": 2, "upsampler": "pixelshuffle"}),
    "HAT": ("HAT", {**WINDOWS, "mlp_ratio": 2, "upscale": 4, "squeeze_factor": 4}),
    "DAT": ("DAT", {"embed_dim": 64, "split_size": [8, 16], "depth": [2], "num_heads": [2]}),
    "SCUNet": ("SCUNet", {"config": [1] * 7, "dim": 64}),
    "NAFNet": ("NAFNet", {"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}),
    "FBCNN": ("FBCNN", {"nc": [8, 8, 8, 512], "nb": 2}),
    "SPAN": ("SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16, "upscale": 4}),
    "OmniSR": ("OmniSR", {"num_feat": 16, "block_num": 1, "up_scale": 2}),
    "PLKSR": ("PLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 3}),
    "SAFMN": ("SAFMN", {"dim": 8, "n_blocks": 1, "upscaling_factor": 2}),
    "Uformer": ("Uformer", {"embed_dim": 8, "depths": [1] * 9}),
    "LaMa": ("LaMa", {"in_nc": 4}),
    "FDnCNN": ("DnCNN", {"in_nc": 2, "nc": 8, "nb": 9, "act_mode": "R", "mode": "FDnCNN"}),
}


def community_network(name):
    """Return a small network of spandrel with random weights; none is 0, as some are at first."""
    import importlib
    import warnings

    import torch

    kind, sizes = COMMUNITY[name]
    folder = importlib.import_module(f"spandrel.architectures.{kind}")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions that PyTorch is about to change
        return shaken(getattr(folder, kind)(**sizes), size=0.02)
