"""Thumbnails of the gallery: the left half of an image before, the right half after."""

from pathlib import Path

import matplotlib.pyplot as plt
from sphinx_gallery.scrapers import matplotlib_scraper

DPI, WIDTH, HEIGHT = 100, 4.0, 2.8  # inches: the size of thumbnails of sphinx-gallery, 400x280


def scrape(block, block_vars, gallery_conf, **options):
    """Save the figures as sphinx-gallery does; the last one is also the thumbnail."""
    numbers = plt.get_fignums()
    if numbers:
        images = [area.images for area in plt.figure(numbers[-1]).axes]
        if len(images) > 2 and all(images[:2]):  # a figure of `plot.compare`
            folder = Path(gallery_conf["src_dir"], "gallery", "halves")
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{Path(block_vars['src_file']).stem}.png"
            save(images[0][0], images[len(images) // 2 - 1][0], path)  # noisy and the last result
            block_vars["file_conf"]["thumbnail_path"] = f"gallery/halves/{path.name}"
    return matplotlib_scraper(block, block_vars, gallery_conf, **options)


def save(before, after, path):
    """Draw half of each image, with a line between them."""
    figure = plt.figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    place = figure.add_axes((0, 0, 1, 1))
    place.set_axis_off()
    rows, columns = before.get_array().shape[:2]
    for image, first in ((before, 0), (after, columns // 2)):
        values = image.get_array()[:, first : first + columns // 2]
        extent = (first, first + columns // 2, rows, 0)
        place.imshow(values, cmap="gray", norm=image.norm, extent=extent)
    high = min(rows, columns * HEIGHT / WIDTH)
    place.set(xlim=(0, 2 * (columns // 2)), ylim=((rows + high) / 2, (rows - high) / 2))
    place.axvline(columns // 2, color="white", linewidth=2)
    figure.savefig(path)
    plt.close(figure)
