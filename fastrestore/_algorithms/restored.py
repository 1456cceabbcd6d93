"""A restored array with what was estimated and used, which notebooks show as pictures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from html import escape
from typing import Any

import numpy as np

import fastrestore
from fastrestore._algorithms.info import Info
from fastrestore._arrays import interop

NAMES = 9  # characters of a heading


class Restored(tuple[Any, Info]):
    """A pair of a restored array and its `Info`, as ``restored, info = result``.

    Parameters
    ----------
    image : array
        Restored image, volume or video.
    info : Info
        What was estimated and used.
    noisy : array
        The image before. It is kept, not copied.
    channel_axis : int, optional
        Axis of the channels of both arrays.
    stack_axis : int, optional
        Axis of the slices or frames.
    """

    noisy: Any
    channel_axis: int | None
    stack_axis: int | None

    def __new__(
        cls,
        image: Any,
        info: Info,
        noisy: Any,
        channel_axis: int | None = None,
        stack_axis: int | None = None,
    ) -> Restored:
        pair = super().__new__(cls, (image, info))
        pair.noisy, pair.channel_axis, pair.stack_axis = noisy, channel_axis, stack_axis
        return pair

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return the arguments with which a copy is made."""
        return (self[0], self[1], self.noisy, self.channel_axis, self.stack_axis)

    def __repr__(self) -> str:
        """Describe the array, the noise and what was removed, in a few lines."""
        image, info = self
        kind = str(image.dtype).removeprefix("torch.")
        rows = [("image", f"shape {tuple(image.shape)}, {kind}"), ("noise", _noise(info))]
        rows.append(("reason", info.reason))
        before, after = (self._arranged(each) for each in (self.noisy, image))
        valid = np.isfinite(before) & np.isfinite(after)  # all but pixels outside a mask
        removed = float(np.std(before[valid].astype(np.float64) - after[valid]))
        rows.append(("removed", f"standard deviation {removed:.3g}"))
        rows.append(("used", f"profile {info.profile.name}, backend {info.backend}"))
        return "\n".join(
            ["Restored, a pair (image, info):", *(f"  {name:{NAMES}}{text}" for name, text in rows)]
        )

    def _repr_html_(self) -> str:
        """Return the image before and after, what was removed, and the noise, for a notebook."""
        pictures = fastrestore.report.figures(
            *(self._arranged(each) for each in (self.noisy, self[0])),
            names=("before", "after"),
            channel_axis=None if self.channel_axis is None else -1,
        )
        return f"{pictures}<pre>{escape(repr(self))}</pre>"

    def _arranged(self, array: Any) -> Any:
        """Return an array on the host with slices or frames first and channels last."""
        values = interop.to_host(interop.recognize("image", array)[0])
        first, last = (
            [] if axis is None else [axis % values.ndim]
            for axis in (self.stack_axis, self.channel_axis)
        )
        inner = [axis for axis in range(values.ndim) if axis not in first + last]
        return values.transpose(*first, *inner, *last)


class RestoredFrames(Iterator[Any]):
    """An iterator of restored frames, with what was estimated and used.

    Parameters
    ----------
    frames : generator
        The restored frames.
    describe : callable
        Returns the `Info`, or None before the first frame.
    """

    def __init__(
        self, frames: Generator[Any, None, None], describe: Callable[[], Info | None]
    ) -> None:
        self._frames, self._describe = frames, describe

    def __next__(self) -> Any:
        return next(self._frames)

    def close(self) -> None:
        """Stop, and let go of the frames that are held."""
        self._frames.close()

    @property
    def info(self) -> Info | None:
        """What was estimated and used in the first scene with noise; None before a frame."""
        return self._describe()


def _noise(info: Info) -> str:
    """Describe the noise in one line."""
    level = ", ".join(f"{each:.3g}" for each in np.ravel(info.sigma)[:4])
    if np.size(info.sigma) > 4:
        level = f"{np.min(info.sigma):.3g} to {np.max(info.sigma):.3g}"
    model = getattr(info.noise, "model", None) or ("" if info.noise is None else repr(info.noise))
    source = "estimated" if info.estimated else "given"
    return f"{source}, {model + ', ' if model else ''}sigma {level}"
