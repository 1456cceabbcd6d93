"""BM3D with gradients: the functions that PyTorch differentiates."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import fastrestore
from fastrestore._collaborative.tape import Tape, recording

TWICE = "BM3D has first derivatives only: leave out create_graph=True, and do not nest gradients"
FORWARD = "BM3D has no derivatives in forward mode: use backward, torch.func.vjp or jacrev"


@dataclass(frozen=True, slots=True, eq=False)
class Record:  # not a tuple, which PyTorch would take apart
    """Options of a call of the module, and the tapes of its images, each a list by plane."""

    options: dict[str, Any]
    tapes: list[list[Tape]] | None  # None: without gradients

    def restored(self, image: Tensor, level: NDArray[Any] | None) -> Tensor:
        """Restore (C, H, W); the level is (1 or C, 1, 1) or (1 or C, H, W)."""
        tapes: list[Tape] = []
        if len(image) == 3 or (len(image) > 1 and "colorspace" in self.options):
            result = self._called(tapes, image, _argument(level), channel_axis=0)
        else:
            result = torch.stack(
                [
                    self._called(tapes, plane, _argument(_of_plane(level, k)))
                    for k, plane in enumerate(image)
                ]
            )
        if self.tapes is not None:
            self.tapes.append(tapes)
        return result

    def _called(
        self, tapes: list[Tape], image: Tensor, level: Any, channel_axis: int | None = None
    ) -> Tensor:
        """Call `bm3d`, and record it if there is a list of tapes."""
        with recording() if self.tapes is not None else nullcontext() as tape:
            result: Tensor = fastrestore.bm3d(
                image, level, channel_axis=channel_axis, **self.options
            )
        if tape is not None:
            tapes.append(tape)
        return result

    def backward(
        self, index: int, gradient: NDArray[Any], level: tuple[int, ...]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return gradients with respect to an image (C, H, W) and its level of a shape."""
        assert self.tapes is not None
        tapes = self.tapes[index]
        planes = [gradient] if len(tapes) == 1 else [each[None] for each in gradient]
        by_pixel = level[1:] != (1, 1)
        pairs = zip(tapes, planes, strict=True)
        parts = [tape.backward(each, by_pixel) for tape, each in pairs]
        images = np.concatenate([each.image for each in parts])
        levels = np.concatenate([each.level for each in parts])
        levels = levels.reshape(len(levels), *(gradient.shape[1:] if by_pixel else (1, 1)))
        return images, levels.sum(0, keepdims=True) if level[0] == 1 else levels


def _of_plane(level: NDArray[Any] | None, index: int) -> NDArray[Any] | None:
    """Return the level of one plane of an image."""
    if level is None:
        return None
    k = min(index, len(level) - 1)
    return level[k : k + 1]


def _argument(level: NDArray[Any] | None) -> Any:
    """Return a level as `bm3d` takes it: a number, one for each channel, or a map."""
    if level is None:
        return None
    if level.shape[1:] == (1, 1):
        return float(level[0, 0, 0]) if len(level) == 1 else level[:, 0, 0]
    return level[0] if len(level) == 1 else level


class Restoration(torch.autograd.Function):
    """Restored images (B, C, H, W), a function of images and sigma (B, 1 or C, 1 or H, 1 or W)."""

    @staticmethod
    def forward(image: Tensor, sigma: Tensor | None, record: Record) -> Tensor:
        """Restore the images one by one."""
        levels = [None] * len(image) if sigma is None else _host(sigma)
        pairs = zip(image.detach(), levels, strict=True)
        return torch.stack([record.restored(each, level) for each, level in pairs])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the inputs, so that second derivatives are refused and not taken for zero."""
        image, sigma, ctx.record = inputs
        ctx.is_known = sigma is not None
        ctx.save_for_backward(image, sigma)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Return the gradients with respect to images and sigma."""
        image, sigma = ctx.saved_tensors
        if not ctx.is_known:
            sigma = image.new_zeros(len(image), 1, 1, 1)
        found = Gradient.apply(gradient, image, sigma, ctx.record)  # type: ignore[no-untyped-call]
        wanted = ctx.needs_input_grad
        return found[0] if wanted[0] else None, found[1] if wanted[1] else None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse derivatives in forward mode."""
        raise NotImplementedError(FORWARD)

    @staticmethod
    def vmap(info: Any, dims: Any, image: Tensor, sigma: Tensor | None, record: Record) -> Any:
        """Restore several batches as one."""
        count = info.batch_size
        images = _joined(image, dims[0], count)
        levels = None if sigma is None else _joined(sigma, dims[1], count)
        result = Restoration.apply(images, levels, record)  # type: ignore[no-untyped-call]
        return result.unflatten(0, (count, -1)), 0


class Gradient(torch.autograd.Function):
    """Gradients of `Restoration`, a function that has no derivatives itself."""

    @staticmethod
    def forward(
        gradient: Tensor, image: Tensor, sigma: Tensor, record: Record
    ) -> tuple[Tensor, Tensor]:
        """Propagate a gradient backward through the tapes of the images."""
        given, shape = _host(gradient), tuple(sigma.shape[1:])
        parts = [record.backward(k, each, shape) for k, each in enumerate(given)]
        images, levels = (np.stack(each) for each in zip(*parts, strict=True))
        dtype = image.dtype if image.is_floating_point() else gradient.dtype
        found = torch.from_numpy(images).to(image.device, dtype)
        return found, torch.from_numpy(levels).to(sigma.device, sigma.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep nothing: there is no backward pass."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Refuse second derivatives."""
        raise NotImplementedError(TWICE)

    @staticmethod
    def vmap(
        info: Any, dims: Any, gradient: Tensor, image: Tensor, sigma: Tensor, record: Record
    ) -> Any:
        """Propagate gradients of several batches, or several gradients of one batch."""
        count = info.batch_size
        if dims[1] is None and dims[2] is None:
            each = gradient.unbind(dims[0])
            parts = [Gradient.apply(one, image, sigma, record) for one in each]  # type: ignore[no-untyped-call]
            return tuple(map(torch.stack, zip(*parts, strict=True))), (0, 0)
        tensors = zip((gradient, image, sigma), dims, strict=False)
        joined = [_joined(tensor, dim, count) for tensor, dim in tensors]
        found = Gradient.apply(*joined, record)  # type: ignore[no-untyped-call]
        return tuple(one.unflatten(0, (count, -1)) for one in found), (0, 0)


def _joined(tensor: Tensor, dim: int | None, count: int) -> Tensor:
    """Join `count` batches along an axis to one; None: the same batch that often."""
    moved = tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return moved.flatten(0, 1)


def _host(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as a float64 array."""
    array: NDArray[Any] = tensor.detach().to("cpu", torch.float64).numpy()
    return array
