"""Volumes with equal consecutive slices, which are filtered once because their noise is equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.masks import Mask
from fastrestore._collaborative.request import Request
from fastrestore._noise import vst
from fastrestore._noise.planes import PlaneNoise

WHITE = 1e-6  # a spectrum of mean 1 that varies by less along an axis is constant along it


@dataclass(frozen=True, slots=True, eq=False)
class Repetitions:
    """Runs of equal slices of a volume along its spatial axes."""

    axes: tuple[int, ...]  # of the array of the volume
    runs: dict[int, NDArray[np.intp]]  # by number of the axis: the run of each slice

    @classmethod
    def of(
        cls, alike: dict[int, NDArray[np.bool_]], axes: tuple[int, ...], request: Request
    ) -> Self | None:
        """Return the runs of slices with equal noise, or None if there are none.

        `alike` tells for some axes whether each slice but the first equals the slice before.
        """
        if request.noise is not None and not _is_same_everywhere(request.noise):
            return None
        runs = {}
        for number, equal in alike.items():
            joined = equal & _may_be_equal(request, 1 + number)
            if joined.any():
                runs[number] = np.cumsum(np.concatenate([[0], ~joined]))
        return cls(axes, runs) if runs else None

    def once(self, volume: Any) -> Any:
        """Return the volume with one slice of each run."""
        for number, run in self.runs.items():
            volume = volume.take(_firsts(run), self.axes[number])
        return volume

    def repeated(self, volume: Any) -> Any:
        """Return a volume with each slice repeated as often as in the original."""
        for number, run in self.runs.items():
            volume = volume.take(run, self.axes[number])
        return volume

    def request_once(self, request: Request, volume: Any) -> Request:
        """Validate the volume, and return the request for one slice of each run."""
        mask = request.checked_mask("volume", volume)
        mask = None if mask is None else Mask(self._planes_once(mask.valid))
        noise = None if request.noise is None else self._noise_once(request.noise)
        return replace(request, noise=noise, mask=mask)

    def _noise_once(self, noise: PlaneNoise) -> PlaneNoise:
        """Return the noise of one slice of each run."""
        level, spectrum = noise.map, noise.spectrum
        if level is not None:
            level = self._planes_once(level)
        if spectrum is not None:
            for number, run in self.runs.items():  # it is constant along these axes
                spectrum = spectrum.take(range(run[-1] + 1), 1 + number)
        return replace(noise, map=level, spectrum=spectrum)

    def _planes_once(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return (C, *spatial) with one slice of each run."""
        for number, run in self.runs.items():
            planes = planes.take(_firsts(run), 1 + number)
        return planes


def _firsts(run: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first slice of each run."""
    return np.flatnonzero(np.diff(run, prepend=-1))


def _is_same_everywhere(noise: PlaneNoise) -> bool:
    """Whether equal values have equal noise; unknown models may depend on the position."""
    return noise.model is None or isinstance(noise.model, (vst.PoissonGaussian, vst.Rician))


def _may_be_equal(request: Request, axis: int) -> Any:
    """Whether level and mask of each slice of the planes are those of the slice before.

    Equal slices in noise that is correlated from slice to slice need not have equal noise.
    """
    noise, mask = request.noise, request.mask
    tables: list[NDArray[Any]] = [] if mask is None else [mask.valid]
    equal = np.ones(1, bool)
    if noise is not None and noise.map is not None:
        tables.append(noise.map)
    if noise is not None and noise.spectrum is not None:
        equal = equal & (np.ptp(noise.spectrum, axis).max() <= WHITE)
    for table in tables:
        slices = np.moveaxis(table, axis, 0).reshape(table.shape[axis], -1)
        equal = equal & (slices[1:] == slices[:-1]).all(1)
    return equal
