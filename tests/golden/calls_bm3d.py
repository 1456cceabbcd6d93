"""Golden calls of `bm3d` and `BM3DPlan`, by name."""

import pickle

import numpy as np
from inputs import (
    COLOR,
    CROSS,
    GRAY,
    LINE,
    SIGMA,
    STRIPED,
    TINY,
    TINY_COLOR,
    TINY_STRIPED,
    levels,
    noisy,
    scene,
)

import fastrestore

COLOR_FIRST = np.ascontiguousarray(np.moveaxis(COLOR, -1, 0))
COUNTS = np.clip(scene(48, 56) // 8 + noisy(0 * scene(48, 56), 8, 2), 0, None)
MANY = np.concatenate([COLOR, COLOR[..., :2] // 2 + 40], axis=-1)[:32, :36]
WIDE = noisy(scene(64, 160))


def gray(image=GRAY, sigma=SIGMA, **options):
    return fastrestore.bm3d(image, sigma, **options)


def color(image=COLOR, sigma=SIGMA, **options):
    return fastrestore.bm3d(image, sigma, **{"channel_axis": -1, **options})


def with_noise(image, **noise):
    return fastrestore.bm3d(image, **noise)


def numpy(image=TINY, sigma=SIGMA, **options):
    return fastrestore.bm3d(image, sigma, backend="numpy", **options)


def spectrum(image, kernel=LINE):
    return fastrestore.psd_from_kernel(kernel, image.shape[:2])


def spectra():
    """One for each channel, last."""
    return np.stack([spectrum(COLOR, k * CROSS) for k in (0.5, 1.0, 1.5)], axis=-1)


def named(name, **changes):
    return fastrestore.Profile.named(name).replace(**changes)


def with_info():
    restored, info = gray(return_info=True)
    assert isinstance(info, fastrestore.Info)
    return restored, np.float64(info.sigma), np.array([info.estimated, info.backend == "numba"])


def with_progress():
    shares = []
    restored = gray(profile="fast", progress=lambda done, total: shares.append(done / total))
    return restored, np.float64(shares[-1])


def in_a_block():
    with fastrestore.use_backend("numpy"):
        return fastrestore.bm3d(TINY[:16, :18], SIGMA, profile="fast")


def planned(image=GRAY, **options):
    plan = fastrestore.BM3DPlan(image.shape, image.dtype, SIGMA, **options)
    first = plan(image)
    return np.stack([first, plan(image[::-1].copy())])


def planned_out():
    plan = fastrestore.BM3DPlan(GRAY.shape, np.uint8, backend="numba")
    out = np.empty(GRAY.shape, np.float32)
    plan(np.clip(GRAY, 0, 255).astype(np.uint8), sigma=SIGMA, out=out)
    return out


def planned_copy():
    plan = fastrestore.BM3DPlan(COLOR.shape, np.float64, SIGMA, channel_axis=-1, profile="lc")
    return pickle.loads(pickle.dumps(plan))(COLOR)


PROFILES = {
    "bm3d np": lambda: gray(workers=1),
    "bm3d np, 2 workers": lambda: gray(workers=2),
    "bm3d fast": lambda: gray(profile="fast"),
    "bm3d lc": lambda: gray(profile="lc"),
    "bm3d balanced": lambda: gray(profile="balanced"),
    "bm3d high": lambda: gray(profile="high"),
    "bm3d vn": lambda: gray(profile="vn"),
    "bm3d refilter": lambda: with_noise(STRIPED, noise_kernel=LINE, profile="refilter"),
    "bm3d refilter, white": lambda: gray(profile="refilter"),
    "bm3d hadamard": lambda: gray(profile=named("lc", transform_basic="hadamard")),
    "bm3d blocks of 4 and 7": lambda: gray(
        profile=named("lc", block_basic=4, step_basic=3, transform_basic="haar", block_final=7)
    ),
    "bm3d strengths": lambda: gray(profile=named("fast", threshold=2.0, wiener=1.0)),
    "bm3d groups of 1": lambda: gray(profile=named("fast", group_basic=1, group_final=1)),
    "bm3d basic": lambda: gray(stage="basic"),
    "bm3d pilot": lambda: gray(pilot=scene(48, 56).astype(np.float64)),
    "bm3d guide": lambda: gray(guide=scene(48, 56).astype(np.float64)),
    "bm3d deterministic": lambda: gray(deterministic=True),
    "bm3d info": with_info,
    "bm3d progress": with_progress,
}

NOISE = {
    "bm3d psd": lambda: with_noise(STRIPED, psd=spectrum(STRIPED)),
    "bm3d psd, basic": lambda: with_noise(STRIPED, psd=spectrum(STRIPED), stage="basic"),
    "bm3d noise_kernel": lambda: with_noise(STRIPED, noise_kernel=LINE),
    "bm3d noise_kernel, color": lambda: with_noise(COLOR, noise_kernel=CROSS, channel_axis=-1),
    "bm3d psd of each channel": lambda: with_noise(COLOR, psd=spectra(), channel_axis=-1),
    "bm3d map": lambda: gray(sigma=levels(GRAY.shape)),
    "bm3d map, color": lambda: color(sigma=levels(COLOR.shape) + np.arange(3)),
    "bm3d map, zeros": lambda: gray(sigma=levels(GRAY.shape) * (GRAY > 60.5)),
    "bm3d Poisson": lambda: with_noise(COUNTS, noise=fastrestore.PoissonGaussian(gain=1)),
    "bm3d Poisson and Gaussian": lambda: with_noise(
        COUNTS + 10,
        noise=fastrestore.PoissonGaussian(gain=0.5, sigma=1.5, offset=10),
        data_range=40,
    ),
    "bm3d Rician": lambda: with_noise(abs(GRAY), noise=fastrestore.Rician(sigma=SIGMA)),
    "bm3d sigma 0": lambda: gray(sigma=0),
}

CHANNELS = {
    "bm3d color": color,
    "bm3d color, 2 workers": lambda: color(workers=2),
    "bm3d color, opp": lambda: color(colorspace="opp", profile="fast"),
    "bm3d color, ycbcr": lambda: color(colorspace="ycbcr", profile="fast"),
    "bm3d color, pca": lambda: color(colorspace="pca", profile="fast"),
    "bm3d color, untransformed": lambda: color(colorspace=None, profile="fast"),
    "bm3d color, chroma": lambda: color(chroma_strength=1.5, profile="fast"),
    "bm3d color, sigma of each": lambda: color(sigma=[12, 20, 28], profile="fast"),
    "bm3d color, one without noise": lambda: color(sigma=[0, 20, 20], profile="fast"),
    "bm3d color, guide": lambda: color(guide=scene(48, 56), profile="fast"),
    "bm3d channels first": lambda: color(COLOR_FIRST, channel_axis=0, profile="fast"),
    "bm3d channels between": lambda: color(
        np.moveaxis(COLOR, -1, 1), channel_axis=1, profile="fast"
    ),
    "bm3d 5 channels": lambda: color(MANY, profile="fast"),
    "bm3d 5 channels, pca": lambda: color(MANY, colorspace="pca", profile="fast"),
    "bm3d equal channels": lambda: color(np.stack([TINY] * 3, -1), profile="fast"),
}

ARRAYS = {
    "bm3d uint8": lambda: gray(np.clip(GRAY, 0, 255).astype(np.uint8)),
    "bm3d uint16": lambda: gray(np.clip(GRAY * 257, 0, 65535).astype(np.uint16), 257 * SIGMA),
    "bm3d int16": lambda: gray(GRAY.astype(np.int16)),
    "bm3d float32": lambda: gray((GRAY / 256).astype(np.float32), SIGMA / 256),
    "bm3d float16": lambda: gray(GRAY.astype(np.float16)),
    "bm3d other byte order": lambda: gray(GRAY.astype(">f4"), profile="fast"),
    "bm3d Fortran order": lambda: gray(np.asfortranarray(GRAY), profile="fast"),
    "bm3d every other pixel": lambda: gray(WIDE[::-1, ::2], profile="fast"),
    "bm3d far from 0": lambda: gray(GRAY + 2.0**24),
    "bm3d data_range": lambda: gray(data_range=255),
    "bm3d data_range, small": lambda: gray(data_range=50),
    "bm3d tiles": lambda: gray(WIDE, profile="fast", max_memory=310_000, data_range=255),
    "bm3d many columns": lambda: gray(noisy(scene(20, 1250)), profile="lc", workers=2),
    "bm3d many rows": lambda: gray(noisy(scene(400, 20)), profile="lc", workers=2),
    "bm3d 5 x 6": lambda: gray(GRAY[:5, :6]),
    "bm3d 1 x 1": lambda: gray(GRAY[:1, :1]),
    "bm3d 3 x 40": lambda: gray(GRAY[:3, :40]),
    "bm3d 40 x 8": lambda: gray(GRAY[:40, :8]),
}

NUMPY = {
    "bm3d numpy": numpy,
    "bm3d numpy, basic": lambda: numpy(stage="basic", profile="lc"),
    "bm3d numpy, fast": lambda: numpy(profile="fast"),
    "bm3d numpy, color": lambda: numpy(TINY_COLOR, channel_axis=-1, profile="fast"),
    "bm3d numpy, map": lambda: numpy(sigma=levels(TINY.shape), profile="fast"),
    "bm3d numpy, guide": lambda: numpy(guide=scene(24, 26), profile="fast"),
    "bm3d numpy, psd": lambda: numpy(
        TINY_STRIPED, None, psd=spectrum(TINY_STRIPED), profile="fast"
    ),
    "bm3d numpy, refilter": lambda: numpy(
        TINY_STRIPED, None, noise_kernel=LINE, profile=named("fast", residual=1.35)
    ),
    "bm3d in a block": in_a_block,
}

PLANS = {
    "plan": planned,
    "plan, fast": lambda: planned(GRAY.astype(np.float32), profile="fast", data_range=255),
    "plan, out and sigma": planned_out,
    "plan, copied": planned_copy,
}

CALLS = PROFILES | NOISE | CHANNELS | ARRAYS | NUMPY | PLANS
