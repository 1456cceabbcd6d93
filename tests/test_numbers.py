"""Arguments that are numbers, in all public functions: valid ones work, others raise by name."""

import math
import warnings

import numpy as np
import pytest

import fastrestore
from fastrestore import Profile, inverse, metrics
from fastrestore._collaborative.profile import PROFILES

RANDOM = np.random.default_rng(0)
GRAY, SQUARE = RANDOM.normal(100, 10, (20, 24)), RANDOM.normal(100, 10, (36, 36))
COLOR, STACK = RANDOM.normal(100, 10, (20, 24, 3)), RANDOM.normal(100, 10, (5, 16, 16))
BOX, MISSING = np.full((3, 3), 1 / 9), RANDOM.random((20, 24)) < 0.3

HUGE = 2**70
VALUES = [
    1e300, -1e300, 1e60, 1e30, 1e13, 1e9, 1e-9, 1e-13, 1e-30, 1e-60, 1e-300, 5e-324, -1, 0, -0.0,
    math.nan, math.inf, True, "x", None, [], [1, [2]], 1j, object, 2**40, HUGE, 10**5000,
    np.int64(3), np.float32(3), np.float64(0.5), np.array(3), np.array(3.0),
]  # fmt: skip


def keep(image, sigma):
    return image


def call(function, *values, **options):
    """Return the function with arguments that others can replace."""
    return lambda **others: function(*values, **{**options, **others})


def pnp(**options):
    settings = {"sigma": 2.0, "denoiser": keep, **options}
    return inverse.pnp(GRAY, inverse.Blur(BOX), **settings)


def with_model(model, **parameters):
    return fastrestore.bm3d(np.abs(GRAY), noise=model(**parameters), workers=1)


def with_profile(**fields):
    profile = Profile(**fields)
    assert all(type(value) in (int, float, str, type(None)) for value in profile_values(profile))
    return 0.0


def profile_values(profile):
    return [getattr(profile, name) for name in Profile.__dataclass_fields__]


def planned(sigma):
    return fastrestore.BM3DPlan(GRAY.shape, "f8", 5.0, workers=1)(GRAY, sigma=sigma)


PNP = ["sigma", "iterations", "sigmas", "tolerance", "data_range"]
# Name: the function with valid arguments, and its arguments that are numbers
CALLS = {
    "bm3d": (
        call(fastrestore.bm3d, GRAY, workers=1),
        ["sigma", "data_range", "channel_axis", "max_memory", "workers"],
    ),
    "bm3d color": (
        call(fastrestore.bm3d, COLOR, sigma=10, channel_axis=2, workers=1),
        ["sigma", "data_range", "channel_axis", "chroma_strength"],
    ),
    "bm4d": (
        call(fastrestore.bm4d, STACK, workers=1),
        ["sigma", "data_range", "channel_axis", "match_channel", "slice_axis", "workers"],
    ),
    "vbm3d": (
        call(fastrestore.vbm3d, STACK, radius=1, workers=1),
        ["sigma", "time_axis", "channel_axis", "radius", "data_range", "chroma_strength"],
    ),
    "denoise": (
        call(fastrestore.denoise, GRAY, workers=1),
        ["sigma", "channel_axis", "batch_axis", "data_range", "tile", "workers"],
    ),
    "deblur": (
        call(fastrestore.deblur, GRAY, BOX, workers=1),
        ["sigma", "channel_axis", "data_range", "workers"],
    ),
    "deblur pnp": (
        call(fastrestore.deblur, GRAY, BOX, method="pnp", denoiser=keep),
        ["sigma", "channel_axis", "data_range"],
    ),
    "demosaic": (
        call(fastrestore.demosaic, GRAY, iterations=1, workers=1),
        ["sigma", "iterations", "data_range", "workers"],
    ),
    "denoise_burst": (
        call(fastrestore.denoise_burst, STACK[:3], workers=1),
        ["sigma", "channel_axis", "reference", "data_range", "workers"],
    ),
    "estimate_sigma": (call(fastrestore.estimate_sigma, COLOR, channel_axis=2), ["channel_axis"]),
    "estimate_psd": (call(fastrestore.estimate_psd, SQUARE), ["channel_axis"]),
    "inpaint": (
        call(fastrestore.inpaint, GRAY, MISSING, iterations=1, workers=1),
        ["sigma", "iterations", "channel_axis", "data_range", "workers"],
    ),
    "psd_from_flat_field": (call(fastrestore.psd_from_flat_field, STACK), ["shape", "reach"]),
    "psd_from_kernel": (call(fastrestore.psd_from_kernel, BOX, shape=(9, 9)), ["shape"]),
    "remove_streaks": (
        call(fastrestore.remove_streaks, SQUARE, workers=1),
        ["strength", "levels", "strong", "angle_axis", "detector_axis", "workers"],
    ),
    "sharpen": (
        call(fastrestore.sharpen, GRAY, workers=1),
        ["sigma", "alpha", "channel_axis", "data_range", "workers"],
    ),
    "super_resolve": (
        call(fastrestore.super_resolve, GRAY, scale=2, model="pnp", psf=BOX, denoiser=keep),
        ["scale", "channel_axis", "data_range", "sigma", "tile"],
    ),
    "PoissonGaussian": (
        call(with_model, fastrestore.PoissonGaussian, gain=1),
        ["gain", "sigma", "offset"],
    ),
    "Rician": (call(with_model, fastrestore.Rician), ["sigma"]),
    "BM3DPlan": (
        lambda **options: fastrestore.BM3DPlan(**{"shape": GRAY.shape, "dtype": "f8", **options})(
            GRAY
        ),
        ["shape", "sigma", "data_range", "channel_axis", "chroma_strength", "max_memory"],
    ),
    "BM3DPlan call": (planned, ["sigma"]),
    "pnp": (pnp, [*PNP, "regularization"]),
    "pnp admm": (call(pnp, method="admm"), [*PNP, "regularization"]),
    "pnp pgm": (call(pnp, method="pgm"), PNP),
    "Decimation": (
        lambda **options: inverse.Decimation(BOX, **options).apply(np.ones((6, 6))),
        ["factor"],
    ),
    "Forward": (
        lambda **options: inverse.Forward(lambda x: x, lambda x: x, **options).shape,
        ["shape"],
    ),
    "psnr": (call(metrics.psnr, GRAY, GRAY + 1), ["data_range"]),
    "sure": (
        lambda **options: metrics.sure(
            **{"restore": lambda image: image / 2, "image": GRAY, "noise": 20, **options}
        ),
        ["noise", "channel_axis", "seed"],
    ),
    "Profile": (
        with_profile,
        [name for name in Profile.__dataclass_fields__ if "transform" not in name],
    ),
}
ROWS = [(name, argument) for name, (_, arguments) in CALLS.items() for argument in arguments]


@pytest.mark.parametrize(("name", "argument"), ROWS)
def test_numbers_are_valid_or_refused_by_name(name, argument, capfd):
    function = CALLS[name][0]
    wrong = [report for value in VALUES if (report := fault(function, argument, value))]
    assert wrong == []
    assert capfd.readouterr() == ("", "")  # LAPACK prints


def fault(function, argument, value):
    """Return what is wrong about a call with this value, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)
            result = function(**{argument: value})
    except (ValueError, TypeError, MemoryError) as error:
        message = str(error)
        if argument not in message or not any(text in message for text in texts(value)):
            return f"{argument}={shown(value)}: {message}"
    except inverse.DivergenceError:
        pass
    except Exception as error:
        return f"{argument}={shown(value)}: {error!r}"
    else:
        if not np.isfinite(np.asarray(result, float)).all():
            return f"{argument}={shown(value)}: not finite"
    return None


def texts(value):
    """Return the ways in which a message may quote a value."""
    if value is None or isinstance(value, list):
        return [""]
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    if isinstance(value, int) and abs(value) > 2**64:
        return [shown(value), repr(float(value)) if value < 2**1000 else "type int"]
    return [repr(value), f"{value:g}"] if isinstance(value, (int, float)) else [repr(value)]


def shown(value):
    return "10**5000" if isinstance(value, int) and value > HUGE else repr(value)


def test_values_of_images_beyond_sense():
    for scale in (1e300, 1e-300, 5e-324):
        image = GRAY * scale
        for function in (
            call(fastrestore.bm3d, image),
            call(fastrestore.bm4d, STACK * scale),
            call(fastrestore.vbm3d, STACK * scale),
            call(fastrestore.deblur, image, BOX),
            call(fastrestore.deblur, image, BOX, 1.0),
            call(fastrestore.demosaic, image),
            call(fastrestore.denoise_burst, STACK * scale),
            call(fastrestore.estimate_sigma, image),
            call(fastrestore.estimate_psd, SQUARE * scale),
            call(fastrestore.estimate_poisson_gaussian, SQUARE * scale),
            call(fastrestore.inpaint, image, MISSING),
            call(fastrestore.psd_from_flat_field, STACK * scale),
            call(fastrestore.psd_from_kernel, np.full((3, 3), scale), (9, 9)),
            call(fastrestore.remove_streaks, image),
            call(fastrestore.sharpen, image),
            call(fastrestore.super_resolve, image, 2, model="pnp", psf=BOX),
            call(inverse.pnp, image, inverse.Blur(BOX), 2.0),
            call(fastrestore.bm3d, GRAY, psd=np.full(GRAY.shape, scale)),
            call(fastrestore.bm3d, GRAY, noise_kernel=np.full((3, 3), scale)),
            call(fastrestore.bm3d, image, noise=fastrestore.Rician(1)),
        ):
            with pytest.raises(ValueError, match=r"has values up to .*e[+-]\d+; convert it to"):
                function()


def test_sums_of_extreme_images_and_profiles_stay_finite(recwarn):
    for scale in (1e50, 1e-50):
        restored = fastrestore.bm3d(GRAY * scale, 10 * scale) / scale
        np.testing.assert_allclose(restored, fastrestore.bm3d(GRAY, 10), atol=1e-2)
        sharp = fastrestore.deblur(GRAY * scale, BOX, 10 * scale) / scale
        np.testing.assert_allclose(sharp, fastrestore.deblur(GRAY, BOX, 10), atol=1e-2)
    assert not recwarn.list
    assert {name for name, profile in PROFILES.items() if profile.kaiser_basic > 6} == set()
