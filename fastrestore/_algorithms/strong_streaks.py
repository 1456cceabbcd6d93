"""Detection of strong streaks in sinograms: narrow, wide, partial and fluctuating ones."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray

MAD = 1.4826
SMOOTHING = 12  # the streak level is measured on means over 1/12 of the angles
PASSES = 3  # strong streaks mask each other, so they are detected repeatedly
NEIGHBORS = 9  # detector pixels: window of the median that reveals narrow streaks
NARROW, WIDEST = 4, 24  # detector pixels: greatest widths of streaks
SHARP = 3  # detector pixels in which a side of a streak rises
ALIKE = 0.5  # least ratio of the steps at both sides of a streak
STEADY, STEADY_SIDE = 0.6, 1 / 3  # least ratio of the step in a quarter of the angles and in all
FAINT = 0.2  # of the range of values; wide ridges above this are parts of the object
DRIFT = 1 / 4  # of the angles: streaks change little over these
PARTIAL = 1 / 7  # of the angles: window of the median that reveals partial streaks
SHORTEST, LONGEST = 1 / 6, 0.9  # of the angles: extents of partial streaks
PATH = 6  # detector pixels beside a partial streak where a part of the object would continue
LONGEST_LAG = 1 / 40  # of the angles: values at this distance are compared, and adjacent ones
SURROUNDINGS = 21  # detector pixels that a fluctuating one is compared with
FLUCTUATING = 2.5  # times the usual variation
SHORT = 5  # angles of averages that show parts of the object
SIGNIFICANT = 5  # times the variance of such an average
LASTING = 1.5  # ratio of slow and fast variation; above it, these averages fluctuate as well

Flags = NDArray[np.bool_]


class Edge(NamedTuple):
    """A step between detector pixels at most angles; `first` to `last` of their differences."""

    first: int
    last: int
    step: float


def streak_level(means: FloatArray) -> float:
    """Return the standard deviation of streaks, from second differences of long means."""
    from scipy import ndimage

    if means.shape[1] < 3:
        return 0.0
    long = ndimage.gaussian_filter1d(means, max(1.0, len(means) / SMOOTHING), axis=0)
    bends = (2 * long[:, 1:-1] - long[:, :-2] - long[:, 2:]) / math.sqrt(6)
    return float(MAD * np.median(np.abs(bends)))


def replace_fluctuating(sinogram: Any) -> Any:
    """Interpolate detector pixels whose values vary along the angles much more than others.

    Where averages over a few angles differ significantly from the interpolation, they are kept.
    """
    from scipy import ndimage

    filters = interop.ndimage(sinogram)
    fast, slow = (_variation(sinogram, lag) for lag in (1, int(len(sinogram) * LONGEST_LAG)))
    bad = np.zeros(sinogram.shape[1], bool)
    for variation in (fast, slow):
        usual = ndimage.median_filter(variation, SURROUNDINGS, mode="nearest")
        bad |= (variation > FLUCTUATING * usual) & (usual > 0)
    if not bad.any() or bad.mean() > 0.5:
        return sinogram
    columns = np.flatnonzero(bad)
    result, bridge = sinogram.copy(), _bridge(sinogram, bad)
    means = filters.uniform_filter1d(sinogram[:, columns] - bridge, SHORT, axis=0)
    variance = interop.place_like(fast[bad] ** 2 / SHORT, means)
    share = np.maximum(0, 1 - SIGNIFICANT * variance / np.maximum(means**2, variance))
    share[:, np.flatnonzero(slow[bad] > LASTING * fast[bad])] = 0
    result[:, columns] = bridge + share * means
    return result


def _variation(sinogram: Any, lag: int) -> FloatArray:
    """Return the deviation of values `lag` angles apart, where they fit in; on the host."""
    if not 0 < lag < len(sinogram) / 8:
        return np.zeros(sinogram.shape[1])
    bends = 2 * sinogram[lag:-lag] - sinogram[2 * lag :] - sinogram[: -2 * lag]
    median: FloatArray = interop.to_host(interop.namespace(bends).median(np.abs(bends), 0))
    return MAD / math.sqrt(6) * median


def find_strong(means: FloatArray, bound: float) -> FloatArray:
    """Return streaks above a bound, in standard deviations of all streaks."""
    found = np.zeros_like(means)
    for finder in (_find_ridges, _find_narrow, _find_partial):
        for _ in range(PASSES):
            rest = means - found
            more = finder(rest, bound * streak_level(rest))
            if not more.any():
                break
            found += more
    return found


def _find_ridges(rest: FloatArray, threshold: float) -> FloatArray:
    """Return streaks between two steps that are present at all angles."""
    differences, faint = np.diff(rest, axis=1), FAINT * float(np.ptp(rest))
    narrow, wide = np.zeros(rest.shape[1], bool), np.zeros_like(rest)
    for left, right in _pairs(_edges(rest, threshold)):
        rise, fall = _slow_steps(differences, left), _slow_steps(differences, right)
        up, down = rise.sum(1), -fall.sum(1)
        height, inside = (up + down) / 2, slice(left.first + 1, right.last + 1)
        if not _is_steady(height, left.step, STEADY):
            continue
        if _width(left, right) <= NARROW:
            narrow[inside] = True
        elif abs(left.step) < faint and all(
            _is_steady(side, left.step, STEADY_SIDE) for side in (up, down)
        ):
            height = np.median([up, down, np.full_like(up, np.median(height))], 0)
            slopes = np.zeros((len(rest), _width(left, right) + 1))
            slopes[:, : rise.shape[1]] = rise + (height - up)[:, None] / rise.shape[1]
            slopes[:, -fall.shape[1] :] = fall - (height - down)[:, None] / fall.shape[1]
            wide[:, inside] += np.cumsum(slopes, 1)[:, :-1]
    return wide + _estimate(rest - wide, np.broadcast_to(narrow, rest.shape), DRIFT)


def _find_narrow(rest: FloatArray, threshold: float) -> FloatArray:
    """Return streaks that differ from the median of their neighbors at most angles."""
    apart = np.abs(np.median(_contrast(rest), 0))
    flagged = apart > np.maximum(threshold, _steps_nearby(rest, threshold))
    return _estimate(rest, np.broadcast_to(flagged, rest.shape), DRIFT)


def _find_partial(rest: FloatArray, threshold: float) -> FloatArray:
    """Return streaks that differ from the median of their neighbors at some successive angles."""
    from scipy import ndimage

    window = int(len(rest) * PARTIAL) | 1
    shortest, longest = len(rest) * SHORTEST, len(rest) * LONGEST
    flagged = np.zeros(rest.shape, bool)
    if window < 5:
        return np.zeros_like(rest)
    contrast = _contrast(rest)
    typical = ndimage.median_filter(contrast, (window, 1), mode="nearest")
    noise = MAD * np.median(np.abs(np.diff(rest, axis=0)))
    for sign in (1.0, -1.0):
        above = sign * typical > threshold + noise
        for column in np.flatnonzero(above.sum(0) >= shortest):
            for start, stop in _runs(above[:, column]):
                if shortest <= stop - start < longest and _ends(
                    sign * contrast, start, stop, int(column)
                ):
                    flagged[max(0, start - 1) : stop + 1, column] = True
    return _estimate(rest, flagged, PARTIAL)


def _contrast(means: FloatArray) -> FloatArray:
    """Return the difference from the median of neighboring detector pixels."""
    from scipy import ndimage

    result: FloatArray = means - ndimage.median_filter(means, (1, NEIGHBORS), mode="nearest")
    return result


def _edges(means: FloatArray, threshold: float) -> list[Edge]:
    """Return steps between detector pixels that are present at most angles, from left to right."""
    from scipy import ndimage

    if means.shape[1] < 2:
        return []
    steps = np.median(np.diff(means, axis=1), 0)
    steps -= ndimage.median_filter(steps, NEIGHBORS, mode="nearest")
    least = math.sqrt(2) * threshold
    found = [
        Edge(start, stop - 1, float(steps[start:stop].sum()))
        for sign in (1, -1)
        for start, stop in _runs(sign * steps > least / 2)
    ]
    return sorted(edge for edge in found if abs(edge.step) > least)


def _pairs(edges: list[Edge]) -> list[tuple[Edge, Edge]]:
    """Return edges that are the two sides of a ridge, narrow ridges first."""
    free = [edge for edge in edges if edge.last - edge.first < SHARP]
    found = []
    for widest in (NARROW, WIDEST):
        for left in list(free):
            if left not in free:
                continue
            near = free[free.index(left) + 1 : bisect_left(free, (left.first + widest + 1,))]
            near = [right for right in near if _is_ridge(left, right, widest, edges)]
            if near:  # the first of those that are about equally alike
                right = max(near, key=lambda each: round(_likeness(left, each), 1))
                found.append((left, right))
                free = [each for each in free if each not in (left, right)]
    return found


def _is_ridge(left: Edge, right: Edge, widest: int, edges: list[Edge]) -> bool:
    """Return whether two edges are opposite, alike and close."""
    if _width(left, right) > widest or left.step * right.step > 0:
        return False
    if widest > NARROW and _between(left, right, edges):
        return False
    return _likeness(left, right) > ALIKE


def _likeness(left: Edge, right: Edge) -> float:
    """Return the ratio of the smaller and the larger step."""
    low, high = sorted((abs(left.step), abs(right.step)))
    return low / high


def _width(left: Edge, right: Edge) -> int:
    """Return the detector pixels of a ridge."""
    return right.last - left.first


def _between(left: Edge, right: Edge, edges: list[Edge]) -> bool:
    """Return whether there are similar steps between two edges."""
    least = abs(left.step) / 3
    return any(left.last < edge.first < right.first and abs(edge.step) > least for edge in edges)


def _slow_steps(differences: FloatArray, edge: Edge) -> FloatArray:
    """Return the differences at an edge without changes that are fast along the angles."""
    return _slow(differences[:, edge.first : edge.last + 1], DRIFT)


def _is_steady(steps: FloatArray, step: float, ratio: float) -> bool:
    """Return whether steps in each quarter of the angles are similar to those in all."""
    quarters = np.array_split(steps / step, min(4, len(steps)))
    medians = [np.median(quarter) for quarter in quarters]
    return bool(min(medians) > ratio and max(medians) < 1 / ratio)


def _steps_nearby(means: FloatArray, threshold: float) -> FloatArray:
    """Return the highest step near each detector pixel, except those of narrow ridges."""
    edges = _edges(means, threshold)
    narrow = [pair for pair in _pairs(edges) if _width(*pair) <= NARROW]
    highest = np.zeros(means.shape[1])
    for edge in set(edges).difference(*narrow):
        near = slice(max(0, edge.first - NEIGHBORS // 2), edge.last + 2 + NEIGHBORS // 2)
        highest[near] = np.maximum(highest[near], abs(edge.step))
    return highest


def _ends(contrast: FloatArray, start: int, stop: int, column: int) -> bool:
    """Return whether a ridge ends at its angles, instead of continuing at other pixels."""
    height = np.median(contrast[start:stop, column])
    path = contrast[:, max(0, column - PATH) : column + PATH + 1].max(1)
    outside = (path[max(0, start - 4) : max(0, start - 1)], path[stop + 1 : stop + 4])
    return not any(len(part) and height / 2 < np.median(part) for part in outside)


def _estimate(rest: FloatArray, flagged: Flags, drift: float) -> FloatArray:
    """Return slow differences of flagged pixels from an interpolation between others."""
    found = np.zeros_like(rest)
    bad: Flags = np.any(flagged, axis=0)
    if bad.any() and bad.mean() <= 0.5:
        slow = _slow(rest[:, bad] - _bridge(rest, bad), drift)
        found[:, bad] = np.where(flagged[:, bad], slow, 0)
    return found


def _slow(values: FloatArray, drift: float) -> FloatArray:
    """Return running medians along the angles."""
    from scipy import ndimage

    window = max(3, int(len(values) * drift)) | 1
    result: FloatArray = ndimage.median_filter(values, (window, 1), mode="nearest")
    return result


def _bridge(values: Any, bad: Flags) -> Any:
    """Interpolate bad detector pixels from the nearest others."""
    good, columns = np.flatnonzero(~bad), np.flatnonzero(bad)
    after = np.searchsorted(good, columns)
    left, right = good[np.maximum(after - 1, 0)], good[np.minimum(after, len(good) - 1)]
    share = np.clip((columns - left) / np.maximum(right - left, 1), 0, 1)
    share = interop.place_like(share, values)
    return values[:, left] * (1 - share) + values[:, right] * share


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Return start and stop of each run of True."""
    ends = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(stop)) for start, stop in ends.reshape(-1, 2)]
