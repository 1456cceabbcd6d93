"""Golden calls of deblurring, inpainting, demosaicing and removal of streaks, by name."""

import numpy as np
from inputs import ASKEW, BOX, COLOR, GRAY, SIGMA, TINY, TINY_COLOR, colors, noise, scene

import fastrestore
from fastrestore import inverse

CLEAN = scene(24, 32).astype(np.float64)
HOLES = np.random.default_rng(0).integers(0, 2, CLEAN.shape) == 1
SMALL_NOISE = noise(CLEAN.shape, 11, 1)
SOFT = inverse.Blur(BOX, "periodic").apply(scene(48, 56).astype(np.float64))
SOFT += noise(SOFT.shape, 12, 1)
MOSAIC = (scene(24, 28) + noise((24, 28), 13, 1)).astype(np.float64)
SINOGRAM = scene(60, 64, 3) / 4 + noise((64,), 14, 2)

OPERATORS = {
    "periodic": inverse.Blur(BOX, "periodic"),
    "reflect": inverse.Blur(ASKEW),
    "taper": inverse.Blur(BOX, "taper"),
    "mask": inverse.Mask(HOLES),
    "decimation": inverse.Decimation(BOX, 2),
    "mirrored": inverse.Decimation(ASKEW, 2, "reflect"),
    "functions": inverse.Forward(
        lambda image: 2 * image[:20],
        lambda data: 2 * np.pad(data, ((0, 4), (0, 0))),
        shape=CLEAN.shape,
    ),
}


def halfway(image, sigma):
    """A denoiser of exact arithmetic: the mean of each pixel and four neighbors."""
    beside = sum(np.roll(image, step, axis) for step in (-1, 1) for axis in (0, 1))
    return image / 2 + beside / 8


def pnp(name, method="hqs", **options):
    forward = OPERATORS[name]
    seen = forward.apply(CLEAN)
    seen = seen + noise(seen.shape, 15, 1)
    options = {"denoiser": halfway, "iterations": 4, **options}
    return inverse.pnp(seen, forward, 1.6, method=method, **options)


def with_history():
    result = pnp("periodic", denoiser="bm3d", truth=CLEAN, return_history=True)
    kept = [[step[key] for key in ("sigma", "data", "change", "psnr")] for step in result.history]
    return result.image, np.array(kept)


def parts(name):
    """The arrays of an operator."""
    forward = OPERATORS[name]
    seen = forward.apply(CLEAN)
    forward.check(seen)
    first = forward.initial_estimate(seen)
    near = forward.proximal(first, seen + 1, 0.5)
    return seen, forward.adjoint(seen), forward.prepare(seen), first, near


def deblur(image=SOFT, sigma=1.6, psf=BOX, **options):
    return fastrestore.deblur(image, psf, sigma, **options)


def inpaint(image=CLEAN, mask=HOLES, **options):
    return fastrestore.inpaint(image, mask, **{"iterations": 4, **options})


def sharpen(image=GRAY, sigma=SIGMA, **options):
    return fastrestore.sharpen(image, sigma, **{"alpha": 1.5, **options})


DEBLUR = {
    "deblur": lambda: deblur(workers=1),
    "deblur periodic, 2 workers": lambda: deblur(boundary="periodic", workers=2),
    "deblur taper": lambda: deblur(boundary="taper", profile="fast"),
    "deblur askew, float32": lambda: deblur(SOFT.astype(np.float32), psf=ASKEW, data_range=255),
    "deblur color": lambda: deblur(
        np.stack([SOFT, SOFT[::-1], 255 - SOFT], 0), channel_axis=0, profile="fast"
    ),
    "deblur pnp": lambda: deblur(SOFT[:24, :28], method="pnp", profile="fast"),
    "deblur pnp, denoiser": lambda: deblur(method="pnp", denoiser=halfway),
    "deblur numpy": lambda: deblur(SOFT[:20, :22], backend="numpy", profile="fast"),
}

GAPS = {
    "inpaint": inpaint,
    "inpaint, noise": lambda: inpaint(CLEAN + SMALL_NOISE, sigma=1.6, data_range=255),
    "inpaint color": lambda: inpaint(
        colors(24, 32).astype(np.uint8), channel_axis=-1, profile="fast"
    ),
    "inpaint numpy": lambda: inpaint(
        CLEAN[:16, :18], HOLES[:16, :18], iterations=2, profile="fast", backend="numpy"
    ),
    "demosaic": lambda: fastrestore.demosaic(MOSAIC, iterations=3),
    "demosaic GBRG, noise": lambda: fastrestore.demosaic(
        MOSAIC.astype(np.float32), "GBRG", 1.6, iterations=2, data_range=255
    ),
    "demosaic linear": lambda: fastrestore.demosaic(MOSAIC.astype(np.int16), "BGGR", iterations=0),
}

DETAILS = {
    "sharpen": sharpen,
    "sharpen, more": lambda: sharpen(alpha=2.0, profile="lc", data_range=255),
    "sharpen color": lambda: sharpen(COLOR, channel_axis=-1, profile="fast"),
    "sharpen numpy": lambda: sharpen(TINY[:16, :18], backend="numpy", profile="fast"),
    "streaks": lambda: fastrestore.remove_streaks(SINOGRAM),
    "streaks, stack": lambda: fastrestore.remove_streaks(
        np.stack([SINOGRAM.T, SINOGRAM.T[::-1]], -1).astype(np.float32),
        angle_axis=1, detector_axis=0, strength=1.2, levels=1, strong=None, profile="fast",
    ),
    "super_resolve pnp": lambda: fastrestore.super_resolve(
        TINY[:16, :18], 2, model="pnp", psf=BOX, sigma=20.0
    ),
    "super_resolve pnp, color": lambda: fastrestore.super_resolve(
        TINY_COLOR[:8, :9], 2, model="pnp", psf=ASKEW, sigma=20.0, channel_axis=-1,
        denoiser=halfway,
    ),
}  # fmt: skip

PNP = {
    **{f"pnp {name}": lambda name=name: pnp(name) for name in OPERATORS},
    **{f"pnp admm, {name}": lambda name=name: pnp(name, "admm") for name in OPERATORS},
    **{f"pnp pgm, {name}": lambda name=name: pnp(name, "pgm") for name in OPERATORS},
    **{f"operator {name}": lambda name=name: parts(name) for name in OPERATORS},
    "pnp history": with_history,
    "pnp turned": lambda: pnp(
        "mask", denoiser="bm3d", self_ensemble=True, iterations=3, regularization=0.5
    ),
    "pnp sigmas": lambda: pnp("decimation", iterations=None, sigmas=[20, 10, 5], data_range=255),
}

CALLS = DEBLUR | GAPS | DETAILS | PNP
