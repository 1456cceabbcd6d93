"""Films restored in the colours they are stored in.

Films with a luminance and colours of their own, mostly at half the resolution, are not brought to
RGB. Enlarged colours carry noise that is not white, which V-BM3D would take for detail; and RGB
does not hold all that a film of limited range may store. Instead the luminance is restored by
itself, and the colours at their own resolution together with the luminance reduced to it, on
which blocks are matched. For noise in RGB this is as good as the way through RGB, for noise in the
planes it is some dB better, and it takes less time. RGB is restored as `vbm3d` restores it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._io.picture import Image
from fastrestore._io.planes import Layout, Planes, Shot

# Rows of equal length: channels of noise 1 turned by this have noise 1 again, and the transform
# "opp" of `vbm3d` turns them back; its first row is what blocks are matched on.
_TURN = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_LARGE = 64  # pixels on each side of a plane whose half still shows noise apart from texture
_LEAST = 0.05  # a plane without noise is treated as if it had so much of the largest


class Noise(NamedTuple):
    """Standard deviations, in what the planes store."""

    planes: list[float]
    reduced: float = 0.0  # of the luminance at the resolution of the colours


def told(sigma: float, layout: Layout, *, stored: bool) -> Noise:
    """Return the noise of the planes for a sigma of red, green and blue, or of what is stored.

    The matrix of the film mixes it, and colours that several pixels share are means.
    """
    if layout.kind == "gray" and layout.top and layout.black_to_white and not stored:
        return Noise([sigma * layout.black_to_white / layout.top])
    if layout.kind != "yuv" or layout.top is None or layout.black_to_white is None:
        return Noise([sigma] * layout.count)
    pixels = layout.cells[0] * layout.cells[1]
    if stored:
        return Noise([sigma] * 3, sigma / pixels**0.5)
    red, blue = layout.weights
    luma = np.array([red, 1 - red - blue, blue])
    u, v = (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)
    colours = [layout.chroma / layout.top * np.linalg.norm(row) / pixels**0.5 for row in (u, v)]
    first = float(layout.black_to_white / layout.top * np.linalg.norm(luma))
    shares = [first, *map(float, colours)]
    return Noise([sigma * share for share in shares], sigma * first / pixels**0.5)


def estimated(samples: Iterable[Planes], layout: Layout) -> Noise:
    """Estimate the noise: of each plane the median over the samples that have any."""
    import fastrestore

    estimate = fastrestore.estimate_sigma
    found = []
    for planes in samples:
        if layout.kind == "yuv" and layout.cells != (1, 1):
            small = reduced(planes[0], planes[1].shape, layout)
            colours = [_smoothed(plane) for plane in planes[1:]]
            found.append([estimate(planes[0]), *colours, estimate(small)])
        else:
            found.append([estimate(plane) for plane in planes])
    rows = ([sigma for sigma in row if sigma > 0] or [0.0] for row in zip(*found, strict=True))
    levels = [float(np.median(row)) for row in rows]
    return Noise(levels[: layout.count], levels[-1])


def _smoothed(plane: Image) -> float:
    """Estimate the noise of colours that were reduced, by a filter that nobody knows.

    It may have left their noise correlated, which hides it. Means of 2 x 2 have half of it.
    """
    import fastrestore

    sigma = float(fastrestore.estimate_sigma(plane))
    if min(plane.shape) < _LARGE:
        return sigma
    rows, columns = (size // 2 for size in plane.shape)
    means = plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))
    return max(sigma, 2 * float(fastrestore.estimate_sigma(means)))


def reduced(luma: Image, shape: tuple[int, ...], layout: Layout) -> NDArray[np.float32]:
    """Bring the luminance to the resolution of the colours: means of the pixels that share one."""
    rows, columns = layout.cells
    beyond = [(0, shape[0] * rows - luma.shape[0]), (0, shape[1] * columns - luma.shape[1])]
    whole = np.pad(luma, beyond, "edge").reshape(shape[0], rows, shape[1], columns)
    means: NDArray[np.float32] = whole.mean((1, 3), dtype=np.float32)
    return means


def restored(
    shots: Iterator[Shot], layout: Layout, noise: Noise, options: dict[str, Any]
) -> Iterator[Shot]:
    """Restore a film; what comes out has the type and range of what went in."""
    waiting: deque[Shot] = deque()

    def planes() -> Iterator[Planes]:
        for shot in shots:
            waiting.append(shot)
            yield shot.planes

    for results in _METHODS[layout.kind](planes(), layout, noise, options):
        shot = waiting.popleft()
        done = [
            _stored(result, before, layout) if sigma else before
            for result, before, sigma in zip(results, shot.planes, noise.planes, strict=True)
        ]
        yield Shot(done, shot.held)


def _stored(result: Image, before: Image, layout: Layout) -> Image:
    """Bring a result to the type of its plane: round halves to even, and clip to its range."""
    if layout.top is None:
        return result.astype(before.dtype, copy=False)
    least = 0 if before.dtype.kind == "u" else np.iinfo(before.dtype).min
    return np.clip(np.rint(result.astype(np.float64)), least, layout.top).astype(before.dtype)


def _one(
    film: Iterator[Planes], layout: Layout, noise: Noise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Restore gray frames."""
    return ([plane] for plane in _gray(film, layout, noise, options))


def _gray(
    film: Iterator[Planes], layout: Layout, noise: Noise, options: dict[str, Any]
) -> Iterator[Image]:
    import fastrestore

    options = {key: value for key, value in options.items() if key != "chroma_strength"}
    frames: Iterator[Image] = fastrestore.vbm3d(
        (planes[0] for planes in film),
        noise.planes[0],
        data_range=layout.black_to_white,
        **options,
    )
    return frames


def _channels(
    film: Iterator[Planes], layout: Layout, noise: Noise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Restore frames in RGB, or of other channels."""
    import fastrestore

    frames: Iterator[Image] = fastrestore.vbm3d(
        map(np.stack, film),
        noise.planes,
        channel_axis=0,
        data_range=layout.black_to_white,
        **options,
    )
    return (list(frame) for frame in frames)


def _yuv(
    film: Iterator[Planes], layout: Layout, noise: Noise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Restore luminance and colours, side by side if they differ in resolution."""
    if layout.cells == (1, 1):
        yield from _turned(film, layout, noise.planes, options)
        return
    one, other = tee(film)  # both lag by the same number of frames, give or take a cut
    small = ([reduced(y, u.shape, layout), u, v] for y, u, v in other)
    sigmas = [noise.reduced, *noise.planes[1:]] if any(noise.planes[1:]) else [0.0] * 3
    for luma, (_, u, v) in zip(
        _gray(one, layout, noise, options), _turned(small, layout, sigmas, options), strict=True
    ):
        yield [luma, u, v]


def _turned(
    film: Iterator[Planes], layout: Layout, sigmas: list[float], options: dict[str, Any]
) -> Iterator[Planes]:
    """Restore luminance and colours of one resolution, of which each has noise of its own.

    They are divided by their noise and turned, so that `vbm3d` finds three channels of noise 1.
    """
    import fastrestore

    if not any(sigmas) or layout.black_to_white is None:
        yield from film
        return
    scale = np.maximum(sigmas, _LEAST * max(sigmas))
    to, back = (_TURN.T / scale).astype(np.float32), (_TURN * scale[:, None]).astype(np.float32)
    results = fastrestore.vbm3d(
        (np.tensordot(to, np.stack(planes).astype(np.float32), 1) for planes in film),
        1.0,
        channel_axis=0,
        colorspace="opp",
        data_range=layout.black_to_white / scale[0] / np.sqrt(3),
        **options,
    )
    for result in results:
        yield list(np.tensordot(back, result, 1))


_METHODS = {"gray": _one, "rgb": _channels, "other": _channels, "yuv": _yuv}
