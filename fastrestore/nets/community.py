"""Networks of the community, in files that the package spandrel recognizes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastrestore._arrays.install import extra
from fastrestore.nets.layouts import Tensors, check_finite, plain
from fastrestore.nets.network import Network, noise_map
from fastrestore.nets.run import out_of_memory

# Pixels that tiles overlap: the receptive field is unknown. Windows of attention are 7 to 32 pixels
OVERLAP = 64
# Tiles begin at multiples of this, where windows of 8, 16, 32 and 64 pixels begin, too
GRID = 64
# A number in the name of a layer is at most SPARE plus FACTOR times the number of tensors. Numbers
# are read as counts of layers, and a damaged one would make more of them than the memory holds
FACTOR, SPARE = 4, 64
# A network allocates at most MOST_EXTRA bytes more than MOST_TIMES those of its weights in the file
MOST_TIMES, MOST_EXTRA = 4, 2**30
ALLOCATING = (
    torch.empty,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.rand,
    torch.randn,
    torch.arange,
)


class Community(Network):
    """A network of another package.

    The receptive field is unknown: tiles overlap by `OVERLAP` pixels, and results in tiles differ
    slightly from those of the whole image.

    Parameters
    ----------
    descriptor : spandrel.ModelDescriptor
        The network and what spandrel records about it.
    """

    radius = OVERLAP

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.model: nn.Module = descriptor.model
        self._name = str(descriptor.architecture.name)
        self.channels, self.scale = descriptor.input_channels, descriptor.scale
        self.takes_mask = descriptor.purpose == "Inpainting"
        self.takes_sigma = getattr(descriptor.model, "mode", None) == "FDnCNN"
        self.supports_half = descriptor.supports_half
        alone = descriptor.tiling.name == "SUPPORTED" and not self.takes_mask
        self.tiling = "overlap" if alone else "whole"
        self._sizes = descriptor.size_requirements
        self.grid = math.lcm(GRID, self._sizes.multiple_of)
        # Calling the descriptor would clip the result, and hide overflows of float16
        self._run = descriptor._call_fn

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return self._name

    def forward(self, image: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """Restore images (B, C, H, W); a network that takes a mask has it as the last channel."""
        height, width = image.shape[-2:]
        seen = torch.cat([image, noise_map(image, sigma)], 1) if self.takes_sigma else image
        seen = self._grown(seen)
        try:
            result = self._called(seen)  # code of other packages
        except Exception as error:
            if out_of_memory(error):
                raise
            raise ValueError(
                f"{self.name} cannot process an image of {height} x {width} pixels: {_first(error)}"
            ) from None
        rows, columns = (self.scale * n for n in seen.shape[-2:])
        if not isinstance(result, Tensor) or result.shape[-3:] != (self.channels, rows, columns):
            shape = tuple(getattr(result, "shape", ()))
            raise ValueError(
                f"{self.name} returned shape {shape} for an image of shape {tuple(seen.shape)}"
            )
        return result[..., : self.scale * height, : self.scale * width]

    def _called(self, seen: Tensor) -> Any:
        """Call the network on an image of a size that it supports."""
        if self.takes_mask:
            return self._run(self.model, seen[:, :-1], seen[:, -1:])
        # spandrel would call the model with a noise level of its own
        return self.model(seen) if self.takes_sigma else self._run(self.model, seen)

    def _grown(self, image: Tensor) -> Tensor:
        """Pad an image (B, C, H, W) to a size that the network supports: mirror it, then repeat."""
        height, width = image.shape[-2:]
        right, below = self._sizes.get_padding(width, height)
        mirrored = min(right, width - 1), min(below, height - 1)
        pad = nn.functional.pad
        image = pad(image, (0, mirrored[0], 0, mirrored[1]), mode="reflect")
        return pad(image, (0, right - mirrored[0], 0, below - mirrored[1]), mode="replicate")


def community_network(loaded: dict[Any, Any], source: str, reason: str) -> Community:
    """Return the network of a loaded file that spandrel recognizes.

    Otherwise raise `ValueError`; `reason` is why the file is none of our networks.
    """
    try:
        spandrel = load_spandrel()
    except ImportError as error:
        raise ValueError(f"{reason}; more layouts are read with spandrel: {error}") from None
    try:
        with _quiet():
            tensors = plain(spandrel.canonicalize_state_dict(loaded), source)
            _check_numbers(tensors, source)
            check_finite(tensors, source)
            with _Bounded(tensors):
                descriptor = spandrel.MAIN_REGISTRY.load(tensors)
    except spandrel.UnsupportedModelError:
        version = importlib.metadata.version("spandrel")
        raise ValueError(f"{reason}; spandrel {version} does not recognize it, either") from None
    except Exception as error:  # whatever the code of the architectures raises on a damaged file
        if str(error).startswith(source):
            raise ValueError(str(error)) from None
        raise ValueError(f"{reason}; spandrel cannot load it, either: {_first(error)}") from None
    _check_kind(descriptor, source)
    return Community(descriptor).eval().requires_grad_(False)


class _Bounded(TorchFunctionMode):
    """A context that raises if much more memory is allocated than weights need.

    Sizes of layers are products of shapes in the file, so that a damaged file of a few kilobytes
    can describe a network that exceeds the memory. Tensors occupy memory only when they are filled,
    which is after this check.
    """

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        sizes = sum(value.numel() * value.element_size() for value in tensors.values())
        self._left = MOST_TIMES * sizes + MOST_EXTRA

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch."""
        result = function(*args, **(kwargs or {}))
        if function in ALLOCATING and isinstance(result, Tensor):
            self._left -= result.numel() * result.element_size()
            if self._left < 0:
                raise MemoryError("the shapes of its weights describe a much larger network")
        return result


def load_spandrel() -> Any:
    """Import spandrel; raise `ImportError` with installation advice if that is not possible."""
    try:
        with _quiet():
            return importlib.import_module("spandrel")
    except ModuleNotFoundError as error:
        if error.name == "spandrel":
            raise ImportError(f"it is not installed: {extra('community')}") from None
        reason: Exception = error
    except Exception as error:  # torchvision raises RuntimeError beside another build of PyTorch
        reason = error
    raise ImportError(
        f"it cannot be imported ({_first(reason)}); it needs builds of torch and torchvision that "
        f"fit together, and this is torch {torch.__version__}: "
        "https://pytorch.org/get-started/locally lists them"
    )


def _check_kind(descriptor: Any, source: str) -> None:
    """Raise if a network is not for images that are gray or RGB."""
    name = descriptor.architecture.name
    if descriptor.purpose == "FaceSR":
        raise ValueError(
            f"{source} is a {name}, for aligned faces only, which fastrestore does not locate"
        )
    channels = descriptor.input_channels, descriptor.output_channels
    if channels not in ((1, 1), (3, 3)):
        raise ValueError(
            f"{source} is a {name} with {channels[0]} channels in and {channels[1]} out; "
            "fastrestore supports 1 and 3, the same number in and out"
        )


def _check_numbers(tensors: Tensors, source: str) -> None:
    """Raise if the name of a tensor has a number that cannot be that of a layer."""
    most = SPARE + FACTOR * len(tensors)
    for name in tensors:
        for number in filter(str.isdecimal, name.split(".")):
            if len(number) > 9 or int(number) > most:
                raise ValueError(f"{source} is damaged: {name!r:.60} among {len(tensors)} tensors")


def _first(error: Exception) -> str:
    """Return the first line of a message."""
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0][:200]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the warnings of other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
