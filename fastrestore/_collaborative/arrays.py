"""Validation of the arrays of a profile, which become tuples, so that profiles can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]

# Ends of the window relative to its middle, as of a Kaiser window with a beta of 6.7: smaller ones
# are lost in the fixed resolution of the sums
LEAST_WINDOW = 0.01
MOST_FACTOR = 1000.0
MOST_LEVELS = 7  # rows of factors for groups of 64 blocks
TOLERANCE = 1e-6  # of matrices that were rounded


def factors(field: str, values: Any, block: int, group: int) -> tuple[Matrix, ...] | None:
    """Validate factors by level of the Haar transform and coefficient (levels + 1, N, N)."""
    if values is None:
        return None
    rows = group.bit_length()
    wanted = (
        f"numbers from 0 to {MOST_FACTOR:g} of shape ({rows}, {block}, {block}), or up to "
        f"{MOST_LEVELS} for the first axis"
    )
    array = validate.numbers(field, values, wanted)
    if array.shape[1:] != (block, block) or not rows <= len(array) <= MOST_LEVELS:
        raise ValueError(f"{field} must be {wanted}, got {_shown(values, array)}")
    _check(field, wanted, array, array.max() <= MOST_FACTOR)
    nested: tuple[Matrix, ...] = _nested(array)
    return nested


def window(field: str, values: Any, block: int) -> Vector | None:
    """Validate a window (N,)."""
    if values is None:
        return None
    wanted = f"{block} numbers from {LEAST_WINDOW} to 1"
    array = validate.numbers(field, values, wanted)
    if array.shape != (block,):
        raise ValueError(f"{field} must be {wanted}, got {_shown(values, array)}")
    _check(field, wanted, array, array.min() >= LEAST_WINDOW and array.max() <= 1)
    nested: Vector = _nested(array)
    return nested


def transform(field: str, values: Any, block: int) -> str | Matrix:
    """Validate the name of a transform, or its matrix (N, N)."""
    if isinstance(values, str):
        return values
    wanted = (
        f"the name of a transform, or an invertible matrix ({block}, {block}) of rows of norm 1, "
        "the first constant, the others with sum 0"
    )
    array = _square(field, values, wanted, block)
    gram = array @ np.stack([np.ones(block), *array]).T
    of_ones, norms = gram[:, 0], np.diag(gram[:, 1:])
    expected = np.where(np.arange(block) == 0, block**0.5, 0)
    is_valid = np.allclose(of_ones, expected, atol=TOLERANCE) and np.allclose(norms, 1)
    _check(field, wanted, array, is_valid and np.linalg.cond(array) < 1 / TOLERANCE)
    nested: Matrix = _nested(array)
    return nested


def inverse(field: str, values: Any, block: int) -> Matrix | None:
    """Validate a matrix (N, N) in place of the inverse of a transform."""
    if values is None:
        return None
    wanted = f"a matrix ({block}, {block}) whose first column is {block**-0.5:.6f}"
    array = _square(field, values, wanted, block)
    _check(field, wanted, array, np.allclose(array[:, 0], block**-0.5, atol=TOLERANCE))
    nested: Matrix = _nested(array)
    return nested


def _square(field: str, values: Any, wanted: str, block: int) -> FloatArray:
    """Return a matrix (N, N)."""
    array = validate.reals(field, values, wanted)
    if array.shape != (block, block):
        raise ValueError(f"{field} must be {wanted}, got {_shown(values, array)}")
    return array


def _shown(values: Any, array: FloatArray) -> str:
    """Describe values of a wrong shape."""
    return f"shape {array.shape}" if array.ndim else validate.quoted(values)


def _check(field: str, wanted: str, array: FloatArray, is_valid: Any) -> None:
    """Raise unless the values are valid."""
    if not is_valid:
        raise ValueError(f"{field} must be {wanted}, got {validate.quoted(array.tolist())}")


def _nested(values: Any) -> Any:
    """Convert an array to nested tuples."""
    if values.ndim == 0:
        return float(values)
    return tuple(_nested(each) for each in values)
