"""Level of the noise of a source by pixel, and random noise drawn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import FloatArray

if TYPE_CHECKING:
    from fastrestore._noise.spec import NoiseSpec


def level(spec: NoiseSpec, image: Any, channel_axis: int | None) -> FloatArray:
    """Return the standard deviation of the noise at each pixel, from the brightness there."""
    planes = _planes(spec, image, channel_axis)
    tables = zip(planes, spec.brightness, spec.levels, strict=True)
    return _like_image(np.array([np.interp(*each) for each in tables]), channel_axis)


def sample(spec: NoiseSpec, image: Any, channel_axis: int | None, rng: Any) -> FloatArray:
    """Draw noise for an image, whose values are the brightness."""
    planes = _planes(spec, image, channel_axis)
    if not isinstance(rng, np.random.Generator):
        rng = np.random.default_rng(validate.integer("rng", rng, least=0))
    stationary = drawn(spec.spectrum, planes.shape, rng)
    return level(spec, image, channel_axis) * _like_image(stationary, channel_axis)


def drawn(spectrum: FloatArray, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Draw Gaussian noise (C, ..., *spatial) with cross-spectra (C, C, *frequencies).

    White noise is filtered with the square root of the cross-spectra, without wrapping around.
    Axes of the image beyond those of the spectrum are independent, such as the frames of a video.
    """
    from scipy.signal import fftconvolve

    sizes = spectrum.shape[2:]
    axes = tuple(range(len(shape) - len(sizes), len(shape)))
    kernels = _root(spectrum).reshape(*spectrum.shape[:2], *[1] * (axes[0] - 1), *sizes)
    larger = [n + m - 1 for n, m in zip(shape[axes[0] :], sizes, strict=True)]
    out = np.zeros(shape)
    for source in range(shape[0]):
        white = rng.standard_normal((*shape[1 : axes[0]], *larger))
        inner = tuple(k - 1 for k in axes)
        for channel in range(shape[0]):
            kernel = kernels[channel, source]
            if kernel.any():
                out[channel] += fftconvolve(white, kernel, mode="valid", axes=inner)
    return out


def _root(spectrum: FloatArray) -> FloatArray:
    """Return kernels (C, C, *spatial) whose correlations have the cross-spectra."""
    axes = tuple(range(2, spectrum.ndim))
    matrices = np.moveaxis(spectrum, (0, 1), (-2, -1))
    power, vectors = np.linalg.eigh(matrices)
    root = np.sqrt(np.maximum(power, 0))[..., None, :] * vectors
    symmetric = np.moveaxis(root @ np.conj(np.swapaxes(vectors, -1, -2)), (-2, -1), (0, 1))
    kernels: FloatArray = np.fft.fftshift(np.fft.ifftn(symmetric, axes=axes).real, axes)
    return kernels


def _planes(spec: NoiseSpec, image: Any, channel_axis: int | None) -> NDArray[Any]:
    """Return an image as (C, *spatial) on the host; raise unless it fits the noise."""
    values = interop.to_host(interop.recognize("image", image)[0])
    if channel_axis is not None:
        channel_axis = validate.axis("channel_axis", channel_axis, values.shape)
    planes: NDArray[Any] = interop.channels_first(values, channel_axis)
    count, axes = len(spec.levels), spec.spectrum.ndim - 2
    if len(planes) != count:
        cure = "write channel_axis=" if channel_axis is None else "estimate it on such an image"
        raise ValueError(
            f"image has {len(planes)} channels, but the noise is that of {count}; {cure}"
        )
    if planes.ndim - 1 < axes:
        raise ValueError(
            f"image has shape {values.shape}, but the spectrum of the noise has {axes} axes"
        )
    return planes


def _like_image(planes: FloatArray, channel_axis: int | None) -> FloatArray:
    """Return (C, *spatial) with the axes of the image."""
    image: FloatArray = planes[0] if channel_axis is None else np.moveaxis(planes, 0, channel_axis)
    return image
