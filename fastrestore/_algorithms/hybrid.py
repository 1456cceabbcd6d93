"""BM3D, and a network that corrects its result."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._algorithms.info import Info
from fastrestore._algorithms.masked import Axes
from fastrestore._algorithms.noise import estimate_noise
from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.sampling import level as levels_of
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import PoissonGaussian
from fastrestore.nets.call import Context, Request, each_image, forward
from fastrestore.nets.files import load, names
from fastrestore.nets.network import Network
from fastrestore.nets.noise_maps import noise_maps
from fastrestore.nets.units import units

BEYOND = 1.1  # times the strongest noise of the training: still restored by the network
# In levels of the noise at a pixel: what the network sees of what BM3D removed, so that an outlier
# does not spread, and the largest correction
SEEN, CORRECTED = 6.0, 1.0
WEAK = 2 / 255  # of the range: corrections of weaker noise, which do not pay off, are reduced
GRAY = "refine-gray"


class Level(NamedTuple):
    """Noise after `bm3d`: its standard deviation (C, M, N) or (C, 1, 1), and its cross-spectra."""

    sigmas: FloatArray
    spectrum: FloatArray


def hybrid(
    request: Request, image: Any, sigma: Any, options: dict[str, Any], chosen: bool
) -> tuple[Any, list[Info]]:
    """Restore images by `bm3d` with `options` and a `Refine`; return what was used for each.

    `chosen` says that the caller has chosen the network, which then restores equal channels, too.
    """
    infos: list[Info] = []
    kept_color = chosen or not _is_estimated(options["noise"]) or GRAY not in names()

    def restore(planes: Any, level: Any, context: Context) -> Any:
        if kept_color or not _is_gray(planes):
            result, info = _restored(request.net, planes, level, context, options)
            infos.append(info)
            return result
        result, info = _restored(load(GRAY), planes[:1], level, context, options)
        infos.append(_with_reason(info, "the channels are equal, and were restored as one"))
        return result.repeat(len(planes), axis=0)

    named = request._replace(name=f"hybrid of bm3d and {request.name}")
    return each_image(named, image, sigma, restore), infos


def described(image: Any, sigma: Any, noise: Any, mask: Any, axes: Axes) -> tuple[Any, Any]:
    """Return sigma and noise as `hybrid` takes them.

    Levels by channel become a `NoiseSpec`, and so does noise that is to be estimated from an image
    with a mask, whose invalid pixels will have been filled.
    """
    if axes.batch is not None or (noise is not None and not isinstance(noise, str)):
        return sigma, noise
    if axes.channel is not None and noise is None and np.ndim(sigma) == 1:
        return None, NoiseSpec.white(*np.asarray(sigma, np.float64))
    if mask is None or sigma is not None:
        return sigma, noise
    return None, estimate_noise(image, channel_axis=axes.channel, mask=mask, model=noise or "auto")


def _is_estimated(noise: Any) -> bool:
    """Return whether the noise is to be estimated, from the argument of this name."""
    return noise is None or isinstance(noise, str)


def _is_gray(planes: Any) -> bool:
    """Return whether a color image has equal channels."""
    if len(planes) == 1 or not interop.on_host(planes):
        return False
    return all(np.array_equal(planes[0], plane) for plane in planes[1:])


def _restored(
    net: Network, planes: Any, level: Any, context: Context, options: dict[str, Any]
) -> tuple[Any, Info]:
    """Restore one image (C, M, N)."""
    extent, report = context.data_range, context.execution.report
    basic, info = _classical(planes, level, strength=context.strength, data_range=extent, **options)
    report(0.5)
    noise = _noise_of(info, interop.to_host(basic))
    if noise is None:
        return basic, _unused(info, "it was not trained for noise of this distribution")
    if _is_estimated(options["noise"]) and getattr(info.noise, "model", None) == "camera":
        # See docs/decisions/0039
        return basic, _unused(info, "it does not improve photographs whose noise is estimated")
    strength = math.sqrt(np.mean(np.square(noise.sigmas)))
    highest = math.inf if net.sigmas is None else net.sigmas[1]
    scale = units(planes, extent, 0.0)
    if strength > scale.extent:
        return basic, _unused(info, "the noise is stronger than the contrast of the image")
    if extent is None:  # a larger range keeps the noise within the levels of the training
        scale = scale._replace(extent=max(scale.extent, strength / highest))
    if strength > BEYOND * highest * scale.extent:
        return basic, _unused(info, "the noise is stronger than that it was trained for")
    if not noise.sigmas.any():
        return basic, info
    halved = context.execution._replace(report=lambda share: report(share / 2))
    pair = Pair(scale.normalized(basic), scale.normalized(planes.astype(basic.dtype)))
    relative = noise._replace(sigmas=scale.relative(noise.sigmas))
    refined = pair.corrected(net, relative, context._replace(execution=halved))
    out = scale.denormalized(refined, planes.dtype)
    if np.ndim(level) == 2 and interop.on_host(planes):  # a map
        np.copyto(out, planes, where=level == 0, casting="unsafe")
    return out, replace(info, refined=True)


class Pair(NamedTuple):
    """The result of BM3D and the noisy image, (C, M, N) from 0 to 1."""

    basic: Any
    noisy: Any

    def corrected(self, net: Network, noise: Level, context: Context) -> Any:
        """Correct the result by a network."""
        space, maps = interop.namespace(self.basic), noise_maps(*noise)
        level = space.asarray(noise.sigmas)
        seen = self.basic + space.clip(self.noisy - self.basic, -SEEN * level, SEEN * level)
        result = forward(net, space.concatenate([self.basic, seen]), maps, context)
        correction = space.clip(result - self.basic, -CORRECTED * level, CORRECTED * level)
        return self.basic + correction * space.minimum(1, level / WEAK)


def _classical(planes: Any, level: Any, **options: Any) -> tuple[Any, Info]:
    """Restore (C, M, N) by `bm3d`, a gray image without an axis of colors."""
    if len(planes) > 1:
        return bm3d(planes, level, channel_axis=0, return_info=True, **options)  # type: ignore[no-any-return]
    basic, info = bm3d(planes[0], level, return_info=True, **options)
    return basic[None], info


def _noise_of(info: Info, basic: NDArray[Any]) -> Level | None:
    """Return the noise of a restored image (C, M, N), or None if it has no level."""
    count = len(basic)
    white = np.eye(count)[..., None, None]
    if isinstance(info.noise, NoiseSpec):
        sigmas, spectrum = levels_of(info.noise, basic, 0), info.noise.spectrum
        return Level(sigmas * info.strength, spectrum)
    if isinstance(info.noise, PoissonGaussian):
        return Level(np.sqrt(info.noise.variance(basic)) * info.strength, white)
    if info.noise is not None:
        return None
    sigma = np.asarray(info.sigma, np.float64) * info.strength
    sigma = sigma[:, None, None] if sigma.ndim == 1 else sigma
    return Level(np.broadcast_to(sigma, (count, *np.atleast_2d(sigma).shape[-2:])), white)


def _unused(info: Info, why: str) -> Info:
    """Return what was used, with a note that the network was not."""
    return _with_reason(info, f"the network was not used: {why}")


def _with_reason(info: Info, text: str) -> Info:
    """Return what was used, with a text added to the reason."""
    return replace(info, reason=f"{info.reason}; {text}")
