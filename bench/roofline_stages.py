"""Times of the stages of `bm3d` one by one, on one core: profile np, the photograph of 512x512.

Stages of the filter are parts of one kernel; here each of them runs by itself over all groups.
"""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from photographs import SIGMA, noisy, photograph
from roofline_kernels import kernels

import fastrestore
from fastrestore import Profile
from fastrestore._collaborative.stage import Statistics, make_stage
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.numba import _filter, _grids
from fastrestore.backends.numba._filter import Blocks, Groups, Sums
from fastrestore.backends.numba._merge import merge
from fastrestore.backends.numba._pool import cut, reach, span
from fastrestore.backends.numba._tables import filter_tables, folds
from fastrestore.backends.numba.bm3d import _divided, bm3d_filter
from fastrestore.backends.protocol import Execution

SIZE = 512
SCALE = 256  # brings the data to about 1 by a power of two, as `bm3d` does
ONE = Execution(1)


def measured(rounds):
    """Milliseconds of the stages, of both passes together, and all distances that match."""
    image = noisy(photograph(SIZE))
    first, second = passes(image / np.float32(SCALE))
    calls = {"whole": lambda: fastrestore.bm3d(image, SIGMA, workers=1, backend="numba")}
    for n, each in enumerate((first, second)):
        calls |= {f"{name} {n}": call for name, call in steps(each).items()}
    times = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name] += [time.process_time() - start] if k else []  # the first compiles
    least = {name: 1e3 * min(each) for name, each in times.items()}
    both = {name[:-2]: least[name] + least[f"{name[:-2]} 1"] for name in least if name[-1] == "0"}
    return stages(both, least["whole"]), [each.matches for each in (first, second)]


def stages(both, whole):
    """Times by stage: what the whole takes beyond the steps counts as conversion."""
    parts = ("transforms", "variance", "shrinkage", "aggregation")
    both["shrinkage"] -= both["variance"]  # one step of the filter
    return {
        "distances": both["distances"],
        "selection": both["match"] - both["distances"],
        **{name: both[name] for name in parts},
        "gathering": both["filter"] - sum(both[name] for name in parts),
        "conversion": whole - both["match"] - both["filter"],
        "whole": whole,
    }


def passes(image):
    """Both passes of the filter: the arguments of their steps."""
    statistics = Statistics(PlaneNoise.white(SIGMA / SCALE), 255 / SCALE)
    basic, final = (
        make_stage(Profile.named("np"), which, statistics) for which in ("basic", "final")
    )
    matches = _grids.bm3d_match(image, basic, ONE)
    pilot = bm3d_filter((image[None],), matches, basic, ONE)
    found = _grids.bm3d_match(pilot[0], final, ONE)
    return (
        SimpleNamespace(images=(image[None],), seen=image, matches=matches, stage=basic),
        SimpleNamespace(images=(image[None], pilot), seen=pilot[0], matches=found, stage=final),
    )


def steps(each):
    """Calls that run one step of a pass by itself."""
    images, matches, stage = each.images, each.matches, each.stage
    alone = replace(stage, match=0.0)  # all distances are computed, and none is small enough
    tables = filter_tables(stage)[0]
    tables.strength[:] = 0  # nothing is shrunk, so the values stay the same in all rounds
    scratch = _filter.scratch(stage.block, stage.group)
    parts = kernels(stage.block, len(images) > 1, folds(stage))
    bands = list(bands_of(each, tables))
    total = Sums(np.zeros((1, SIZE, SIZE)), np.ones((1, SIZE + 2, SIZE)))

    def transforms():
        for band in bands:
            parts.transforms(band.lifted(), band.groups, tables, scratch)

    def variance():
        for band in bands:
            parts.variance(band.groups, tables, scratch)

    def shrinkage():
        for band in bands:
            parts.shrinkage(band.groups, tables, scratch)

    def aggregation():
        for band in bands:
            parts.aggregation(band.groups, band.sums, scratch)
            for whole, part in zip(total, band.sums, strict=True):
                merge(whole[0], part, 0, band.top, band.rows)
        _divided(total, stage, ONE)

    return {
        "distances": lambda: _grids.bm3d_match(each.seen, alone, ONE),
        "match": lambda: _grids.bm3d_match(each.seen, stage, ONE),
        "filter": lambda: bm3d_filter(images, matches, stage, ONE),
        "transforms": transforms,
        "variance": variance,
        "shrinkage": shrinkage,
        "aggregation": aggregation,
    }


def bands_of(each, tables):
    """Bands of references with what they read and write, as `bm3d_filter` makes them."""
    matches, stage = each.matches, each.stage
    block, lanes = stage.block, _filter.lanes(stage.block)
    lift = _filter.lift_kernel(block)
    for down in cut(len(matches.rows), 4, 4, 24):
        rows = matches.rows[span(down)]
        y = reach(rows, SIZE, block, stage.radius)
        blocks = [np.empty((len(y), SIZE, lanes), np.float32) for _ in each.images]

        def lifted(blocks=blocks, top=y.start):
            for image, out in zip(each.images, blocks, strict=True):
                lift(image[0], top, 0, tables.lift, out)
            return Blocks(blocks[0], blocks[-1])

        yield SimpleNamespace(
            lifted=lifted,
            groups=Groups(
                rows - y.start, matches.columns, matches.offsets, matches.sizes, down.start, 0
            ),
            sums=Sums(*np.zeros((2, SIZE, len(y) - 1 + lanes))),
            top=y.start,
            rows=len(y) + block - 1,
        )
