"""The kernels for volumes on an image as a volume of one slice, against those for images.

    python bench/one_kernel.py [--rounds 7]

Profile np, the photograph of 512x512 with noise, rounded to 8 bits, on one core. Each row prints
the milliseconds of both kernels, processor time, the median of the ratios of neighboring calls,
and how the results differ: the share of equal groups, or the largest difference of a pixel in
parts of the range. All kernels filter the same groups.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
from photographs import noisy, photograph
from roofline_stages import ONE, SCALE, SIZE, passes

from fastrestore.backends.numba import _cubes_match, _grids, bm3d, bm4d
from fastrestore.backends.protocol import Matches


def one_slice(stage):
    """The stage of volumes that does the same to a slice."""
    flat, here = np.ones((1, 1)), stage.covariance
    above = here[:, :0:-1, ::-1]  # covariances of displacement d and -d are equal
    covariance = np.concatenate([above, here], 1)[:, None, :, :, None]
    return replace(
        stage,
        shape=(1, *stage.shape),
        steps=(1, *stage.steps),
        radii=(0, *stage.radii),
        transforms=(flat, *stage.transforms),
        inverses=(flat, *stage.inverses),
        windows=(flat[0], *stage.windows),
        covariance=covariance,
    )


def thick(matches):
    """Matches of a slice, from those of an image."""
    offsets = np.zeros((1, *matches.offsets.shape[:-1], 3), np.int16)
    offsets[0, ..., 1:] = matches.offsets
    return Matches((np.zeros(1, np.int64), *matches.corners), offsets, matches.sizes[None])


def calls(each):
    """Both kernels of the matching and of the filter of a pass."""
    stage = one_slice(each.stage)
    volumes = tuple(image[:, None] for image in each.images)
    matches = thick(each.matches)
    return {
        "matching": (
            lambda: _grids.bm3d_match(each.seen, each.stage, ONE),
            lambda: _cubes_match.bm4d_match(each.seen[None], stage, ONE),
        ),
        "filter": (
            lambda: bm3d.bm3d_filter(each.images, each.matches, each.stage, ONE),
            lambda: bm4d.bm4d_filter(volumes, matches, stage, ONE),
        ),
    }


def difference(ours, theirs):
    """How the results of two kernels differ, as text."""
    if isinstance(ours, Matches):
        flat = thick(ours)
        same = (flat.offsets == theirs.offsets).all((-2, -1)) & (flat.sizes == theirs.sizes)
        return f"{100 * same.mean():.3f} % of the groups equal"
    return f"{np.abs(ours - theirs[:, 0]).max() * SCALE / 255:.1e} of the range"


def milliseconds(call):
    """Processor time of a call."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    image = noisy(photograph(SIZE)).round().clip(0, 255) / np.float32(SCALE)
    print(f"{'':16} {'images':>8} {'volumes':>8} {'ratio':>6}  results")
    for name, each in zip(("basic", "final"), passes(image), strict=True):
        for what, both in calls(each).items():
            text = difference(*(call() for call in both))
            pairs = [[milliseconds(call) for call in both] for _ in range(rounds)]
            ours, theirs = map(statistics.median, zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"{name + ' ' + what:16} {ours:8.1f} {theirs:8.1f} {ratio:6.2f}  {text}")


if __name__ == "__main__":
    main()
