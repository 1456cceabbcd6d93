"""Print what calls without a noise argument do to images of many kinds.

    python bench/blind.py --images DIR [--photographs DIR] [--every K]
    python bench/blind.py --time [FILE ...]
    python bench/blind.py --drawings  # more drawings than the first command, and only these

The rows, all on gray images of 0..255 but the color photographs:

* white noise of unknown level on the images of DIR, sigma 15, 25 and 50: loss against the call that
  is given sigma, and how often the noise is found to be white;
* noise of the kernels g1, g2 (no argument) and g3 (``noise="correlated"``) on the images of
  `correlated.py`, if DIR has them: loss against the call that is given the spectrum;
* photographs without noise, in color and gray: PSNR of the result against the input;
* drawings and text (`drawings.py`): the largest levels that are found, of 255, and how many results
  of profile "fast" have a PSNR of 60 dB or more against the input;
* bad input: the model and the level, and the gain over the noisy image where a truth exists.

``--time`` prints wall and processor time of the estimate, best of five: of 512x512 pixels and of 24
megapixels, gray and in color, with white noise, with noise of a camera, and of the color
photographs FILE. Then it prints the time of `bm3d` without a noise argument, divided by that with a
given sigma; both calls take turns.
"""

import argparse
import io
import time
from functools import partial
from pathlib import Path

import numpy as np
from correlated import noise, photographs
from drawings import drawings, others
from estimate import paths, read

SIGMAS = (15, 25, 50)
ROUNDS = 5


def main():
    """Print all rows."""
    parser = argparse.ArgumentParser(description="calls without a noise argument")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--time", nargs="*", type=Path, metavar="FILE", help="only times")
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="without noise, in color")
    parser.add_argument("--every", type=int, default=1, metavar="K", help="use one image in K")
    parser.add_argument("--drawings", action="store_true", help="other drawings, and nothing else")
    options = parser.parse_args()
    if options.drawings:
        print_drawings(more=True)
        return
    if options.time is not None:
        print_times(options.time)
        return
    if options.images is None:
        parser.error("write --images DIR, --drawings or --time")
    print_white([read(path) for path in paths(options.images)[:: options.every]])
    if (options.images / "09.png").exists():
        print_correlated(photographs(options.images))
    if options.photographs:
        print_clean(paths(options.photographs)[:: options.every])
    print_drawings()
    print_bad_inputs()


def score(clean, image, extent=255):
    """Return the PSNR of a clipped image."""
    import fastrestore

    return fastrestore.metrics.psnr(clean, np.clip(image, 0, extent), data_range=extent)


def print_white(images):
    """Print the loss on white noise of unknown level."""
    import fastrestore

    for sigma in SIGMAS:
        losses, models = [], []
        for number, clean in enumerate(images):
            noisy = clean + sigma * np.random.default_rng(number).standard_normal(clean.shape)
            result, info = fastrestore.bm3d(noisy, return_info=True)
            losses.append(score(clean, fastrestore.bm3d(noisy, sigma)) - score(clean, result))
            models.append(info.noise.model)
        white = models.count("white")
        print(
            f"white {sigma}: mean loss {np.mean(losses):.3f} dB, largest {max(losses):.2f}; "
            f"{white} of {len(models)} white",
            flush=True,
        )


def print_correlated(images):
    """Print the loss on noise of unknown spectrum."""
    import fastrestore

    for name, model in (("g1", "auto"), ("g2", "auto"), ("g3", "correlated")):
        losses = []
        for clean in images:
            added, psd = noise(name, clean.shape)
            given = fastrestore.bm3d(clean + added, psd=psd, profile="np")
            found = fastrestore.bm3d(clean + added, noise=model, profile="np")
            losses.append(score(clean, given, 1) - score(clean, found, 1))
        each = " / ".join(f"{loss:.2f}" for loss in losses)
        print(f"{name}, noise={model!r}: loss {each}, mean {np.mean(losses):.2f} dB", flush=True)


def print_clean(files):
    """Print the PSNR of results against photographs without noise."""
    from PIL import Image

    import fastrestore

    for mode, axis in (("RGB", -1), ("L", None)):
        scores, models = [], []
        for path in files:
            with Image.open(path) as picture:
                clean = np.asarray(picture.convert(mode), np.float64)
            result, info = fastrestore.bm3d(clean, channel_axis=axis, return_info=True)
            scores.append(min(99.0, score(clean, result)))
            models.append(info.noise.model)
        kinds = ", ".join(f"{models.count(kind)} {kind}" for kind in sorted(set(models)))
        low = ", ".join(f"{s:.1f}" for s in sorted(scores)[:3])
        print(f"clean {mode}: mean {np.mean(scores):.1f} dB, lowest {low}; {kinds}", flush=True)


def print_drawings(more=False):
    """Print the largest levels that are found in drawings without noise, and the lowest PSNR.

    With `more`, of other drawings, which need matplotlib.
    """
    import fastrestore

    levels, scores = [], []
    for name, page, axis in colored(more):
        result, info = fastrestore.bm3d(page, channel_axis=axis, profile="fast", return_info=True)
        levels.append((float(info.noise.sigma.max()), name))
        scores.append((min(99.0, score(page, result)), name))
    shown = ", ".join(f"{level:.2f} {name}" for level, name in sorted(levels)[:-6:-1])
    high = sum(level >= 0.5 for level, _ in levels)
    print(f"{len(levels)} drawings, {high} with a level of 0.5 or more; largest: {shown}")
    shown = ", ".join(f"{value:.1f} {name}" for value, name in sorted(scores)[:5])
    reached = sum(value >= 60 for value, _ in scores)
    print(f"{reached} of {len(scores)} drawings reach 60 dB; lowest: {shown}", flush=True)


def colored(more):
    """Return name, image and axis of gray drawings and of the same in color."""
    if more:
        for name, page in others().items():
            yield name, page[1], None
            yield f"{name}, in color", page, 0
        return
    for name, page in drawings().items():
        color = np.stack([page, 200 - page / 2, 40 + page / 3])
        yield name, page, None
        # Paper of 72.5, but for rounding errors, would be rounded up and down at random
        yield f"{name}, in color", np.round(np.round(color, 6)), 0


def bad_inputs():
    """Return name, image, truth or None, axis and mask of images that are hard to estimate from."""
    import skimage.data
    from scipy.ndimage import gaussian_filter, zoom

    rng = np.random.default_rng(0)
    camera, gravel = (getattr(skimage.data, n)().astype(float) for n in ("camera", "gravel"))
    part, color = camera[100:356, 100:356], skimage.data.astronaut()[:256, 100:356].astype(float)
    noisy = part + rng.normal(0, 10, part.shape)
    mask = np.add.outer(np.arange(256), np.arange(256)) > 200
    stars = np.full((256, 256), 20.0)
    stars[tuple(rng.integers(0, 256, (2, 60)))] = 4000
    stars = gaussian_filter(stars, 1.2)
    y, x = np.mgrid[:256, :256]
    rough = gravel[:256, :256]
    wave = part + 12 * np.cos(0.9 * x + 0.4 * y)
    enlarged = zoom(noisy[:128, :128], 2, order=3)
    levels = np.array([0, 90, 170, 255.0])
    palette = levels[np.abs(color[..., None] - levels).argmin(-1)]
    yield "no flat part, noise 10", rough + rng.normal(0, 10, rough.shape), rough, None, None
    yield "one color", np.full((64, 64, 3), 90.0), np.full((64, 64, 3), 90.0), -1, None
    yield "8x8", noisy[:8, :8], part[:8, :8], None, None
    yield "1 bit", 255.0 * (part > 128), 255.0 * (part > 128), None, None
    yield "palette as RGB", palette, palette, -1, None
    yield "JPEG quality 30, gray", jpeg(part), part, None, None
    yield "JPEG quality 30, color", jpeg(color), color, -1, None
    yield "enlarged twice", enlarged, zoom(part[:128, :128], 2, order=3), None, None
    yield "sharpened", 2 * noisy - gaussian_filter(noisy, 1), part, None, None
    yield "halftone", 255.0 * (part > 32 * (x % 8)), 255.0 * (part > 32 * (x % 8)), None, None
    yield "moire, noise 5", wave + rng.normal(0, 5, wave.shape), wave, None, None
    yield "few stars, counts", rng.poisson(stars).astype(float), stars, None, None
    yield "mask", np.where(mask, noisy, np.nan), part, None, mask
    yield "fill values", np.where(mask, noisy, 0), np.where(mask, part, 0), None, None


def jpeg(image, quality=30):
    """Compress an image and open it again."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(data, "JPEG", quality=quality)
    with Image.open(data) as picture:
        return np.asarray(picture, np.float64)


def print_bad_inputs():
    """Print the model, the level and the gain over the input."""
    import fastrestore

    for name, image, truth, axis, mask in bad_inputs():
        keywords = {} if mask is None else {"mask": mask}
        result, info = fastrestore.bm3d(image, channel_axis=axis, return_info=True, **keywords)
        known = slice(None) if mask is None else mask
        error = [np.mean((np.asarray(each)[known] - truth[known]) ** 2) for each in (image, result)]
        change = "input is the truth" if error[0] == 0 else ""
        if error[0] > 0:
            change = f"gain {10 * np.log10(error[0] / max(error[1], 1e-9)):.2f} dB"
        elif error[1] > 0:
            change += f", {10 * np.log10(255**2 / error[1]):.1f} dB"
        print(f"{name}: {info.noise.model} {np.round(info.noise.sigma, 1)}, {change}", flush=True)


def noisy_pictures(files):
    """Return name, image and axis of noisy pictures of 512x512 pixels, and of photographs."""
    import skimage.data
    from PIL import Image

    clean = skimage.data.astronaut().astype(np.float32)
    white = np.random.default_rng(0).standard_normal((513, 513, 3), np.float32) * 4
    smooth = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
    camera = np.clip(np.round(clean + smooth * (0.5 + clean / 128)), 0, 255).astype(np.uint8)
    yield "gray, white noise", clean[..., 1] + 2 * white[1:, 1:, 1], None
    yield "gray, noise of a camera", camera[..., 1], None
    yield "color, white noise", clean + 2 * white[1:, 1:], -1
    yield "color, noise of a camera", camera, -1
    for path in files:
        with Image.open(path) as picture:
            yield path.name, np.asarray(picture.convert("RGB")), -1


def print_times(files):
    """Print times of the estimate, and of the whole call relative to that with a given sigma."""
    import fastrestore

    for name, image, axis in noisy_pictures(files):
        wide = np.tile(image, (8, 12, 1)[: image.ndim])[:4000, :6000]
        for size in (image, wide):
            call = partial(fastrestore.estimate_noise, size, channel_axis=axis)
            wall, processor = best_times([call])[0]
            print(f"estimate, {name}, {size.shape}: {wall:.3f} s, processor {processor:.3f} s")
        unknown = partial(fastrestore.bm3d, image, channel_axis=axis)
        (own, given) = best_times([unknown, partial(unknown, sigma=5.0)])
        info = unknown(return_info=True)[1]
        wall, processor = own / given
        print(
            f"bm3d, {name}: {wall:.2f} times as long as with sigma, processor {processor:.2f}; "
            f"{info.noise.model}: {info.reason}",
            flush=True,
        )


def best_times(calls):
    """Return the least wall and processor time of each call; calls take turns."""
    times = np.full((ROUNDS + 1, len(calls), 2), np.inf)
    for number in range(ROUNDS + 1):  # the first one may compile kernels
        for k, call in enumerate(calls):
            start = time.perf_counter(), time.process_time()
            call()
            times[number, k] = time.perf_counter() - start[0], time.process_time() - start[1]
    return times[1:].min(0)


if __name__ == "__main__":
    main()
