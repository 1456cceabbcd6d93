"""What a preview computes: the noise, once for each view, and the restored part."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._napari.colors import without_alpha
from fastrestore._napari.part import Part
from fastrestore._napari.settings import Settings

Report = Callable[[int, int], None]
WHOLE = 2**22  # pixels: larger planes, and lazy ones, are estimated from what is seen


class Noise(NamedTuple):
    """The noise of a view.

    Attributes
    ----------
    sigma : float
        The level, the mean of several channels.
    spec : NoiseSpec, noise model or None
        What was estimated, None if the level is all that is known.
    reason : str
        Why this model was chosen, "" if no choice was made.
    data_range : float or None
        Range of the plane that the part belongs to; None to measure that of the part.
    """

    sigma: float
    spec: Any = None
    reason: str = ""
    data_range: float | None = None

    def text(self) -> str:
        """Describe the noise in a line."""
        if self.spec is None:
            return f"sigma {self.sigma:.4g}"
        model = getattr(self.spec, "model", type(self.spec).__name__)
        return f"{model}, sigma {self.sigma:.4g}"


class Estimates:
    """Restores parts of one array after another, and keeps the noise of the last view."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._noise: Noise | None = None

    def restore(
        self, image: Any, part: Part, settings: Settings, report: Report
    ) -> tuple[NDArray[Any], Noise]:
        """Return the part that is shown, restored, and its noise.

        Parameters
        ----------
        image : array
            The whole array, of which only `part` is read if it is lazy.
        part : Part
            The part of it.
        settings : Settings
            How it is restored.
        report : callable
            Is called with ``(done, total)``, and may raise to stop.
        """
        values = without_alpha(np.asarray(image[part.region]), settings.axes.rgb)
        key = _key(image, part, settings)
        noise = self._noise if key == self._key else None
        if settings.sigma is not None:
            noise = Noise(settings.sigma)
        elif noise is None and settings.axes.kind == "planes":
            noise = _of_plane(image, values, part, settings)
        if noise is None:  # that of a volume or a film is estimated where it is restored
            restored, noise = _with_noise(values, settings, report)
        else:
            arguments = _arguments(settings, noise)
            restored = fastrestore.denoise(values, **arguments, progress=report)
        self._key, self._noise = key, noise
        return restored[part.shown], noise


def _key(image: Any, part: Part, settings: Settings) -> Hashable:
    """Return all that an estimate of the noise depends on."""
    index = _plane(image, part, settings) or part.region
    known = settings.sigma is not None
    return id(image), known, settings.axes, settings.model, tuple(map(str, index))


def _plane(image: Any, part: Part, settings: Settings) -> tuple[slice, ...] | None:
    """Return the index of the whole plane, or None if only what is seen may be read."""
    rows, columns = settings.axes.together[-2:]
    large = image.shape[rows] * image.shape[columns] > WHOLE
    if settings.axes.kind != "planes" or large or not isinstance(image, np.ndarray):
        return None
    return tuple(
        slice(None) if axis in (rows, columns) else each for axis, each in enumerate(part.region)
    )


def _of_plane(image: Any, values: NDArray[Any], part: Part, settings: Settings) -> Noise:
    """Estimate the noise of a plane."""
    index = _plane(image, part, settings)
    plane = values if index is None else without_alpha(image[index], settings.axes.rgb)
    flat, channel_axis = _squeezed(plane, settings)
    spec = fastrestore.estimate_noise(flat, channel_axis=channel_axis, model=settings.model)
    extent = None
    if index is not None and channel_axis is None:  # which bm3d measures in a whole plane
        low, high = np.percentile(flat, [1, 99])
        extent = float(high - low) or None
    return Noise(float(np.mean(spec.sigma)), spec, data_range=extent)


def _squeezed(plane: NDArray[Any], settings: Settings) -> tuple[NDArray[Any], int | None]:
    """Return one plane without axes of other planes, and its axis of channels."""
    axes = settings.axes
    if axes.rgb:
        return plane.reshape(plane.shape[-3:]), -1
    if axes.channels is None:
        return plane.reshape(plane.shape[-2:]), None
    first = np.moveaxis(plane, axes.channels, 0)
    return first.reshape(len(first), *plane.shape[-2:]), 0


def _arguments(settings: Settings, noise: Noise) -> dict[str, Any]:
    """Return the arguments of `denoise`, with the noise in place of the name of its model."""
    if noise.spec is None or settings.method == "unet":  # which has no input for a model
        return replace(settings, sigma=noise.sigma).arguments()
    arguments = settings.arguments() | {"noise": noise.spec}
    if noise.data_range is not None and settings.method == "auto":
        arguments["data_range"] = noise.data_range
    return arguments


def _with_noise(
    values: NDArray[Any], settings: Settings, report: Report
) -> tuple[NDArray[Any], Noise]:
    """Return a restored volume or film, and the noise that was estimated on the way."""
    arguments = settings.arguments() | {"return_info": True}
    restored, infos = fastrestore.denoise(values, **arguments, progress=report)
    return restored, noise_of(infos[0])


def noise_of(info: fastrestore.Info) -> Noise:
    """Return the noise that a call used."""
    return Noise(float(np.mean(info.sigma)), info.noise, info.reason)
