"""FRNet: each frame is enlarged with what was made of the one before, moved to where it is now."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, check_sizes, convolution

REACH = 24  # pixels that something moves by from frame to frame at most, before enlarging
GRID = 8  # flow is made for sizes that are multiples
UPSAMPLES = ("bilinear", "bicubic")
LEAST = 16  # pixels along a side; smaller frames are padded


class VSRGAN(Network):
    """The recurrent generator of FRVSR [1]_ and TecoGAN [2]_, for films.

    No one paper bears the name. "VSR GAN" is of Lucas et al. [3]_, whose generator is another;
    later implementations of TecoGAN call it VSRGAN, which is what is meant here.

    Parameters
    ----------
    channels : int, default 3
        Colours of a frame.
    scale : {1, 2, 4}, default 4
        How many times larger the result is along each side; 1 restores at the same size.
    blocks : int, default 10
        Residual blocks.
    width : int, default 64
        Features between them.
    flow_width : int, default 32
        Features of the first convolutions of the flow network; those of later ones are up to 8
        times as many.
    upsample : {"bilinear", "bicubic"}
        What is added to the result: "bilinear" for frames whose pixels are means over those of the
        large ones, "bicubic" for frames that are every `scale`-th pixel of a blurred one.

    References
    ----------
    .. [1] M. S. M. Sajjadi, R. Vemulapalli, M. Brown, "Frame-recurrent video super-resolution",
       CVPR 2018.
    .. [2] M. Chu et al., "Learning temporal coherence via self-supervision for GAN-based video
       generation", ACM Transactions on Graphics 39(4), 2020.
    .. [3] A. Lucas, S. López-Tapia, R. Molina, A. K. Katsaggelos, "Generative adversarial networks
       and perceptual losses for video super-resolution", IEEE TIP 28(7), 2019.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import VSRGAN
    >>> net = VSRGAN(blocks=1, width=8)
    >>> before = now = torch.zeros(1, 3, 16, 24)
    >>> first = net.first(now)
    >>> net.next(now, before, first).shape
    torch.Size([1, 3, 64, 96])
    """

    def __init__(
        self,
        channels: int = 3,
        scale: int = 4,
        blocks: int = 10,
        width: int = 64,
        flow_width: int = 32,
        upsample: str = "bilinear",
    ) -> None:
        super().__init__()
        check_sizes(channels, scale=scale, blocks=blocks, width=width, flow_width=flow_width)
        if scale not in (1, 2, 4):
            raise ValueError(f"scale must be 1, 2 or 4, got {scale!r}")
        if upsample not in UPSAMPLES:
            raise ValueError(f"upsample must be 'bilinear' or 'bicubic', got {upsample!r}")
        self.channels, self.scale, self.grid = channels, scale, GRID
        self.upsample = upsample
        self.fnet = FlowNet(channels, flow_width)
        self.srnet = Reconstruction(channels, scale, blocks, width)
        if upsample == "bicubic":  # in both places, as files of others have it
            self.upsample_func, self.srnet.upsample_func = Cubic(scale), Cubic(scale)
        # Of the residual blocks and of the flow, which sees 8 times as far at its coarsest
        self.radius = 2 * blocks + 5 + FLOW_RADIUS

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W) as the first frames of films."""
        return self.first(image)

    def first(self, frame: Tensor) -> Tensor:
        """Enlarge the first frame (B, C, H, W) of a film."""
        size = (self.scale * n for n in frame.shape[-2:])
        return self._made(frame, frame.new_zeros(*frame.shape[:2], *size))

    def next(self, frame: Tensor, before: Tensor, made: Tensor) -> Tensor:
        """Enlarge a frame, knowing the one before and what was made of it."""
        return self._made(frame, self.moved(made, self.flow(frame, before)))

    def film(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge films (B, T, C, H, W) of the same length; return the flow between frames, too."""
        batch, count = frames.shape[:2]
        pairs = frames[:, 1:].flatten(0, 1), frames[:, :-1].flatten(0, 1)
        flow = self.flow(*pairs)
        flows = flow.view(batch, count - 1, *flow.shape[1:])
        made = [self.first(frames[:, 0])]
        for k in range(1, count):
            made.append(self._made(frames[:, k], self.moved(made[-1], flows[:, k - 1])))
        return torch.stack(made, 1), flows

    def flow(self, frame: Tensor, before: Tensor) -> Tensor:
        """Where each pixel was in the frame before (B, 2, H, W): right and down, in pixels."""
        height, width = frame.shape[-2:]
        beyond = (0, max(0, LEAST - width), 0, max(0, LEAST - height))
        pair = torch.cat([frame, before], 1)
        if any(beyond):
            pair = nn.functional.pad(pair, beyond, mode="replicate")
        flow = self.fnet(pair)
        missing = [pair.shape[k] - flow.shape[k] for k in (-1, -2)]
        if any(missing):
            flow = nn.functional.pad(flow, (0, missing[0], 0, missing[1]), mode="reflect")
        found: Tensor = flow[..., :height, :width]
        return found

    def moved(self, made: Tensor, flow: Tensor) -> Tensor:
        """Bring what was made of the frame before to where it is now."""
        return warped(made, self.scale * enlarged(flow, self.scale, self.upsample))

    def _made(self, frame: Tensor, moved: Tensor) -> Tensor:
        shown = torch.cat([frame, space_to_depth(moved, self.scale)], 1)
        result: Tensor = self.srnet(shown) + enlarged(frame, self.scale, self.upsample)
        return result


class FlowNet(nn.Module):
    """Where pixels of a frame were in the one before, from coarse to fine."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        before = 2 * channels
        for k, times in enumerate((1, 2, 4), 1):
            setattr(self, f"encoder{k}", _pair(before, times * width))
            before = times * width
        for k, times in enumerate((8, 4, 2), 1):
            setattr(self, f"decoder{k}", _pair(before, times * width))
            before = times * width
        self.flow = nn.Sequential(
            convolution(before, width), nn.LeakyReLU(0.2, inplace=True), convolution(width, 2)
        )

    def forward(self, pair: Tensor) -> Tensor:
        """Return flow of the largest size that is a multiple of 8."""
        seen = pair
        for k in (1, 2, 3):
            seen = nn.functional.max_pool2d(getattr(self, f"encoder{k}")(seen), 2)
        for k in (1, 2, 3):
            seen = nn.functional.interpolate(
                getattr(self, f"decoder{k}")(seen), scale_factor=2, mode="bilinear",
                align_corners=False,
            )  # fmt: skip
        flow: Tensor = REACH * torch.tanh(self.flow(seen))
        return flow


# Pixels: two convolutions at each of 1, 2, 4, 8, 4, 2, 1 and what linear interpolation mixes
FLOW_RADIUS = 2 * (1 + 2 + 4 + 8 + 4 + 2 + 1) + 1 + 2 + 4 + 8 + 4 + 2 + 1


def _pair(before: int, wide: int) -> nn.Sequential:
    rectify = nn.LeakyReLU(0.2, inplace=True)
    return nn.Sequential(convolution(before, wide), rectify, convolution(wide, wide), rectify)


class Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            convolution(width, width), nn.ReLU(inplace=True), convolution(width, width)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add what the convolutions see."""
        result: Tensor = features + self.conv(features)
        return result


class Reconstruction(nn.Module):
    """What is missing in an interpolated frame, from it and the moved result of the one before."""

    def __init__(self, channels: int, scale: int, blocks: int, width: int) -> None:
        super().__init__()
        inside = (scale**2 + 1) * channels
        self.conv_in = nn.Sequential(convolution(inside, width), nn.ReLU(inplace=True))
        self.resblocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        steps: list[nn.Module] = []
        for _ in range({1: 0, 2: 1, 4: 2}[scale]):
            steps += [
                nn.ConvTranspose2d(width, width, 3, 2, 1, output_padding=1), nn.ReLU(inplace=True)
            ]  # fmt: skip
        self.conv_up = nn.Sequential(*steps)
        self.conv_out = convolution(width, channels)

    def forward(self, shown: Tensor) -> Tensor:
        """Return details (B, C, s H, s W)."""
        detail: Tensor = self.conv_out(self.conv_up(self.resblocks(self.conv_in(shown))))
        return detail


class Cubic(nn.Module):
    """A mark in a file of weights that frames are enlarged by cubic polynomials."""

    kernels: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.register_buffer("kernels", _cubic_weights(scale).float())

    def _load_from_state_dict(self, *_: object) -> None:
        """Take no notice of what a file has, or has not: the weights are always the same."""


def warped(image: Tensor, flow: Tensor) -> Tensor:
    """Read an image (B, C, H, W) at places that flow (B, 2, H, W) points to, linearly."""
    height, width = image.shape[-2:]
    # float32, as half precision knows no fractions of large numbers
    down = torch.arange(height, device=image.device, dtype=torch.float32)
    across = torch.arange(width, device=image.device, dtype=torch.float32)
    x = (across + flow[:, 0].float()) * (2 / max(1, width - 1)) - 1
    y = (down[:, None] + flow[:, 1].float()) * (2 / max(1, height - 1)) - 1
    read = nn.functional.grid_sample(
        image.float(), torch.stack([x, y], -1), mode="bilinear", padding_mode="border",
        align_corners=True,
    )  # fmt: skip
    return read.to(image.dtype)


def space_to_depth(image: Tensor, scale: int) -> Tensor:
    """Pixels of each cell as channels, those of a colour not side by side: (dy, dx, c)."""
    batch, channels, height, width = image.shape
    cells = image.view(batch, channels, height // scale, scale, width // scale, scale)
    return cells.permute(0, 3, 5, 1, 2, 4).reshape(
        batch, scale**2 * channels, height // scale, width // scale
    )


def enlarged(image: Tensor, scale: int, how: str) -> Tensor:
    """Interpolate."""
    if scale == 1:
        return image
    if how == "bilinear":
        return nn.functional.interpolate(
            image, scale_factor=scale, mode="bilinear", align_corners=False
        )
    return _cubic(image, scale)


def _cubic(image: Tensor, scale: int) -> Tensor:
    """Interpolate by cubic polynomials at k / scale to the right of, and below, each pixel."""
    weights = _cubic_weights(scale).to(image)
    batch, channels, height, width = image.shape
    flat = nn.functional.pad(image, (1, 2, 1, 2), mode="replicate").flatten(0, 1)[:, None]
    kernels = torch.einsum("pi,qj->pqij", weights, weights).reshape(scale**2, 1, 4, 4)
    cells = nn.functional.conv2d(flat, kernels)
    return nn.functional.pixel_shuffle(cells, scale).view(
        batch, channels, scale * height, scale * width
    )


def _cubic_weights(scale: int) -> Tensor:
    """Weights (scale, 4) of the pixels around a place k / scale to the right of the second."""
    a = -0.75
    offsets = torch.arange(scale, dtype=torch.float64)[:, None] / scale
    apart = (torch.arange(-1.0, 3.0, dtype=torch.float64) - offsets).abs()
    near = (a + 2) * apart**3 - (a + 3) * apart**2 + 1
    far = a * (apart**3 - 5 * apart**2 + 8 * apart - 4)
    return torch.where(apart <= 1, near, far)
