"""A validated call: geometry of the image, noise, options, backend."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from fastrestore._arrays import color, interop, validate
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.outliers import MASK, SEPARATE
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative import masking, sides, tape
from fastrestore._collaborative.block_matches import Matching
from fastrestore._collaborative.profile import (
    ARRAYS,
    FACTORS,
    MOST,
    PROFILES,
    STAGES,
    Profile,
    named_profile,
)
from fastrestore._collaborative.uncertainty import Uncertainty
from fastrestore._noise import vst
from fastrestore._noise.planes import NoiseArguments, PlaneNoise, Source
from fastrestore.backends.protocol import Backend, Execution, Which
from fastrestore.backends.select import device, select, substitute


class Geometry(NamedTuple):
    """Shape and axes of an image or a volume, and its view as planes (C, *spatial)."""

    shape: tuple[int, ...]
    channel_axis: int | None
    slice_axis: int = 1  # of (C, ...): becomes the first spatial axis of a volume

    @property
    def ndim(self) -> int:
        """Number of spatial axes: 2 for images, 3 for volumes."""
        return len(self.shape) - (self.channel_axis is not None)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    def planes(self, values: Any) -> Any:
        """View an image as (C, M, N), a volume as (C, P, M, N)."""
        return self.spatial(interop.channels_first(values, self.channel_axis))

    def spatial(self, planes: Any) -> Any:
        """Move the slice axis of a volume to the front of the spatial axes."""
        return planes if self.slice_axis == 1 else interop.move_axis(planes, self.slice_axis, 1)


def image_geometry(shape: tuple[int, ...], channel_axis: Any, name: str = "image") -> Geometry:
    """Validate the axes of an image."""
    validate.check_axes(name, shape, channel_axis)
    return Geometry(shape, None if channel_axis is None else channel_axis % len(shape))


class Inputs(NamedTuple):
    """An image to restore and other images, as recognized arrays."""

    image: Any
    pilot: Any = None  # planes
    guide: Any = None  # (M, N)
    out: Any = None  # of the shape of the image
    matching: Matching | None = None  # of blocks; None: they are matched anew
    uncertainty: Uncertainty | None = None  # None: no map of the error is computed


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Validated arguments of a call."""

    geometry: Geometry
    noise: PlaneNoise | None  # of the planes; None: it depends on the image
    source: Source  # the noise, or the name of a model to be estimated
    strength: float  # factor for the noise level
    profile: Profile
    stage: str
    colorspace: str | None
    natural_colors: bool  # whether the color space is the default for the number of channels
    weights: FloatArray  # (C,), of the channels in block matching, without a color transform
    chroma_strength: float
    data_range: float | None
    max_memory: float | None
    check_spectrum: bool  # whether to warn if the units of a spectrum seem wrong
    mask: Mask | None  # of the planes
    backend: Backend
    execution: Execution
    substitute: Backend | None = None  # for calls that fail with `backend`
    device: int | None = None  # of the backend, if one was requested

    @classmethod
    def validated(
        cls,
        geometry: Geometry,
        on_host: bool | None,
        noise: NoiseArguments,
        *,
        strength: Any = 1.0,
        profile: Any = "np",
        stage: Any = "final",
        mask: Any = None,
        data_range: Any = None,
        colorspace: Any = None,
        chroma_strength: Any = 1.0,
        max_memory: Any = None,
        deterministic: Any = False,
        workers: Any = None,
        backend: Any = None,
        capability: str = "image",
        matching: Matching | None = None,
        uncertainty: Uncertainty | None = None,
    ) -> Request:
        """Validate the arguments of a call; raise `TypeError` or `ValueError`.

        `on_host`: whether the image is on the host; None if it is not known yet.
        """
        count, axis = geometry.channels, geometry.channel_axis
        space, chroma = _checked_colors(colorspace, chroma_strength, count, axis)
        numbers = PROFILES.get(profile) if isinstance(profile, str) else None
        numbers = named_profile(profile) if numbers is None else numbers
        validate.choice("stage", stage, ("basic", "final"))
        if numbers.sharpen != 1:
            capability = _sharpening(numbers, stage, capability)
        capability = capability if matching is None else "matches"
        capability = capability if uncertainty is None else "uncertainty"
        capability = _arrays(numbers, geometry, capability)
        if isinstance(numbers.block_basic, tuple) or isinstance(numbers.block_final, tuple):
            capability = _sides(numbers, geometry, capability)
        extent = None if data_range is None else validate.positive("data_range", data_range)
        threads = validate.workers(workers)
        same = validate.flag("deterministic", deterministic)
        limit = validate.max_memory(max_memory)
        engine = select(backend, on_host is not False, capability, _size(geometry, on_host))
        valid = None if mask is None else validate.mask("mask", mask, geometry.shape, axis)
        factor = validate.number("strength", strength, least=0, most=MOST)
        spec = noise.spec(geometry.shape, axis, numbers.reach, valid)
        if spec is not None and spec.map is not None and numbers.whole():
            raise ValueError(
                f"profile {numbers.name!r} {numbers.whole()}, which needs noise of one "
                "level; sigma is a map, so use profile='np'"
            )
        if spec is not None and spec.model is not None and extent is not None:
            extent = vst.extent(spec.model, extent)
        return cls(
            geometry=geometry,
            noise=None if spec is None else spec.with_axis_first(geometry.slice_axis),
            source=noise.source(count),
            strength=factor,
            profile=numbers,
            stage=stage,
            colorspace=space,
            natural_colors=isinstance(colorspace, str) and colorspace == "auto",
            weights=np.full(count, 1 / count),
            chroma_strength=chroma,
            data_range=extent,
            max_memory=limit,
            check_spectrum=noise.gives_spectrum(),
            mask=None if valid is None else Mask(geometry.spatial(valid)),
            backend=engine,
            execution=Execution(threads, deterministic=same, memory=engine.memory()),
            substitute=substitute(engine, backend, on_host is not False, capability),
            device=device(backend),
        )

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.geometry.ndim

    def noise_argument(self) -> str:
        """Return the argument that gives the level of the noise; "psd" may be a kernel."""
        if self.noise is not None and self.noise.model is not None:
            return "noise"
        return "psd" if self.check_spectrum else "sigma"

    def known_sigma(self) -> float:
        """Return the noise level in the units of the image, or 0 if it is unknown."""
        return 0.0 if self.noise is None or self.noise.model is not None else self.noise.largest

    def checked_mask(self, name: str, values: Any) -> Mask | None:
        """Validate the values of an image; return its mask, with outliers as invalid pixels."""
        if self.mask is not None or self._is_wide(values):
            return masking.checked_mask(name, values, self)
        validate.check_finite(name, values, cure=MASK)
        return None

    def _is_wide(self, values: Any) -> bool:
        """Whether an image may contain outliers, such as fill values."""
        if not interop.on_host(values) or values.dtype.itemsize == 1:
            return False
        extent = float(values.max()) - float(values.min())
        return not extent <= SEPARATE * self.known_sigma()

    def stages(self, piloted: bool) -> tuple[Which, ...]:
        """Return the stages that run."""
        if piloted:
            return ("final",)
        return ("basic",) if self.stage == "basic" else ("basic", "final")

    def is_limited(self) -> bool:
        """Whether tiles may be necessary; volumes have none."""
        limited = self.max_memory is not None or self.execution.memory is not None
        return self.ndim == 2 and limited

    def least_shape(self) -> tuple[int, ...]:
        """Return the smallest shape that the stages support."""
        profile = self.profile
        if isinstance(profile.block_basic, int) and isinstance(profile.block_final, int):
            block = max(profile.block_basic, profile.block_final)
            if self.ndim == 2:
                return (block, block)
            return (max(profile.slices_basic, profile.slices_final), block, block)
        basic, final = (sides.of(profile, "block", which, self.ndim) for which in STAGES)
        return tuple(map(max, basic, final))

    def matched_on(self, channel: Any) -> Self:
        """Return the request for block matching on one channel."""
        index = validate.index("match_channel", channel, self.geometry.channels)
        if self.colorspace is not None:
            raise ValueError(
                f"match_channel={index} is for channels that are not transformed: write "
                "colorspace=None, or leave it out to match on the luminance of "
                f"{self.colorspace!r}"
            )
        return replace(self, weights=np.eye(self.geometry.channels)[index])

    def substituted(self, error: Exception) -> Self:
        """Return the request for the substitute after an error of the backend, and warn."""
        backend = self.substitute
        assert backend is not None
        if self.execution.memory is not None:
            self.execution.memory.clear()
        validate.warn(
            f"the GPU cannot restore this ({error}); it was restored by backend {backend.NAME!r}, "
            f"which is slower. backend={backend.NAME!r} avoids this warning, and "
            f"backend={self.backend.NAME!r} raises an error instead"
        )
        own = replace(self.execution, memory=backend.memory())
        return replace(self, backend=backend, execution=own, substitute=None)

    def reporting(self, report: Callable[[float], None] | None) -> Self:
        """Return the request with a function that is called with shares of the work."""
        if report is None:
            return self
        return replace(self, execution=replace(self.execution, report_progress=report))


def _checked_colors(
    colorspace: Any, strength: Any, count: int, channel_axis: int | None
) -> tuple[str | None, float]:
    """Validate the color space and the strength of the chroma channels."""
    plain = colorspace is None or (isinstance(colorspace, str) and colorspace == "auto")
    if channel_axis is None and plain and isinstance(strength, float) and strength == 1:
        return None, 1.0
    chroma = validate.number("chroma_strength", strength, above=0, most=MOST)
    space = color.check(colorspace, count)
    color.check_chroma(chroma, space, count, channel_axis)
    return space, chroma


def _size(geometry: Geometry, on_host: bool | None) -> int | None:
    """Return the size of an image for the choice of the backend; None if it does not matter."""
    return None if on_host is None else math.prod(geometry.shape)


def _arrays(profile: Profile, geometry: Geometry, capability: str) -> str:
    """Return the capability required by the arrays of a profile, if it has some."""
    transforms = profile.transform_basic, profile.transform_final
    given = [field for field in ARRAYS if getattr(profile, field) is not None]
    if not given and all(isinstance(transform, str) for transform in transforms):
        return capability
    if geometry.ndim > 2:
        raise ValueError(
            f"profile {profile.name!r} has arrays, which are for images and videos only: write "
            "profile='volume'"
        )
    return "factors" if any(field in FACTORS.values() for field in given) else capability


def _sides(profile: Profile, geometry: Geometry, capability: str) -> str:
    """Return the capability required by blocks whose sides are given by axis."""
    for field, which in itertools.product(sides.FIELDS, STAGES):
        sides.of(profile, field, which, geometry.ndim)  # raises if there are too many
    refused = {"video": "videos", "sharpen": "sharpening", "uncertainty": "maps of uncertainty"}
    reason = "arrays" if capability == "factors" else refused.get(capability)
    if tape.RECORD.get() is not None:
        reason = "gradients"
    if reason is not None or any(getattr(profile, field) is not None for field in ARRAYS):
        raise ValueError(
            f"profile {profile.name!r} has sides of blocks by axis, which {reason or 'arrays'} "
            f"{'does' if reason == 'sharpening' else 'do'} not support: write one number, such as "
            "block_basic=8"
        )
    return "axes"


def _sharpening(profile: Profile, stage: str, capability: str) -> str:
    """Return the capability required by a profile that sharpens."""
    if capability != "image" or stage != "basic":
        raise ValueError(
            f"profile {profile.name!r} sharpens, which only the basic stage of images supports; "
            "use stage='basic', or the function sharpen"
        )
    return "sharpen"
