"""The four steps of `bm3d` one by one, as the Numba backend runs them, profile np, 512x512."""

from types import SimpleNamespace

import numpy as np
import pytest
from photographs import SIGMA

from fastrestore import Profile
from fastrestore._arrays.validate import usable_processors
from fastrestore._collaborative.stage import Statistics, make_stage
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

SCALE = 256  # `bm3d` brings the data to about 1 by a power of two; so do these rows


@pytest.fixture(scope="module")
def steps(pair):
    """Everything that each step needs from the one before it; this also compiles the kernels."""
    clean, noisy = pair(512)
    engine, run = select("numba"), Execution(usable_processors())
    image = noisy / np.float32(SCALE)
    statistics = Statistics(PlaneNoise.white(SIGMA / SCALE), 255 / SCALE)
    basic, final = (
        make_stage(Profile.named("np"), which, statistics) for which in ("basic", "final")
    )
    matches_basic = engine.bm3d_match(image, basic, run)
    pilot = engine.bm3d_filter((image[None],), matches_basic, basic, run)
    matches_final = engine.bm3d_match(pilot[0], final, run)
    engine.bm3d_filter((image[None], pilot), matches_final, final, run)
    return SimpleNamespace(
        engine=engine,
        run=run,
        clean=clean,
        image=image,
        basic=basic,
        final=final,
        matches_basic=matches_basic,
        pilot=pilot,
        matches_final=matches_final,
    )


@pytest.fixture
def timed(benchmark):
    """Return a function that times one step."""
    benchmark.group = "bm3d stages 512x512"
    return lambda *call: benchmark.pedantic(call[0], call[1:], rounds=7, warmup_rounds=1)


def check_matches(benchmark, matches, stage, least):
    """Fail on groups that are too small on average or not led by their reference."""
    mean = float(matches.sizes.mean())
    benchmark.extra_info["mean_matches"] = round(mean, 3)
    assert not matches.offsets[:, :, 0].any()
    assert least <= mean <= stage.group


def test_match_basic(benchmark, timed, steps):
    matches = timed(steps.engine.bm3d_match, steps.image, steps.basic, steps.run)
    check_matches(benchmark, matches, steps.basic, least=15)


def test_hard_threshold(timed, steps, judge):
    estimate = timed(
        steps.engine.bm3d_filter, (steps.image[None],), steps.matches_basic, steps.basic, steps.run
    )
    judge(steps.clean, estimate[0] * SCALE, 29.53)


def test_match_final(benchmark, timed, steps):
    matches = timed(steps.engine.bm3d_match, steps.pilot[0], steps.final, steps.run)
    check_matches(benchmark, matches, steps.final, least=30)


def test_wiener(timed, steps, judge):
    estimate = timed(
        steps.engine.bm3d_filter,
        (steps.image[None], steps.pilot),
        steps.matches_final,
        steps.final,
        steps.run,
    )
    judge(steps.clean, estimate[0] * SCALE, 29.86)
