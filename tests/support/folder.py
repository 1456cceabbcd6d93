"""A folder of pictures of all formats and depths, some broken, and a check of the results."""

from __future__ import annotations

import itertools
import os
import warnings

import numpy as np

from fastrestore._io import images
from fastrestore._io.formats import FORMATS
from fastrestore._io.picture import Picture
from support.pictures import full, present

# Extension, type, channels with alpha, which is the second or fourth
KINDS = [
    ("png", "uint8", 3), ("png", "uint16", 4), ("png", "uint16", 1), ("png", "uint8", 4),
    ("tif", "uint8", 4), ("tif", "uint16", 3), ("tif", "float32", 1), ("tiff", "float32", 3),
    ("jpg", "uint8", 3), ("jpeg", "uint8", 1), ("webp", "uint8", 3), ("webp", "uint8", 4),
    ("jxl", "uint8", 3), ("jxl", "uint16", 4), ("exr", "float32", 3), ("exr", "float16", 4),
    ("bmp", "uint8", 3), ("ppm", "uint16", 3), ("pgm", "uint8", 1), ("pfm", "float32", 1),
    ("npy", "uint8", 1), ("npy", "float64", 1),
]  # fmt: skip
FOLDERS = ("", "a", os.path.join("a", "b"), "ü ö")  # noqa: PTH118
SIGMA = 0.05  # of the noise, of the range
DONE = b"already done"


def noisy(dtype, count, seed):
    """A ramp and a bright square with white noise; alpha has two values."""
    rows, columns = np.mgrid[:40, :48]
    clean = 0.25 + columns / 150 + 0.3 * ((rows // 10 + columns // 12) % 2)
    random = np.random.default_rng(seed)
    image = np.stack([clean] * count, -1) + random.normal(0, SIGMA, (40, 48, count))
    if count in (2, 4):
        image[..., -1] = np.where(rows < 8, 0.25, 1)
    white = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (np.clip(image, 0, 1) * white).astype(dtype)
    return image if count > 1 else image[..., 0]


def make(root, out, count):
    """Write `count` files; return the paths of those that can be restored, and of the broken ones.

    One of the first has a result in `out` already.
    """
    good = []
    names = itertools.product(range(count), FOLDERS)
    broken = _break(root, noisy("uint8", 3, 0))
    pair = ["Case.png", "case.png"] if _tells_case_apart(root) else []
    for name in pair:
        good.append(_write(root / name, KINDS[0], len(good)))
    while len(good) + len(broken) < count:
        number, folder = next(names)
        ending = KINDS[len(good) % len(KINDS)]
        path = root / folder / f"{number:03d}-{len(good):03d}.{ending[0]}"
        good.append(_write(path, ending, len(good)))
    done = out / good[-1].relative_to(root)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.write_bytes(DONE)
    return good, broken


def check(root, out, good):
    """Return what is wrong with the results: an empty list if each is there and right."""
    wrong = []
    for path in good:
        target = out / path.relative_to(root)
        if not target.is_file():
            wrong.append(f"{target}: missing")
        elif target.read_bytes() != DONE:
            wrong += [f"{target}: {text}" for text in differences(path, target)]
    return wrong


def differences(path, target):
    """Return what a result has not kept of its file, and whether it is not cleaner."""
    before, after = images.read(path), images.read(target)
    form = next(form for form in FORMATS if path.suffix in form.extensions)
    if before.values.shape != after.values.shape or before.values.dtype != after.values.dtype:
        yield f"{after.values.dtype} {after.values.shape}, not those of {before.values.shape}"
        return
    if present(before) - {"alpha"} < form.keeps & {"ICC", "EXIF", "orientation", "resolution"}:
        yield f"the input has only {sorted(present(before))}"  # the test itself is wrong
    if present(before) != present(after):
        yield f"{sorted(present(after))} survived of {sorted(present(before))}"
    for name in ("icc", "orientation", "premultiplied"):
        if getattr(before, name) != getattr(after, name):
            yield f"other {name}"
    if before.alpha is not None and not np.array_equal(before.alpha, after.alpha):
        yield "other alpha"
    first, second = (_roughness(each.values) for each in (before, after))
    if not second < first:
        yield f"not cleaner: differences of neighbors {second:.4g}, before {first:.4g}"


def _roughness(values):
    """The mean difference of neighbors, apart from the edges."""
    steps = np.abs(np.diff(values.astype(float), axis=0))
    return float(np.median(steps))


def _write(path, kind, seed):
    """Write a picture with all that its format keeps."""
    _, dtype, count = kind
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = full(noisy(dtype, count, seed), alpha=count in (2, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the format does not keep
        images.write(path, picture)
    return path


def _break(root, image):
    """Write files that are broken in different ways; return them."""
    root.mkdir(parents=True, exist_ok=True)
    images.write(root / "good.png", Picture(image))
    data = (root / "good.png").read_bytes()
    (root / "good.png").unlink()
    found = {
        "cut.png": data[: len(data) // 2],
        "empty.jpg": b"",
        "junk.tif": b"II*\0junk",
        "header.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "other.exr": data,
    }
    for name, content in found.items():
        (root / name).write_bytes(content)
    (root / "unreadable.png").symlink_to("missing.png")  # permissions do not stop every user
    (root / "folder.png").mkdir()
    return [root / name for name in (*found, "unreadable.png")]


def _tells_case_apart(root):
    """Whether a file system has names that differ by case."""
    (root / "probe").touch()
    apart = not (root / "PROBE").exists()
    (root / "probe").unlink()
    return apart
