"""Masks for methods that restore whole images: fill invalid pixels, restore, put them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.masks import Mask
from fastrestore._noise.estimate import mean_sigma


class Axes(NamedTuple):
    """Axes of an image or a batch of images; None for none."""

    channel: int | None
    batch: int | None

    def images(self, array: Any) -> Any:
        """View an array as (B, C, M, N)."""
        planes = interop.channels_first(array, self.channel)
        if self.batch is None:
            return planes[None]
        batch = self.batch % array.ndim
        before = self.channel is not None and self.channel % array.ndim < batch
        return interop.move_axis(planes, batch + (not before), 0)


def with_mask(
    image: Any, mask: Any, sigma: Any, axes: Axes, restore: Callable[[Any, Any], Any]
) -> Any:
    """Call `restore` with an image without holes, and its noise level if it is not given.

    Without a mask, only the values of the image are validated. Images of a wrong shape are left to
    `restore`.
    """
    values, to_caller = interop.recognize("image", image)
    if mask is None:
        _check(values, sigma, None)
        return restore(image, sigma)
    valid = validate.mask("mask", mask, values.shape, axes.channel)
    if valid is None:
        return restore(image, sigma)
    whole = np.broadcast_to(valid, interop.channels_first(values, axes.channel).shape)
    whole = whole[0] if axes.channel is None else np.moveaxis(whole, 0, axes.channel)
    _check(values, sigma, whole)
    with interop.use_device_of(values):
        filled, levels = _filled(values, whole, axes, sigma is None)
        given = levels if sigma is None else _filled_map(sigma, whole, axes)
        result = interop.recognize("the result", restore(filled, given))[0]
        for out, planes, each in zip(*map(axes.images, (result, values, whole)), strict=True):
            Mask(each).put_back(out, planes)
    return to_caller(result)


def _check(values: Any, sigma: Any, valid: NDArray[np.bool_] | None) -> None:
    """Validate the values of the valid pixels."""
    validate.check_finite("image", values, valid, outliers.MASK)
    level = float(np.max(sigma)) if isinstance(sigma, (int, float)) else 0.0
    outliers.check("image", values, level, outliers.MASK, valid)


def _filled(values: Any, whole: NDArray[np.bool_], axes: Axes, estimate: bool) -> tuple[Any, Any]:
    """Return images without holes, and an estimate of the noise level of each."""
    images, masks = axes.images(values), axes.images(whole)
    levels, filled = [], None
    for number, (planes, valid) in enumerate(zip(images, masks, strict=True)):
        if not valid.any():
            raise ValueError(f"mask is False everywhere in image {number} of the batch")
        mask = Mask(np.ascontiguousarray(valid))
        out = mask.fill(planes)
        if filled is None:
            filled = interop.namespace(values).empty(values.shape, out.dtype)
        axes.images(filled)[number] = out
        if estimate:
            mask.check_neighbors()
            levels.append(mean_sigma(planes, mask.valid))
    return filled, levels[0] if estimate and axes.batch is None else levels


def _filled_map(sigma: Any, whole: NDArray[np.bool_], axes: Axes) -> Any:
    """Replace the invalid pixels of a map (M, N) of the noise level."""
    level = interop.to_host(sigma)
    if not isinstance(level, np.ndarray) or level.ndim != 2 or axes.batch is not None:
        return sigma
    mask = Mask(axes.images(whole)[0]).common()
    return mask.fill(level[None])[0] if level.shape == mask.valid.shape[1:] else sigma
