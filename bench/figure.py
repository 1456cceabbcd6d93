"""Draw the figure of the README: a scene, its noisy version, and the result of `bm3d`.

python bench/figure.py [OUT.png]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import fastrestore
from fastrestore.metrics import psnr

SIGMA = 25.0


def scene(height=288, width=288):
    """Draw hills under a sun, a striped field, a hut and a fence: edges, texture, flat parts."""
    y, x = np.mgrid[:height, :width].astype(float)
    rng = np.random.default_rng(4)
    image = 215 - 0.35 * y
    image[(y - 55) ** 2 + (x - 215) ** 2 < 28**2] = 250
    for depth, (base, shade) in enumerate([(120, 150), (150, 115), (185, 85)]):
        waves = sum(
            rng.uniform(4, 16) / k * np.sin(k * x[0] / 40 + rng.uniform(0, 6)) for k in (1, 2, 5)
        )
        hill = y > base + waves
        image[hill] = (shade + 8 * np.sin(x / (4 + depth)) * np.cos(y / 3))[hill]
    field = y > 215 + 0.06 * x
    image[field] = (150 + 45 * np.sin((x + 0.7 * y) / 3.2))[field]
    image[170:232, 40:105] = 60
    image[178:226, 47:98] = 195
    image[195:226, 66:80] = 30
    roof = (y > 135) & (y < 172) & (np.abs(x - 72) < (y - 135) * 1.15)
    image[roof] = (110 + 25 * ((y // 4) % 2))[roof]
    image[240:246, 120:] = 235
    for post in range(125, width, 18):
        image[228:268, post : post + 5] = 235
    return np.clip(image, 0, 255)


def main():
    """Write the figure and print the PSNR of its parts."""
    clean = scene()
    noisy = clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)
    restored = fastrestore.bm3d(noisy, SIGMA)
    gap = np.full((len(clean), 6), 255.0)
    figure = np.hstack([noisy, gap, restored, gap, clean]).clip(0, 255).round().astype(np.uint8)
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("figure.png"))
    Image.fromarray(figure).save(out, optimize=True)
    for name, image in (("noisy", noisy), ("restored", restored)):
        print(f"{name:9}{psnr(clean, image.clip(0, 255), data_range=255):.2f} dB")
    print(out)


if __name__ == "__main__":
    main()
