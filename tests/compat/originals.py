"""Plugin of pytest: `fastrestore.compat` under the names bm3d and bm4d."""

import fastrestore.compat

fastrestore.compat.install()


def declare_operators():
    """Declare the operators that torchvision needs at import, beside a PyTorch for CPUs alone.

    The library of torchvision from PyPI, which has them, needs CUDA. No test here calls them.
    """
    import torch

    if torch.version.cuda is None:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


kept = declare_operators()
