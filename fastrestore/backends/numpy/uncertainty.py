"""Expected error of the groups of Wiener filtering, by the corners of their blocks.

A coefficient of a noisy group is the sum of a signal s and of noise of variance v. Its Wiener gain
g leaves the noise ``g**2 v``, and removes signal with the energy ``(1 - g)**2 s**2``. The sum is
the expected squared error, if the gain does not depend on the noise. The pilot stands for s.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.numpy.bm3d import (
    factors_of,
    group_variance,
    groups_of,
    haar_matrix,
    shrink_wiener,
    transform_group,
    weight_of,
)
from fastrestore.backends.protocol import MEASURES, Execution, Matches, Stage


def group_errors(
    pilot: Channels, matches: Matches, stage: Stage, execution: Execution
) -> FloatArray:
    """See `bm3d_errors` of `fastrestore.backends.protocol.Backend`."""
    axes = tuple(range(1, pilot.ndim))
    blocks = sliding_window_view(pilot.astype(np.float64), stage.shape, axes)
    sums = np.zeros((1 + MEASURES, *blocks.shape[: pilot.ndim]))
    for corners in groups_of(matches, execution):
        places, haar = tuple(corners.T), haar_matrix(len(corners))
        for channel, level in enumerate(stage.variances):
            if level == 0:
                continue  # there is no error
            scale = None
            if stage.scale is not None:
                scale = stage.scale[(min(channel, len(stage.scale) - 1), *places)].astype(float)
            covariance = stage.covariance[min(channel, len(stage.covariance) - 1)]
            variance = group_variance(corners, covariance, haar, scale)
            group = transform_group(blocks[(channel, *places)], stage.transforms, haar)
            strength = stage.strength[channel] * level * factors_of(len(corners), stage)
            gain, noise = shrink_wiener((np.ones_like(group), group), variance, strength)
            left = float((gain**2 * variance).mean())
            removed = float(((1 - gain) ** 2 * group**2).mean() / level)
            values = weight_of(noise, len(corners), stage) * np.array([1, left, removed])
            sums[(slice(None), channel, *places)] += values[:, None]
    return sums
