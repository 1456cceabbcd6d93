"""Estimation of the noise of one image, whatever it is."""

from __future__ import annotations

from typing import Any

from fastrestore._chunked import entry
from fastrestore._noise.blind import choice_of
from fastrestore._noise.spec import NoiseSpec


def estimate_noise(
    image: Any, *, channel_axis: int | None = None, mask: Any = None, model: str = "auto"
) -> NoiseSpec:
    """Estimate the noise of one image: its level by brightness, spectrum and correlation.

    It needs the noisy image only. The result describes the noise for `noise` of other functions.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type. For a Dask array, the result is computed later:
        ``estimate_noise(image).compute()``.
    channel_axis : int, optional
        Axis of colors or other channels.
    mask : array of bool, optional
        True where a pixel is valid. It broadcasts to the shape of `image`, or of one channel.
        Other pixels, which may be NaN, take no part. By default all pixels are valid.
    model : {"auto", "white", "correlated", "signal-dependent", "camera"}
        Model of the noise. "white" has a constant level in each channel, as `estimate_sigma`
        estimates it. "correlated" adds a spectrum and the correlation of the channels,
        "signal-dependent" a level that depends on the brightness, and "camera" all of them. "auto"
        is the simplest model that the image supports.

    Returns
    -------
    NoiseSpec
        The noise, in the units of the image. Why this model was chosen is in `Info.reason` of
        `bm3d` with ``return_info=True``, and in the output of ``fastrestore info --noise``.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if `model` is unknown.

    See Also
    --------
    estimate_sigma, estimate_psd, estimate_poisson_gaussian : One property of the noise only.

    Notes
    -----
    Of images of more than 16 megapixels, 64 squares of 512x512 pixels on a regular grid are used.
    With the model "white", an image on a GPU is estimated there, see `estimate_sigma`. For other
    models it is copied to the host.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(128.0), np.arange(128.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> spec = fastrestore.estimate_noise(noisy)
    >>> spec.model, abs(float(spec.sigma[0]) - 10) < 0.5
    ('white', True)
    """
    if entry.is_chunked(image):
        spec: NoiseSpec = entry.restored(estimate_noise, locals())
        return spec
    return choice_of(image, channel_axis, mask, model).spec
