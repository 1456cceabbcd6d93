"""Denoising of videos in the color space they are stored in.

YUV videos, most of which store chroma at half the resolution, are not converted to RGB. Upsampled
chroma has correlated noise, which V-BM3D would treat as detail, and RGB cannot represent all
values of a video of limited range. Instead the luminance is denoised alone, and the chroma at its
own resolution together with the downsampled luminance, on which blocks are matched. For noise in
RGB the quality equals that of a conversion to RGB; for noise in the planes it is some dB better. It
also takes less time. RGB videos are passed to `vbm3d` unchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._io.films import Frame, Layout, Planes
from fastrestore._io.images import Image

# An orthonormal matrix: channels with noise level 1 keep it, and the transform "opp" of `vbm3d`
# inverts it up to a scale. Blocks are matched on its first row.
_ROTATION = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
_LARGE = 64  # smallest side of a plane whose noise can be estimated at half the resolution
_LEAST = 0.05  # smallest noise level of a plane, relative to the largest


class PlaneNoise(NamedTuple):
    """Noise of the planes, in their units."""

    planes: list[float]
    reduced: float = 0.0  # of the luminance downsampled to the chroma
    source: Any = None  # noise of the frames or of the luminance, if `planes` does not give it
    calls: list[Any] | None = None  # where iterators of `vbm3d` with `source` are added

    def is_zero(self, number: int, layout: Layout) -> bool:
        """Whether a plane has no noise and remains as it is."""
        is_level = self.source is None or (layout.kind == "yuv" and number > 0)
        return is_level and self.planes[number] == 0

    def restored(self, frames: Iterator[Any], sigma: Any, **options: Any) -> Iterator[Any]:
        """Call `vbm3d` for the frames or the luminance, with this noise or the level `sigma`."""
        if self.source is None:
            plain: Iterator[Any] = fastrestore.vbm3d(frames, sigma=sigma, **options)
            return plain
        found: Iterator[Any] = fastrestore.vbm3d(frames, noise=self.source, **options)
        if self.calls is not None:
            self.calls.append(found)
        return found

    @property
    def info(self) -> Any:
        """What `vbm3d` estimated and used for the frames or the luminance, or None."""
        return getattr(self.calls[0], "info", None) if self.calls else None


def sourced_noise(source: Any, samples: Iterable[Planes], layout: Layout) -> PlaneNoise:
    """Return the noise of frames from the argument `noise` of `vbm3d`.

    If luminance and chroma are separate, it is that of the luminance, and the noise of the chroma
    is white, with an estimated level.
    """
    if layout.kind != "yuv":
        return PlaneNoise([0.0] * layout.count, 0.0, source, [])
    levels = estimate_noise(samples, layout)
    reduced = levels.planes[0] if layout.subsampling == (1, 1) else levels.reduced
    return PlaneNoise(levels.planes, reduced, source, [])


def plane_noise(sigma: float, layout: Layout, *, stored: bool) -> PlaneNoise:
    """Return the noise levels of the planes for a sigma of RGB, or of the stored values.

    From RGB it is propagated through the color matrix; downsampling to the chroma averages pixels.
    """
    if layout.kind == "gray" and layout.largest and layout.luma_range and not stored:
        return PlaneNoise([sigma * layout.luma_range / layout.largest])
    if layout.kind != "yuv" or layout.largest is None or layout.luma_range is None:
        return PlaneNoise([sigma] * layout.count)
    pixels = layout.subsampling[0] * layout.subsampling[1]
    if stored:
        return PlaneNoise([sigma] * 3, sigma / pixels**0.5)
    red, blue = layout.weights
    luma = np.array([red, 1 - red - blue, blue])
    u, v = (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)
    scale = layout.chroma_range / layout.largest
    chroma = [scale * np.linalg.norm(row) / pixels**0.5 for row in (u, v)]
    first = float(layout.luma_range / layout.largest * np.linalg.norm(luma))
    factors = [first, *map(float, chroma)]
    return PlaneNoise([sigma * factor for factor in factors], sigma * first / pixels**0.5)


def estimate_noise(samples: Iterable[Planes], layout: Layout) -> PlaneNoise:
    """Estimate the noise level of each plane: the median over the samples with noise."""
    estimate = fastrestore.estimate_sigma
    estimates = []
    for planes in samples:
        if layout.kind == "yuv" and layout.subsampling != (1, 1):
            small = _downsampled(planes[0], planes[1].shape, layout)
            chroma = [_chroma_noise(plane) for plane in planes[1:]]
            estimates.append([estimate(planes[0]), *chroma, estimate(small)])
        else:
            estimates.append([estimate(plane) for plane in planes])
    rows = ([sigma for sigma in row if sigma > 0] or [0.0] for row in zip(*estimates, strict=True))
    levels = [float(np.median(row)) for row in rows]
    return PlaneNoise(levels[: layout.count], levels[-1])


def _chroma_noise(plane: Image) -> float:
    """Estimate the noise level of chroma that was downsampled by an unknown filter.

    The filter may have correlated the noise, which makes the estimate too low. Means of 2 x 2
    pixels are less affected; white noise in them has half the level.
    """
    sigma = float(fastrestore.estimate_sigma(plane))
    if min(plane.shape) < _LARGE:
        return sigma
    rows, columns = (size // 2 for size in plane.shape)
    means = plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))
    return max(sigma, 2 * float(fastrestore.estimate_sigma(means)))


def _downsampled(luma: Image, shape: tuple[int, ...], layout: Layout) -> NDArray[np.float32]:
    """Downsample the luminance to the shape of the chroma by means."""
    rows, columns = layout.subsampling
    padding = [(0, shape[0] * rows - luma.shape[0]), (0, shape[1] * columns - luma.shape[1])]
    whole = np.pad(luma, padding, "edge").reshape(shape[0], rows, shape[1], columns)
    means: NDArray[np.float32] = whole.mean((1, 3), dtype=np.float32)
    return means


def denoise(
    frames: Iterator[Frame], layout: Layout, noise: PlaneNoise, options: dict[str, Any]
) -> Iterator[Frame]:
    """Denoise a video; `options` are those of `vbm3d`. Type and range of the planes are kept."""
    waiting: deque[Frame] = deque()

    def planes() -> Iterator[Planes]:
        for frame in frames:
            waiting.append(frame)
            yield frame.planes

    for estimates in _METHODS[layout.kind](planes(), layout, noise, options):
        frame = waiting.popleft()
        denoised = [
            noisy if noise.is_zero(number, layout) else _to_type(estimate, noisy, layout)
            for number, (estimate, noisy) in enumerate(zip(estimates, frame.planes, strict=True))
        ]
        yield Frame(denoised, frame.origin)


def _to_type(estimate: Image, noisy: Image, layout: Layout) -> Image:
    """Cast to the type of the noisy plane: round half to even, and clip to its range."""
    if layout.largest is None:
        return estimate.astype(noisy.dtype, copy=False)
    least = 0 if noisy.dtype.kind == "u" else np.iinfo(noisy.dtype).min
    return np.clip(np.rint(estimate.astype(np.float64)), least, layout.largest).astype(noisy.dtype)


def _denoise_gray(
    film: Iterator[Planes], layout: Layout, noise: PlaneNoise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Denoise gray frames."""
    return ([plane] for plane in _denoise_first(film, layout, noise, options))


def _denoise_first(
    film: Iterator[Planes], layout: Layout, noise: PlaneNoise, options: dict[str, Any]
) -> Iterator[Image]:
    """Denoise the first plane of each frame."""
    options = {key: value for key, value in options.items() if key != "chroma_strength"}
    luma = (planes[0] for planes in film)
    return noise.restored(luma, noise.planes[0], data_range=layout.luma_range, **options)


def _denoise_channels(
    film: Iterator[Planes], layout: Layout, noise: PlaneNoise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Denoise frames of RGB or other channels."""
    frames = noise.restored(
        map(np.stack, film),
        noise.planes,
        channel_axis=0,
        data_range=layout.luma_range,
        **options,
    )
    return (list(frame) for frame in frames)


def _denoise_yuv(
    film: Iterator[Planes], layout: Layout, noise: PlaneNoise, options: dict[str, Any]
) -> Iterator[Planes]:
    """Denoise luminance and chroma, separately if they differ in resolution or kind of noise."""
    if layout.subsampling == (1, 1) and noise.source is None:
        yield from _denoise_rotated(film, layout, noise.planes, options)
        return
    one, other = tee(film)  # both lag by the same number of frames, except near scene cuts
    small = ([_downsampled(y, u.shape, layout), u, v] for y, u, v in other)
    sigmas = [noise.reduced, *noise.planes[1:]] if any(noise.planes[1:]) else [0.0] * 3
    for luma, (_, u, v) in zip(
        _denoise_first(one, layout, noise, options),
        _denoise_rotated(small, layout, sigmas, options),
        strict=True,
    ):
        yield [luma, u, v]


def _denoise_rotated(
    film: Iterator[Planes], layout: Layout, sigmas: list[float], options: dict[str, Any]
) -> Iterator[Planes]:
    """Denoise luminance and chroma of one resolution with a noise level for each plane.

    The planes are divided by their noise levels and rotated, so that `vbm3d` gets three channels
    with noise level 1.
    """
    if not any(sigmas) or layout.luma_range is None:
        yield from film
        return
    scale = np.maximum(sigmas, _LEAST * max(sigmas))
    to, back = (
        (_ROTATION.T / scale).astype(np.float32),
        (_ROTATION * scale[:, None]).astype(np.float32),
    )
    results = fastrestore.vbm3d(
        (np.tensordot(to, np.stack(planes).astype(np.float32), 1) for planes in film),
        1.0,
        channel_axis=0,
        colorspace="opp",
        data_range=layout.luma_range / scale[0] / np.sqrt(3),
        **options,
    )
    for result in results:
        yield list(np.tensordot(back, result, 1))


_METHODS = {
    "gray": _denoise_gray,
    "rgb": _denoise_channels,
    "other": _denoise_channels,
    "yuv": _denoise_yuv,
}
