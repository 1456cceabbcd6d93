"""Print how well `vbm3d` restores videos without arguments, compared with the right noise model.

    python bench/films_noise.py [--codecs]

The videos are drawn from a photograph: a still camera with a moving disk, and a moving camera, 9
frames each. PSNR is the mean over all frames, relative to 255. ``--codecs`` encodes videos with
white noise before they are restored (needs PyAV), and compares with the noise level of the first
frame, which `vbm3d` used before it took several frames into account.
"""

import argparse
import io

import numpy as np
from films import still_camera
from photographs import photograph, psnr

COUNT = 9  # frames
CODECS = {
    "libx264, crf 18": ("libx264", {"crf": "18"}, None),
    "libx264, crf 28": ("libx264", {"crf": "28"}, None),
    "mpeg4, 3 Mbit/s": ("mpeg4", {}, 3_000_000),
}


def main():
    """Print the requested table."""
    parser = argparse.ArgumentParser(description="videos of unknown noise")
    parser.add_argument("--codecs", action="store_true")
    if parser.parse_args().codecs:
        print_codecs()
    else:
        print_models()


def videos():
    """Yield names and clean videos."""
    yield "still camera", still_camera()[0][:COUNT]
    wide = photograph(512).astype(np.float64)
    moving = [wide[100 + k : 260 + k, 140 + 2 * k : 332 + 2 * k] for k in range(COUNT)]
    yield "moving camera", np.stack(moving)


def noises():
    """Yield names, functions that add noise, and the noise as an argument of `vbm3d`."""
    import fastrestore

    counts = fastrestore.PoissonGaussian(2.2, 0, 100)
    yield "counts, gain 2.2, offset 100", _counts, counts
    for sigma in (5.0, 10.0, 25.0):
        white = fastrestore.NoiseSpec.white(sigma)
        yield f"white, sigma {sigma:g}", _sampled(white), white
    brightness, line = np.linspace(0, 255, 9)[None], [[1.0] * 5]
    curve = fastrestore.NoiseSpec(
        np.array([8.0]), brightness, np.sqrt(9 + 0.5 * brightness), np.ones((1, 1, 1, 1))
    )
    yield "level by brightness", _sampled(curve), curve
    power = fastrestore.psd_from_kernel(np.array(line) / 5**0.5, (32, 32))
    power = (power / power.mean())[None, None]
    flat = fastrestore.NoiseSpec.white(15.0)
    lines = fastrestore.NoiseSpec(flat.sigma, flat.brightness, flat.levels, power)
    yield "lines of 5 pixels, sigma 15", _sampled(lines), lines


def _counts(clean, rng):
    """Photon noise with a gain and an offset, in 16 bits."""
    return (100 + 2.2 * rng.poisson(clean / 2.2)).round().astype(np.uint16)


def _sampled(spec):
    """Noise of a specification, independent in each frame."""
    return lambda clean, rng: np.stack([frame + spec.sample(frame, rng=rng) for frame in clean])


def print_models():
    """Print PSNR with the right noise, and without arguments."""
    import fastrestore

    print("| video | noise | noisy dB | noise told | no arguments | model found |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, clean in videos():
        for kind, add, told in noises():
            noisy = add(clean, np.random.default_rng(0))
            offset = 100.0 if noisy.dtype == np.uint16 else 0.0
            right = fastrestore.vbm3d(noisy, noise=told) - offset
            found, info = fastrestore.vbm3d(noisy, return_info=True)
            scores = [psnr(clean, each) for each in (noisy - offset, right, found - offset)]
            row = " | ".join(f"{score:.2f}" for score in scores)
            print(f"| {name} | {kind} | {row} | {info.noise.model} |", flush=True)


def print_codecs():
    """Print PSNR of encoded videos, restored with two estimates."""
    import fastrestore

    print("| video | sigma | codec | decoded dB | first frame decides | no arguments | grid |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, clean in videos():
        for sigma in (0, 8, 20):
            noise = sigma * np.random.default_rng(0).standard_normal(clean.shape)
            noisy = np.clip(np.round(clean + noise), 0, 255).astype(np.uint8)
            for codec, arguments in CODECS.items():
                video = encoded(noisy, *arguments)
                first = fastrestore.vbm3d(video, fastrestore.estimate_sigma(video[0]))
                found, info = fastrestore.vbm3d(video, return_info=True)
                row = " | ".join(f"{psnr(clean, each):.2f}" for each in (video, first, found))
                print(f"| {name} | {sigma} | {codec} | {row} | {info.grid} |", flush=True)


def encoded(frames, codec, options, bit_rate):
    """Return gray frames after encoding and decoding."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuv420p"
        stream.options = options
        if bit_rate:
            stream.bit_rate = bit_rate
        for frame in [*frames, None]:
            image = None
            if frame is not None:
                image = av.VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(image))
    file.seek(0)
    with av.open(file) as container:
        images = container.decode(video=0)
        return np.stack([image.reformat(format="gray").to_ndarray() for image in images])


if __name__ == "__main__":
    main()
