"""Short videos as arrays, for V-BM3D."""

from dataclasses import replace

import numpy as np

from fastrestore import Profile, psd_from_kernel
from fastrestore._noise.planes import PlaneNoise
from support.images import noisy, scene
from support.stages import image_stage

SMALL = Profile.named("video").replace(
    radius_basic=4,
    radius_final=4,
    predict_basic=3,
    predict_final=3,
    follow_basic=2,
    follow_final=2,
    group_basic=8,
    group_final=8,
)


def video(count=6, height=34, width=40, sigma=20):
    """A scene that moves down and right, and its noisy version, both of whole numbers."""
    clean = np.array([np.roll(scene(height, width), (k, 2 * k), (0, 1)) for k in range(count)])
    return clean, np.round(noisy(clean, sigma)).astype(np.float32)


def runaway():
    """Frames of an accelerating block, and a stage with a reference on it."""
    frames = np.zeros((9, 8, 2400), np.float32)
    for k in range(9):
        place = 63 * k * (k + 1) // 2
        frames[k, :, place : place + 8] = np.round(scene(8, 8)) + 100
    changes = {"predict_basic": 63, "follow_basic": 63, "match_basic": 1e5, "static_basic": 0.0}
    stage = image_stage(SMALL.replace(**changes), "basic", PlaneNoise.white(20.0), 255.0)
    return frames, replace(stage, step=2000, steps=(2000, 2000))


def striped(clean, seed=5):
    """Noise in lines of five pixels, of variance 400, another in each frame; and its spectrum."""
    white = np.random.default_rng(seed).standard_normal((*clean.shape[:2], clean.shape[2] + 4))
    kernel = np.full((1, 5), 20 / np.sqrt(5))
    noise = sum(kernel[0, k] * white[..., k : k + clean.shape[2]] for k in range(5))
    return clean + noise, psd_from_kernel(kernel, clean.shape[1:])
