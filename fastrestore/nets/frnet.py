"""VSRGAN: frame-recurrent networks, whose second input is the warped previous result."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fastrestore.nets.network import Network, Residual, check_sizes, convolution, interpolated

REACH = 24  # largest component of the optical flow, in pixels of the input
GRID = 8  # the flow network downsamples by this factor
UPSAMPLES = ("bilinear", "bicubic")
LEAST = 16  # smallest side of the input of the flow network; smaller frames are padded


class VSRGAN(Network):
    """The recurrent generator of FRVSR [1]_ and TecoGAN [2]_, for videos.

    The name is that of later implementations of TecoGAN. The generator of "VSRGAN" by Lucas et al.
    [3]_ is a different network.

    Parameters
    ----------
    channels : int, default 3
        Number of colors of a frame, 1 or 3.
    scale : {1, 2, 4}, default 4
        Factor by which rows and columns are multiplied; 1 restores at the same size.
    blocks : int, default 10
        Number of residual blocks.
    width : int, default 64
        Number of features between them.
    flow_width : int, default 32
        Number of features of the first convolutions of the flow network; later ones have up to 8
        times as many.
    upsample : {"bilinear", "bicubic"}
        Interpolation of the frame to which the network adds details: "bilinear" for frames that
        are block averages, "bicubic" for frames that are every `scale`-th pixel of a blurred one.

    Raises
    ------
    TypeError, ValueError
        If a size is not a whole number from 1 to 10,000, `channels` is neither 1 nor 3, or
        `upsample` is unknown.

    See Also
    --------
    load : Load trained weights.
    fastrestore.super_resolve_video : Increase the resolution of a video with it.

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
        if upsample not in UPSAMPLES:
            raise ValueError(f"upsample must be 'bilinear' or 'bicubic', got {upsample!r}")
        self.channels, self.scale, self.grid = channels, scale, GRID
        self.upsample = upsample
        self.fnet = FlowNet(channels, flow_width)
        self.srnet = Reconstruction(channels, scale, blocks, width)
        if upsample == "bicubic":  # in both places, as in files of other packages
            self.upsample_func, self.srnet.upsample_func = Cubic(scale), Cubic(scale)
        # Of the residual blocks and of the flow network
        self.radius = 2 * blocks + 5 + FLOW_RADIUS

    def forward(self, image: Tensor, sigma: object = None) -> Tensor:
        """Enlarge images (B, C, H, W) as the first frames of videos."""
        return self.first(image)

    def first(self, frame: Tensor) -> Tensor:
        """Enlarge the first frame (B, C, H, W) of a video."""
        size = (self.scale * n for n in frame.shape[-2:])
        return self._enlarged(frame, frame.new_zeros(*frame.shape[:2], *size))

    def next(self, frame: Tensor, before: Tensor, result: Tensor) -> Tensor:
        """Enlarge a frame, given the frame before and the result for that."""
        return self._enlarged(frame, self.warp_result(result, self.flow(frame, before)))

    def video(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge videos (B, T, C, H, W); also return the flow between frames."""
        batch, count = frames.shape[:2]
        flow = self.flow(*neighbors(frames))
        flows = flow.view(batch, count - 1, *flow.shape[1:])
        results = [self.first(frames[:, 0])]
        for k in range(1, count):
            previous = self.warp_result(results[-1], flows[:, k - 1])
            results.append(self._enlarged(frames[:, k], previous))
        return torch.stack(results, 1), flows

    def flow(self, frame: Tensor, before: Tensor) -> Tensor:
        """Return the backward optical flow (B, 2, H, W): x and y, in pixels.

        The content at a pixel p was at p + flow in the frame before.
        """
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

    def warp_result(self, result: Tensor, flow: Tensor) -> Tensor:
        """Warp the result for the frame before to the current frame."""
        return warped(result, self.scale * enlarged(flow, self.scale, self.upsample))

    def _enlarged(self, frame: Tensor, previous: Tensor) -> Tensor:
        seen = torch.cat([frame, space_to_depth(previous, self.scale)], 1)
        result: Tensor = self.srnet(seen) + enlarged(frame, self.scale, self.upsample)
        return result


class FlowNet(nn.Module):
    """Estimator of the optical flow: an encoder and a decoder."""

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
        """Return the flow, with the sides rounded down to multiples of 8."""
        seen = pair
        for k in (1, 2, 3):
            seen = nn.functional.max_pool2d(getattr(self, f"encoder{k}")(seen), 2)
        for k in (1, 2, 3):
            seen = interpolated(getattr(self, f"decoder{k}")(seen), 2)
        flow: Tensor = REACH * torch.tanh(self.flow(seen))
        return flow


# Two convolutions at steps of 1, 2, 4, 8, 4, 2 and 1 pixels, and bilinear interpolation
FLOW_RADIUS = 2 * (1 + 2 + 4 + 8 + 4 + 2 + 1) + 1 + 2 + 4 + 8 + 4 + 2 + 1


def _pair(before: int, wide: int) -> nn.Sequential:
    rectify = nn.LeakyReLU(0.2, inplace=True)
    return nn.Sequential(convolution(before, wide), rectify, convolution(wide, wide), rectify)


def _block(width: int) -> Residual:
    """Return a residual block of two convolutions."""
    first, second = convolution(width, width), convolution(width, width)
    return Residual(OrderedDict(conv=nn.Sequential(first, nn.ReLU(inplace=True), second)))


class Reconstruction(nn.Module):
    """Details that are added to an interpolated frame."""

    def __init__(self, channels: int, scale: int, blocks: int, width: int) -> None:
        super().__init__()
        inside = (scale**2 + 1) * channels
        self.conv_in = nn.Sequential(convolution(inside, width), nn.ReLU(inplace=True))
        self.resblocks = nn.Sequential(*(_block(width) for _ in range(blocks)))
        steps: list[nn.Module] = []
        for _ in range({1: 0, 2: 1, 4: 2}[scale]):
            larger = nn.ConvTranspose2d(width, width, 3, 2, 1, output_padding=1)
            steps += [larger, nn.ReLU(inplace=True)]
        self.conv_up = nn.Sequential(*steps)
        self.conv_out = convolution(width, channels)

    def forward(self, seen: Tensor) -> Tensor:
        """Return details (B, C, s H, s W)."""
        detail: Tensor = self.conv_out(self.conv_up(self.resblocks(self.conv_in(seen))))
        return detail


class Cubic(nn.Module):
    """Buffer that marks bicubic upsampling in a file of weights."""

    kernels: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.register_buffer("kernels", _cubic_weights(scale).float())

    def _load_from_state_dict(self, *_: object) -> None:
        """Ignore the file: the weights are constant."""


def neighbors(videos: Tensor) -> tuple[Tensor, Tensor]:
    """Return all frames (B (T - 1), C, H, W) but the first ones, and the frames before them."""
    return videos[:, 1:].flatten(0, 1), videos[:, :-1].flatten(0, 1)


def warped(image: Tensor, flow: Tensor) -> Tensor:
    """Warp images (B, C, H, W) by a backward flow (B, 2, H, W), with linear interpolation."""
    height, width = image.shape[-2:]
    # float32: half precision has no fractional bits for large coordinates
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
    """Rearrange the pixels of each cell into channels, in the order (dy, dx, color)."""
    cells = nn.functional.pixel_unshuffle(image, scale)
    by_color = cells.view(*image.shape[:2], scale**2, *cells.shape[-2:])
    return by_color.transpose(1, 2).flatten(1, 2)


def enlarged(image: Tensor, scale: int, how: str) -> Tensor:
    """Interpolate, "bilinear" or "bicubic"."""
    return interpolated(image, scale) if how == "bilinear" or scale == 1 else _cubic(image, scale)


def _cubic(image: Tensor, scale: int) -> Tensor:
    """Interpolate by cubic convolution at multiples of 1 / scale from each pixel."""
    weights = _cubic_weights(scale).to(image)
    batch, channels, height, width = image.shape
    flat = nn.functional.pad(image, (1, 2, 1, 2), mode="replicate").flatten(0, 1)[:, None]
    kernels = torch.einsum("pi,qj->pqij", weights, weights).reshape(scale**2, 1, 4, 4)
    cells = nn.functional.conv2d(flat, kernels)
    return nn.functional.pixel_shuffle(cells, scale).view(
        batch, channels, scale * height, scale * width
    )


def _cubic_weights(scale: int) -> Tensor:
    """Return weights (scale, 4) of four pixels for the points at k / scale after the second."""
    a = -0.75
    offsets = torch.arange(scale, dtype=torch.float64)[:, None] / scale
    apart = (torch.arange(-1.0, 3.0, dtype=torch.float64) - offsets).abs()
    near = (a + 2) * apart**3 - (a + 3) * apart**2 + 1
    far = a * (apart**3 - 5 * apart**2 + 8 * apart - 4)
    return torch.where(apart <= 1, near, far)
