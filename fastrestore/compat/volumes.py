"""Volumes of magnetic resonance, with the arguments of dipy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._arrays import validate
from fastrestore._arrays.keywords import without

_OTHER_METHOD = "leave it out, BM4D has other parameters: see profile= of fastrestore.bm4d"


@without(patch_radius=_OTHER_METHOD, block_radius=_OTHER_METHOD, method=_OTHER_METHOD)
def nlmeans(
    arr: Any, sigma: Any, *, mask: Any = None, rician: bool = True, num_threads: int | None = None
) -> NDArray[Any]:
    """Remove noise from one or more volumes with BM4D, with the arguments of `dipy.denoise`.

    For code that calls non-local means: the method is BM4D.

    Parameters
    ----------
    arr : array, shape (X, Y, Z) or (X, Y, Z, volumes)
        Noisy volumes, each of which is restored by itself.
    sigma : float, or one for each volume
        Standard deviation of the noise.
    mask : array of bool, shape (X, Y, Z), optional
        Voxels to restore. The others are 0 in the result and take no part.
    rician : bool, default True
        If True, the noise is Rician, otherwise Gaussian.
    num_threads : int, optional
        Number of threads, by default all processors.

    Returns
    -------
    numpy array, shape of `arr`
        Estimate of the clean volumes. Floats keep their type, integers give float32.

    Raises
    ------
    TypeError, ValueError
        As for `fastrestore.bm4d`, and if `arr` has another number of axes.

    See Also
    --------
    fastrestore.bm4d : The function of the library; without `sigma` it estimates the noise.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import nlmeans
    >>> noisy = np.random.default_rng(0).normal(100, 5, (16, 16, 10, 2))
    >>> bool(nlmeans(noisy, sigma=5).std() < 3)
    True
    """
    volumes = np.asarray(arr)
    if volumes.ndim not in (3, 4):
        raise ValueError(
            f"arr must have the shape (X, Y, Z) or (X, Y, Z, volumes), got {volumes.shape}"
        )
    several = volumes if volumes.ndim == 4 else volumes[..., None]
    count = several.shape[3]
    levels = validate.numbers("sigma", sigma, "a number of 0 or more, or one for each volume")
    if levels.size not in (1, count):
        raise ValueError(
            f"sigma must be one number, or {count}, one for each volume, got "
            f"{validate.quoted(sigma)}; fastrestore.bm4d takes a level for each voxel"
        )
    rician = validate.flag("rician", rician)
    valid = None if mask is None else np.asarray(mask) != 0
    restored = []
    for k, level in enumerate(np.broadcast_to(levels.reshape(-1), count)):
        noise = {"noise": fastrestore.Rician(float(level))} if rician else {"sigma": float(level)}
        one = fastrestore.bm4d(several[..., k], mask=valid, workers=num_threads, **noise)
        restored.append(one if valid is None else np.where(valid, one, 0))
    result: NDArray[Any] = np.stack(restored, axis=-1)
    return result if volumes.ndim == 4 else result[..., 0]
