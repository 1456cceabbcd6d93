"""Print the quality and flicker of an enlarged video, and show it.

    python bench/upscale_video.py --clip DIR [--models srresnet srgan vsrgan] [--count N]
    ... --features squeezenet11_features.h5 --efficientnet --pyiqa lpips
    ... --strip OUT.png --film OUT.mp4
    python bench/upscale_video.py --memory [--models vsrgan]

DIR holds color frames of 8 bits in the order of their names. Small ones are those of Pillow's
bicubic filter. PSNR and SSIM are as in `upscale.py`, means over the frames. Flicker is the mean
absolute difference, of 255, between a result and the one before, moved to it by the flow between
the true frames, OpenCV's DIS or that of a network; that of the true frames is shown, too. Flicker
"still" is that of one photograph with noise of sigma 1, without any flow. ``--strip`` is a figure
of results side by side, with a row of pixels of each over time below; ``--film`` plays them side by
side. ``--memory`` is the peak for 50 and for 1000 frames of 180x144, and the time for each.
"""

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from perceptual import add_distances, distances
from PIL import Image
from upscale import SCALE, measured, print_table, rounded

import fastrestore
from fastrestore.nets.frnet import enlarged, warped

MODELS = ["srresnet", "srgan", "vsrgan"]
STILL = 10  # frames

# Print count, peak memory in MB and seconds of a stream of small frames
STREAM = """
import json, resource, sys, time
import numpy as np, torch
import fastrestore

torch.set_num_threads(2)

def frames(count):
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 256, (200, 300, 3), np.uint8)
    for k in range(count):
        yield whole[k % 20 : k % 20 + 144, k % 64 : k % 64 + 180]

begun = time.perf_counter()
video = frames(int(sys.argv[1]))
larger = fastrestore.super_resolve_video(video, model=sys.argv[2], channel_axis=-1)
total = sum(1 for _ in larger)
took = time.perf_counter() - begun
print(json.dumps([total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, took]))
"""


def main():
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description="PSNR, SSIM, flicker, perceptual distance")
    parser.add_argument("--clip", type=Path, metavar="DIR")
    parser.add_argument("--models", nargs="+", metavar="NAME", default=MODELS)
    parser.add_argument("--count", type=int, metavar="N", help="number of frames to read")
    add_distances(parser)
    parser.add_argument("--flow", metavar="NAME", default="dis", help="or a network for videos")
    parser.add_argument("--strip", type=Path, metavar="OUT")
    parser.add_argument("--film", type=Path, metavar="OUT")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        print_memory(options.models[-1])
    if options.clip:
        print_quality(options)


def print_quality(options):
    """Measure each method on a clip."""
    true = clip(options)
    small = [reduced(frame) for frame in true]
    flows, stills = flows_between(true, options.flow), still(true[0])
    looks = distances(options)
    rows, videos = {}, {}
    for name in ("bicubic", *options.models):
        videos[name] = list(made(small, name))
        each = [measured(a, b, looks) for a, b in zip(true, videos[name], strict=True)]
        rows[name] = {kind: np.mean([m[kind] for m in each]) for kind in each[0]}
        rows[name]["flicker"] = flicker(videos[name], flows)
        rows[name]["still"] = flicker(list(made(stills, name)))
    print_table(f"{options.clip.name}, {len(true)} frames", [rows])
    print("\n| frames | flicker |\n| --- | --- |")
    print(f"| true frames | {flicker(true, flows):.4f} |")
    videos["true"] = true
    if options.strip:
        write_strip(videos, options.strip)
    if options.film:
        write_video(videos, options.film)


def clip(options):
    """Read frames, cut to a multiple of the scale."""
    frames = []
    for path in sorted(options.clip.iterdir())[: options.count]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        height, width = (n - n % SCALE for n in pixels.shape[:2])
        frames.append(pixels[:height, :width])
    return frames


def reduced(frame):
    """Make a small frame."""
    size = (frame.shape[1] // SCALE, frame.shape[0] // SCALE)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def still(frame):
    """Small frames of a video in which nothing moves."""
    rng = np.random.default_rng(0)
    noisy = (frame + rng.normal(0, 1, frame.shape) for _ in range(STILL))
    return [reduced(rounded(each)) for each in noisy]


def made(small, name):
    """Enlarge frames, by one network for videos or frame by frame."""
    if name == "bicubic":
        for frame in small:
            size = (SCALE * frame.shape[1], SCALE * frame.shape[0])
            yield np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
        return
    model = f"{name}-x4" if name in MODELS else name
    for frame in fastrestore.super_resolve_video(small, model=model, channel_axis=-1):
        yield rounded(frame)


def flows_between(frames, name):
    """Return the flow to the previous frame, by OpenCV's DIS or by a network for videos."""
    if name == "dis":
        import cv2

        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        found = [dis.calc(b, a, None) for a, b in itertools.pairwise(grays)]
        return [torch.from_numpy(flow.transpose(2, 0, 1))[None] for flow in found]
    net = fastrestore.nets.load(name).eval()
    small = [tensor(reduced(frame)) for frame in frames]  # what it was trained on
    with torch.inference_mode():
        found = (net.flow(b, a) for a, b in itertools.pairwise(small))
        return [SCALE * enlarged(flow, SCALE, "bilinear") for flow in found]


def flicker(frames, flows=None):
    """Mean absolute difference between frames, the one before moved by flow."""
    found = []
    for k in range(1, len(frames)):
        before, now = tensor(frames[k - 1]), tensor(frames[k])
        moved = before if flows is None else warped(before, flows[k - 1])
        found.append(255 * float((moved - now).abs().mean()))
    return np.mean(found)


def tensor(frame):
    """As (1, 3, M, N) from 0 to 1."""
    return torch.from_numpy(frame.transpose(2, 0, 1) / 255)[None].float()


def write_strip(videos, path):
    """Show the center of three frames of each, and below it one row of pixels over time."""
    count = len(videos["true"])
    rows = []
    for k in (count // 4, count // 2, 3 * count // 4):
        rows.append(np.concatenate([middle(frames[k]) for frames in videos.values()], 1))
    traces = []
    for frames in videos.values():
        row = len(frames[0]) // 2
        trace = np.stack([middle(frame[row - 64 : row + 64])[64] for frame in frames])
        traces.append(trace)
    Image.fromarray(np.concatenate([*rows, np.concatenate(traces, 1)], 0)).save(path)


def middle(frame, side=128):
    """Crop a centered square."""
    top, left = ((n - side) // 2 for n in frame.shape[:2])
    return frame[top : top + side, left : left + side]


def write_video(videos, path):
    """Play all side by side."""
    import av

    with av.open(str(path), "w") as file:
        frames = [np.concatenate(each, 1) for each in zip(*videos.values(), strict=True)]
        track = file.add_stream("libx264", rate=24, options={"crf": "16"})
        track.height, track.width = frames[0].shape[0] // 2 * 2, frames[0].shape[1] // 2 * 2
        track.pix_fmt = "yuv420p"
        for frame in frames:
            cut = np.ascontiguousarray(frame[: track.height, : track.width])
            file.mux(track.encode(av.VideoFrame.from_ndarray(cut, format="rgb24")))
        file.mux(track.encode())


def print_memory(model):
    """Peak memory and time of short and long streams, each in a separate process."""
    name = f"{model}-x4" if model in MODELS else model
    print("\n| frames of 180x144 | peak MB | seconds | a frame |\n| --- | --- | --- | --- |")
    for count in (50, 1000):
        command = [sys.executable, "-c", STREAM, str(count), name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        total, peak, took = json.loads(output)
        print(f"| {total} | {peak:.0f} | {took:.1f} | {took / total:.4f} |", flush=True)


if __name__ == "__main__":
    main()
