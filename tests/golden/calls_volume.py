"""Golden calls of `bm4d`, `vbm3d` and `denoise_burst`, by name."""

import numpy as np
from inputs import (
    LINE,
    SIGMA,
    TINY_VIDEO,
    TINY_VOLUME,
    VIDEO,
    VOLUME,
    levels,
    noise,
    noisy,
    scene,
    video,
)

import fastrestore

CHANNELS = np.stack([VOLUME, 255 - VOLUME // 2], axis=-1)
COLOR_VIDEO = np.stack([VIDEO, VIDEO[::, ::-1], 255 - VIDEO // 2], axis=-1)[:4, :28, :32]
CUT = np.concatenate([VIDEO[:4], 255 - VIDEO[:3, ::-1, ::-1]])
CUBE = np.array([[[6.0, 0], [0, 6]], [[0, 6], [16, 0]]])
BURST = np.stack([noisy(np.roll(scene(48, 56), (k, -k), (0, 1)), 20 + k) for k in range(4)])
COLOR_BURST = np.stack([BURST, BURST[:, ::-1], 255 - BURST // 2], axis=-1)[:3]


def bm4d(volume=VOLUME, sigma=SIGMA, **options):
    return fastrestore.bm4d(volume, sigma, **options)


def vbm3d(frames=VIDEO, sigma=SIGMA, **options):
    return fastrestore.vbm3d(frames, sigma, **options)


def stream(frames, sigma=SIGMA, **options):
    return np.stack(list(fastrestore.vbm3d(iter(frames), sigma, **options)))


def burst(frames=BURST, sigma=SIGMA, **options):
    return fastrestore.denoise_burst(frames, sigma, **options)


def spectrum(frames):
    return fastrestore.psd_from_kernel(LINE, frames.shape[-2:])


BM4D = {
    "bm4d": lambda: bm4d(workers=1),
    "bm4d, 2 workers": lambda: bm4d(workers=2),
    "bm4d basic": lambda: bm4d(stage="basic"),
    "bm4d thin blocks": lambda: bm4d(
        profile=fastrestore.Profile.named("volume").replace(
            slices_basic=2, slices_final=3, step_slices_basic=2
        )
    ),
    "bm4d psd": lambda: bm4d(
        sigma=None, psd=fastrestore.psd_from_kernel(CUBE, VOLUME.shape), data_range=255
    ),
    "bm4d map": lambda: bm4d(sigma=levels((10, 1, 1))),
    "bm4d Rician": lambda: bm4d(abs(VOLUME), None, noise=fastrestore.Rician(SIGMA)),
    "bm4d channels": lambda: bm4d(CHANNELS, [20, 10], channel_axis=-1, match_channel=1),
    "bm4d slices between": lambda: bm4d(np.moveaxis(VOLUME, 0, 1), slice_axis=1),
    "bm4d 3 slices": lambda: bm4d(VOLUME[:3]),
    "bm4d 1 slice": lambda: bm4d(VOLUME[:1]),
    "bm4d float32": lambda: bm4d((VOLUME / 256).astype(np.float32), SIGMA / 256),
    "bm4d uint8": lambda: bm4d(np.clip(VOLUME, 0, 255).astype(np.uint8)),
    "bm4d far from 0": lambda: bm4d(VOLUME + 2.0**24),
    "bm4d numpy": lambda: bm4d(TINY_VOLUME, backend="numpy"),
    "bm4d numpy, basic": lambda: bm4d(TINY_VOLUME[:3], backend="numpy", stage="basic"),
}

VBM3D = {
    "vbm3d": lambda: vbm3d(workers=1),
    "vbm3d, 2 workers": lambda: vbm3d(workers=2),
    "vbm3d basic": lambda: vbm3d(stage="basic"),
    "vbm3d generator": lambda: stream(VIDEO, radius=1),
    "vbm3d radius 0": lambda: vbm3d(VIDEO[:3], radius=0),
    "vbm3d radius 2": lambda: vbm3d(radius=2, data_range=255),
    "vbm3d color": lambda: vbm3d(COLOR_VIDEO, channel_axis=-1),
    "vbm3d color, ycbcr": lambda: vbm3d(
        COLOR_VIDEO, [12, 20, 28], channel_axis=-1, colorspace="ycbcr", chroma_strength=1.5
    ),
    "vbm3d color, generator": lambda: stream(
        np.moveaxis(COLOR_VIDEO, -1, 1), channel_axis=0, radius=1
    ),
    "vbm3d time last": lambda: vbm3d(np.moveaxis(VIDEO, 0, -1), time_axis=-1, radius=1),
    "vbm3d psd": lambda: vbm3d(VIDEO[:4], None, psd=spectrum(VIDEO)),
    "vbm3d cut": lambda: vbm3d(CUT, radius=2),
    "vbm3d cut, not looked for": lambda: vbm3d(CUT, radius=2, scene_cuts=False),
    "vbm3d uint8": lambda: vbm3d(np.clip(VIDEO[:4], 0, 255).astype(np.uint8)),
    "vbm3d still": lambda: vbm3d(scene(32, 36) + noise((4, 32, 36), 9), profile="np"),
    "vbm3d numpy": lambda: vbm3d(TINY_VIDEO[:3], radius=1, backend="numpy"),
}

BURSTS = {
    "burst": burst,
    "burst, reference and lc": lambda: burst(reference=2, profile="lc", data_range=255),
    "burst, iterable of uint8": lambda: burst(
        np.clip(frame, 0, 255).astype(np.uint8) for frame in BURST[:3]
    ),
    "burst, color": lambda: burst(COLOR_BURST, [20, 20, 10], channel_axis=-1, profile="fast"),
    "burst, small": lambda: burst(noisy(video(3, 24, 28), 6), profile="fast"),
}

CALLS = BM4D | VBM3D | BURSTS
