"""BM3D as a PyTorch module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastrestore._arrays import validate
from fastrestore.nets.layer import Record, Restoration


class BM3D(nn.Module):
    """BM3D as a PyTorch denoiser, ``denoiser(x, sigma)``, with gradients.

    This is the interface of plug-and-play methods in deepinv and other packages: images
    (B, C, H, W), and sigma in the units of the images. The result has the shape of the input.

    Parameters
    ----------
    **options
        Options of `bm3d` other than ``channel_axis``. Images of three channels are restored as
        color images; with any other number of channels, the channels are restored independently
        unless ``colorspace=`` is given.

    Raises
    ------
    ValueError
        In a call, if the images do not have four axes or sigma has a wrong shape.
    NotImplementedError
        In the backward pass, if sigma is None, with the options ``noise``, ``mask``,
        ``max_memory`` and ``colorspace="pca"``, with profiles that filter residuals or sharpen, for
        a map together with a spectrum for each color, and with the backend "cupy". Also for second
        derivatives.

    See Also
    --------
    LearnableBM3D : Parameters of BM3D that are learned.
    fastrestore.bm3d : Remove noise from an array.
    fastrestore.compat.Denoiser : The same for other packages.

    Notes
    -----
    Sigma is a number, one for each image, or an array that broadcasts to the images: a map of the
    noise level.

    The result has gradients with respect to the images and sigma. The matches are held fixed, and
    so is which coefficients pass the threshold of the first stage: the result is a smooth function
    except where one of them changes. Matches and estimates are kept for the backward pass,
    about 40 bytes per pixel with the profile "np", and the coefficients are computed again. Call
    the module in ``torch.no_grad()`` if you need no gradients.

    The backend "numpy" filters images in float64 without rounding them to float32, so that
    `torch.autograd.gradcheck` can be used. For images on a GPU, the backward pass runs there, too;
    only the gradients are copied to the CPU and back.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import BM3D
    >>> denoiser = BM3D(profile="fast")
    >>> noisy = torch.rand(2, 1, 32, 40)
    >>> denoiser(noisy, 0.1).shape
    torch.Size([2, 1, 32, 40])

    Derivative of the mean square of the result with respect to sigma:

    >>> sigma = torch.tensor(0.1, requires_grad=True)
    >>> denoiser(noisy, sigma).square().mean().backward()
    >>> bool(sigma.grad < 0)
    True
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        if "channel_axis" in options:
            raise TypeError("leave channel_axis out: images are B x C x H x W here")
        self.options = options

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W)."""
        if image.ndim != 4:
            raise ValueError(f"images must be B x C x H x W, got shape {tuple(image.shape)}")
        record = Record(self.options, [] if torch.is_grad_enabled() else None)
        restored: Tensor = Restoration.apply(image, _by_image(sigma, image), record)  # type: ignore[no-untyped-call]
        return restored


def _by_image(sigma: Tensor | float | None, image: Tensor) -> Tensor | None:
    """Return sigma as (B, 1 or C, 1, 1) or (B, 1 or C, H, W)."""
    if sigma is None:
        return None
    count, shape = len(image), tuple(image.shape)
    wanted = (
        f"a number of 0 or more, or one for each of {count} images, or an array that broadcasts to "
        f"{shape}"
    )
    level = sigma if isinstance(sigma, Tensor) else _tensor(sigma, wanted)
    if level.numel() in (1, count):
        return level.reshape(-1, 1, 1, 1).expand(count, 1, 1, 1)
    sizes = (1,) * (4 - level.ndim) + tuple(level.shape)
    pairs = zip(sizes, shape, strict=False)
    if len(sizes) > 4 or not all(own in (1, whole) for own, whole in pairs):
        raise ValueError(f"sigma must be {wanted}, got shape {tuple(level.shape)}")
    pixels = (1, 1) if sizes[2:] == (1, 1) else shape[2:]
    return level.reshape(sizes).expand(count, sizes[1], *pixels)


def _tensor(sigma: Any, wanted: str) -> Tensor:
    """Return numbers as a tensor."""
    return torch.from_numpy(validate.numbers("sigma", sigma, wanted))
