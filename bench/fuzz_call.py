"""A call with random arguments: the parts that the generators of `fuzz_calls` share."""

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any

import fuzz_arrays
import numpy as np

from fastrestore import NoiseSpec

MODELS = ("auto", "white", "correlated", "signal-dependent", "camera")
PROFILES = ("fast", "fast", "lc", "np")


@dataclass
class Call:
    """A function and its arguments by name; some facts that the oracles use."""

    function: Any
    arguments: dict[str, Any]
    sigma: float = 0.0  # of the noise, in the units of the image
    span: float = 1.0
    image: str = ""  # name of the argument that is the image; "" without one
    same_shape: bool = True  # the result has the shape of the image
    scales: tuple[str, ...] = ()  # arguments in the units of the image, if the function is linear
    spoiled: str = ""  # what was replaced by nonsense
    backends: bool = True  # the result may be compared with the numpy backend
    valid: Any = None  # True where pixels take part; the others must come back as they are

    @property
    def name(self):
        return getattr(self.function, "__qualname__", type(self.function).__name__ + ".__call__")

    def run(self, **changes):
        """Call the function; iterators are consumed."""
        result = self.function(**self.arguments | changes)
        return list(result) if inspect.isgenerator(result) else result


def one_of(rng, *values):
    """One of some values, as it is."""
    return values[rng.integers(len(values))]


def side(rng, low=9, high=40):
    return int(rng.integers(low, high))


def draw_image(rng, *, color=0.3, least=1):
    """Return an image, its sigma and range, and a channel axis or None."""
    low = least if rng.integers(8) == 0 else max(12, least)
    shape = (side(rng, low, low + 28), side(rng, low, low + 28))
    axis = None
    if rng.random() < color:
        shape = (int(rng.choice([1, 2, 3, 3, 3, 4])), *shape)
    image, sigma, span = fuzz_arrays.noisy(rng, shape, rng.choice(fuzz_arrays.DTYPES))
    if len(shape) == 3:
        axis = int(rng.choice([-1, 0, 1, 2]))
        image = np.moveaxis(image, 0, axis)
    return image, sigma, span, axis


def options(rng, profiles=PROFILES):
    """Options that all functions of the BM3D family take."""
    options = {"profile": one_of(rng, *profiles)}
    if rng.integers(4) == 0:
        options["workers"] = int(rng.integers(1, 4))
    return options


def level(rng, sigma):
    """The noise level, or nothing: to be estimated."""
    return {} if rng.integers(5) == 0 else {"sigma": float(sigma)}


def noise(rng, sigma, count=1):
    """The noise in any of the ways that bm3d, bm4d, vbm3d and denoise accept, or nothing."""
    arguments = {"sigma": float(sigma)}
    kind = rng.integers(8)
    if kind == 0:
        arguments = {}
    if kind == 1:
        arguments = {"noise": one_of(rng, *MODELS)}
    if kind == 2:
        arguments = {"noise": spec(rng, sigma, count)}
    if rng.integers(6) == 0:
        arguments["strength"] = one_of(rng, 0.0, 0.5, 1.0, 1.5)
    return arguments


def scales(arguments):
    """Arguments to be multiplied with the image; none if a result of estimates may differ."""
    if "noise" not in arguments:
        return ("sigma",) if "sigma" in arguments else ()
    source = arguments["noise"]
    white = isinstance(source, NoiseSpec) and source.model == "white"
    return ("noise",) if white else ()


def spec(rng, sigma, count=1):
    """Noise of a source: white, or with a curve, a spectrum or correlated channels."""
    white = NoiseSpec.white(*[float(sigma)] * count)
    changes = {}
    if rng.integers(2):
        changes["brightness"] = np.cumsum(rng.uniform(0, sigma, (count, 5)), 1)
        changes["levels"] = np.sort(rng.uniform(0, 1.5 * sigma, (count, 5)), 1)
    if rng.integers(2):
        power = np.abs(np.fft.fft2(rng.normal(0, 1, (3, 3)), (8, 8))) ** 2
        mix = np.full((count, count), 0.4) + 0.6 * np.eye(count)
        changes["spectrum"] = mix[..., None, None] * power / power.mean()
    return dataclasses.replace(white, **changes)


def hide(rng, call, spatial):
    """Hide a part of the image of some calls, with values there that must not matter."""
    if rng.integers(8) or call.spoiled:
        return call
    hidden = rng.random(spatial) < 0.05
    hidden[..., : spatial[-1] // 3] |= bool(rng.integers(2))
    valid = ~hidden
    valid.flat[-1] = True
    call.arguments["mask"] = valid
    image = call.arguments[call.image].copy()
    axis = call.arguments.get("channel_axis")
    call.valid = valid if axis is None else np.expand_dims(valid, axis % image.ndim)
    if image.dtype.kind == "f":
        values = one_of(rng, np.nan, np.inf, 0.0, 1e4)
        image[np.broadcast_to(~call.valid, image.shape)] = values
    call.arguments[call.image] = image
    return call
