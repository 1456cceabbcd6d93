"""Estimation of the noise of a Dask array, as a node of the graph."""

from __future__ import annotations

import math
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._chunked import arrays
from fastrestore._chunked.maps import Noise
from fastrestore._chunked.survey import check_finite
from fastrestore._noise.applied import levels_of, plane_noise, typical_noise
from fastrestore._noise.blind import noise_of
from fastrestore._noise.choice import Choice, choose
from fastrestore._noise.mosaic import joined, squares_of
from fastrestore._noise.planes import Source
from fastrestore._noise.spec import NoiseSpec

LARGEST = 2**27  # voxels of a volume whose noise is estimated, because it is read as a whole


def estimated(name: str, planes: Any, source: Source) -> Any:
    """Return the `Noise` of planes (C, *spatial), delayed: estimated, or that of a `NoiseSpec`."""
    if isinstance(source, NoiseSpec) and not _varies(source):
        ones = np.zeros((len(planes), *[1] * (planes.ndim - 1)))
        given = Choice(source, "the noise was given")
        return Noise(plane_noise(source, ones), choice=given)
    return dask.delayed(_noise)(name, source, _squares(name, planes), planes.shape)


def specification(name: str, planes: Any, model: str) -> Any:
    """Return the `NoiseSpec` of planes (C, *spatial), delayed."""
    return dask.delayed(_specification)(name, model, _squares(name, planes), planes.shape)


def _squares(name: str, planes: Any) -> list[list[Any]]:
    """Return the parts of planes (C, *spatial) that the noise is estimated from, delayed."""
    seen = arrays.again(planes)
    if planes.ndim == 3:
        return squares_in(seen)
    if math.prod(planes.shape) > LARGEST:
        raise ValueError(
            f"the noise of {name}, of shape {planes.shape}, is not estimated, because more than "
            f"{LARGEST} voxels would be read at once: write sigma=, or estimate it on a part"
        )
    return [[arrays.whole(seen)]]


def squares_in(planes: Any) -> list[list[Any]]:
    """Return the squares of planes (C, M, N) that are looked at, delayed."""
    rows = squares_of(planes.shape[1:])
    return [[arrays.whole(planes[:, place[0], place[1]]) for place in row] for row in rows]


def _varies(spec: NoiseSpec) -> bool:
    """Whether the level of the noise depends on the brightness, without a model of it."""
    return spec.distribution is None and spec.levels.shape[1] > 1


def _specification(
    name: str, model: str, squares: list[list[Any]], shape: tuple[int, ...]
) -> NoiseSpec:
    """Estimate the noise of squares of an image, or of a volume."""
    return _choice(name, model, _on_host(name, squares, shape)).spec


def _on_host(
    name: str, squares: list[list[Any]], shape: tuple[int, ...]
) -> list[list[NDArray[Any]]]:
    """Return valid squares of planes of a shape on the host."""
    rows = [[interop.to_host(square) for square in row] for row in squares]
    corners: list[list[tuple[int, ...]]] = [[(0,) * len(shape)]]
    if len(shape) == 3:
        corners = [[(0, y.start, x.start) for y, x in row] for row in squares_of(shape[1:])]
    for row, others in zip(rows, corners, strict=True):
        for square, corner in zip(row, others, strict=True):
            check_finite(name, square, corner)
            validate.check_finite(name, square)
            outliers.check(name, square, 0.0, outliers.REPLACE)
    return rows


def _choice(name: str, model: str, rows: list[list[NDArray[Any]]]) -> Choice:
    """Estimate the noise of squares of an image, or of a volume."""
    planes, valid = joined(rows)
    if planes.ndim == 4:
        return noise_of(planes, valid, model)
    return choose(planes, valid, model)


def _noise(
    name: str, source: NoiseSpec | str, squares: list[list[Any]], shape: tuple[int, ...]
) -> Noise:
    """Return the noise of a source for planes of a shape with these squares."""
    rows = _on_host(name, squares, shape)
    if isinstance(source, str):
        choice = _choice(name, source, rows)
    else:
        choice = Choice(source, "the noise was given")
    spec = choice.spec
    if not _varies(spec):
        return Noise(plane_noise(spec, rows[0][0]), choice=choice)
    parts = [levels_of(spec, square) for row in rows for square in row]
    noise = typical_noise(spec, parts)
    return Noise(noise, noise.sigmas, spec=spec, choice=choice)
