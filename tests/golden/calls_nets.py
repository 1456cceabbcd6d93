"""Golden calls of networks, by name; they need PyTorch."""

import numpy as np
from inputs import COLOR, GRAY, SIGMA, TINY, VIDEO, levels, scene

import fastrestore
from fastrestore import nets

BYTES = np.clip(COLOR[:12, :14], 0, 255).astype(np.uint8)
ALPHA = np.concatenate([BYTES, scene(12, 14)[..., None].astype(np.uint8)], axis=-1)
CPU = {"device": "cpu"}


def denoise(method, image=GRAY, sigma=SIGMA, **options):
    return fastrestore.denoise(image, sigma, method=method, **CPU, **options)


def enlarged(image, model, **options):
    return fastrestore.super_resolve(image, 4, model=model, **CPU, **options)


def restored(image, **options):
    return fastrestore.restore(image, model="restore-gan-experimental", **CPU, **options)


def enlarged_video(frames, **options):
    return np.stack(list(fastrestore.super_resolve_video(frames, 4, **CPU, **options)))


def module(**options):
    """BM3D as a module, of a batch of tensors."""
    import torch

    batch = torch.from_numpy(np.stack([TINY, TINY[::-1]])[:, None].astype(np.float32))
    return nets.BM3D(profile="fast", **options)(batch, torch.tensor([SIGMA, 10.0]))


def tensor():
    import torch

    return fastrestore.bm3d(torch.from_numpy(TINY.copy()), SIGMA, profile="fast")


def applied(name, image, **options):
    return nets.apply(nets.load(name), image, SIGMA, **CPU, **options)


CALLS = {
    "unet": lambda: denoise("unet"),
    "unet, map": lambda: denoise("unet", GRAY, levels(GRAY.shape), data_range=255),
    "unet, float32": lambda: denoise("unet", GRAY.astype(np.float32)),
    "unet, tiles": lambda: denoise("unet", np.tile(GRAY, 3), tile=128),
    "denoise unet": lambda: denoise("unet", TINY),
    "denoise hybrid": lambda: denoise("hybrid"),
    "denoise hybrid, color": lambda: denoise("hybrid", COLOR, channel_axis=-1, data_range=255),
    "super_resolve srgan": lambda: enlarged(BYTES, "srgan", channel_axis=-1),
    "super_resolve srresnet": lambda: enlarged(scene(12, 14) / 256, "srresnet"),
    "super_resolve alpha": lambda: enlarged(ALPHA, "srgan", channel_axis=-1),
    "restore": lambda: restored(BYTES, channel_axis=-1),
    "restore, gray": lambda: restored(scene(16, 18), data_range=255),
    "super_resolve_video": lambda: enlarged_video(
        np.clip(VIDEO[:3, :12, :14], 0, 255).astype(np.uint8), model="vsrgan"
    ),
    "super_resolve_video, images": lambda: enlarged_video(
        iter(COLOR[None, :10, :12] / 256), model="srresnet-x4", channel_axis=-1, data_range=1
    ),
    "nets apply, batch": lambda: applied("unet-gray", np.stack([TINY, TINY[::-1]]), batch_axis=0),
    "nets apply, uint8": lambda: applied("unet-gray", abs(TINY).astype(np.uint8) // 2),
    "nets names": lambda: np.array([len(nets.names())]),
    "nets BM3D": module,
    "bm3d tensor": tensor,
}
