"""Programs that denoise, with the settings that `curve.py` and `peers.py` compare.

A program is a function of a noisy image, (M, N) or (M, N, 3) in 0..255, its noise level and the
number of threads. Peers that are not installed raise ModuleNotFoundError. Parameters of non-local
means, wavelets and total variation have the highest PSNR on the photographs of the benchmarks.
"""

import functools

import numpy as np

from fastrestore import bm3d, denoise

# Profiles of `bm3d` for images, from fast to slow
PROFILES = ("fast", "lc", "balanced", "np", "refilter", "high", "vn")


def axis_of(noisy):
    """Return the axis of the channels, or None."""
    return -1 if noisy.ndim == 3 else None


def ours(profile):
    """Return `bm3d` with a profile."""

    def run(noisy, sigma, threads):
        options = {"profile": profile, "workers": threads, "backend": "numba"}
        return bm3d(noisy, sigma, channel_axis=axis_of(noisy), **options)

    return run


def network(method, profile=None):
    """Return a method of `denoise` with a network, on the CPU."""

    def run(noisy, sigma, threads):
        import torch

        torch.set_num_threads(threads)
        options = {"profile": profile, "workers": threads} if method == "hybrid" else {}
        options |= {"data_range": 255, "channel_axis": axis_of(noisy), "device": "cpu"}
        return denoise(noisy, sigma, method=method, **options)

    return run


def closed(profile):
    """Return the closed program `bm3d` with one of its profiles, both stages."""

    def run(noisy, sigma, threads):
        import bm3d as peer

        settings = getattr(peer, f"BM3DProfile{profile}")()
        settings.num_threads = threads
        return (peer.bm3d if noisy.ndim == 2 else peer.bm3d_rgb)(noisy, sigma, settings)

    return run


def bmnd(noisy, sigma, _threads):
    """Run `bmnd` with its profile for BM3D, on the range of 0..1."""
    import bmnd as peer

    image = np.asarray(noisy, np.float32) / 255
    return 255 * peer.bmnd(image, peer.BM3DProfile(), sigma=sigma / 255)


def nl_means(noisy, sigma, _threads):
    """Run non-local means of scikit-image in its fast mode."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 5, "patch_distance": 6, "sigma": sigma}
    options["h"] = (0.7 if noisy.ndim == 2 else 0.6) * sigma
    return denoise_nl_means(noisy, channel_axis=axis_of(noisy), **options)


def wavelet(noisy, sigma, _threads):
    """Run wavelet thresholding of scikit-image, in YCbCr if the image has colors."""
    from skimage.restoration import denoise_wavelet

    color = noisy.ndim == 3
    options = {"wavelet": "sym4", "rescale_sigma": True, "convert2ycbcr": color}
    image = noisy / np.float32(255)
    return 255 * denoise_wavelet(image, sigma / 255, channel_axis=axis_of(noisy), **options)


def total_variation(noisy, sigma, _threads):
    """Minimize the total variation with scikit-image."""
    from skimage.restoration import denoise_tv_chambolle

    image, weight = noisy / np.float32(255), 0.8 * sigma / 255
    return 255 * denoise_tv_chambolle(image, weight, channel_axis=axis_of(noisy))


def opencv(noisy, sigma, threads):
    """Run non-local means of OpenCV, which takes 8 bits only: its input is rounded and clipped.

    In color this is better than `fastNlMeansDenoisingColored` by more than 1 dB.
    """
    import cv2

    cv2.setNumThreads(threads)
    image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return cv2.fastNlMeansDenoising(image, None, 0.9 * sigma)


# Name and setting, and how often it is timed. Slow programs run once.
GRAY = {
    **{("fastrestore", name): (ours(name), 9) for name in PROFILES},
    ("fastrestore", "unet"): (network("unet"), 3),
    ("fastrestore", "hybrid, fast"): (network("hybrid", "fast"), 3),
    ("fastrestore", "hybrid"): (network("hybrid"), 3),
    ("bm3d", "lc"): (closed("LC"), 1),
    ("bm3d", "np"): (closed(""), 1),
    ("bm3d", "high"): (closed("High"), 1),
    ("scikit-image", "nl_means"): (nl_means, 3),
    ("scikit-image", "tv_chambolle"): (total_variation, 9),
    ("scikit-image", "wavelet"): (wavelet, 9),
    ("opencv-python-headless", "NlMeans"): (opencv, 3),
}
# The U-Net has no built-in weights for color, and the slowest program takes most of a minute there.
NOT_IN_COLOR = {("fastrestore", "unet"), ("bm3d", "high")}
COLOR = {key: row for key, row in GRAY.items() if key not in NOT_IN_COLOR}
PROGRAMS = {"gray": GRAY, "color": COLOR}


@functools.cache
def images(kind, size=512):
    """Return a clean photograph and a noisy one, gray or in color, in float32."""
    import photographs

    if kind == "gray":
        clean = photographs.photograph(size)
    else:
        from skimage.data import astronaut

        clean = astronaut()
    noisy = photographs.noisy(clean)
    noisy.setflags(write=False)  # a call must not change the input of the next one
    return clean, noisy
