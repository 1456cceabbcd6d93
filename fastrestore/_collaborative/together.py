"""Independent images of one size, filtered in one set of launches by backends with "batch"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.outliers import SEPARATE
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.pipeline import FAR
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.stage import Context, make_context
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends import host
from fastrestore.backends.protocol import Needs, Stage, Which

# Bytes of working memory of the images that are filtered together: those of 400 images of 512x512.
# With more, launches take no less time.
ENOUGH = 2**32
MOST_PLANES = 2**15  # of one launch: a grid has at most 65,535 blocks along an axis


class Images(NamedTuple):
    """Images of one batch, and their noise."""

    planes: Any  # (C, B, M, N)
    levels: FloatArray  # (B, C), of white noise; or (1, C) if all images have the same noise
    noise: PlaneNoise  # that of the first image

    def part(self, chosen: slice) -> Images:
        """Return some of the images."""
        levels = self.levels if len(self.levels) == 1 else self.levels[chosen]
        return self._replace(planes=self.planes[:, chosen], levels=levels)

    def are_ordinary(self, request: Request) -> bool:
        """Whether no image needs a step that depends on its pixels; those on a GPU are not read."""
        if self.levels.min() == 0:
            return False
        if not interop.on_host(self.planes):
            return True
        planes = self.planes
        low, high = (edge((0, 2, 3)).astype(np.float64) for edge in (planes.min, planes.max))
        if not np.isfinite(high - low).all():
            return False
        extent, level = high - low, self.levels.max(1)
        if request.check_spectrum or (extent == 0).any() or (level > extent).any():
            return False  # there may be a warning about units
        narrow = planes.dtype.itemsize == 1 or (extent <= SEPARATE * level).all()
        near = (np.abs(low) <= FAR * np.maximum(extent, level)).all()
        gray = len(planes) > 1 and (planes[1:, :, 0] == planes[:1, :, 0]).all((0, 2)).any()
        return bool(narrow and near and not gray)


def restore_together(request: Request, images: Images, out: Any) -> None:
    """Restore images to `out` (C, B, M, N).

    Raises
    ------
    MemoryError
        If the memory does not even suffice for one image.
    """
    channels, total, height, width = images.planes.shape
    one = request.backend.bm3d_memory(
        (channels, height, width), 0, request.profile, request.execution
    )
    room = ENOUGH if request.max_memory is None else request.max_memory
    count = max(1, int(min(total, MOST_PLANES // channels, room // one)))
    stages = request.stages(piloted=False)
    kind = images.planes.dtype
    request.backend.warm(Needs(request.profile, stages, kind), request.execution)
    first = 0
    while first < total:
        part = slice(first, min(total, first + count))
        try:
            _restore(request, images.part(part), out[:, part])
        except MemoryError:
            request.execution.memory.clear()
            if count == 1:
                raise
            count = -(-count // 2)
            continue
        first = part.stop
        request.execution.report_progress((part.stop - part.start) / total)


def _restore(request: Request, images: Images, out: Any) -> None:
    """Restore images in one set of launches."""
    backend, execution = request.backend, replace(request.execution, report_progress=_ignore)
    planes = backend.put(images.planes)
    contexts, which = _contexts(request, images, planes)
    units = contexts[0].units._replace(least=(1, *contexts[0].units.least))
    if contexts[0].statistics.data_range is None:
        ranges = _ranges(request, contexts[0], planes)
        contexts = [each.with_range(ranges) for each in contexts]
    noisy = backend.load("noisy", planes, units, execution)
    filtered: tuple[Any, ...] = (noisy,)
    for name in request.stages(piloted=False):
        stage = _stage(request, contexts, which, name)
        seen = backend.luminance(filtered[-1], contexts[0].weights, execution)
        matches = backend.bm3d_match(seen, stage, execution)
        filtered = (noisy, backend.bm3d_filter(filtered, matches, stage, execution))
    backend.store(filtered[-1], units, None, out, execution)


def _ignore(share: float) -> None:
    """Report no progress."""


def _contexts(
    request: Request, images: Images, planes: Any
) -> tuple[list[Context], NDArray[np.intp]]:
    """Return a context for each noise that differs, and which of them each image has."""
    levels, which = np.unique(images.levels, axis=0, return_inverse=True)
    largest = float(levels.max())
    noises = [images.noise]
    if len(images.levels) > 1:
        noises = [PlaneNoise.white(*each) for each in levels]
    contexts = [make_context(planes[:, 0], each, request, None, largest) for each in noises]
    return contexts, np.broadcast_to(which.ravel(), planes.shape[1])


def _ranges(request: Request, context: Context, planes: Any) -> Any:
    """Measure the range of each image that blocks are matched on."""
    backend, execution = request.backend, request.execution
    apart = host.stride(planes.shape[2:])
    units = context.units._replace(least=(1, 1, 1))
    channels = backend.load("noisy", planes[:, :, ::apart, ::apart], units, execution)
    luminance = backend.luminance(channels, context.weights, execution)
    return backend.robust_ranges(luminance, execution)


def _stage(
    request: Request, contexts: Sequence[Context], which: NDArray[np.intp], name: Which
) -> Stage:
    """Join the stages of the images to one."""
    stages = [each.stage(request.profile, name) for each in contexts]
    variances = np.stack([each.variances for each in stages])[which]
    return replace(
        stages[0],
        images=len(which),
        variances=variances.T.ravel(),
        strength=np.repeat(stages[0].strength, len(which)),
        bounds=None if len(stages) == 1 else np.array([s.match for s in stages], "f4")[which],
    )
