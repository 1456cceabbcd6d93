"""Kernels with a barrier removed: some order of threads must change the result."""

import numpy as np
import pytest
from support import cudasim
from support.cudasim import LaunchError, barriers
from support.gradients import Case, are_close, by_kernels
from support.image_kernels import filtered, match
from support.images import noisy, scene
from support.stages import image_stage, volume_stage
from support.volume_kernels import estimates, matched, white
from support.volumes import VOLUME, cells
from support.volumes import noisy as noisy_volume

from fastrestore._collaborative.profile import Profile
from fastrestore._cuda import module as _module
from fastrestore._cuda.module import source
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.cupy import _layout
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

EXECUTION = Execution(1)
SEEDS = tuple(range(8))


def own_barriers(name, start="bm4d"):
    """Where the barriers of a kernel are in files whose names begin so."""
    text = source(name)
    files = [text[: span[0]].rsplit('#line 1 "', 1)[1] for span in barriers(name)]
    pairs = zip(barriers(name), files, strict=True)
    return [span for span, file in pairs if file.startswith(start)]


# The barrier of `nearest.cuh` is tested with those that votes hide, see test_cuda_races
MUTANTS = [("bm3d_match", *span) for span in own_barriers("bm3d_match", "bm3d_match")]
MUTANTS += [(name, *span) for name in ("bm3d_basic", "bm3d_final") for span in barriers(name)]


# Shuffles hide the other barriers of `bm3d_basic_rows`, see test_cuda_races
ROWS = (("bm3d_rows", 0), ("bm3d_divide_rows", 0), ("bm3d_basic_rows", 1))
MUTANTS += [(name, *barriers(name)[which]) for name, which in ROWS]


def run(name, image, stage, matches, seed):
    if name == "bm3d_match":
        return (*match(image, stage, seed), *match(image, stage, seed, bands=5))
    images = (image[None], image[None]) if name == "bm3d_final" else (image[None],)
    part = None if name.endswith("_rows") else 2
    return (filtered(images, matches, stage, seed, part=part),)


CUBES = [("bm4d_match", *span) for span in barriers("bm4d_match")[1:]]  # votes hide the first
CUBES += [(name, *span) for name in ("bm4d_basic", "bm4d_final") for span in own_barriers(name)]


@pytest.mark.parametrize(("name", "start", "end"), CUBES)
def test_missing_barriers_of_volumes_are_detected(stand_in, monkeypatch, name, start, end):
    text = source(name)
    mutant = text[:start] + ";" + text[end:]
    monkeypatch.setattr(
        _module, "source", lambda kernel: mutant if kernel == name else source(kernel)
    )
    whole = _layout.filter_layout
    monkeypatch.setattr(
        "fastrestore.backends.cupy.bm4d.filter_layout",
        lambda blocks: whole(blocks)._replace(part=2),
    )
    volume = noisy_volume(cells(6, 11, 12), 15)
    kind = "final" if name == "bm4d_final" else "basic"
    profile = VOLUME.replace(group_basic=4, radius_basic=6, group_final=4, match_final=10_000)
    stage = volume_stage(profile, kind, white(), 255.0)
    noticed = []
    for seed in SEEDS:
        stand_in.seed = seed
        try:
            if name == "bm4d_match":
                expected = select("numpy").bm4d_match(volume, stage, EXECUTION).offsets
                found = matched(stand_in, volume, stage)[0]
                same = np.array_equal(found, expected)
            else:
                images = (volume[None], volume[None])
                expected, found = estimates(stand_in, *images, profile, kind, white())
                same = np.allclose(found, expected, rtol=0, atol=0.05)
        except LaunchError:
            same = False
        if not same:
            noticed.append(seed)
            break
    line = text[:start].rsplit("#line 1", 1)[1].count("\n")
    assert noticed, f"{name}: the barrier of line {line} could be left out"


BACKWARD = [
    (name, *span)
    for name in ("bm3d_basic_backward", "bm3d_final_backward")
    for start in ("backward", "bm3d_basic_b", "bm3d_final_b")
    for span in own_barriers(name, start)
]


@pytest.mark.parametrize(("name", "start", "end"), BACKWARD)
def test_missing_barriers_of_gradients_are_detected(stand_in, monkeypatch, name, start, end):
    text = source(name)
    mutant = text[:start] + ";" + text[end:]
    monkeypatch.setattr(
        _module, "source", lambda kernel: mutant if kernel == name else source(kernel)
    )
    whole = _layout.backward_layout
    monkeypatch.setattr(
        "fastrestore.backends.cupy.backward.backward_layout",
        lambda blocks: whole(blocks)._replace(part=2),
    )
    profile = Profile(radius_basic=4, group_basic=4, radius_final=4, group_final=4)
    case = Case("final" if "final" in name else "basic", "map", profile, (17, 20))
    expected = case.backward(select("numpy"), np.float32)

    def is_noticed(seed):
        stand_in.seed = seed
        try:
            return not are_close(by_kernels(stand_in, case), expected, 1e-3)
        except LaunchError:
            return True

    line = text[:start].rsplit("#line 1", 1)[1].count("\n")
    assert any(map(is_noticed, SEEDS)), f"{name}: the barrier of line {line} could be left out"


@pytest.mark.parametrize(("name", "start", "end"), MUTANTS)
def test_missing_barriers_are_detected(monkeypatch, name, start, end):
    image = np.round(np.clip(noisy(scene(20, 23), 20), 0, 255)).astype(np.float32)
    sharpen = 1.0 if name.endswith("_rows") else 1.5  # those by rows do not sharpen
    profile = Profile(radius_basic=5, group_basic=8, radius_final=5, group_final=8, sharpen=sharpen)
    kind = "final" if name == "bm3d_final" else "basic"
    stage = image_stage(profile, kind, PlaneNoise.white(20.0), 255.0)
    matches = select("numpy").bm3d_match(image, stage, EXECUTION)
    expected = run(name, image, stage, matches, 0)
    text = source(name)
    mutant = text[:start] + ";" + text[end:]
    whole = cudasim.module

    def module(kernel, **constants):
        return whole(kernel, text=mutant if kernel == name else None, **constants)

    monkeypatch.setattr("support.image_kernels.module", module)
    noticed = []
    for seed in SEEDS:
        try:
            results = run(name, image, stage, matches, seed)
        except LaunchError:
            noticed.append(seed)
            break
        tolerance = 0 if name == "bm3d_match" else 0.02
        if any(
            not np.allclose(a, b, rtol=0, atol=tolerance)
            for a, b in zip(results, expected, strict=True)
        ):
            noticed.append(seed)
            break
    line = text[:start].rsplit("#line 1", 1)[1].count("\n")
    assert noticed, f"{name}: the barrier of line {line} could be left out"
