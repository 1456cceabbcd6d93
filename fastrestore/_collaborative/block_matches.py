"""Block matches that are kept, and used for other images of the same shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastrestore._arrays import validate
from fastrestore.backends.host import reference_grids
from fastrestore.backends.protocol import Matches, Which

if TYPE_CHECKING:
    from fastrestore.backends.protocol import Stage


@dataclass(frozen=True, slots=True, eq=False)
class BlockMatches:
    """The similar blocks of an image or a volume, by stage.

    `bm3d` and `bm4d` return them with ``matches=True, return_info=True`` as ``info.matches``, and
    take them with ``matches=info.matches``, for images of the same shape and profiles with the same
    blocks, steps, search windows and groups. Blocks of a stage without matches are matched anew.

    Attributes
    ----------
    basic, final : Matches or None
        Matches of each stage: a named tuple of NumPy arrays. ``corners`` are the places of the
        reference blocks along each axis, ``offsets[i, j]`` the displacements of the blocks in the
        group of reference block (i, j), in order of distance, and ``sizes[i, j]`` their number.

    See Also
    --------
    bm3d : Remove noise from an image; returns and takes matches.
    bm4d : Remove noise from a volume; returns and takes matches.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(48.0), np.arange(48.0))
    >>> rng = np.random.default_rng(0)
    >>> first, second = (clean + rng.normal(0, 10, clean.shape) for _ in range(2))
    >>> restored, info = fastrestore.bm3d(first, 10, matches=True, return_info=True)
    >>> other = fastrestore.bm3d(second, 10, matches=info.matches)
    >>> fastrestore.metrics.psnr(clean, other, data_range=95) > 32
    True
    """

    basic: Matches | None = None
    final: Matches | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """How the stages of a call match blocks: by given matches if there are any, or anew."""

    given: BlockMatches
    kept: dict[Which, Matches] = field(default_factory=dict)

    @classmethod
    def of(cls, matches: Any, return_info: bool, max_memory: Any = None) -> Self:
        """Validate the argument `matches`."""
        if matches is not True and not isinstance(matches, BlockMatches):
            raise TypeError(
                "matches must be True, to return them in info.matches, or the info.matches of "
                f"another call, got {validate.quoted(matches)}"
            )
        if matches is True and not return_info:
            raise ValueError(
                "matches=True returns the matches in info.matches: add return_info=True"
            )
        if max_memory is not None:
            raise ValueError("matches are those of a whole image: leave out max_memory or matches")
        return cls(BlockMatches() if matches is True else matches)

    def result(self) -> BlockMatches:
        """Return the matches that were used."""
        return BlockMatches(*(_wide(self.kept.get(which)) for which in ("basic", "final")))

    def matches(self, which: Which, stage: Stage, shape: tuple[int, ...]) -> Matches | None:
        """Return the matches that are given for a stage, or None."""
        given: Matches | None = getattr(self.given, which)
        return None if given is None else _checked(given, which, stage, shape)


def _wide(matches: Matches | None) -> Matches | None:
    """Return offsets that callers can multiply without an overflow."""
    if matches is None:
        return None
    return matches._replace(offsets=matches.offsets.astype(np.int16, copy=False))


def _checked(matches: Matches, which: Which, stage: Stage, shape: tuple[int, ...]) -> Matches:
    """Return matches as kernels need them; raise if they are not those of such an image."""
    corners = reference_grids(stage, shape)
    counts = tuple(map(len, corners))
    if not isinstance(matches, Matches):
        raise TypeError(f"matches.{which} must be Matches or None, got {validate.quoted(matches)}")
    offsets, sizes = (np.ascontiguousarray(each, np.int16) for each in matches[1:])
    alike = offsets.shape == (*counts, stage.group, len(shape)) and sizes.shape == counts
    if not alike or not all(map(np.array_equal, corners, matches.corners)):
        raise ValueError(
            f"matches.{which} are for {_described(matches)}, but this image and profile have "
            f"{_references(counts)} with groups of {stage.group}: use the same shape and profile"
        )
    grids = np.stack(np.meshgrid(*corners, indexing="ij"), -1)[..., None, :]
    last = np.subtract(shape, stage.shape)
    inside = (np.abs(offsets) <= stage.radii) & (grids + offsets >= 0) & (grids + offsets <= last)
    if not inside.all() or not np.isin(sizes, 2 ** np.arange(stage.group.bit_length())).all():
        raise ValueError(
            f"matches.{which} has blocks outside the image or the search window: use those that "
            "a call returned, with a profile of the same search radius"
        )
    return Matches(corners, offsets, sizes)


def _described(matches: Matches) -> str:
    """Describe matches in a message."""
    group = matches.offsets.shape[-2] if np.ndim(matches.offsets) > 1 else 0
    return f"{_references(np.shape(matches.sizes))} with groups of {group}"


def _references(counts: tuple[int, ...]) -> str:
    return "x".join(map(str, counts)) + " reference blocks"
