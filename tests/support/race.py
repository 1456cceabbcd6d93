"""Run a kernel, as it is or changed, on threads with several blocks at once: see test_cuda_races.

    python -m support.race NAME [START END TEXT]

The text replaces that part of the source. Ends with 1 if the result is wrong; ThreadSanitizer ends
the process with 66 if it saw a race.
"""

import sys

import numpy as np

from fastrestore._arrays import interop
from fastrestore._collaborative.profile import Profile
from fastrestore._cuda import module as _module
from fastrestore._cuda.module import source
from fastrestore._noise import on_gpu
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select
from support import clips, cudasim, image_kernels, video_kernels
from support.gradients import Case, are_close, by_kernels
from support.images import noisy, scene
from support.stages import image_stage, volume_stage
from support.standin import StandIn
from support.volume_kernels import estimates, matched, white
from support.volumes import VOLUME, cells
from support.volumes import noisy as noisy_volume

EXECUTION = Execution(1)


def main(name, start=0, end=0, new=""):
    text = source(name)
    changed = text[: int(start)] + new + text[int(end) :]
    if name.startswith("noise"):
        return noise(name, changed)
    if name.startswith("bm4d"):
        return cubes(name, changed)
    if name == "vbm3d_match":
        return videos(changed)
    if name.endswith("_backward"):
        return gradients(name, changed)
    whole = cudasim.module

    def module(kernel, text=None, **constants):
        return whole(kernel, text=changed if kernel == name else text, **constants)

    image_kernels.module = module
    image = np.round(np.clip(noisy(scene(13, 15), 20), 0, 255)).astype(np.float32)
    rows, kind = name.endswith("_rows"), "final" if "final" in name else "basic"
    group = 8 if rows else 4
    profile = Profile(radius_basic=2, group_basic=group, radius_final=2, group_final=group)
    stage = image_stage(profile, kind, PlaneNoise.white(20.0), 255.0)
    reference = select("numpy")
    matches = reference.bm3d_match(image, stage, EXECUTION)
    if name == "bm3d_range":
        wide = np.random.default_rng(0).normal(0, 1, 300).astype(np.float32)
        return np.isclose(
            image_kernels.measured(wide), np.ptp(np.percentile(wide.astype("f8"), [1, 99]))
        )
    if name == "bm3d_match":
        offsets, sizes = image_kernels.match(image, stage, bands=2)
        return (offsets == matches.offsets).all() and (sizes == matches.sizes).all()
    images = (image[None],) * (2 if kind == "final" else 1)
    expected = reference.bm3d_filter(images, matches, stage, EXECUTION)
    # Sums of either kind, each in one of the kernels: they share the code that adds
    fixed = int(kind == "final")
    part = None if rows else group
    actual = image_kernels.filtered(images, matches, stage, 0, fixed, part)
    return np.allclose(actual, expected, atol=0.02)


def standing_in(name, changed):
    """Stand in for CuPy, with the text of a kernel changed."""
    stand_in = StandIn()
    interop.load_cupy = interop.loaded_cupy = lambda: stand_in
    whole = _module.source
    _module.source = lambda kernel: changed if kernel == name else whole(kernel)
    return stand_in


def gradients(name, changed):
    """Run the backward pass of a stage through its backend."""
    stand_in = standing_in(name, changed)
    kind = "final" if "final" in name else "basic"
    changes = {f"{field}_{kind}": value for field, value in (("group", 4), ("radius", 2))}
    case = Case(kind, "map", Profile(**changes), (13, 15))
    expected = case.backward(select("numpy"), np.float32)
    return are_close(by_kernels(stand_in, case, deterministic=kind == "final"), expected, 1e-3)


def videos(changed):
    """Run block matching in videos through its backend."""
    stand_in = standing_in("vbm3d_match", changed)
    _, frames = clips.video(3, 11, 13)
    # Candidates are sifted, and windows searched in bands
    changes = {"group_basic": 8, "match_basic": 1e5, "trails_basic": 2, "predict_basic": 4}
    stage = video_kernels.white(changes)
    both = video_kernels.windows(stand_in, frames, stage, [0, 1, 2])
    expected, found = (window.matches([0, 1, 2], 1) for window in both)
    return (found.offsets.get() == expected.offsets).all()


def noise(name, changed):
    """Run a kernel that the level of white noise is estimated with, on two thread blocks."""
    module, count, random = cudasim.module(name, text=changed), 270, np.random.default_rng(0)
    if name == "noise_scale":
        image, counts = random.integers(0, 3, count).astype(np.float64), np.zeros(3, np.uint64)
        expected = [np.count_nonzero(image == value) for value in (0, 2, 1)]
        numbers = map(np.float64, (1, 1, 0, 2))
        rest = np.zeros(count, np.int32), counts
        arguments = image, np.ones(count, np.uint8), np.int64(count), *numbers, *rest
        module.launch(name, (2,), (256,), arguments)
        return (counts == expected).all()
    image = random.integers(-(2**22), 2**22, (7, count + 6)).astype(np.int32)
    flat, sums = np.zeros(count, np.uint8), np.zeros(50 * 51 // 2, np.uint64)
    flat[[3, 40, 90, 91, 92, 95, 160, 200, 220, 250, 260, 269]] = 1
    numbers = np.int32(count + 6), np.int32(1)
    arguments = image, *numbers, flat, np.int32(count), np.int32(count), sums
    module.launch(name, (2,), (256,), arguments, on_gpu.PRODUCTS_SHARED)
    pixels = [[*image[:, k : k + 7].ravel(), 1] for k in np.flatnonzero(flat)]
    products = np.transpose(pixels).astype(np.int64) @ np.array(pixels, np.int64)
    return (sums.view(np.int64) == products[np.triu_indices(50)]).all()


def cubes(name, changed):
    """Run a kernel for volumes through its backend."""
    stand_in = standing_in(name, changed)
    volume = noisy_volume(cells(5, 7, 9), 15)
    small = {"group_basic": 4, "group_final": 4, "radius_basic": 2, "radius_final": 2}
    small |= {"slices_final": 4, "step_slices_final": 1, "block_final": 4, "step_final": 1}
    profile = VOLUME.replace(**small, match_final=1e9)  # many groups then share a block
    which = "final" if name == "bm4d_final" else "basic"
    if name == "bm4d_match":
        stage = volume_stage(profile, which, white(), 255.0)
        expected = select("numpy").bm4d_match(volume, stage, EXECUTION)
        offsets, sizes = matched(stand_in, volume, stage)
        return (offsets == expected.offsets).all() and (sizes == expected.sizes).all()
    expected, actual = estimates(
        stand_in, volume[None], volume[None], profile, which, white(), which == "final"
    )
    return np.allclose(actual, expected, atol=0.02)


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
