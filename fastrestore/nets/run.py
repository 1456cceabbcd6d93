"""Networks on images of any size: exact tiles, half precision, and less of it where it fails."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrestore.errors import BackendUnavailableError
from fastrestore.nets.network import Network

LARGEST = 2048 * 1024  # pixels that are restored in one piece, unless asked otherwise
USUAL, LEAST = 1024, 128  # side of a tile; the smallest that is tried when memory runs out


Slices = tuple[slice, slice]
Once = Callable[[Slices, Slices], Tensor]


class Way(NamedTuple):
    """How to run a network."""

    tile: int | None  # side of a tile, None for the whole image
    half: bool  # float16
    tick: Callable[[float], None]


def applied(net: Network, image: Tensor, sigma: Tensor | None, way: Way) -> Tensor:
    """Restore (B, C, H, W); sigma (B or 1, 1, H or 1, W or 1).

    A tile is read with so much around it that its own pixels are those of the whole image, up to
    rounding. If memory runs out, tiles are halved.

    Raises
    ------
    MemoryError
        If the smallest tiles do not fit.
    """
    parts = []
    for each in range(len(image)):
        one = image[each : each + 1]
        level = None if sigma is None else sigma[each if len(sigma) > 1 else 0][None]
        level = None if level is None else level.expand(1, 1, *one.shape[-2:])

        def once(
            read: Slices, _: Slices, one: Tensor = one, level: Tensor | None = level
        ) -> Tensor:
            part = None if level is None else level[(..., *read)]
            return _once(net, one[(..., *read)], part, way.half)

        tick = way._replace(tick=lambda share: way.tick(share / len(image)))
        parts.append(in_tiles(net, one, once, tick))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def in_tiles(net: Network, image: Tensor, once: Once, way: Way) -> Tensor:
    """Put (1, C, s H, s W) together from what `once` makes of tiles of (1, C, H, W).

    It is told which pixels of the image to read, and which those are of the larger one.
    """
    tile = way.tile
    while True:
        try:
            return _tiled(net, image, once, way._replace(tile=tile))
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            size = max(image.shape[-2:]) if tile is None else tile
            reason = str(error).split("\n", 1)[0]
        if size <= LEAST:
            raise MemoryError(
                f"memory ran out even in tiles of {LEAST} pixels ({reason}); free some, or restore "
                "on another device"
            )
        tile = max(LEAST, min(USUAL, 1 << (size - 1).bit_length() - 1))


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory was what failed: PyTorch has no type of its own for it on the CPU."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        "can't allocate memory" in str(error)
    )


def _tiled(net: Network, image: Tensor, once: Once, way: Way) -> Tensor:
    """Restore tile by tile."""
    size = image.shape[-2:]
    pieces = list(_tiles((size[0], size[1]), way.tile, net))
    out: Tensor | None = None
    for piece in pieces:
        result = once(piece.read, _times(piece.read, net.scale))
        if out is None:
            out = image.new_empty(1, result.shape[1], *(net.scale * n for n in size))
        own, write = (_times(slices, net.scale) for slices in (piece.own, piece.write))
        out[(..., *write)] = result[(..., *own)]
        way.tick(1 / len(pieces))
    assert out is not None
    return out


def _times(slices: tuple[slice, slice], scale: int) -> Slices:
    """The same part of an image that is larger."""
    down, across = (slice(scale * each.start, scale * each.stop) for each in slices)
    return down, across


class _Tile(NamedTuple):
    """Rows and columns that are read, those of them that are its own, and where they go."""

    read: tuple[slice, slice]
    own: tuple[slice, slice]
    write: tuple[slice, slice]


def _tiles(size: tuple[int, int], tile: int | None, net: Network) -> Iterator[_Tile]:
    """Cut an image into tiles that begin on the network's grid."""
    side = max(size) if tile is None else -(-tile // net.grid) * net.grid
    halo = -(-net.radius // net.grid) * net.grid

    def cuts(length: int) -> Iterator[tuple[slice, slice, slice]]:
        for begin in range(0, length, side):
            end = min(begin + side, length)
            first, last = max(0, begin - halo), min(length, end + halo)
            yield slice(first, last), slice(begin - first, end - first), slice(begin, end)

    for down in cuts(size[0]):
        for across in cuts(size[1]):
            yield _Tile(*zip(down, across, strict=True))


def _once(net: Network, image: Tensor, sigma: Tensor | None, half: bool) -> Tensor:
    """Run a network; in half precision first, if that is allowed and nothing overflows."""
    with torch.inference_mode():
        image = image.contiguous(memory_format=torch.channels_last)
        if half:
            level = None if sigma is None else sigma.half()
            result: Tensor = half_of(net)(image.half(), level).float()
            if torch.isfinite(result).all():
                return result
        restored: Tensor = net(image, sigma)
        return restored


_COPIES: weakref.WeakKeyDictionary[Network, dict[Any, Any]] = weakref.WeakKeyDictionary()


def half_of(net: Network) -> Network:
    """Return the network in float16."""
    return kept(net, "half", lambda: copy.deepcopy(net).half())


def kept(net: Network, what: Any, make: Callable[[], Network]) -> Network:
    """Return a copy of a network that was made before, unless its weights have changed since."""
    version = [value._version for value in net.parameters()]
    copies = _COPIES.setdefault(net, {})
    if what not in copies or copies[what][0] != version:
        copies[what] = version, make()
    made: Network = copies[what][1]
    return made


def automatic(shape: tuple[int, int]) -> int | None:
    """Side of a tile for an image, None if it is restored in one piece."""
    return None if shape[0] * shape[1] <= LARGEST else USUAL


def checked_device(device: Any) -> torch.device:
    """Return a device that can run here.

    Raises
    ------
    ValueError
        If it is none.
    BackendUnavailableError
        If it is not here.
    """
    try:
        wanted = torch.device(device)
        known = wanted.type in ("cpu", "cuda")
    except (RuntimeError, TypeError):
        known = False
    if not known:
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:1', got {device!r}")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise BackendUnavailableError(
            f"device={str(device)!r} cannot run here: PyTorch {torch.__version__} finds "
            f"{torch.cuda.device_count()} GPUs; nvidia-smi shows what the driver sees"
        )
    return wanted
