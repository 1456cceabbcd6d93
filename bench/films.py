"""Print the gain of `vbm3d` over single frames, the flicker of videos, and memory and speed.

    python bench/films.py [--clip DIR] [--speed] [--memory] [--sigma 20 40]

Without `--clip`, videos are made from a photograph: a static camera with a moving object, and equal
frames. Frame number i gets the noise of ``default_rng(i)``. PSNR is the mean over the three frames
in the middle, that of `bm3d` frame by frame beside it.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from photographs import photograph, psnr

COUNT = 13  # frames of a video; those in the middle are judged

# Print the peak memory of restoring a stream with a given number of generated frames
STREAM = """
import json, resource, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from photographs import photograph
import fastrestore

whole = photograph(512)

def frames(count):
    rng = np.random.default_rng(0)
    for k in range(count):
        y, x = k % 128, 2 * k % 128
        yield whole[y : y + 64, x : x + 96] + 20 * rng.standard_normal((64, 96), np.float32)

total = sum(1 for _ in fastrestore.vbm3d(frames(int(sys.argv[1])), 20))
print(json.dumps([total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main():
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description="quality, flicker, speed and memory of videos")
    parser.add_argument("--clip", type=Path, metavar="DIR", help="frames in order of their names")
    parser.add_argument("--sigma", type=float, nargs="+", default=[20.0, 40.0])
    parser.add_argument("--speed", action="store_true", help="frames per second, in color")
    parser.add_argument("--memory", action="store_true", help="of 50 and of 2000 frames")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    if options.speed:
        print_speed(options)
    elif options.memory:
        print_memory()
    elif options.clip:
        print_gain(options.clip.name, clip(options.clip), options.sigma)
    else:
        print_gain("still camera", still_camera()[0], options.sigma)
        print_equal_frames()
        print_flicker(options.sigma)


def noisy(clean, sigma):
    """Add white noise, with a separate generator for each frame."""
    noise = [np.random.default_rng(i).standard_normal(f.shape) for i, f in enumerate(clean)]
    return (clean + sigma * np.array(noise)).astype(np.float32)


def clip(folder):
    """Return the first frames of a folder, in gray."""
    from PIL import Image

    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    return np.array([np.asarray(Image.open(p).convert("L"), np.float64) for p in paths[:COUNT]])


def still_camera():
    """Return a photograph with a moving disk, and a mask of the pixels it never covers."""
    scene = photograph(512)[120:312, 150:406].astype(np.float64)
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]]
    frames, still = [], np.ones(scene.shape, bool)
    for k in range(COUNT):
        disk = (y - 60 - 3 * k) ** 2 + (x - 40 - 12 * k) ** 2 < 24**2
        frames.append(np.where(disk, 140 + 60 * np.sin(x / 3 - 4 * k), scene))
        still &= ~disk
    return np.array(frames), still


def middle(frames):
    """Return the three frames in the middle."""
    return frames[COUNT // 2 - 1 : COUNT // 2 + 2]


def print_gain(name, clean, sigmas):
    """Print PSNR of the video, and of its frames one by one."""
    import fastrestore

    print(f"{name}: {len(clean)} frames of {clean.shape[2]}x{clean.shape[1]}, gray\n")
    print("| sigma | bm3d, frame by frame | vbm3d | gain dB |\n| --- | --- | --- | --- |")
    for sigma in sigmas:
        noise = noisy(clean, sigma)
        video = psnr(middle(clean), middle(fastrestore.vbm3d(noise, sigma)))
        single = psnr(middle(clean), [fastrestore.bm3d(frame, sigma) for frame in middle(noise)])
        print(f"| {sigma:g} | {single:.2f} | {video:.2f} | {video - single:+.2f} |")
    print()


def print_equal_frames():
    """Print the PSNR of nine equal frames, and that of `bm3d` of their mean."""
    import fastrestore

    sigma, clean = 25.0, photograph(256)
    noise = noisy(np.array([clean] * 9), sigma)
    video = psnr(clean, fastrestore.vbm3d(noise, sigma, radius=4)[4])
    single = psnr(clean, fastrestore.bm3d(noise[4], sigma))
    mean = psnr(clean, fastrestore.bm3d(noise.mean(0), sigma / 3))
    print(f"nine equal frames, sigma {sigma:g}, radius 4, 256x256\n")
    print("| way | PSNR dB | over one frame |\n| --- | --- | --- |")
    for name, value in (("bm3d of one", single), ("vbm3d", video), ("bm3d of their mean", mean)):
        print(f"| {name} | {value:.2f} | {value - single:+.2f} |")
    print()


def print_flicker(sigmas):
    """Print how much residuals of consecutive frames differ where nothing moves."""
    import fastrestore

    clean, still = still_camera()
    print("flicker: mean absolute difference of consecutive residuals where nothing moves\n")
    print("| sigma | bm3d, frame by frame | vbm3d | ratio |\n| --- | --- | --- | --- |")
    for sigma in sigmas:
        noise = noisy(clean, sigma)

        def flicker(restored):
            return float(np.abs(np.diff(np.asarray(restored) - clean, axis=0))[:, still].mean())

        video = flicker(fastrestore.vbm3d(noise, sigma))
        single = flicker([fastrestore.bm3d(frame, sigma) for frame in noise])
        print(f"| {sigma:g} | {single:.3f} | {video:.3f} | {video / single:.2f} |")


def print_speed(options):
    """Print frames per second of a 432x240 color video."""
    from skimage.data import astronaut

    import fastrestore

    whole = astronaut().astype(np.float32)
    path = [(3 * k % 200, 2 * k % 80) for k in range(40)]
    clean = np.array([whole[y : y + 240, x : x + 432] for y, x in path])
    video = noisy(clean, 20)
    settings = {"channel_axis": -1, "workers": options.workers}
    print("| frames | radius | workers | frames per second | PSNR dB |")
    print("| --- | --- | --- | --- | --- |")
    for radius in (1, 2, 4):
        fastrestore.vbm3d(video[:2], 20, radius=radius, **settings)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            restored = fastrestore.vbm3d(video, 20, radius=radius, **settings)
            seconds.append(time.perf_counter() - start)
        rate, score = len(video) / np.median(seconds), psnr(clean, restored)
        shape = f"{len(video)} of 432x240 in color"
        print(f"| {shape} | {radius} | {options.workers or 'all'} | {rate:.2f} | {score:.2f} |")


def print_memory():
    """Print the peak memory of streams of two lengths, each in a process of its own."""
    print("| frames of 96x64 | peak MiB |\n| --- | --- |")
    for count in (50, 2000):
        command = [sys.executable, "-c", STREAM, str(count), str(Path(__file__).parent)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        total, peak = json.loads(done.stdout)
        print(f"| {total} | {peak:.1f} |")


if __name__ == "__main__":
    main()
