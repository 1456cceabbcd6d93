"""The range of an image as a CUDA kernel, executed on the CPU, against the numpy backend."""

import numpy as np
import pytest
from support.cudasim import LaunchError, barriers
from support.image_kernels import measured

from fastrestore._cuda.module import source
from fastrestore.backends.host import robust_range

RANDOM = np.random.default_rng(0)
IMAGES = {
    "noise": RANDOM.normal(0, 1, (61, 67)),
    "8 bits": RANDOM.integers(0, 256, (64, 33)),
    "wide": RANDOM.normal(0, 1, 999) * 10.0 ** RANDOM.integers(-20, 20, 999),
    "small numbers": RANDOM.normal(-1e-6, 1e-6, (9, 9)),
    "one pixel": [[3.5]],
    "two pixels": [[3.5, -1.25]],
    "constant": np.full((9, 9), -7.0),
    "signed zeros": [[0.0, -0.0, 0.0, 1.0, -0.0]],
    "a hundred": np.arange(101.0),
}


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("name", IMAGES)
def test_range_equals_numpy(name, seed):
    image = np.asarray(IMAGES[name], np.float32)
    np.testing.assert_allclose(measured(image, seed), robust_range(image), rtol=2e-7)


TEXT = source("bm3d_range")
BARRIERS = barriers("bm3d_range")


@pytest.mark.parametrize("which", range(len(BARRIERS)))
def test_missing_barriers_are_detected(which):
    start, end = BARRIERS[which]
    mutant = TEXT[:start] + ";" + TEXT[end:]
    expected = [robust_range(IMAGES[name].astype("f4")) for name in ("noise", "8 bits")]
    noticed = False
    for seed in range(8):
        try:
            found = [measured(IMAGES[name], seed, mutant) for name in ("noise", "8 bits")]
            noticed = not np.allclose(found, expected, rtol=1e-5)
        except LaunchError:
            noticed = True
        if noticed:
            break
    line = TEXT[:start].rsplit("#line 1", 1)[1].count("\n")
    assert noticed, f"the barrier of line {line} could be left out"
