"""Random images and values for the fuzzer: ordinary ones, and ones to be refused."""

import decimal
import fractions

import numpy as np

DTYPES = ("f4", "f4", "f8", "f8", "u1", "u2", "i2", "i4", "f2")
BOUNDS = {"u1": (0, 255), "u2": (0, 65535), "i2": (-32768, 32767), "i4": (-(2**31), 2**31 - 1)}


def scene(rng, shape):
    """Draw a smooth background with a bar and a disc, the same in all leading axes, on 0..1."""
    height, width = shape[-2:]
    y, x = np.mgrid[:height, :width]
    image = 0.3 + 0.2 * np.sin(x / 3 + rng.uniform(0, 6)) + 0.2 * y / max(1, height)
    image[(y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 4) ** 2] += 0.3
    image[:, width // 3 : width // 3 + 2] = rng.uniform(0, 1)
    return np.broadcast_to(np.clip(image, 0, 1), shape).copy()


def noisy(rng, shape, dtype):
    """Return a noisy scene of a type, the standard deviation of its noise, and its range."""
    span, base = _scale(rng, dtype)
    noise = rng.uniform(0.02, 0.3)
    image = scene(rng, shape) + rng.normal(0, noise, shape)
    kind = rng.integers(12)
    if kind == 0:  # a letterbox
        image[..., : shape[-2] // 3, :] = 0
    elif kind == 1:  # clipped
        image = np.clip(image, 0.2, 0.6)
    elif kind == 2:  # rounded
        image = np.round(image * 16) / 16
    elif kind == 3:
        image = np.full(shape, float(rng.choice([0.0, 0.5, 1.0])))
    values = image * span + base
    if dtype in BOUNDS:
        values = np.clip(np.round(values), *BOUNDS[dtype])
    return values.astype(dtype), float(noise * span), float(span)


def _scale(rng, dtype):
    """A range and an offset that the type holds with its precision."""
    if dtype in BOUNDS:
        high = min(BOUNDS[dtype][1], 60000)
        return high * rng.uniform(0.3, 0.9), high * 0.05
    if dtype == "f2":
        return rng.choice([1.0, 255.0]), 0.0
    span = 10.0 ** rng.choice([-12, -3, 0, 0, 2, 2, 2, 4, 9])
    return span, span * rng.choice([0, 0, 0, 1, -3])


def laid_out(rng, array):
    """Return the same values in another layout of memory, byte order, or read-only."""
    kind = rng.integers(5)
    if kind == 0:
        return np.asfortranarray(array)
    if kind == 1:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if kind == 2:
        return np.ascontiguousarray(array[::-1])[::-1]
    if kind == 3:
        return array.astype(array.dtype.newbyteorder())
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def nonsense(rng):
    """Return a value that few parameters accept."""
    values = (
        -1, 0, 1, 2, 3, 7, -0.0, 0.5, 1.5, -2.5, True, False, None, "", "x", "np", "auto", b"x",
        float("nan"), float("inf"), -float("inf"), 1e-300, 1e300, -1e300, 5e-324, 1e38, 2**40,
        2**70, -(2**70), 10**400, 1j, [], (), {}, [1], [1, 2, 3], [[1, 2], [3]], (1, "x"), {"a":
        1}, object(), len, np.int64(8), np.float32(3), np.bool_(True), np.array(5.0),
        np.array([]), np.zeros((0, 3)), np.ones((3, 3)), np.ones((2, 2, 2, 2)), np.full((8, 8),
        np.nan), np.full((8, 8), 1e300), np.array("x"), np.array([None, 1]),
        np.datetime64("2020-01-01"), decimal.Decimal("2.5"), fractions.Fraction(5, 2), range(3),
        iter([1, 2]), np.ma.masked_array([1.0, 2], [True, False]),
    )  # fmt: skip
    return values[rng.integers(len(values))]


def spoiled(rng, array):
    """Return an image that must be refused, or restored to finite values."""
    array = np.array(array)
    kind = rng.integers(14)
    if kind < 3 and array.dtype.kind == "f" and array.size:
        array.flat[rng.integers(array.size)] = (np.nan, np.inf, -np.inf)[kind]
        return array
    if kind < 6 and array.dtype.kind == "f" and array.size:  # a fill value
        with np.errstate(over="ignore"):
            fill = np.array(rng.choice([1e20, 9.97e36, -3.4e38, -9999.0, 1e300])).astype(
                array.dtype
            )
        array[..., : max(1, array.shape[-1] // 4)] = fill
        return array
    choices = (
        lambda: array.astype(complex),
        lambda: array > array.mean(),
        lambda: array.astype(object),
        lambda: array[..., None, None],
        lambda: array.ravel(),
        lambda: array[..., :0],
        lambda: array[..., :1, :1],
        lambda: array.tolist(),
        lambda: np.ma.masked_array(array, array > array.mean()),
        lambda: array.astype(str),
    )
    return choices[rng.integers(len(choices))]()
