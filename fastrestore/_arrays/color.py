"""Channels: transforms that gather the signal in few of them, and the image to match blocks on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastrestore._collaborative.stage import Channels, FloatArray, NoiseMap

# Opponent colours of "Image denoising by sparse 3-D transform-domain collaborative filtering",
# section VI, and those of JPEG. The first row is a luminance, whose weights sum to 1.
_MATRICES = {
    "opp": [[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / 4, -1 / 2, 1 / 4]],
    "ycbcr": [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ],
}

NAMES = ("auto", *_MATRICES, "pca", None)


@dataclass(frozen=True, slots=True, eq=False)
class ColourSpace:
    """A linear transform of C channels and the weights of the sum that blocks are matched on."""

    matrix: FloatArray  # (C, C)
    weights: FloatArray  # (C,), of the transformed channels

    def sigmas(self, sigmas: FloatArray) -> FloatArray:
        """Noise of the transformed channels, that of the channels being independent."""
        return np.sqrt(self.matrix**2 @ sigmas**2)

    def luminance_sigma(self, sigmas: FloatArray) -> float:
        """Noise of the luminance from that of the transformed channels.

        It is the first of them, or they are not transformed: so what they share does not count.
        """
        return float(np.linalg.norm(self.weights * sigmas))

    def noise_map(self, levels: FloatArray, sigmas: FloatArray) -> NoiseMap:
        """Variances of the transformed channels from sigma (C, M, N), over those of `sigmas`.

        One map serves all channels where they vary alike.
        """
        parts = np.divide(levels, sigmas[:, None, None], where=sigmas[:, None, None] > 0,
                          out=np.zeros(levels.shape)) ** 2  # fmt: skip
        noisy = parts[sigmas > 0]
        if np.allclose(noisy, noisy[:1], rtol=1e-6):
            return NoiseMap(noisy[0], noisy[:1])
        variances = levels.reshape(len(levels), -1) ** 2

        def mixed(weights: FloatArray, sigma2: float) -> FloatArray:
            total = sum(w * v for w, v in zip(weights, variances, strict=True))
            return np.reshape(total / sigma2 if sigma2 else total, levels.shape[1:])

        rows = zip(self.matrix**2, self.sigmas(sigmas) ** 2, strict=True)
        mean = self.luminance_sigma(self.sigmas(sigmas))
        luminance = mixed((self.weights @ self.matrix) ** 2, mean**2)
        return NoiseMap(luminance, np.array([mixed(row, sigma2) for row, sigma2 in rows]))

    def spectra(self, power: FloatArray, sigmas: FloatArray) -> FloatArray:
        """Spectra of the transformed channels from those of the channels, (1 or C, P, Q)."""
        if len(power) == 1:
            return power
        return np.array([_mixed(row, power, sigmas) for row in self.matrix])

    def luminance_spectrum(self, power: FloatArray, sigmas: FloatArray) -> FloatArray:
        """Spectrum of the luminance from those of the transformed channels."""
        spectrum: FloatArray = power[0] if len(power) == 1 else _mixed(self.weights, power, sigmas)
        return spectrum

    def luminance_range(self, data_range: float) -> float:
        """Range of the luminance of channels of this range."""
        return float(data_range * np.abs(self.weights @ self.matrix).sum())


def check(name: str | None, count: int) -> str | None:
    """Return the name of the transform for so many channels, "auto" and one channel resolved.

    Raises
    ------
    ValueError
        If there is no such name, or it does not suit the number of channels.
    """
    if name not in NAMES:
        raise ValueError(f"colorspace must be one of {NAMES}, got {name!r}")
    if name in _MATRICES and count not in (1, 3):
        raise ValueError(
            f"colorspace={name!r} is for 3 channels, the image has {count}; "
            "write colorspace=None or colorspace='pca'"
        )
    if name == "auto":
        return "opp" if count == 3 else None
    return name if count > 1 else None


def check_chroma(strength: float, name: str | None, count: int, channel_axis: int | None) -> None:
    """Refuse to treat colours in another way than a luminance that there is not."""
    if strength != 1 and channel_axis is None:
        raise ValueError(f"chroma_strength={strength:g} is for colours; write channel_axis= too")
    if strength != 1 and name is None and count > 1:
        raise ValueError(
            f"chroma_strength={strength:g} needs a luminance, but the channels are not "
            "transformed; write colorspace='opp' for 3 channels, or 'pca'"
        )


def colour_space(
    name: str | None, count: int, channels: Channels | None, sigmas: FloatArray
) -> ColourSpace:
    """Return the transform of a name that was checked, for so many channels.

    Only "pca" asks for the channels. Without a transform blocks are matched on their mean.
    """
    first = np.eye(count)[0]
    if name is None:
        return ColourSpace(np.eye(count), np.full(count, 1 / count))
    if name == "pca" and channels is not None:
        return ColourSpace(_principal_components(channels, sigmas), first)
    return ColourSpace(np.array(_MATRICES[name]), first)


def _principal_components(channels: Channels, sigmas: FloatArray) -> FloatArray:
    """Orthonormal rows: principal axes of the signal, that with the most energy first.

    The covariance of the noise is known and taken away; the first axis is turned so that it
    points towards brighter channels.
    """
    pixels = channels.reshape(len(channels), -1).astype(np.float64)
    covariance = np.cov(pixels, ddof=0) - np.diag(sigmas**2)
    axes: FloatArray = np.linalg.eigh(covariance)[1][:, ::-1].T
    return axes * np.where(axes.sum(1, keepdims=True) < 0, -1, 1)


def _mixed(weights: FloatArray, power: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Spectrum of a weighted sum of channels of independent noise."""
    parts = (weights * sigmas) ** 2
    if parts.sum() == 0:
        return np.ones(power.shape[1:])
    mixed: FloatArray = np.tensordot(parts / parts.sum(), power, 1)
    return mixed
