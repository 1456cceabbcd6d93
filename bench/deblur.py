"""Print what `deblur` gains, on the experiments of its paper and with blur of shaken cameras.

    python bench/deblur.py --image FILE [--peers]
    python bench/deblur.py --images DIR --psfs Levin09.mat [--count 6] [--denoisers unet bm3d]
    python bench/deblur.py --motion --psfs Levin09.mat [--every 11] [--first 0] [--size 128]
    python bench/deblur.py --borders --images DIR --psfs Levin09.mat [--count 40] [--first 0]
    python bench/deblur.py --repeated

FILE is a gray image of 256x256 of 8 bits, "cameraman" in the paper: improvements in
signal-to-noise ratio in dB of its six experiments, periodic borders, noise of ``default_rng(0)``.
The peer is `bm3d_deblurring` of PyPI's bm3d, which calls what NumPy has no more (`numpy.trapz`,
given back here) and takes an image of three axes. `--psfs` is PSNR in dB of the first images of DIR
with the first four point spread functions of the file, noise of sigma 2.55 and 7.65, periodic
borders. `--motion` compares the default with `taper` and `pnp` on six photographs of scikit-image,
with mirrored borders and with real surroundings, for all of Levin's point spread functions, lines
of 9, 15 and 21 pixels at eight angles and a diagonal, sigma 1, 2 and 5: every 11th of all
combinations, from the one with the number `--first` on, which takes some minutes (`--every 1`:
hours). `--borders` is the choice of the boundary condition for random parts of the images of DIR
and these point spread functions, where mirrored, periodic and real surroundings are true; `--first`
is the seed. `--repeated` is 200 iterations of `pnp` at one shape: memory, and what is compiled.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from photographs import gray, photograph, psnr

import fastrestore
from fastrestore import inverse
from fastrestore.inverse.unknown import choose_boundary

SIGMAS = (2.55, 7.65)


def main():
    """Print the requested tables."""
    parser = argparse.ArgumentParser(description="gain of deblurring")
    parser.add_argument("--image", type=Path, metavar="FILE")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--psfs", type=Path, metavar="FILE", help="Levin's, of MATLAB 7.3")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--denoisers", nargs="+", default=["bm3d", "unet"])
    parser.add_argument("--peers", action="store_true", help="bm3d of PyPI, too")
    parser.add_argument("--motion", action="store_true")
    parser.add_argument("--every", type=int, default=11, help="of the combinations of --motion")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--size", type=int, default=128, help="pixels, for --motion")
    parser.add_argument("--borders", action="store_true")
    parser.add_argument("--repeated", action="store_true")
    options = parser.parse_args()
    if options.image:
        print_experiments(options)
    if options.borders:
        print_borders(options)
    elif options.images:
        print_shaken(options)
    if options.motion:
        print_motion(options)
    if options.repeated:
        print_repeated()


def experiments(clean):
    """Yield names, point spread functions and sigmas of the paper's six."""
    y, x = np.mgrid[-7:8, -7:8]
    round_one, steps = 1 / (1 + x**2 + y**2), np.array([1, 4, 6, 4, 1.0])
    box = np.full((9, 9), 1 / 81)
    weak = float(np.sqrt(blurred(clean, box).var() / 1e4))  # 40 dB below the blurred image
    yield "1 / (1 + r^2)", round_one / round_one.sum(), 2**0.5
    yield "1 / (1 + r^2)", round_one / round_one.sum(), 8**0.5
    yield "9 x 9", box, weak
    yield "[1 4 6 4 1]", np.outer(steps, steps) / 256, 7.0
    yield "Gauss 1.6", gauss(1.6), 2.0
    yield "Gauss 0.4", gauss(0.4), 8.0


def gauss(width, size=25):
    """Return a Gaussian kernel."""
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * width**2))
    psf = np.outer(line, line)
    return psf / psf.sum()


def blurred(clean, psf):
    """Convolve with periodic borders."""
    blur = inverse.Blur(psf, "periodic")
    blur.check(clean)
    return blur.apply(clean)


def print_experiments(options):
    """Improvements in signal-to-noise ratio."""
    clean = gray(options.image)
    head = "| | psf | sigma | fastrestore dB | s |" + (" bm3d dB | s |" if options.peers else "")
    print(f"\n{head}\n| --- |{' --- |' * (head.count('|') - 2)}")
    for k, (name, psf, sigma) in enumerate(experiments(clean), 1):
        seen = blurred(clean, psf)
        seen += sigma * np.random.default_rng(0).standard_normal(clean.shape)
        row = [f"{k}", name, f"{sigma:.3f}"]
        for call in (ours, theirs) if options.peers else (ours,):
            seconds, result = call(seen, psf, sigma)
            gain = 10 * np.log10(((clean - seen) ** 2).sum() / ((clean - result) ** 2).sum())
            row += [f"{gain:.3f}", f"{seconds:.2f}"]
        print("| " + " | ".join(row) + " |", flush=True)


def ours(seen, psf, sigma):
    """Time the second call: the first one compiles."""
    options = {"boundary": "periodic", "data_range": 255}
    fastrestore.deblur(seen, psf, sigma, **options)
    begun = time.perf_counter()
    result = fastrestore.deblur(seen, psf, sigma, **options)
    return time.perf_counter() - begun, result


def theirs(seen, psf, sigma):
    """Time the peer, with workarounds for its two faults."""
    import bm3d

    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # noqa: NPY201
    begun = time.perf_counter()
    result = bm3d.bm3d_deblurring(seen[..., None] / 255, sigma / 255, psf)
    return time.perf_counter() - begun, 255 * np.squeeze(result)


def print_shaken(options):
    """PSNR by point spread function and sigma, means over images."""
    paths = sorted(options.images.glob("*.png"))[: options.count]
    images = [gray(path) for path in paths]
    names = ["bm3d", *(f"pnp, {denoiser}" for denoiser in options.denoisers)]
    print(
        f"\n| psf | sigma | blurred | {' | '.join(names)} |\n| --- |{' --- |' * (len(names) + 2)}"
    )
    every = []
    for k, psf in enumerate(read_psfs(options.psfs)[:4], 1):
        for sigma in SIGMAS:
            scores = np.mean([scored(image, psf, sigma, options) for image in images], 0)
            every.append(scores)
            shown = " | ".join(f"{score:.2f}" for score in scores)
            print(f"| {k} | {sigma} | {shown} |", flush=True)
    shown = " | ".join(f"{score:.2f}" for score in np.mean(every, 0))
    print(f"| mean | | {shown} |")


PHOTOGRAPHS = "camera", "coffee", "astronaut", "chelsea", "rocket", "moon"
MARGIN = 16  # surroundings of a photograph, at least the reach of a point spread function


def motions(path):
    """Yield names and point spread functions of motion."""
    for number, psf in enumerate(read_psfs(path) if path else []):
        yield f"Levin {number}", psf
    for length in (9, 15, 21):
        for angle in np.arange(8) * 22.5:
            yield f"line of {length} at {angle:g}", line(length, angle)
    yield "diagonal of 15", np.eye(15) / 15


def line(length, angle):
    """Return a line, drawn by bilinear splatting of points."""
    psf, half = np.zeros((length + 2, length + 2)), length // 2
    for place in np.linspace(-half, half, 20 * length):
        y, x = (
            half + 1 + place * turn
            for turn in (-np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle)))
        )
        top, left = int(y), int(x)
        down, right = y - top, x - left
        psf[top : top + 2, left : left + 2] += np.outer([1 - down, down], [1 - right, right])
    return psf / psf.sum()


def print_motion(options):
    """PSNR of the default and of others, and the worst margins."""
    from scipy import ndimage
    from skimage import data

    cases = [(*psf, name, sigma) for psf in motions(options.psfs) for name in PHOTOGRAPHS
             for sigma in (1, 2, 5)]  # fmt: skip
    print("\n| psf | photograph | sigma | borders | blurred | default | taper | pnp |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    margins = {"mirrored": [], "real": []}
    for psf_name, psf, name, sigma in cases[options.first :: options.every]:
        whole = np.asarray(getattr(data, name)(), np.float64)
        whole = whole @ [0.299, 0.587, 0.114] if whole.ndim == 3 else whole
        side = options.size + 2 * MARGIN
        top, left = ((n - side) // 2 for n in whole.shape)
        scene = whole[top : top + side, left : left + side]
        clean = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
        noise = sigma * np.random.default_rng(0).standard_normal(clean.shape)
        soft = {"mirrored": ndimage.convolve(clean, psf),
                "real": ndimage.convolve(scene, psf)[MARGIN:-MARGIN, MARGIN:-MARGIN]}  # fmt: skip
        for borders, image in soft.items():
            seen = image + noise
            others = [{"boundary": "taper"}, {"method": "pnp", "boundary": "reflect"}]
            results = [seen] + [fastrestore.deblur(seen, psf, sigma, data_range=255, **each)
                                for each in ({}, *others)]  # fmt: skip
            before, *after = [psnr(clean, result) for result in results]
            margins[borders].append((after[0] - before, after[0] - max(after[1:])))
            shown = " | ".join(f"{each:.2f}" for each in (before, *after))
            print(f"| {psf_name} | {name} | {sigma} | {borders} | {shown} |", flush=True)
    for borders, found in margins.items():
        gains, leads = np.array(found).T
        print(f"{borders}: default over blurred {gains.min():.2f} to {gains.max():.2f} dB, "
              f"over taper and pnp {leads.min():.2f} to {leads.max():.2f} dB")  # fmt: skip


def print_borders(options):
    """Count which boundary conditions are chosen, by the true ones."""
    from scipy import ndimage

    rng = np.random.default_rng(options.first)
    paths, psfs = sorted(options.images.glob("*.jpg")), list(motions(options.psfs))
    counts = {true: dict.fromkeys(("reflect", "periodic", "unknown"), 0)
              for true in ("reflect", "wrap", "surroundings")}  # fmt: skip
    for _ in range(options.count):
        psf, whole = psfs[rng.integers(len(psfs))][1], gray(paths[rng.integers(len(paths))])
        sigma, side = rng.choice([1.0, 2.0, 5.0]), rng.choice([80, 112, 144])
        top, left = (rng.integers(n - side - 2 * MARGIN) for n in whole.shape)
        scene = whole[top : top + side + 2 * MARGIN, left : left + side + 2 * MARGIN]
        inner = slice(MARGIN, -MARGIN)
        noise = sigma * rng.standard_normal((side, side))
        for true, chosen in counts.items():
            soft = (ndimage.convolve(scene, psf)[inner, inner] if true == "surroundings"
                    else ndimage.convolve(scene[inner, inner], psf, mode=true))  # fmt: skip
            chosen[choose_boundary(soft + noise, psf, sigma, 255.0, denoised)] += 1
    print("\n| true | reflect | periodic | unknown |\n| --- | --- | --- | --- |")
    for true, chosen in counts.items():
        print(f"| {true} | {' | '.join(map(str, chosen.values()))} |")


def denoised(image, sigma):
    """Denoise as `deblur` does to choose a boundary condition."""
    return fastrestore.bm3d(image, sigma, profile="fast", data_range=255)


def read_psfs(path):
    """Read point spread functions from a MATLAB file."""
    import h5py

    with h5py.File(path) as file:
        table = file["kernels"]
        psfs = [np.array(file[each], np.float64).T for each in np.asarray(table).ravel()]
    return [psf / psf.sum() for psf in psfs]


def scored(clean, psf, sigma, options):
    """PSNR of the blurred image and of each result."""
    seen = blurred(clean, psf)
    seen += sigma * np.random.default_rng(0).standard_normal(clean.shape)
    given = {"boundary": "periodic", "data_range": 255}
    results = [seen, fastrestore.deblur(seen, psf, sigma, **given)]
    for name in options.denoisers:
        results.append(fastrestore.deblur(seen, psf, sigma, method="pnp", denoiser=name, **given))
    return [psnr(clean, np.clip(result, 0, 255)) for result in results]


def print_repeated(count=200):
    """Memory after 20 and after 200 iterations, and how many kernels there are."""
    import resource
    import tracemalloc

    psf, clean = gauss(1.6), photograph(128)
    seen = blurred(clean, psf) + np.random.default_rng(0).normal(0, 2, clean.shape)
    marks = {}

    def look(k, image):
        if k in (20, count - 1):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            marks[k + 1] = (compiled(), tracemalloc.get_traced_memory()[0] / 1e6, peak)

    tracemalloc.start()
    inverse.pnp(seen, inverse.Blur(psf, "periodic"), 2.0, iterations=count, callback=look)
    print("\n| iterations | compiled | MB of Python | peak MB |\n| --- | --- | --- | --- |")
    for k, (number, held, peak) in marks.items():
        print(f"| {k} | {number} | {held:.2f} | {peak:.0f} |")


def compiled():
    """Count the signatures of all kernels of the backend."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("fastrestore.backends.numba"):
            found |= {id(each): each for each in vars(module).values()}
    return sum(len(each.signatures) for each in found.values() if hasattr(each, "signatures"))


if __name__ == "__main__":
    main()
