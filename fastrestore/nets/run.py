"""Networks on images of any size: exact tiles, smaller ones if memory runs out, half precision."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrestore._arrays import validate
from fastrestore.errors import BackendUnavailableError
from fastrestore.nets.network import Network

LARGEST = 2048 * 1024  # pixels of the largest image that is processed without tiles by default
USUAL, LEAST = 1024, 128  # side of the default tile, and of the smallest if memory runs out

Slices = tuple[slice, slice]  # rows and columns
OnTile = Callable[[Slices, Slices], Tensor]


class Execution(NamedTuple):
    """How to run a network."""

    tile: int | None  # side of a tile, None for the whole image
    half: bool  # float16
    report: Callable[[float], None]  # progress, in shares of the whole


def run_network(net: Network, image: Tensor, sigma: Tensor | None, execution: Execution) -> Tensor:
    """Restore (1, C, H, W); sigma (1, maps, H or 1, W or 1)."""
    level = None if sigma is None else sigma.expand(1, -1, *image.shape[-2:])

    def on_tile(read: Slices, _: Slices) -> Tensor:
        part = None if level is None else level[(..., *read)]
        return _once(net, image[(..., *read)], part, execution.half)

    return in_tiles(net, image, on_tile, execution)


def in_tiles(net: Network, image: Tensor, on_tile: OnTile, execution: Execution) -> Tensor:
    """Assemble (1, C, s H, s W) from the results of `on_tile` on tiles of (1, C, H, W).

    Its arguments are the tile with its halo, in pixels of the image and of the result. The halo is
    as wide as the receptive field, if that is known, so that results equal those of the whole image
    up to rounding. If memory runs out, the tiles are halved; the error for the smallest ones, and
    for networks that should see the whole image, is a `MemoryError`.
    """
    tile = execution.tile
    while True:
        try:
            return _tiled(net, image, on_tile, execution._replace(tile=tile))
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            size = max(image.shape[-2:]) if tile is None else tile
            reason = str(error).split("\n", 1)[0]
        if tile is None and net.tiling == "whole":
            raise MemoryError(
                f"memory ran out ({reason}), and this network gives other results in tiles; write "
                "tile=, such as 512, to accept that"
            )
        if size <= LEAST:
            raise MemoryError(
                f"memory ran out even in tiles of {LEAST} pixels ({reason}); free some, or use "
                "another device"
            )
        tile = max(LEAST, min(USUAL, 1 << (size - 1).bit_length() - 1))


def out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out; on the CPU PyTorch raises a plain RuntimeError."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(text in str(error) for text in ("can't allocate memory", "create a primitive"))


def _tiled(net: Network, image: Tensor, on_tile: OnTile, execution: Execution) -> Tensor:
    """Restore tile by tile."""
    height, width = image.shape[-2:]
    tiles = list(_tiles((height, width), execution.tile, net))
    out: Tensor | None = None
    for tile in tiles:
        result = on_tile(tile.read, _times(tile.read, net.scale))
        if out is None:
            out = image.new_empty(1, result.shape[1], net.scale * height, net.scale * width)
        own, write = (_times(slices, net.scale) for slices in (tile.own, tile.write))
        out[(..., *write)] = result[(..., *own)]
        execution.report(1 / len(tiles))
    assert out is not None
    return out


def _times(slices: Slices, scale: int) -> Slices:
    """Return the same part of an image that is `scale` times larger."""
    down, across = (slice(scale * each.start, scale * each.stop) for each in slices)
    return down, across


class _Tile(NamedTuple):
    """Rows and columns of a tile."""

    read: Slices  # with the halo, in the image
    own: Slices  # without the halo, in the tile
    write: Slices  # without the halo, in the image


def _tiles(size: tuple[int, int], tile: int | None, net: Network) -> Iterator[_Tile]:
    """Divide an image into tiles that begin on the grid of the network."""
    side = max(size) if tile is None else -(-tile // net.grid) * net.grid
    halo = -(-net.radius // net.grid) * net.grid

    def intervals(length: int) -> Iterator[tuple[slice, slice, slice]]:
        for begin in range(0, length, side):
            end = min(begin + side, length)
            first, last = max(0, begin - halo), min(length, end + halo)
            yield slice(first, last), slice(begin - first, end - first), slice(begin, end)

    for down in intervals(size[0]):
        for across in intervals(size[1]):
            yield _Tile(*zip(down, across, strict=True))


def _once(net: Network, image: Tensor, sigma: Tensor | None, half: bool) -> Tensor:
    """Run a network on one tile."""

    def forward(net: Network, dtype: torch.dtype) -> Tensor:
        ordered = image.contiguous(memory_format=torch.channels_last).to(dtype)
        result: Tensor = net(ordered, None if sigma is None else sigma.to(dtype))
        return result

    return in_precision(net, half, forward)


def in_precision(
    net: Network, half: bool, forward: Callable[[Network, torch.dtype], Tensor]
) -> Tensor:
    """Run a network in half precision if allowed, and in float32 if that overflows."""
    with torch.inference_mode():
        if half:
            copied = cached_copy(net, "half", lambda: copy.deepcopy(net).half())
            result = forward(copied, torch.float16).float()
            if torch.isfinite(result).all():
                return result
        return forward(net, torch.float32)


_COPIES: weakref.WeakKeyDictionary[Network, dict[Any, Any]] = weakref.WeakKeyDictionary()


def cached_copy(net: Network, key: Any, make: Callable[[], Network]) -> Network:
    """Return the cached copy of a network, made again if the weights have changed."""
    version = [value._version for value in net.parameters()]
    copies = _COPIES.setdefault(net, {})
    if key not in copies or copies[key][0] != version:
        copies[key] = version, make()
    made: Network = copies[key][1]
    return made


def check_device(device: Any) -> torch.device:
    """Return a device; raise if it is not available."""
    try:
        wanted = torch.device(device)
        known = wanted.type in ("cpu", "cuda")
    except (RuntimeError, TypeError):
        known = False
    if not known:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:1', got {validate.quoted(device)}")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise BackendUnavailableError(
            f"device={str(device)!r} cannot run here: PyTorch {torch.__version__} finds "
            f"{torch.cuda.device_count()} GPUs; nvidia-smi shows what the driver sees"
        )
    return wanted
