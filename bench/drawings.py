"""Drawings and text without noise, to measure estimates of noise on."""

import numpy as np

WORDS = [
    "The",
    "smallest",
    "eigenvalue",
    "of",
    "noisy",
    "patches",
    "0123456789",
    "(x+y)=z",
    "[a]{b}",
]


def drawings():
    """Return drawings by name, with values from 0 to 255."""
    from scipy.ndimage import gaussian_filter, rotate, zoom

    found = {}
    for size in (8, 10, 12, 16, 24, 40):
        page = text(size)
        found[f"text {size}"] = page
        found[f"text {size}, gray"] = 90 + page * 110 / 255
        found[f"text {size}, dense"] = text(size, lead=0.95)
        found[f"text {size}, two values"] = 255.0 * (page > 127)
        found[f"text {size}, blurred"] = gaussian_filter(page, 0.7)
        found[f"text {size}, blurred, 8 bits"] = np.round(gaussian_filter(page, 1.0))
        found[f"text {size}, turned"] = np.clip(rotate(page, 7, cval=255, order=1), 0, 255)
        found[f"text {size}, reduced"] = np.clip(zoom(page, 0.7, order=3), 0, 255)
        found[f"text {size}, enlarged"] = np.clip(zoom(page, 1.6, order=3), 0, 255)
        shade = np.add.outer(np.linspace(0, 30, 360), np.linspace(0, 30, 480))
        found[f"text {size}, on a ramp"] = 0.7 * page + shade
        found[f"text {size}, on a ramp, 8 bits"] = np.round(0.7 * page + shade)
    for seed in range(4):
        for count in (6, 60, 400):
            for smooth in (False, True):
                kind = "smooth" if smooth else "hard"
                found[f"{count} {kind} shapes {seed}"] = shapes(seed, count, smooth)
    found.update(patterns())
    return found


def others(count=60):
    """Return drawings in color, (C, M, N), of other fonts, sizes, colors and ways to soften.

    Thresholds were not set on them. The fonts are those of matplotlib.
    """
    from pathlib import Path

    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = [f"DejaVu{each}.ttf" for each in ("Sans", "Serif", "SansMono-Bold", "Sans-Oblique")]
    found = {}
    for seed in range(count):
        random = np.random.default_rng(seed)
        name, size = str(random.choice(names)), int(random.integers(7, 28))
        font = ImageFont.truetype(str(folder / name), size)
        page = text(size, float(random.uniform(0.9, 1.6)), font, seed)
        kind = ("blurred", "reduced", "turned", "enlarged")[seed % 4]
        cover = 1 - np.clip(_softened(page, kind, random), 0, 255) / 255
        paper, ink = random.integers(0, 256, (2, 3, 1, 1))
        color = paper + (ink - paper) * cover
        found[f"{name[6:-4]} {size}, {kind}, {seed}"] = np.round(np.round(color, 6))
    return found


def _softened(page, kind, random):
    """Blur, reduce, turn or enlarge a page by a random amount."""
    from scipy.ndimage import gaussian_filter, rotate, zoom

    amount = random.random()
    if kind == "blurred":
        return gaussian_filter(page, 0.4 + amount)
    if kind == "turned":
        return rotate(page, 90 * amount, cval=255, order=1)
    return zoom(page, 0.5 + 0.4 * amount if kind == "reduced" else 1.2 + amount, order=3)


def text(size, lead=1.3, font=None, seed=None):
    """Draw black lines of words on white."""
    from PIL import Image, ImageDraw, ImageFont

    random = np.random.default_rng(size if seed is None else seed)
    page, font = Image.new("L", (480, 360), 255), font or ImageFont.load_default(size)
    draw = ImageDraw.Draw(page)
    for row in np.arange(4, 360, size * lead):
        draw.text((4, row), " ".join(random.choice(WORDS, size=1200 // size // 4)), 0, font)
    return np.asarray(page, np.float64)


def shapes(seed, count, smooth):
    """Draw lines, ellipses and boxes of random gray values; `smooth` edges cover pixels in part."""
    from PIL import Image, ImageDraw

    factor = 4 if smooth else 1
    page, random = Image.new("L", (320 * factor, 240 * factor), 255), np.random.default_rng(seed)
    draw = ImageDraw.Draw(page)
    for number in range(count):
        ends = random.integers(0, [320 * factor, 240 * factor], (2, 2))
        box = [*ends.min(0).tolist(), *ends.max(0).tolist()]
        gray = int(random.integers(0, 255))
        if number % 3 == 0:
            draw.line(ends.ravel().tolist(), gray, factor * int(random.integers(1, 4)))
        elif number % 3 == 1:
            draw.ellipse(box, gray if count < 60 else None, gray, factor)
        else:
            draw.rectangle(box, gray if count < 60 else None, gray, factor)
    values = np.asarray(page, np.float64)
    return values.reshape(240, factor, 320, factor).mean((1, 3)).round()


def patterns():
    """Draw ramps, rings, boards, hatching and the images of scikit-image that are drawn."""
    import skimage.data

    y, x = np.mgrid[:240.0, :320.0]
    radius = np.hypot(x - 160, y - 120)
    horse = np.asarray(skimage.data.horse(), np.float64)
    found = {
        "disk": 255.0 * (radius < 80),
        "bands": np.floor(y / 15) * 16,
        "ramp": x * 0.5 + y * 0.3,
        "ramp, 8 bits": np.round(x * 0.5 + y * 0.3),
        "rings": 127 + 127 * np.cos(radius**2 / 900),
        "rings, 8 bits": np.round(127 + 127 * np.cos(radius**2 / 900)),
        "hill": 255 * np.exp(-(radius**2) / 6000),
        "hill, 8 bits": np.round(255 * np.exp(-(radius**2) / 6000)),
        "board": 255 * ((x // 8 + y // 8) % 2),
        "board of pixels": 255 * ((x + y) % 2),
        "hatching": 255.0 * ((x + y) % 8 < 2),
        "half hatching": 255.0 * ((x + y) % 8 < 2) * (x > 160),
        "checkerboard": skimage.data.checkerboard().astype(np.float64),
        "horse": horse.reshape(*horse.shape[:2], -1).mean(-1) / horse.max() * 255,
        "blobs": 255.0 * skimage.data.binary_blobs(256, rng=0),
        "phantom": 255.0 * skimage.data.shepp_logan_phantom(),
    }
    return found | {"phantom, 8 bits": np.round(found["phantom"])}
