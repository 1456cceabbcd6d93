"""Random calls of all public functions: for each a generator of valid arguments.

`random_call` draws one. A share of the calls gets one argument replaced by nonsense.
"""

import functools
import inspect
import tempfile
from pathlib import Path

import fuzz_arrays
import numpy as np
from fuzz_call import MODELS, Call, draw_image, hide, level, noise, one_of, options, scales, side
from fuzz_call import spec as draw_spec

import fastrestore
from fastrestore import inverse, metrics, nets
from fastrestore._noise.spec import NoiseSpec


def random_call(rng):
    """Draw a call; every third one with nonsense in one argument."""
    function = FUNCTIONS[rng.integers(len(FUNCTIONS))]
    call = function(rng)
    if rng.integers(3) == 0:
        _spoil(rng, call)
    return call


def _spoil(rng, call):
    """Replace the image, or any other parameter, by nonsense."""
    if call.image and rng.integers(3) == 0:
        name, value = call.image, fuzz_arrays.spoiled(rng, call.arguments[call.image])
    else:
        names = [
            name
            for name, parameter in inspect.signature(call.function).parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            and name not in ("progress", "callback")
        ]
        if not names:
            return
        name, value = names[rng.integers(len(names))], fuzz_arrays.nonsense(rng)
    call.spoiled = name
    call.arguments[name] = value


def bm3d(rng):
    image, sigma, span, axis = draw_image(rng)
    count = 1 if axis is None else image.shape[axis]
    arguments = {"image": image, "channel_axis": axis, **options(rng), **noise(rng, sigma, count)}
    kind = rng.integers(8)
    if kind in (2, 3):
        arguments.pop("noise", None)
    if kind == 0:
        arguments["stage"] = "basic"
    if kind == 1:
        arguments["pilot"] = image.astype(np.float64)
    if kind == 2:
        arguments["sigma"] = np.linspace(0, sigma, image.size).reshape(image.shape)
    if kind == 3 and axis is None:
        arguments.pop("sigma", None)
        arguments["noise_kernel"] = rng.normal(0, sigma / 3, (3, 3))
    if kind == 4:
        arguments["data_range"] = span
    if kind == 5:
        arguments["colorspace"] = one_of(rng, "pca", "auto")
    if kind == 6:
        arguments["max_memory"] = 1e9
    linear = ("noise_kernel",) if "noise_kernel" in arguments else scales(arguments)
    linear += ("pilot", "data_range") if linear else ()
    call = Call(fastrestore.bm3d, arguments, sigma, span, "image", scales=linear)
    spatial = [n for k, n in enumerate(image.shape) if axis is None or k != axis % 3]
    return call if kind == 1 else hide(rng, call, tuple(spatial))


def plan(rng):
    call = bm3d(rng)
    image = call.arguments.pop("image")
    for name in ("pilot", "colorspace"):
        call.arguments.pop(name, None)
    made = fastrestore.BM3DPlan(image.shape, image.dtype, **call.arguments)
    return Call(
        made, {"image": image}, call.sigma, call.span, "image", backends=False, valid=call.valid
    )


def new_plan(rng):
    arguments = {"shape": (side(rng), side(rng)), "dtype": one_of(rng, "f4", "u1"), "sigma": 5.0}
    return Call(fastrestore.BM3DPlan, arguments)


def bm4d(rng):
    shape = (int(rng.integers(1, 9)), side(rng, 9, 20), side(rng, 9, 20))
    volume, sigma, span = fuzz_arrays.noisy(rng, shape, rng.choice(fuzz_arrays.DTYPES))
    arguments = {"volume": volume, "slice_axis": 0, **noise(rng, sigma)}
    if isinstance(arguments.get("noise"), fastrestore.NoiseSpec):  # its spectrum has two axes
        arguments["noise"] = fastrestore.NoiseSpec.white(sigma)
    if rng.integers(4) == 0:
        arguments["stage"] = "basic"
    if rng.integers(6) == 0 and "noise" not in arguments:
        arguments["volume"] = np.repeat(volume[..., None], 2, -1)
        arguments["channel_axis"] = -1
    call = Call(fastrestore.bm4d, arguments, sigma, span, "volume", scales=scales(arguments))
    return hide(rng, call, shape)


def vbm3d(rng):
    shape = (int(rng.integers(1, 7)), side(rng, 9, 24), side(rng, 9, 24))
    frames, sigma, span = fuzz_arrays.noisy(rng, shape, rng.choice(fuzz_arrays.DTYPES))
    axis = None
    if rng.integers(5) == 0:
        frames, axis = np.stack([frames, frames[:, ::-1]], -1), -1
    count = 1 if axis is None else 2
    arguments = {"frames": frames, "channel_axis": axis, **noise(rng, sigma, count)}
    arguments["radius"] = int(rng.integers(0, 4))
    kind = rng.integers(8)
    if kind < 2:
        arguments["frames"] = np.repeat(frames, 2, 0)
    if kind == 2:  # black at the start, and another scene
        arguments["frames"] = np.concatenate([0 * frames[:1], frames, frames[:, ::-1]])
    if kind == 3:
        arguments.pop("sigma", None)
        models = (fastrestore.PoissonGaussian(max(sigma, 1e-3)), fastrestore.Rician(sigma or 1.0))
        arguments["noise"] = one_of(rng, *models)
    call = Call(fastrestore.vbm3d, arguments, sigma, span, "frames", scales=scales(arguments))
    spatial = arguments["frames"].shape if axis is None else arguments["frames"].shape[:-1]
    return hide(rng, call, spatial)


def denoise(rng):
    image, sigma, span, axis = draw_image(rng, color=0.4)
    method = one_of(rng, "auto", "bm3d", "unet", "hybrid")
    count = 1 if axis is None else image.shape[axis]
    drawn = level(rng, sigma) if method == "unet" else noise(rng, sigma, count)
    arguments = {"image": image, "channel_axis": axis, "method": method, **drawn}
    if method in ("unet", "hybrid"):
        arguments["data_range"] = span
        if "noise" not in arguments:
            arguments["sigma"] = min(sigma, 0.2 * span)
        if count not in ((1,) if method == "unet" else (1, 3)):
            arguments["method"] = "bm3d"
    elif rng.integers(4) == 0:
        arguments["tune"] = True
        arguments.pop("strength", None)  # chosen by it
    return Call(fastrestore.denoise, arguments, sigma, span, "image", backends=False)


def denoise_burst(rng):
    shape = (int(rng.integers(1, 5)), side(rng, 16, 32), side(rng, 16, 32))
    frames, sigma, span = fuzz_arrays.noisy(rng, shape, rng.choice(fuzz_arrays.DTYPES))
    arguments = {"frames": frames, **level(rng, sigma), **options(rng)}
    return Call(
        fastrestore.denoise_burst, arguments, sigma, span, "frames", False, scales=("sigma",)
    )


def deblur(rng):
    image, sigma, span, axis = draw_image(rng, color=0.15, least=12)
    psf = rng.random((int(rng.integers(1, 6)), int(rng.integers(1, 6)))) ** 3
    arguments = {"image": image, "psf": psf / psf.sum(), "channel_axis": axis, **options(rng)}
    arguments["boundary"] = one_of(rng, "reflect", "periodic", "taper")
    arguments["sigma"] = sigma
    if rng.integers(6) == 0:
        arguments["method"] = "pnp"
    return Call(fastrestore.deblur, arguments, sigma, span, "image", backends=False)


def demosaic(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=4)
    arguments = {"mosaic": image, "pattern": one_of(rng, "RGGB", "BGGR", "GRBG", "GBRG")}
    arguments |= {"iterations": int(rng.integers(0, 3)), "sigma": one_of(rng, 0.0, sigma)}
    return Call(fastrestore.demosaic, arguments, sigma, span, "mosaic", False, ("sigma",))


def inpaint(rng):
    image, sigma, span, axis = draw_image(rng, least=4)
    shape = [n for k, n in enumerate(image.shape) if axis is None or k != axis % 3]
    mask = rng.random(shape) < rng.uniform(0.05, 0.7)
    mask.flat[0] = False
    arguments = {"image": image, "mask": mask, "channel_axis": axis}
    arguments |= {"iterations": int(rng.integers(1, 4)), "sigma": one_of(rng, 0.0, sigma)}
    return Call(fastrestore.inpaint, arguments, sigma, span, "image", scales=("sigma",))


def sharpen(rng):
    image, sigma, span, axis = draw_image(rng)
    arguments = {"image": image, "channel_axis": axis, **level(rng, sigma)}
    arguments["alpha"] = float(rng.uniform(1, 2))
    return Call(fastrestore.sharpen, arguments, sigma, span, "image", backends=False)


def remove_streaks(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=24)
    image = np.tile(image, (2, 2))[: 24 + side(rng), :48]
    return Call(fastrestore.remove_streaks, {"sinogram": image}, sigma, span, "sinogram")


def super_resolve(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=12)
    image = image[:16, :16]
    arguments = {"image": image, "data_range": span, "model": one_of(rng, "srgan", "srresnet")}
    if rng.integers(3) == 0:
        arguments |= {"model": "pnp", "scale": 2, "psf": np.ones((3, 3)) / 9, "sigma": sigma}
    return Call(fastrestore.super_resolve, arguments, sigma, span, "image", False, backends=False)


def super_resolve_video(rng):
    shape = (int(rng.integers(1, 3)), 16, 16)
    frames, sigma, span = fuzz_arrays.noisy(rng, shape, "f4")
    model = one_of(rng, "srresnet", "vsrgan")
    arguments = {"frames": frames, "data_range": span, "model": model}
    return Call(fastrestore.super_resolve_video, arguments, sigma, span, backends=False)


def restore(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=12)
    arguments = {"image": image, "data_range": span, "model": "restore-gan-experimental"}
    return Call(fastrestore.restore, arguments, sigma, span, "image", backends=False)


def estimate_sigma(rng):
    image, sigma, span, axis = draw_image(rng)
    arguments = {"image": image, "channel_axis": axis}
    if rng.integers(4) == 0:
        arguments["mask"] = rng.random(image.shape) < 0.98
    return Call(fastrestore.estimate_sigma, arguments, sigma, span, "image", False, backends=False)


def estimate_noise(rng):
    image, sigma, span, axis = draw_image(rng)
    arguments = {"image": image, "channel_axis": axis, "model": one_of(rng, *MODELS)}
    if rng.integers(4) == 0:
        arguments["mask"] = rng.random(image.shape) < 0.98
    return Call(_noise_arrays, arguments, sigma, span, "image", False, backends=False)


def _noise_arrays(image, *, channel_axis=None, mask=None, model="auto"):
    """The arrays of an estimate in one, to be compared, and its text, which must be one."""
    spec = fastrestore.estimate_noise(image, channel_axis=channel_axis, mask=mask, model=model)
    assert str(spec).startswith("NoiseSpec: ")
    arrays = (spec.sigma, spec.brightness, spec.levels, spec.correlation, spec.spectrum)
    return np.concatenate([array.ravel() for array in arrays])


def noise_spec(rng):
    sigma, count = rng.uniform(0, 20), int(rng.integers(1, 4))
    made = draw_spec(rng, sigma, count)
    names = ("sigma", "brightness", "levels", "spectrum", "distribution", "strength")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.npz"
        made.save(path)
        assert fastrestore.NoiseSpec.load(path) == made
    axis = None if count == 1 else -1
    image = rng.uniform(0, 90, (12, 14) if axis is None else (12, 14, count))
    calls = (
        Call(fastrestore.NoiseSpec, {name: getattr(made, name) for name in names}),
        Call(made.at, {"brightness": rng.uniform(-9, 99, (3, 4))}),
        Call(made.__mul__, {"factor": 0.5}),
        Call(fastrestore.NoiseSpec.pool, {"specs": [made, draw_spec(rng, sigma, count)]}),
        Call(made.save, {"path": "none/spec.txt"}, spoiled="path"),
        Call(fastrestore.NoiseSpec.load, {"path": "none/spec.txt"}, spoiled="path"),
        Call(made.variance, {"image": image, "channel_axis": axis}, image="image"),
        Call(made.sample, {"image": image, "channel_axis": axis, "rng": 3}, image="image"),
    )
    return calls[rng.integers(len(calls))]


def estimate_psd(rng):
    image, sigma, span, axis = draw_image(rng, least=32)
    arguments = {"image": image, "channel_axis": axis}
    return Call(fastrestore.estimate_psd, arguments, sigma, span, "image", False, backends=False)


def estimate_poisson_gaussian(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=32)
    function = fastrestore.estimate_poisson_gaussian
    return Call(function, {"image": image}, sigma, span, "image", False, backends=False)


def psd_from_kernel(rng):
    arguments = {"noise_kernel": rng.normal(0, 1, (3, 4)), "shape": (side(rng), side(rng))}
    return Call(fastrestore.psd_from_kernel, arguments)


def psd_from_flat_field(rng):
    frames = rng.normal(100, 3, (3, 16, 20))
    return Call(
        fastrestore.psd_from_flat_field, {"frames": frames}, image="frames", same_shape=False
    )


def stabilization(rng):
    kind = fastrestore.PoissonGaussian if rng.integers(2) else fastrestore.Rician
    arguments = (
        {"gain": 2.0, "sigma": 3.0} if kind is fastrestore.PoissonGaussian else {"sigma": 2.0}
    )
    if rng.integers(2):
        return Call(kind, arguments)
    model = kind(**arguments)
    method = one_of(rng, model.forward, model.inverse, model.extent)
    parameter = next(iter(inspect.signature(method).parameters))
    return Call(
        method, {parameter: rng.uniform(1, 200, (5, 4)) if parameter != "data_range" else 255.0}
    )


def bm3d_with_model(rng):
    image = np.abs(rng.poisson(20, (24, 24))).astype(one_of(rng, "f4", "u2"))
    models = (fastrestore.PoissonGaussian(1.0, 0.5), fastrestore.Rician(2.0))
    arguments = {"image": image, "noise": models[rng.integers(2)], "profile": "fast"}
    return Call(fastrestore.bm3d, arguments, 4.0, 40.0, "image", backends=False)


def profile(rng):
    return Call(fastrestore.Profile, {})


def profile_replace(rng):
    made = fastrestore.Profile.named(one_of(rng, "np", "volume", "video"))
    fields = [n for n in inspect.signature(fastrestore.Profile).parameters if n != "name"]
    name = one_of(rng, *fields)
    return Call(made.replace, {name: fuzz_arrays.nonsense(rng)}, spoiled=name)


def pnp(rng):
    image, sigma, span = fuzz_arrays.noisy(rng, (20, 24), "f8")
    psf = np.ones((3, 3)) / 9
    operators = (
        lambda: inverse.Blur(psf, one_of(rng, "reflect", "periodic")),
        lambda: inverse.Mask(rng.random(image.shape) < 0.7),
    )
    forward = operators[rng.integers(2)]()
    arguments = {"data": forward.apply(image), "forward": forward, "sigma": sigma}
    arguments |= {
        "iterations": int(rng.integers(1, 4)),
        "method": one_of(rng, "hqs", "admm", "pgm"),
    }
    return Call(inverse.pnp, arguments, sigma, span, "data", False, backends=False)


def operator(rng):
    kinds = (
        (inverse.Blur, {"psf": rng.random((3, 3))}),
        (inverse.Mask, {"mask": rng.random((8, 9)) < 0.5}),
        (inverse.Decimation, {"psf": np.ones((3, 3)) / 9, "factor": 2}),
    )
    function, arguments = kinds[rng.integers(3)]
    return Call(function, arguments)


def psnr(rng):
    a, b = rng.random((2, 8, 9))
    return Call(metrics.psnr, {"reference": a, "image": b, "data_range": 1.0})


def sure(rng):
    image, sigma, span, axis = draw_image(rng)
    arguments = {"restore": _smooth, "image": image, "channel_axis": axis}
    arguments["noise"] = one_of(rng, sigma, np.full(image.shape, sigma), _noise(image, sigma, axis))
    if rng.integers(4) == 0:
        arguments["mask"] = rng.random(image.shape) < 0.9
    return Call(metrics.sure, arguments, sigma, span, "image", False, backends=False)


def _smooth(image):
    return (image + np.roll(image, 1, -1)) / 2


def _noise(image, sigma, axis):
    count = 1 if axis is None else image.shape[axis]
    return NoiseSpec.white(*[sigma] * count)


def load(rng):
    return Call(nets.load, {"name_or_path": one_of(rng, *nets.names())})


def apply(rng):
    image, sigma, span, _ = draw_image(rng, color=0, least=12)
    arguments = {"net": _network("unet-gray"), "image": image, "data_range": span}
    arguments["sigma"] = min(sigma, 0.25 * span)
    return Call(nets.apply, arguments, sigma, span, "image", backends=False)


def network(rng):
    kinds = (
        (nets.DnCNN, {"channels": 1, "layers": 3, "width": 4}),
        (nets.FFDNet, {"channels": 1, "layers": 3, "width": 4}),
        (nets.UNet, {"channels": 1, "widths": (4, 8), "blocks": 1}),
        (nets.SRResNet, {"channels": 1, "blocks": 1, "width": 4}),
        (nets.SRVGG, {"channels": 1, "layers": 2, "width": 4}),
        (nets.RRDBNet, {"channels": 1, "blocks": 1, "width": 4, "growth": 2}),
    )
    function, arguments = kinds[rng.integers(len(kinds))]
    return Call(function, dict(arguments))


def use_backend(rng):
    return Call(fastrestore.use_backend, {"name": one_of(rng, "numpy", "numba", "auto")})


@functools.cache
def _network(name):
    return nets.load(name)


FUNCTIONS = (
    *[bm3d] * 8, *[bm4d] * 3, *[vbm3d] * 3, *[denoise] * 2, *[deblur] * 2, *[inpaint] * 2,
    *[sharpen] * 2, plan, new_plan, denoise_burst, demosaic, remove_streaks, super_resolve,
    super_resolve_video, restore, estimate_sigma, *[estimate_noise] * 3, noise_spec, estimate_psd,
    estimate_poisson_gaussian,
    psd_from_kernel, psd_from_flat_field, stabilization, bm3d_with_model, profile,
    profile_replace, pnp, operator, psnr, sure, load, apply, network, use_backend,
)  # fmt: skip
