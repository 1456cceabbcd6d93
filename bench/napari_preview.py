"""Print how fast the preview of the plugin for napari follows a slider, and its memory.

    python bench/napari_preview.py            # 512x512 pixels, and a lazy layer of 2 GB

Needs the extra `napari-test`, and a display, such as that of xvfb-run. The quality of the preview
is asserted: the PSNR of the photograph.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np

import fastrestore

LIMIT = 120  # seconds: no step takes longer
SIDE, PLANES = 1024, 1024  # of the lazy layer, in uint16: 2 GiB


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=12, help="of the slider, and of the view")
    parser.add_argument("--planes", type=int, default=PLANES, help="of the lazy layer")
    parser.add_argument("--rows", nargs="+", default=["slider", "memory"])
    args = parser.parse_args()
    if "slider" in args.rows:
        measure_slider(args.moves)
    if "memory" in args.rows:
        measure_memory(args.moves, args.planes)


def opened(data, **options):
    """Return a viewer with a layer, and the widget with its preview."""
    import napari

    from fastrestore._napari.denoise import Denoise

    viewer = napari.Viewer(show=False)
    layer = viewer.add_image(data, **options)
    widget = Denoise(viewer)
    return viewer, layer, widget


def until(done, limit=LIMIT):
    """Run Qt's events until something is done."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + limit
    while not done():
        QApplication.processEvents()
        time.sleep(0.001)
        assert time.perf_counter() < end, "the preview did not come"


def previewed(widget, change):
    """Return the seconds from a change to the preview."""
    shown = []
    show = widget.preview._show
    widget.preview._show = lambda *args: (show(*args), shown.append(1))
    start = time.perf_counter()
    change()
    until(lambda: shown)
    widget.preview._show = show
    return time.perf_counter() - start


def measure_slider(moves):
    """Print the seconds from a move of the slider to the preview."""
    import pywt.data

    clean = np.asarray(pywt.data.camera(), np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape).astype(np.float32)
    viewer, _, widget = opened(noisy)
    first = previewed(widget, lambda: setattr(widget.shown, "value", True))
    strengths = [0.8 + 0.05 * (k % 3) for k in range(moves)] + [1.0]
    times, alone = [], []
    for each in strengths:
        times.append(previewed(widget, lambda k=each: setattr(widget.strength, "value", k)))
        start = time.perf_counter()
        fastrestore.bm3d(noisy, 20, strength=each)
        alone.append(time.perf_counter() - start)
    quality = fastrestore.metrics.psnr(clean, widget.preview.layer.data, data_range=255)
    assert quality > 29.5, quality
    print(f"512x512: first preview, with the noise {first:.2f} s; after a move of the slider "
          f"{min(times):.3f} s (least), {statistics.median(times):.3f} s (median of {len(times)}); "
          f"{quality:.2f} dB; bm3d alone {min(alone):.3f} s, {statistics.median(alone):.3f} s "
          "(alternating)")  # fmt: skip
    widget._closed()
    viewer.close()


def measure_memory(moves, planes):
    """Print how much more memory is used while a lazy layer is looked at."""
    import dask.array
    import zarr

    with tempfile.TemporaryDirectory() as folder:
        path, shape = Path(folder) / "large.zarr", (planes, SIDE, SIDE)
        store = zarr.create_array(
            path, shape=shape, chunks=(1, 256, 256), dtype="uint16", compressors=None
        )
        random = np.random.default_rng(0)
        plane = random.poisson(60, (SIDE, SIDE)).astype(np.uint16)
        for k in range(planes):
            store[k] = np.roll(plane, 97 * k, 1)
        size = planes * SIDE**2 * 2
        lazy = dask.array.from_zarr(store)
        viewer, layer, widget = opened(lazy, contrast_limits=(0, 200))
        layer.corner_pixels = np.array([[0, 0, 0], [0, 511, 511]])
        with Peak() as peak:
            previewed(widget, lambda: setattr(widget.shown, "value", True))
            widget.run.native.click()
            until(lambda: widget.task is None)
            widget.shown.value = True
            for k in range(moves):
                start = random.integers(0, SIDE - 512, 2)
                corners = [[0, *start], [0, *(start + 511)]]
                layer.corner_pixels = np.array(corners)
                position = (k * 7) % planes
                previewed(widget, lambda at=position: look(viewer, at))
        result = viewer.layers[-1]
        assert any(hasattr(each.data, "dask") for each in viewer.layers[1:]), result
        print(f"lazy layer of {size / 1e9:.1f} GB: {peak.most / 1e9:.2f} GB more memory at most "
              f"while the preview follows {moves} views, beside a result that is lazy")  # fmt: skip
        widget._closed()
        viewer.close()


def look(viewer, position):
    """Show another plane, and say that the view has changed."""
    from fastrestore._napari.preview import camera_of

    viewer.dims.set_point(0, position)
    camera_of(viewer).events.zoom()


class Peak:
    """The most memory of this process above that at the start, sampled."""

    def __enter__(self):
        import psutil

        self.process, self.most, self.ended = psutil.Process(), 0, threading.Event()
        self.start = self.process.memory_info().rss
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ended.wait(0.005):
            self.most = max(self.most, self.process.memory_info().rss - self.start)

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()


if __name__ == "__main__":
    main()
