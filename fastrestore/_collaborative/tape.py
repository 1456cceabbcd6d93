"""What a call has computed, kept for the gradients of its result.

The result is a function of image and noise level with everything fixed that is chosen: the matches,
which coefficients pass the threshold, and the power of two that scales the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.protocol import Execution, Matches

if TYPE_CHECKING:
    from fastrestore._collaborative.request import Request
    from fastrestore._collaborative.stage import Context
    from fastrestore._noise.planes import PlaneNoise
    from fastrestore.backends.protocol import Stage

WHY_NOT = "there are no gradients of this call, because "
SPECTRA = (
    f"{WHY_NOT}sigma is a map, and psd or noise_kernel differs by channel: use the same for all, "
    "or colorspace=None"
)

SMALL = (
    "the image is cut into tiles, because the memory of the GPU is too small: write "
    "backend='numba', which copies the image to the CPU"
)


class Step(NamedTuple):
    """One filtering: the arguments of `Backend.bm3d_filter`, and its result."""

    estimate: Channels
    images: tuple[Channels, ...]
    matches: Matches
    stage: Stage


class Derivatives(NamedTuple):
    """Gradients of a call."""

    image: FloatArray  # (C, M, N)
    level: FloatArray  # (C, M, N), or (C,)
    factors: tuple[FloatArray | None, ...] = ()  # of each step, see `Gradients.factors`


@dataclass(slots=True, eq=False)
class Tape:
    """The filterings of a call, and how its image was converted for them.

    Without steps the result is the image, because there is no noise.
    """

    steps: list[Step] = field(default_factory=list)
    context: Context | None = None
    request: Request | None = None
    noise: PlaneNoise | None = None  # of the planes that were filtered
    refusal: str = ""  # why there are no gradients

    def begin(self, request: Request, given: Request, noise: PlaneNoise) -> None:
        """Begin a call; `given` is its request before the noise was known."""
        if self.request is not None and self.request.backend is request.backend:
            return  # a part of the call; another backend is used if a GPU fails
        self.request = request
        self.noise = noise
        self.refusal = _refusal(request, given, noise)

    def attempt(self, tiles: int) -> None:
        """Begin the filterings, again if there was not enough memory, for tiles of the image."""
        self.steps.clear()
        if tiles > 1 and not self.refusal:
            self.refusal = WHY_NOT + SMALL

    def add(self, context: Context, step: Step) -> None:
        """Record a filtering, unless there are no gradients."""
        if not self.refusal:
            self.context = context
            self.steps.append(step._replace(matches=_kept(step.matches)))

    def backward(self, gradient: FloatArray, by_pixel: bool) -> Derivatives:
        """Return gradients with respect to image (C, M, N), noise level and factors.

        `gradient` (C, M, N) is that of the restored image. The level is (C, M, N), or (C,) unless
        `by_pixel`.
        """
        if self.refusal or (by_pixel and self._mixes_spectra()):
            raise NotImplementedError(self.refusal or SPECTRA)
        if not self.steps:
            level = np.zeros(gradient.shape if by_pixel else len(gradient))
            return Derivatives(gradient, level)
        assert self.context is not None
        count = len(gradient)
        one = len(self.context.units.matrix) < count
        if one:  # equal channels were restored as one
            gradient = gradient.sum(0, keepdims=True)
        exact = self.context.exact
        kept = gradient if exact is None else np.where(exact, 0, gradient)
        image, level, factors = self._channels_backward(kept, by_pixel)
        if exact is not None:
            image += np.where(exact, gradient, 0)
        if one:
            image, level = (np.repeat(each / count, count, axis=0) for each in (image, level))
        return Derivatives(image, level, factors)

    def _mixes_spectra(self) -> bool:
        """Whether the spectrum of a transformed channel depends on the levels of the planes."""
        if self.noise is None or self.noise.spectrum is None or self.context is None:
            return False
        matrix = self.context.units.matrix
        return len(self.noise.spectrum) > 1 and not np.array_equal(matrix, np.eye(len(matrix)))

    def _channels_backward(self, gradient: FloatArray, by_pixel: bool) -> Derivatives:
        """Return gradients with respect to the planes that were filtered."""
        assert self.context is not None
        assert self.request is not None
        units, shape = self.context.units, gradient.shape[1:]
        matrix, dtype = units.matrix, self.steps[0].images[0].dtype
        beyond = [(0, max(0, n - size)) for n, size in zip(units.least, shape, strict=True)]
        # Powers of two of the units cancel: result and image are multiplied by the same one
        passed = np.tensordot(units.back().T, np.pad(gradient, [(0, 0), *beyond]), 1)
        backend, execution = self.request.backend, _quiet(self.request)
        image = np.zeros(passed.shape)
        power = np.zeros(passed.shape if by_pixel else len(passed))
        factors: list[FloatArray | None] = []
        for estimate, images, matches, stage in reversed(self.steps):
            if by_pixel and stage.scale is None:
                corners = [n - b + 1 for n, b in zip(passed.shape[1:], stage.shape, strict=True)]
                stage = replace(stage, scale=np.ones((1, *corners), np.float32))
            given = passed.astype(dtype)
            gradients = backend.bm3d_backward(given, estimate, images, matches, stage, execution)
            image += gradients.images[0]
            power += _by_power(gradients.scale, stage) if by_pixel else 2 * gradients.variances
            passed = gradients.images[-1]
            each = gradients.factors  # of a result that is multiplied by a power of two
            factors.insert(0, None if each is None else np.ldexp(each, -units.exponent))
        planes = np.tensordot(matrix.T, _folded(image, shape), 1)
        level = self._level_backward(_folded(power, shape) if by_pixel else power)
        return Derivatives(planes, level, tuple(factors))

    def _level_backward(self, power: FloatArray) -> FloatArray:
        """Return the gradient with respect to the level of each plane.

        `power` is that with respect to the variances of the transformed channels, times 2. These
        are sums of the variances of the planes.
        """
        assert self.context is not None
        assert self.request is not None
        assert self.noise is not None
        matrix, exponent = self.context.units.matrix, self.context.units.exponent
        chroma = np.where(np.arange(len(matrix)) > 0, self.request.chroma_strength, 1.0)
        one = len(matrix) < len(self.noise.sigmas)
        noise = self.noise.channel(0) if one else self.noise
        level = np.ldexp(noise.sigmas, exponent)
        if power.ndim > 1:
            level = level[:, None, None]
            level = level if noise.map is None else level * noise.map
        weights = (chroma[:, None] * matrix) ** 2
        result: FloatArray = self.request.strength * level * np.tensordot(weights.T, power, 1)
        return result


def _refusal(request: Request, given: Request, noise: PlaneNoise) -> str:
    """Return why a call has no gradients, or an empty string."""
    cures = {
        "the noise is estimated: pass sigma": given.noise is None,
        "noise= is a model: pass sigma": noise.model is not None,
        "pixels are masked: leave out mask, and values beyond the others": request.mask is not None,
        "max_memory cuts the image into tiles: leave it out": request.max_memory is not None,
        "colorspace='pca' depends on the image: write another": request.colorspace == "pca",
        f"profile {request.profile.name!r} {request.profile.whole()}: write profile='np'": bool(
            request.profile.whole()
        ),
        f"profile {request.profile.name!r} sharpens: write profile='np'": (
            request.profile.sharpen != 1
        ),
        f"backend {request.backend.NAME!r} has none: write backend='numba', which copies the "
        "image to the CPU": "gradients" not in request.backend.capabilities,
    }
    for cure, applies in cures.items():
        if applies:
            return WHY_NOT + cure
    return ""


def _quiet(request: Request) -> Execution:
    """Return the threads of a call without its progress reports, and with other buffers."""
    given, memory = request.execution, request.backend.memory()
    return Execution(given.workers, deterministic=given.deterministic, memory=memory)


def _kept(matches: Matches) -> Matches:
    """Copy matches in buffers on a GPU, which the next stage reuses."""
    if interop.on_host(matches.offsets):
        return matches
    return Matches(matches.corners, matches.offsets.copy(), matches.sizes.copy())


def _by_power(scale: FloatArray | None, stage: Stage) -> FloatArray:
    """Return 2 times the gradients with respect to the variances of pixels (C, M, N).

    The square of the scale of a block is the mean of the variances of its pixels, relative to the
    variance of the channel.
    """
    assert scale is not None
    assert stage.scale is not None
    own = np.broadcast_to(stage.scale, scale.shape).astype(np.float64)
    variances = stage.variances[:, None, None] * own
    ratio = np.divide(scale, variances, where=variances > 0, out=np.zeros(scale.shape))
    for axis, size in enumerate(stage.shape, 1):
        ratio = _spread(ratio, size, axis)
    return ratio / np.prod(stage.shape)


def _spread(values: FloatArray, size: int, axis: int) -> FloatArray:
    """Add each value to `size` places from its own on."""
    shape = list(values.shape)
    shape[axis] += size - 1
    out = np.zeros(shape)
    for k in range(size):
        place = [slice(None)] * values.ndim
        place[axis] = slice(k, k + values.shape[axis])
        out[tuple(place)] += values
    return out


def _folded(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Add values of mirrored pixels beyond an image of this shape to those of their origin."""
    for axis, size in enumerate(shape, 1):
        beyond = values.shape[axis] - size
        if beyond:
            origin: NDArray[np.int64] = np.pad(np.arange(size), (0, beyond), mode="symmetric")
            moved = np.moveaxis(values, axis, 0)
            out = np.zeros((size, *moved.shape[1:]))
            np.add.at(out, origin, moved)
            values = np.moveaxis(out, 0, axis)
    return values


# The tape that records the current call; read without a function, because every call does so
RECORD: ContextVar[Tape | None] = ContextVar("fastrestore_tape", default=None)


@contextmanager
def recording() -> Iterator[Tape]:
    """Record what the call in a ``with`` block computes."""
    tape = Tape()
    token = RECORD.set(tape)
    try:
        yield tape
    finally:
        RECORD.reset(token)
