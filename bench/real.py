"""Print PSNR on photographs with real noise, without arguments and with the noise of the truth.

    python bench/real.py --images DIR [--cameras Sony Canon600D] [--every 4] [--size 256]

DIR holds the pairs ``NAME_real.JPG`` and ``NAME_mean.JPG`` of the PolyU data set; the truth is the
mean of many photographs. Two cameras serve for development, three for the report. Columns:

noisy    the photograph itself
psd      ``bm3d(image, psd=estimate_psd(image, channel_axis=-1), channel_axis=-1)``
none     ``bm3d(image, channel_axis=-1)``
camera   the same with ``noise="camera"``
white    the same with ``noise="white"``
oracle   the same with ``noise=`` the `NoiseSpec` that is measured on the photograph minus the truth
hybrid   ``denoise(image, method="hybrid", channel_axis=-1)``, which needs PyTorch; only on request
worst    the lowest gain over "noisy" of a pair, by "none", or by "camera" if "none" is left out

PSNR is over RGB, of results that are rounded and clipped to 8 bits.
"""

import argparse
from pathlib import Path

import numpy as np

import fastrestore
from fastrestore._noise.spec import NoiseSpec

DEVELOPMENT = ("Canon5D2", "NikonD800")
REPORT = ("Canon600D", "Canon80D", "Sony")
QUANTILES = 12  # of brightness, in each of which the level is measured
WINDOW = 32  # pixels; spectra are means over windows of this side
COLUMNS = ("noisy", "psd", "none", "camera", "white", "oracle")
ON_REQUEST = ("hybrid",)


def main():
    """Print one line for each camera and for both groups of cameras."""
    options = arguments()
    print(f"| pairs | number | {' | '.join(options.columns)} | worst |")
    print("| --- |" + " --- |" * (len(options.columns) + 2), flush=True)
    for group, cameras in (("development", DEVELOPMENT), ("report", REPORT)):
        chosen = [camera for camera in cameras if camera in options.cameras]
        tables = [camera_table(camera, options) for camera in chosen]
        if tables:
            print(line(f"**{group}**", np.concatenate(tables), options.columns), flush=True)


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description="PSNR on photographs with real noise")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="PolyU")
    parser.add_argument("--cameras", nargs="+", default=[*DEVELOPMENT, *REPORT])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th pair")
    parser.add_argument("--size", type=int, help="side of the middle part that is used; all")
    parser.add_argument("--workers", type=int, help="threads; by default all processors")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS + ON_REQUEST, default=list(COLUMNS))
    parser.add_argument("--each", action="store_true", help="also print a line for each pair")
    return parser.parse_args()


def camera_table(camera, options):
    """Print the line of one camera; return PSNR (pairs, columns)."""
    rows = []
    for path in sorted(options.images.glob(f"{camera}_*_real.JPG"))[:: options.every]:
        noisy, truth = pair(path, options.size)
        rows.append(scores(noisy, truth, options))
        if options.each:
            print(line(path.name, np.array(rows[-1:]), options.columns), flush=True)
    table = np.array(rows)
    print(line(camera, table, options.columns), flush=True)
    return table


def pair(path, size=None):
    """Return a noisy photograph and its truth, 8-bit RGB."""
    from PIL import Image

    images = []
    for name in (path.name, path.name.replace("_real", "_mean")):
        with Image.open(path.with_name(name)) as image:
            images.append(middle(np.asarray(image.convert("RGB")), size))
    return images


def middle(image, size):
    """Return the middle square of an image, or all of it."""
    if size is None:
        return image
    top, left = ((n - min(n, size)) // 2 for n in image.shape[:2])
    return np.ascontiguousarray(image[top : top + size, left : left + size])


def scores(noisy, truth, options):
    """Return the PSNR of each column."""
    return [psnr(truth, result(name, noisy, truth, options.workers)) for name in options.columns]


def result(name, noisy, truth, workers):
    """Restore a photograph as one column says."""
    given = {"channel_axis": -1, "workers": workers}
    if name == "noisy":
        return noisy
    if name == "hybrid":
        return fastrestore.denoise(noisy, method="hybrid", **given)
    if name == "psd":
        given["psd"] = fastrestore.estimate_psd(noisy, channel_axis=-1)
    elif name != "none":
        given["noise"] = measured(noisy, truth) if name == "oracle" else name
    return fastrestore.bm3d(noisy, **given)


def psnr(truth, image):
    """Peak signal-to-noise ratio of an image after rounding to 8 bits."""
    rounded = np.clip(np.rint(np.asarray(image, np.float64)), 0, 255)
    error = np.mean((rounded - truth) ** 2)
    return float(10 * np.log10(255**2 / error))


def measured(noisy, truth):
    """Return the noise of a photograph (M, N, 3) whose truth is known."""
    planes = np.moveaxis(truth, -1, 0).astype(np.float64)
    noise = np.moveaxis(noisy, -1, 0) - planes
    pairs = [levels(plane, own) for plane, own in zip(planes, noise, strict=True)]
    brightness, level = (np.array(rows) for rows in zip(*pairs, strict=True))
    local = [np.interp(p, b, s) for p, b, s in zip(planes, brightness, level, strict=True)]
    sigma = np.sqrt(np.mean(np.square(local), axis=(1, 2)))
    return NoiseSpec(sigma, brightness, level, cross_spectrum(noise / local))


def levels(plane, noise):
    """Return mean brightness and standard deviation of the noise in quantiles of brightness."""
    order = np.argsort(plane, axis=None, kind="stable")
    parts = np.array_split(order, QUANTILES)
    values = [(plane.flat[part].mean(), noise.flat[part].std()) for part in parts]
    brightness, level = np.array(values).T
    brightness += 1e-6 * np.arange(QUANTILES)  # increasing, if many pixels are equal
    return brightness, np.maximum(level, 1e-3)


def cross_spectrum(noise):
    """Return the power (C, C, WINDOW, WINDOW) of noise (C, M, N), with the mean 1 for each c, c."""
    windows = np.lib.stride_tricks.sliding_window_view(noise, (WINDOW, WINDOW), axis=(1, 2))
    blocks = windows[:, :: WINDOW // 2, :: WINDOW // 2].reshape(len(noise), -1, WINDOW, WINDOW)
    taper = np.outer(*2 * [np.hanning(WINDOW + 2)[1:-1]])
    transform = np.fft.fft2(blocks * taper)
    power = np.einsum("ckpq,dkpq->cdpq", transform, transform.conj()).real
    own = np.sqrt(np.einsum("ccpq->c", power) / WINDOW**2)
    return power / np.outer(own, own)[..., None, None]


def line(name, table, columns):
    """Return a row of the table: means over pairs, and the worst gain over the noisy image."""
    cells = [f"{mean:.2f}" for mean in table.mean(0)]
    judged, worst = [each for each in ("none", "camera") if each in columns], "-"
    if "noisy" in columns and judged:
        gains = table[:, columns.index(judged[0])] - table[:, columns.index("noisy")]
        worst = f"{gains.min():+.2f}"
    return f"| {name} | {len(table)} | {' | '.join(cells)} | {worst} |"


if __name__ == "__main__":
    main()
