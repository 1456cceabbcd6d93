"""Color transforms, which concentrate the signal in few channels."""

from __future__ import annotations

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.types import FloatArray

# Opponent colors of "Image denoising by sparse 3-D transform-domain collaborative filtering",
# section VI, and YCbCr as in JPEG. The first row is the luminance, whose weights sum to 1.
_MATRICES = {
    "opp": [[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 4, -1 / 2, 1 / 4]],
    "ycbcr": [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ],
}

NAMES = ("auto", *_MATRICES, "pca", None)


def check(name: str | None, count: int) -> str | None:
    """Validate the name of a transform of `count` channels; return None for no transform."""
    if not (name is None or isinstance(name, str)) or name not in NAMES:
        raise ValueError(f"colorspace must be one of {NAMES}, got {validate.quoted(name)}")
    if name in _MATRICES and count not in (1, 3):
        raise ValueError(
            f"colorspace={name!r} is for 3 channels, the image has {count}; "
            "write colorspace=None or colorspace='pca'"
        )
    if name == "auto":
        return "opp" if count == 3 else None
    return name if count > 1 else None


def check_chroma(strength: float, name: str | None, count: int, channel_axis: int | None) -> None:
    """Raise if chroma_strength is given but there are no chroma channels."""
    if strength != 1 and channel_axis is None:
        raise ValueError(f"chroma_strength={strength:g} is for colors; write channel_axis= too")
    if strength != 1 and name is None and count > 1:
        raise ValueError(
            f"chroma_strength={strength:g} is for color transforms, but the channels are not "
            "transformed; write colorspace='opp' for 3 channels, or 'pca'"
        )


def transform(
    name: str, covariance: FloatArray | None, sigmas: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the matrix (C, C) of a color transform and the weights of its luminance.

    Blocks are matched on the luminance, the first transformed channel. Only "pca" needs the
    covariance of the channels (C, C) and their noise.
    """
    if covariance is None:
        matrix = np.array(_MATRICES[name])
    else:
        matrix = _principal_components(covariance, sigmas)
    return matrix, np.eye(len(matrix))[0]


def _principal_components(covariance: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Orthonormal principal axes of the signal, in rows, in order of decreasing energy.

    The covariance of the noise is subtracted. Signs are chosen so that the weights of each axis
    have a positive sum.
    """
    axes: FloatArray = np.linalg.eigh(covariance - np.diag(sigmas**2))[1][:, ::-1].T
    return axes * np.where(axes.sum(1, keepdims=True) < 0, -1, 1)
