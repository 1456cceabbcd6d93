"""Messages name the argument and say what works; warnings point at the line of the caller."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from support.images import noisy, scene

import fastrestore
from fastrestore import Profile, inverse

IMAGE = noisy(scene(48, 48), 10)
VOLUME = np.stack([IMAGE] * 9)
POINT = np.ones((1, 1))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "volume use bm4d, .* video vbm3d", lambda: fastrestore.bm3d(VOLUME)),
        (ValueError, "volume use bm4d, .* video vbm3d", lambda: fastrestore.denoise(VOLUME)),
        (
            TypeError,
            r"bm4d has no argument noise_kernel; write psd=psd_from_kernel",
            lambda: fastrestore.bm4d(VOLUME, noise_kernel=np.ones((2, 2, 2))),
        ),
        (
            TypeError,
            r"vbm3d has no argument noise_kernel; write psd=psd_from_kernel",
            lambda: fastrestore.vbm3d(VOLUME, noise_kernel=np.ones((2, 2))),
        ),
        (
            TypeError,
            "bm3d has no argument time_axis; vbm3d has it, for videos, and bm4d",
            lambda: fastrestore.bm3d(VOLUME, 10, time_axis=0),
        ),
        (
            TypeError,
            "bm4d has no argument axis; bm3d has it, for signals",
            lambda: fastrestore.bm4d(VOLUME, 10, axis=0),
        ),
        (
            TypeError,
            r"sigma must be .* got \[9, 9\]; for a map write numpy.asarray\(sigma\)",
            lambda: fastrestore.bm3d(IMAGE, [9, 9]),
        ),
        (
            TypeError,
            "denoise has no argument psd; bm3d has it",
            lambda: fastrestore.denoise(IMAGE, psd=IMAGE),
        ),
        (
            ValueError,
            r"sigma of a video .* not a map, got an array of shape \(9, 48, 48\)",
            lambda: fastrestore.vbm3d(VOLUME, np.ones(VOLUME.shape)),
        ),
        (
            ValueError,
            r"noise_kernel must be .* same length, got \[\[1, 2\], \[3\]\]",
            lambda: fastrestore.bm3d(IMAGE, noise_kernel=[[1, 2], [3]]),
        ),
        (
            ValueError,
            "sigma is an array .* symmetric like a power spectrum, .* write psd=",
            lambda: fastrestore.bm3d(
                IMAGE, fastrestore.psd_from_kernel(np.full((1, 4), 5.0), IMAGE.shape)
            ),
        ),
        (
            ValueError,
            "sigma is an array .* symmetric like a power spectrum, .* write psd=",
            lambda: fastrestore.bm3d(
                IMAGE / 255, fastrestore.psd_from_kernel(np.full((2, 2), 0.02), IMAGE.shape)
            ),
        ),
        (TypeError, "sigma must be .* got 'x'", lambda: fastrestore.sharpen(IMAGE, "x")),
        (ValueError, "stage must be .* an array", lambda: fastrestore.bm3d(IMAGE, stage=IMAGE)),
        (
            ValueError,
            "colorspace must .* an array",
            lambda: fastrestore.bm3d(IMAGE, colorspace=IMAGE),
        ),
        (TypeError, "backend must .* an array", lambda: fastrestore.bm3d(IMAGE, 9, backend=IMAGE)),
        (
            TypeError,
            "progress must .* an array",
            lambda: fastrestore.demosaic(IMAGE, progress=IMAGE),
        ),
    ],
)  # fmt: skip
def test_errors_name_the_argument_and_a_cure(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_a_symmetric_map_of_sigma_is_a_map():
    rows, columns = np.mgrid[:48, :48]
    level = 5 + np.hypot(rows - 24, columns - 24) / 3  # symmetric as a spectrum is
    assert fastrestore.bm3d(IMAGE, level).shape == IMAGE.shape


def test_warnings_point_at_the_caller():
    torch = pytest.importorskip("torch")
    nets = pytest.importorskip("fastrestore.nets")
    plan = fastrestore.BM3DPlan(IMAGE.shape, "f8", 1e4)
    calls = [
        lambda: fastrestore.bm3d(IMAGE, 1e4),
        lambda: fastrestore.denoise(IMAGE, 1e4),
        lambda: fastrestore.denoise(IMAGE, 1e4, method="hybrid"),
        lambda: fastrestore.bm4d(VOLUME, 1e4),
        lambda: fastrestore.sharpen(IMAGE, 1e4),
        lambda: fastrestore.deblur(IMAGE, POINT, 0.01),
        lambda: plan(IMAGE),
        lambda: nets.BM3D()(torch.tensor(IMAGE)[None, None], 1e4),
        fastrestore.use_backend("numpy")(lambda: fastrestore.bm3d(IMAGE, 1e4)),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as issued:
            warnings.simplefilter("always")
            call()
        assert {warning.filename for warning in issued} == {__file__}


def test_networks_as_denoisers():
    torch = pytest.importorskip("torch")
    nets = pytest.importorskip("fastrestore.nets")
    blur, options = inverse.Blur(POINT), {"iterations": 2, "data_range": 255}
    unet = nets.load("unet-gray")
    expected = inverse.pnp(IMAGE, blur, 10, denoiser="unet", **options)
    np.testing.assert_array_equal(inverse.pnp(IMAGE, blur, 10, denoiser=unet, **options), expected)
    for net in (torch.nn.Identity(), nets.DnCNN(layers=3, width=8)):
        name = type(net).__name__
        with pytest.raises(TypeError, match=f"denoiser is a network, {name}, that does not take"):
            inverse.pnp(IMAGE, blur, 10, denoiser=net, **options)


def test_profiles_print_what_differs():
    other = Profile.named("lc").replace(step_final=2)
    assert repr(other) == "Profile.named('lc').replace(step_final=2)"
    assert repr(Profile.named("vn")) == "Profile.named('vn')"
    for profile in (other, Profile(name="mine"), Profile.named("volume")):
        assert eval(repr(profile)) == profile
    info = fastrestore.bm3d(IMAGE, 10, profile="fast", return_info=True)[1]
    assert "profile=Profile.named('fast'), backend=" in repr(info)


MEMORY = """
import resource, warnings
import numpy as np
import fastrestore
from fastrestore import inverse

def calls(size):
    image, box = np.random.default_rng(0).normal(100, 10, (size, size)), np.full((3, 3), 1 / 9)
    stack = np.broadcast_to(image, (4, size, size))
    return [
        lambda: fastrestore.deblur(image, box, 10),
        lambda: fastrestore.estimate_sigma(image),
        lambda: fastrestore.bm3d(image, noise=fastrestore.PoissonGaussian(1)),
        lambda: fastrestore.super_resolve(image, 2, model="pnp", psf=box, denoiser=lambda x, s: x),
        lambda: fastrestore.bm4d(stack, 10),
        lambda: fastrestore.vbm3d(stack, 10),
    ]

def count(calls):
    errors = 0
    for call in calls:
        try:
            call()
        except MemoryError:
            errors += 1
    return errors

warnings.simplefilter("ignore")
small, medium, large = calls(48), calls(900), calls(3000)
print(count(small))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25,) * 2)
del large[1]  # estimate_sigma, which reads the image in parts
print(count(large))
count(medium)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")
def test_too_little_memory_is_an_error_and_no_abort():
    """An array of the large image, even of float32, is larger than what is left.

    It is also larger than the blocks that malloc has reserved, whose number depends on threads.
    Calls with the medium image may find enough memory there, but must not abort.
    """
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["0", "5"]


KERNELS = """
import resource
import numba, numba.core.cpu
import numpy as np
import fastrestore
import fastrestore.backends.numba.engine

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27,) * 2)
try:
    fastrestore.bm3d(np.zeros((64, 64)) + np.arange(64), 1, backend="numba", workers=1)
except MemoryError:
    print("MemoryError")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")
def test_too_little_memory_for_kernels_is_an_error():
    done = subprocess.run([sys.executable, "-c", KERNELS], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "MemoryError\n", "")


def test_results_that_no_memory_can_hold():
    for message, call in (
        ("scale=9000 needs about .* GiB", lambda: fastrestore.super_resolve(
            IMAGE, 9000, model="pnp", psf=POINT)),
        ("factor=9000 needs", lambda: inverse.Decimation(POINT, 9000).initial_estimate(IMAGE)),
        ("shape=.* needs", lambda: fastrestore.psd_from_kernel(POINT, (10**6, 10**6))),
        ("shape=.* needs", lambda: fastrestore.psd_from_flat_field(VOLUME, (10**6, 10**6))),
    ):  # fmt: skip
        with pytest.raises(MemoryError, match=message):
            call()
