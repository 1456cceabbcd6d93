"""Specification of the noise of an image, after validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import FloatArray
from fastrestore._noise import psd
from fastrestore._noise.choice import MODELS
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import NoiseModel

Source = NoiseSpec | NoiseModel | str  # a string is the name of a model, to be estimated

ALIKE = 1e-6  # relative difference below which the maps of two channels are equal
SAMPLE = 2**22  # pixels of a map, about, that its typical level is computed from


@dataclass(frozen=True, slots=True, eq=False)
class PlaneNoise:
    """Noise of the channels of an image or a volume.

    The noise of channel c has the standard deviation ``sigmas[c] * map[c]`` and the shape
    ``spectrum[c]``. A map or a spectrum of one channel holds for all channels.

    Attributes
    ----------
    sigmas : array, shape (C,)
        Standard deviation; with a map, its geometric mean where it is not 0.
    map : array, shape (1 or C, *spatial), optional
        Standard deviation at every pixel, relative to `sigmas`.
    spectrum : array, shape (1 or C, *frequencies), optional
        Power by frequency with mean 1, zero frequency first; None for white noise.
    model : NoiseModel, optional
        Noise that depends on the signal; the other attributes are then those of the stabilized
        image.
    cross : array, shape (C, C, *frequencies), optional
        Cross-spectra of the channels, relative to their levels, with `spectrum` at (c, c); None if
        the channels are independent.
    together : array, shape (C, C), optional
        Mean product of the maps of two channels, of a sample of a large image; None if they are
        the means of `map`.
    """

    sigmas: FloatArray
    map: FloatArray | None = None
    spectrum: FloatArray | None = None
    model: NoiseModel | None = None
    cross: FloatArray | None = None
    together: FloatArray | None = None

    @classmethod
    def white(cls, *sigmas: float) -> PlaneNoise:
        """Return white noise with one standard deviation for each channel."""
        return cls(np.array(sigmas, np.float64))

    @property
    def largest(self) -> float:
        """Largest standard deviation of the channels."""
        return float(self.sigmas.max())

    def channel(self, number: int) -> PlaneNoise:
        """Return the noise of one channel."""
        return PlaneNoise(
            self.sigmas[number : number + 1], _one(self.map, number), _one(self.spectrum, number)
        )

    def times(self, factor: float) -> PlaneNoise:
        """Return noise that is stronger by a factor."""
        return self if factor == 1 else replace(self, sigmas=factor * self.sigmas)

    def scaled(self, exponent: int) -> PlaneNoise:
        """Return the noise of the image times ``2**exponent``."""
        return replace(self, sigmas=np.ldexp(self.sigmas, exponent))

    def mixed(self, weights: FloatArray) -> PlaneNoise:
        """Return the noise of weighted sums of the channels, one for each row of (K, C)."""
        if np.array_equal(weights, np.eye(len(self.sigmas))):
            return self
        if self.cross is not None:
            return self._mixed(weights, self.cross)
        sigmas = np.sqrt(weights**2 @ self.sigmas**2)
        parts = (weights * self.sigmas) ** 2
        level, spectrum = self.map, self.spectrum
        if level is not None and len(level) > 1:
            flat = level.reshape(len(level), -1) ** 2
            level = np.sqrt([_mean(row, flat, 0.0) for row in parts])
            level = level.reshape(len(weights), *self.map.shape[1:])  # type: ignore[union-attr]
        if spectrum is not None and len(spectrum) > 1:
            spectrum = np.array([_mean(row, spectrum, 1.0) for row in parts])
        return PlaneNoise(sigmas, level, spectrum)

    def _mixed(self, weights: FloatArray, cross: FloatArray) -> PlaneNoise:
        """Return the noise of weighted sums of channels that are correlated."""
        parts = weights * self.sigmas
        correlation = cross.mean(tuple(range(2, cross.ndim)))
        level, together = self.map, self.together
        if level is not None:
            level = np.broadcast_to(level, (len(self.sigmas), *level.shape[1:]))
            together = mean_products([level]) if together is None else together
            factors = np.einsum("kc,kd,cd->kcd", parts, parts, correlation)
            level = np.array([_root_of_form(each, level) for each in factors])
        together = np.ones_like(correlation) if together is None else together
        power = np.einsum("kc,kd,cd,cd...->k...", parts, parts, together, cross)
        sigmas, spectrum = psd.split(np.maximum(power, 0))
        if level is not None:
            scale = np.divide(1, sigmas, where=sigmas > 0, out=np.zeros_like(sigmas))
            level *= scale.astype(level.dtype).reshape(-1, *[1] * (level.ndim - 1))
        return PlaneNoise(sigmas, level, spectrum if power[0].size > 1 else None)

    def is_zero(self, ndim: int) -> NDArray[np.bool_] | None:
        """Return where there is no noise, as (C, 1, ..) or (C, *spatial), or None."""
        zero = self.sigmas.reshape(-1, *[1] * ndim) == 0
        if self.map is not None:
            zero = zero | (self.map == 0)
        return zero if zero.any() else None

    def is_same_in_all_channels(self) -> bool:
        """Whether the channels have equal noise."""
        tables = [table for table in (self.map, self.spectrum) if table is not None]
        return not np.ptp(self.sigmas) > 0 and all((t[1:] == t[:1]).all() for t in tables)

    def with_axis_first(self, axis: int) -> PlaneNoise:
        """Return the noise after one spatial axis, counted from 1, has become the first."""
        if axis == 1:
            return self
        moved = [None if t is None else np.moveaxis(t, axis, 1) for t in (self.map, self.spectrum)]
        return replace(self, map=moved[0], spectrum=moved[1])


def _one(table: FloatArray | None, number: int) -> FloatArray | None:
    """Return the part of one channel of a table (1 or C, ...)."""
    if table is None:
        return None
    first = min(number, len(table) - 1)
    return table[first : first + 1]


def _mean(parts: FloatArray, values: FloatArray, default: float) -> FloatArray:
    """Weighted mean of the values of channels (C, ...); `default` if all weights are 0."""
    total = parts.sum()
    if total == 0:
        return np.full(values.shape[1:], default)
    used = parts > 0
    mean: FloatArray = np.tensordot(parts[used] / total, values[used], 1)
    return mean


def mean_products(parts: list[FloatArray]) -> FloatArray:
    """Return the mean of the product of two channels of parts (C, ...), for each pair (C, C)."""
    count = len(parts[0])
    means = [
        [(part[c] * part[d]).mean(dtype=np.float64) for c, d in np.ndindex(count, count)]
        for part in parts
    ]
    whole: FloatArray = np.mean(means, axis=0).reshape(count, count)
    return whole


def _root_of_form(factors: FloatArray, values: FloatArray) -> FloatArray:
    """Return the root of the quadratic form of channels (C, ...), in their type."""
    form = np.zeros_like(values[0])
    for c, d in np.ndindex(factors.shape):
        if factors[c, d]:
            form += factors.astype(form.dtype)[c, d] * values[c] * values[d]
    root: FloatArray = np.sqrt(np.maximum(form, 0, out=form), out=form)
    return root


class NoiseArguments(NamedTuple):
    """Arguments that specify the noise: at most one, or a map of sigma and a spectrum.

    `noise` is a noise model, a `NoiseSpec`, or the name of a model to be estimated.
    """

    sigma: Any = None
    psd: Any = None
    noise_kernel: Any = None
    noise: Any = None

    def spec(
        self,
        shape: tuple[int, ...],
        channel_axis: int | None,
        reach: Callable[[], int],
        valid: NDArray[np.bool_] | None = None,
    ) -> PlaneNoise | None:
        """Validate; return None if the noise depends on the image.

        `reach` returns the largest distance of pixels in a group. None for a `NoiseSpec`, too,
        because its noise depends on the image. A map may have any values where `valid` (1 or C,
        *spatial) is False.
        """
        given = {name: value for name, value in self._asdict().items() if value is not None}
        if not given:
            return None
        level = None
        if self.sigma is not None:
            level = noise_of_sigma(self.sigma, shape, channel_axis, valid)
        varies = level is not None and not is_by_channel(np.shape(self.sigma), shape, channel_axis)
        if len(given) > 1 + varies or (varies and self.noise is not None):
            raise ValueError(_given_twice(given))
        count = 1 if channel_axis is None else shape[channel_axis]
        if self.noise is not None:
            if isinstance(self.source(count), (str, NoiseSpec)):
                return None
            return PlaneNoise(np.ones(count), model=self.noise)
        if self.psd is not None:
            sigmas, spectrum = psd.of_psd(self.psd, shape, channel_axis)
        elif self.noise_kernel is not None:
            sigmas, spectrum = psd.of_kernel(self.noise_kernel, shape, channel_axis, reach())
        else:
            return level
        if level is not None:  # the spectrum gives the shape, the map the level
            return replace(level, spectrum=spectrum)
        return PlaneNoise(np.broadcast_to(sigmas, count), None, spectrum)

    def source(self, count: int) -> Source:
        """Validate `noise` for an image with `count` channels; "auto" if it is not given."""
        noise = "auto" if self.noise is None else self.noise
        if isinstance(noise, NoiseSpec):
            if len(noise.sigma) != count:
                own = len(noise.sigma)
                raise ValueError(
                    f"noise is for {own} channel{'s' * (own != 1)}, but the image has {count}"
                )
            return noise
        if isinstance(noise, str) and noise in MODELS:
            return noise
        return _model(noise)

    def gives_spectrum(self) -> bool:
        """Whether a spectrum or kernel sets the noise level."""
        return self.sigma is None and (self.psd is not None or self.noise_kernel is not None)


def _given_twice(given: dict[str, Any]) -> str:
    """Return the message for noise that is specified more than once."""
    quoted = [
        f"{name}={validate.quoted(value)}".replace("=an array", "=array")
        for name, value in given.items()
    ]
    return (
        f"specify the noise once: got both {' and '.join(quoted)}; "
        "only a map of sigma, an array of the shape of the image, goes with psd or noise_kernel"
    )


def _model(model: Any) -> NoiseModel:
    """Raise if an object lacks the methods of a noise model."""
    if not isinstance(model, NoiseModel) or isinstance(model, type):
        names = ", ".join(map(repr, MODELS))
        error = ValueError if isinstance(model, str) else TypeError
        raise error(
            f"noise must be {names}, a NoiseSpec, a PoissonGaussian, a Rician or another object "
            f"with the methods forward, inverse and extent, got {validate.quoted(model)}"
        )
    return model


def noise_of_sigma(
    sigma: Any,
    shape: tuple[int, ...],
    channel_axis: int | None,
    valid: NDArray[np.bool_] | None = None,
) -> PlaneNoise:
    """Return the noise of an image of this shape from a number, one for each channel, or a map."""
    count = 1 if channel_axis is None else shape[channel_axis]
    if valid is not None:
        sigma = _filled(interop.to_host(sigma), shape, channel_axis, valid)
    values = _checked(sigma, shape, channel_axis)
    if is_by_channel(values.shape, shape, channel_axis):
        return PlaneNoise(np.broadcast_to(values, count))
    levels = _planes(values, shape, channel_axis)
    if levels is None:
        expected = expected_sigma(shape, channel_axis)
        raise ValueError(f"sigma must be {expected}, got an array of shape {values.shape}")
    flat = levels.reshape(len(levels), -1)
    if (np.ptp(flat, axis=1) == 0).all():
        return PlaneNoise(flat[:, 0])
    return _varying(levels)


def _filled(
    sigma: Any, shape: tuple[int, ...], channel_axis: int | None, valid: NDArray[np.bool_]
) -> Any:
    """Replace the invalid pixels of a map."""
    values = sigma if isinstance(sigma, np.ndarray) else np.zeros(())
    if is_by_channel(values.shape, shape, channel_axis) or values.dtype.kind not in "fiu":
        return sigma
    levels = _planes(values, shape, channel_axis)
    if levels is None:
        return sigma
    filled = Mask(valid).fill(levels)
    return filled[0] if channel_axis is None else np.moveaxis(filled, 0, channel_axis)


def is_by_channel(given: tuple[int, ...], shape: tuple[int, ...], channel_axis: int | None) -> bool:
    """Whether sigma of shape `given` is a number or one for each channel, not a map."""
    return given == () or (channel_axis is not None and given == (shape[channel_axis],))


def expected_sigma(shape: tuple[int, ...], channel_axis: int | None) -> str:
    """Describe the valid values of sigma for an image of this shape."""
    each = "" if channel_axis is None else f", {shape[channel_axis]} of them, one for each channel,"
    return (
        f"a number of 0 or more{each} or an array that broadcasts to {shape}, in the units of the "
        "image (None: estimated)"
    )


def _checked(sigma: Any, shape: tuple[int, ...], channel_axis: int | None) -> FloatArray:
    """Return sigma as an array of finite numbers of 0 or more."""
    expected = expected_sigma(shape, channel_axis)
    if channel_axis is None and isinstance(sigma, (list, tuple)):
        raise TypeError(
            f"sigma must be {expected}, got {validate.quoted(sigma)}; for a map write "
            "numpy.asarray(sigma)"
        )
    return validate.numbers("sigma", sigma, expected)


def _planes(
    values: FloatArray, shape: tuple[int, ...], channel_axis: int | None
) -> FloatArray | None:
    """Return a map of sigma as (C, ...), or None if its shape does not fit the image."""
    if channel_axis is not None and values.ndim == len(shape) - 1:  # one map for all channels
        values = np.expand_dims(values, channel_axis)
    try:
        whole = np.broadcast_to(values, shape)
    except ValueError:
        return None
    return whole[None] if channel_axis is None else np.moveaxis(whole, channel_axis, 0)


def _varying(levels: FloatArray) -> PlaneNoise:
    """Split levels (C, ...) into one sigma for each channel and a map relative to it."""
    sample = levels[sampled(levels.shape)]
    sigmas = typical(sample, levels.reshape(len(levels), -1).max(1))
    noisy = relative(levels, sigmas)[sigmas > 0]
    return PlaneNoise(sigmas, noisy[:1] if alike(noisy) else relative(levels, sigmas))


def sampled(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the regular sample of planes (C, ...) that a typical level is computed from."""
    apart = int(max(1.0, (math.prod(shape[1:]) / SAMPLE) ** (1 / (len(shape) - 1))))
    return (slice(None), *[slice(None, None, apart)] * (len(shape) - 1))


def typical(sample: FloatArray, largest: FloatArray) -> FloatArray:
    """Return the geometric mean of the positive values of each channel of a sample (C, ...).

    It is the largest value of the channel if there are none.
    """
    positive = [plane[plane > 0] for plane in sample]
    means = [float(np.exp(np.log(each).mean())) if each.size else 0.0 for each in positive]
    return np.where(means, means, largest)


def relative(levels: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Return levels (C, ...) relative to one level for each channel."""
    means = sigmas.reshape(-1, *[1] * (levels.ndim - 1))
    return np.divide(levels, means, where=means > 0, out=np.zeros(levels.shape))


def alike(noisy: FloatArray) -> bool:
    """Whether the relative levels of channels (C, ...) are equal, up to rounding."""
    return bool(np.allclose(noisy**2, noisy[:1] ** 2, rtol=ALIKE))


LIKE_SPECTRUM = (
    "sigma is an array of the shape of the image, symmetric like a power spectrum, with values "
    "that exceed the range of the image; write psd= if it is a power spectrum"
)


def check_map(level: FloatArray, scale: float) -> None:
    """Raise if a map of sigma, in units of the range after scaling, seems to be a spectrum."""
    if level.max() * scale > 1 and psd.is_symmetric(level):
        raise ValueError(LIKE_SPECTRUM)
