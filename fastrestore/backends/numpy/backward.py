"""Gradients of the stages of BM3D: the chain rule through the steps of `bm3d`, in reverse order.

Held fixed are the matches, and which coefficients pass the threshold: the result is a smooth
function of images and noise levels except where one of them changes. With the numerator P and the
denominator Q of equation 12, a gradient g of the estimate P / Q is g / Q for P and -g P / Q**2
for Q. Both are sums over groups of a weight, a window, and for P an estimate, in which the group
transform is linear. The weight is a function of the variances and, in Wiener filtering, the gains.

Factors of the threshold only act through the mask. For them alone, the mask of a coefficient has
the derivative of a smooth step, see `step_backward`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.limits import HEAVIEST, LIGHTEST, WIDTH
from fastrestore.backends.numpy.bm3d import (
    aggregate,
    factors_of,
    group_variance,
    groups_of,
    haar_matrix,
    levels_of,
    pair_covariances,
    shrink_hard,
    shrink_wiener,
    transform_group,
)
from fastrestore.backends.protocol import Execution, Gradients, Matches, Stage


class Shrunk(NamedTuple):
    """Gradients with respect to the arguments of a shrinkage."""

    groups: tuple[FloatArray, ...]
    variance: FloatArray
    strength: FloatArray
    logarithm: FloatArray  # of the strength; unlike `strength`, with a smooth step


class Passed(NamedTuple):
    """Gradients with respect to the results of a shrinkage, before the weight of the group."""

    estimate: FloatArray  # of the shrunk coefficients
    window: float  # of the weight, through the denominator
    share: float  # factor for the remaining noise in the weight


def filter_backward(
    gradient: Channels,
    estimate: Channels,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
) -> Gradients:
    """Propagate a gradient of the estimate backward through `filter_groups`."""
    del estimate  # is computed again, with its denominator
    sums = np.zeros((2, *images[0].shape))
    aggregate(sums, images, matches, stage, execution)
    numerator = gradient / sums[1]
    denominator = -numerator * sums[0] / sums[1]
    window = functools.reduce(np.multiply.outer, stage.windows)
    axes = tuple(range(1, 1 + window.ndim))
    views = [sliding_window_view(f.astype(float), stage.shape, axes) for f in images]
    blocks = (
        *views,
        sliding_window_view(numerator, stage.shape, axes) * window,
        sliding_window_view(denominator, stage.shape, axes) * window,
    )
    out = Gradients(
        tuple(np.zeros_like(image, float) for image in images),
        np.zeros(len(stage.variances)),
        None if stage.scale is None else np.zeros((len(sums[0]), *stage.scale.shape[1:])),
        None if stage.factors is None else np.zeros(stage.factors.shape),
    )
    for corners in groups_of(matches, execution):
        for channel in range(len(sums[0])):
            groups = tuple(each[(channel, *corners.T)] for each in blocks)
            _group_backward(groups, corners, stage, channel, out)
    return out


def _group_backward(
    blocks: tuple[FloatArray, ...],
    corners: NDArray[np.int64],
    stage: Stage,
    channel: int,
    out: Gradients,
) -> None:
    """Add the gradients of one group to `out`.

    `blocks` (K, *block) are those of the images, and the windowed gradients of numerator and
    denominator.
    """
    *images, numerator, denominator = blocks
    places, haar = (channel, *corners.T), haar_matrix(len(corners))
    scale = None
    if stage.scale is not None:
        scale = stage.scale[(min(channel, len(stage.scale) - 1), *corners.T)].astype(float)
    covariance = stage.covariance[min(channel, len(stage.covariance) - 1)]
    variance = group_variance(corners, covariance, haar, scale)
    groups = tuple(transform_group(image, stage.transforms, haar) for image in images)
    adjoints = tuple(inverse.T for inverse in stage.inverses)
    share = (stage.group / len(corners)) ** stage.size_weight
    passed = Passed(transform_group(numerator, adjoints, haar), float(denominator.sum()), share)
    backward = hard_backward if len(images) == 1 else wiener_backward
    strength = stage.strength[channel] * factors_of(len(corners), stage)
    shrunk = backward(groups, variance, strength * stage.variances[channel], passed)
    adjoints = tuple(transform.T for transform in stage.transforms)
    for total, group in zip(out.images, shrunk.groups, strict=True):
        estimates = transform_group(group, adjoints, haar.T)
        for estimate, corner in zip(estimates, corners, strict=True):
            place = (channel, *map(slice, corner, corner + stage.shape))
            total[place] += estimate
    out.variances[channel] += (shrunk.strength * strength).sum()
    if out.factors is not None:
        np.add.at(out.factors, levels_of(len(corners)), shrunk.logarithm)
    if scale is not None and out.scale is not None:
        given = np.where(variance > 0, shrunk.variance, 0)
        pairs = pair_covariances(corners, covariance)
        levels = variance_backward(given, pairs, haar, scale)
        np.add.at(out.scale, places, levels)


def hard_backward(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: FloatArray, passed: Passed
) -> Shrunk:
    """Propagate gradients backward through `shrink_hard`, with a fixed mask."""
    (coefficients,) = groups
    shrunk, noise = shrink_hard(groups, variance, strength)
    keep = coefficients**2 >= strength * variance
    keep.flat[0] = True
    weight, remaining = weight_backward(shrunk, noise, passed)
    by_gain = weight * passed.estimate * coefficients + 2 * remaining * np.where(keep, variance, 0)
    return Shrunk(
        (np.where(keep, weight * passed.estimate, 0),),
        np.where(keep, remaining, 0.0),
        np.zeros_like(variance),
        step_backward(by_gain, coefficients**2, strength * variance),
    )


def step_backward(by_gain: FloatArray, energy: FloatArray, limit: FloatArray) -> FloatArray:
    """Return gradients with respect to the logarithm of the limit, from those of the gains.

    The gain of a coefficient steps from 0 to 1 where its energy is the limit. As a function of
    ``u = (energy / limit - 1) / WIDTH`` it has the derivative 15/16 (1 - u**2)**2 for abs(u) < 1.
    """
    ratio = energy / np.maximum(limit, np.finfo(np.float32).tiny)
    u = np.clip((ratio - 1) / WIDTH, -1, 1)
    result: FloatArray = by_gain * -ratio * (15 / 16 / WIDTH) * (1 - u**2) ** 2
    result.flat[0] = 0  # the mean of the group is not thresholded
    return result


def wiener_backward(
    groups: tuple[FloatArray, ...], variance: FloatArray, strength: FloatArray, passed: Passed
) -> Shrunk:
    """Propagate gradients backward through `shrink_wiener`."""
    coefficients, guide = groups
    shrunk, left = shrink_wiener(groups, variance, strength)
    noise = strength * variance
    noise.flat[0] = 0
    energy = np.maximum(guide**2, np.finfo(np.float32).tiny)
    gain = energy / (energy + noise)
    weight, remaining = weight_backward(shrunk, left, passed)
    by_gain = weight * passed.estimate * coefficients + 2 * remaining * variance * gain
    by_energy = by_gain * noise / (energy + noise) ** 2
    by_noise = -by_gain * energy / (energy + noise) ** 2
    by_noise.flat[0] = 0
    return Shrunk(
        (weight * gain * passed.estimate, 2 * guide * by_energy),
        remaining * gain**2 + strength * by_noise,
        variance * by_noise,
        noise * by_noise,
    )


def weight_backward(shrunk: FloatArray, noise: float, passed: Passed) -> tuple[float, float]:
    """Return the weight of a group, and the gradient with respect to its remaining noise."""
    limited = min(max(passed.share * noise, 1 / HEAVIEST), 1 / LIGHTEST)
    weight = 1 / limited
    if limited in (1 / HEAVIEST, 1 / LIGHTEST):
        return weight, 0.0
    by_weight = float((shrunk * passed.estimate).sum()) + passed.window
    return weight, -passed.share * weight**2 * by_weight


def variance_backward(
    gradient: FloatArray, pairs: FloatArray, haar: FloatArray, scale: FloatArray
) -> FloatArray:
    """Propagate gradients (K, *block) backward through `group_variance`, to the scale (K,).

    `pairs` (K, K, *block) are the covariances of pairs of blocks with noise of variance 1.
    """
    flat = pairs.reshape(*pairs.shape[:2], -1)
    products = np.einsum("kn,tsn->kts", gradient.reshape(len(gradient), -1), flat)
    levels: FloatArray = 2 * np.einsum("kt,ks,kts,s->t", haar, haar, products, scale)
    return levels
