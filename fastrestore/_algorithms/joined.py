"""Batches of images of one size whose images are filtered in one set of launches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np

from fastrestore._algorithms.info import Info
from fastrestore._arrays import interop
from fastrestore._collaborative import tape
from fastrestore._collaborative.pipeline import Result
from fastrestore._collaborative.request import Request, image_geometry
from fastrestore._collaborative.together import Images, restore_together
from fastrestore._noise.planes import NoiseArguments, PlaneNoise, noise_of_sigma
from fastrestore.backends.select import device, select
from fastrestore.errors import BackendUnavailableError

# Pixels above which the threads share each image: this takes less memory and stops sooner, and the
# threads wait for each other for less than 3 % of the time.
SMALL = 2**20

# Arguments of `Request`, and those with which images are restored one by one
_OPTIONS = (
    "strength", "profile", "stage", "data_range", "colorspace", "chroma_strength", "max_memory",
    "deterministic", "workers",
)  # fmt: skip
_SINGLE = ("noise", "pilot", "guide", "mask", "match_channel", "matches", "uncertainty")
_NOISE = ("sigma", "psd", "noise_kernel")


class Batch(NamedTuple):
    """The axes of a batch, with its images along the first."""

    shape: tuple[int, ...]  # of the array
    axis: int
    channel_axis: int | None  # of one image

    @property
    def images(self) -> int:
        """The number of images."""
        return self.shape[self.axis]

    def image(self, values: Any, k: int) -> Any:
        """View one image of an array of this shape."""
        return interop.move_axis(values, self.axis, 0)[k]

    def argument(self, name: str, value: Any, k: int) -> Any:
        """Return what belongs to an image of an argument that may be an array of the batch."""
        if name == "sigma" and np.ndim(value) == 1:
            if len(value) != self.images:
                raise ValueError(
                    f"sigma must be one number, or {self.images}, one for each image, got "
                    f"{len(value)}"
                )
            return value[k]
        shape = tuple(getattr(value, "shape", ()))
        if len(shape) < len(self.shape):
            return value
        if len(shape) > len(self.shape) or shape[self.axis] not in (1, self.images):
            raise ValueError(
                f"{name} has shape {shape}, which does not broadcast to the shape {self.shape} of "
                "the batch"
            )
        part = self.image(value, k if shape[self.axis] > 1 else 0)
        return self._level(part) if name == "sigma" else part

    def _level(self, part: Any) -> Any:
        """Return a number, or one for each channel, instead of a map of one value each."""
        if math.prod(part.shape) == 1:
            return part.reshape(())
        if self.channel_axis is not None and math.prod(part.shape) == part.shape[self.channel_axis]:
            return part.reshape(-1)
        return part

    def planes(self, values: Any) -> Any:
        """View an array of this shape as (C, B, M, N)."""
        first = interop.move_axis(values, self.axis, 0)
        if self.channel_axis is None:
            return first[None]
        return interop.move_axis(first, self.channel_axis + 1, 0)


class Joined(NamedTuple):
    """A batch whose images can be filtered in one set of launches."""

    request: Request  # of the first image
    images: Images
    noises: list[PlaneNoise]  # one, or one for each image
    levels: list[Any]  # `sigma` of these

    @classmethod
    def of(cls, values: Any, batch: Batch, options: Mapping[str, Any]) -> Self | None:
        """Return the batch, or None if its images have to be restored one by one.

        That is also so for invalid arguments: then the image that they belong to raises.
        """
        single = any(not (options[name] is None or options[name] is False) for name in _SINGLE)
        unknown = all(options[name] is None for name in _NOISE)
        large = math.prod(batch.shape) > SMALL * batch.images
        if single or unknown or large or batch.images == 1 or tape.RECORD.get() is not None:
            return None
        try:
            joined = cls._validated(values, batch, options)
        except (ValueError, TypeError, BackendUnavailableError):
            return None
        return joined if joined is not None and joined._is_ordinary() else None

    @classmethod
    def _validated(cls, values: Any, batch: Batch, options: Mapping[str, Any]) -> Self | None:
        """Validate the arguments; None if the backend takes no batches."""
        on_host = interop.on_host(values)
        backend = select(options["backend"], on_host, "image", math.prod(batch.shape))
        if "batch" not in backend.capabilities:
            return None
        number = device(options["backend"])
        levels = [options["sigma"]]
        if np.ndim(levels[0]):
            levels = [batch.argument("sigma", levels[0], k) for k in range(batch.images)]
        shape = tuple(size for k, size in enumerate(batch.shape) if k != batch.axis)
        request = Request.validated(
            image_geometry(shape, batch.channel_axis),
            on_host,
            NoiseArguments(levels[0], options["psd"], options["noise_kernel"]),
            backend=backend.NAME if number is None else f"{backend.NAME}:{number}",
            **{name: options[name] for name in _OPTIONS},
        )
        assert request.noise is not None
        others = [noise_of_sigma(each, shape, batch.channel_axis) for each in levels[1:]]
        noises = [each.times(request.strength) for each in (request.noise, *others)]
        sigmas = np.array([each.sigmas for each in noises])
        return cls(request, Images(batch.planes(values), sigmas, noises[0]), noises, levels)

    def _is_ordinary(self) -> bool:
        """Whether no image needs steps of its own."""
        request = self.request
        varies = any(each.map is not None for each in self.noises)
        if varies or request.colorspace == "pca" or request.profile.whole():
            return False
        return self.images.are_ordinary(request)

    def restore(self, batch: Batch, out: Any, report: Callable[[float], None]) -> bool:
        """Restore the images to an array of the batch; return False if the GPU cannot."""
        request, planes = self.request.reporting(report), batch.planes(out)
        try:
            with interop.use_device_of(self.images.planes, request.device):
                restore_together(request, self.images, planes)
        except (MemoryError, BackendUnavailableError):  # as of a kernel that does not fit
            return False
        return True

    def infos(self) -> tuple[Info, ...]:
        """Describe what was used for each image."""
        count = self.images.planes.shape[1]
        each = [
            Info.of(replace(self.request, noise=noise), Result(None, noise, None, None), level)
            for noise, level in zip(self.noises, self.levels, strict=True)
        ]
        return tuple(each * count if len(each) == 1 else each)
