"""Plug-and-play restoration, with a denoiser as the prior."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore.inverse.iterations import (
    HIGHEST,
    REGULARIZATION,
    Denoiser,
    Monitor,
    Result,
    Settings,
    decreasing_sigmas,
    iterate,
)
from fastrestore.inverse.operators import Forward

ITERATIONS = {"hqs": 8, "admm": 20, "pgm": 50}
LOWEST = 1e-3  # of the range: least noise level of the data
DENOISERS = ("auto", "bm3d", "unet", "hybrid")  # methods of `denoise` that take a noise level


def pnp(
    data: Any,
    forward: Forward,
    sigma: float,
    *,
    denoiser: Denoiser | str = "bm3d",
    method: str = "hqs",
    iterations: int | None = None,
    sigmas: Any = None,
    regularization: float | None = None,
    start: Any = None,
    tolerance: float = 0.0,
    data_range: float | None = None,
    self_ensemble: bool = False,
    truth: Any = None,
    progress: Progress = False,
    callback: Callable[[int, Any], object] | None = None,
    return_history: bool = False,
) -> Any:
    """Restore an image from linear measurements with a denoiser as prior.

    Two steps alternate: the image is fitted to the data, and a denoiser is applied.

    Parameters
    ----------
    data : array
        Measurements, such as a blurred image (M, N), of an integer or float type. Restore the
        channels of color images one at a time. Pixels that a `Mask` marks as missing may be NaN.
    forward : Forward
        Forward operator: `Blur`, `Mask`, `Decimation`, or `Forward` with two functions or a SciPy
        LinearOperator.
    sigma : float
        Standard deviation of the noise in the data, in their units. If in doubt, use a larger
        value: if `sigma` is too small, noise is amplified.
    denoiser : callable or str, default "bm3d"
        A function ``denoiser(image, sigma)`` that returns an image of the same shape, a network of
        `fastrestore.nets` with an input for the noise level, or a method of `fastrestore.denoise`:
        "bm3d", "unet", "hybrid" or "auto". "dncnn" is not supported, because the noise level is not
        one of its inputs.
    method : {"hqs", "admm", "pgm"}
        Half-quadratic splitting [1]_, alternating direction method of multipliers [2]_, or
        proximal gradient method.
    iterations : int, optional
        Number of iterations. Default: 8 for "hqs", 20 for "admm", 50 for "pgm".
    sigmas : sequence of float, optional
        Noise level given to the denoiser in each iteration, in the units of the image. By default
        it decreases geometrically from 49/255 of the range to `sigma`. The default assumes that
        data and image have the same units, as for weighted means; specify `sigmas` for other
        operators, such as projections.
    regularization : float, optional
        Weight of the denoiser relative to the data. Default: 0.23 for "hqs", 1 for "admm". Not for
        "pgm".
    start : array, shape (M, N), optional
        Initial estimate. The default is ``forward.initial_estimate(data)``: the nearest known
        pixels for `Mask`, and the scaled adjoint of the data for a `Forward` of two functions. With
        the latter, pixels that do not contribute to the data need many iterations.
    tolerance : float, default 0
        Stop when the norm of the change in one iteration is at most this fraction of the norm of
        the image. With 0, no iteration is omitted.
    data_range : float, optional
        Range of the clean image. By default the range of the initial estimate is used for the
        denoiser, and that of `truth` for "psnr".
    self_ensemble : bool, default False
        Whether to rotate and mirror the image before the denoiser, differently in each iteration,
        and back afterwards. This reduces artifacts of networks.
    truth : array, shape (M, N), optional
        The clean image, for "psnr" in the history.
    progress : bool or callable, default False
        As for `fastrestore.bm3d`.
    callback : callable, optional
        Called as ``callback(iteration, image)`` after each iteration.
    return_history : bool, default False
        Whether to return a `Result` instead of an array.

    Returns
    -------
    array, shape (M, N), or Result
        The same kind of array as the data, on the same device: float32 for data of float32 or
        integers, otherwise float64.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, if `adjoint` is not the adjoint of `apply`, or if the denoiser
        returns another shape or NaN.
    DivergenceError
        If the residual grows far beyond that of the initial estimate.

    See Also
    --------
    Forward : Any linear operator.
    fastrestore.deblur : Remove a known blur.
    fastrestore.inpaint : Fill in missing pixels.

    Notes
    -----
    Iteration k minimizes ``|A x - data|**2 + regularization sigma**2 / sigma_k**2 |x - z|**2``
    over x, in closed form if `forward` has one, and sets ``z = denoiser(x, sigma_k)``. "admm" also
    accumulates the difference between x and z; "pgm" replaces the minimization by a gradient step.

    References
    ----------
    .. [1] K. Zhang et al., "Plug-and-play image restoration with deep denoiser prior", IEEE Trans.
       Pattern Analysis and Machine Intelligence 44(10), 2022.
    .. [2] S. V. Venkatakrishnan, C. A. Bouman, B. Wohlberg, "Plug-and-play priors for model based
       reconstruction", GlobalSIP 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> rows, columns = np.mgrid[:64, :64]
    >>> clean = 100.0 + 80 * ((rows // 16 + columns // 16) % 2)
    >>> blur = inverse.Blur(np.full((5, 5), 1 / 25), "periodic")
    >>> data = blur.apply(clean) + np.random.default_rng(0).normal(0, 2, clean.shape)
    >>> restored = inverse.pnp(data, blur, sigma=2)
    >>> bool(np.abs(restored - clean).mean() < np.abs(data - clean).mean() / 4)
    True
    """
    if not isinstance(forward, Forward):
        raise TypeError(
            f"forward must be an operator of fastrestore.inverse, got {validate.quoted(forward)}; "
            "inverse.Blur makes one from a PSF, inverse.Forward from two functions"
        )
    array, restore = interop.recognize("data", data)
    dtype = interop.result_dtype(array.dtype)
    with interop.use_device_of(array), reporting(progress, "pnp") as report_progress:
        values = array.astype(np.float64)
        forward.check(values)
        values = forward.prepare(values)
        validate.check_finite("data", values)
        first = forward.initial_estimate(values)
        if start is not None:
            first = _image("start", start, first.shape)
        subject = "the initial estimate from data" if start is None else "start"
        known = validate.not_negative("sigma", sigma)
        outliers.check(subject, first, known, outliers.REPLACE)
        extent = ranges.range_of(data_range, first)
        validate.choice("method", method, ITERATIONS)
        noise = max(ranges.sigma(sigma, extent), LOWEST * extent)
        settings = Settings(
            named_denoiser(denoiser, extent),
            _schedule(sigmas, iterations, ITERATIONS[method], (HIGHEST * extent, noise)),
            noise,
            method,
            _regularization(regularization, method),
            validate.not_negative("tolerance", tolerance),
            validate.flag("self_ensemble", self_ensemble),
        )
        clean = None if truth is None else _image("truth", truth, first.shape)
        monitor = Monitor(clean, _peak(data_range, clean), callback, report_progress)
        result = iterate(values, forward, settings, first, monitor)
        image = restore(interop.place_like(result.image.astype(dtype), array))
    return Result(image, result.history, result.stopped) if return_history else image


def restore_planes(
    planes: Any,
    forwards: Sequence[Forward],
    settings: Settings,
    report_progress: Callable[[float], None],
) -> Any:
    """Restore each channel of (C, M, N) on its own, as `pnp` does."""
    monitor = Monitor(report_progress=lambda share: report_progress(share / len(planes)))
    results = []
    for plane, forward in zip(planes, forwards, strict=True):
        forward.check(plane)
        data = forward.prepare(plane)
        first = forward.initial_estimate(data)
        results.append(iterate(data, forward, settings, first, monitor).image)
    return interop.namespace(planes).stack(results)


def default_settings(
    sigma: float, data_range: float, denoiser: Denoiser | str | None, **options: Any
) -> Settings:
    """Return the settings of `deblur` and `super_resolve`; the options are those of `bm3d`."""
    chosen = "bm3d" if denoiser is None else denoiser
    more = options if chosen == "bm3d" else {}
    noise = max(sigma, LOWEST * data_range)
    return Settings(
        named_denoiser(chosen, data_range, **more),
        decreasing_sigmas(HIGHEST * data_range, noise, ITERATIONS["hqs"]),
        noise,
        self_ensemble=chosen != "bm3d",
    )


def named_denoiser(denoiser: Any, data_range: float, **options: Any) -> Denoiser:
    """Return a callable as it is, or the method of `fastrestore.denoise` with this name."""
    if _is_module(denoiser):
        return _network_denoiser(denoiser, data_range)
    if callable(denoiser):
        given: Denoiser = denoiser
        return given
    if denoiser == "dncnn":
        raise ValueError(
            "denoiser='dncnn' has no input for the noise level, which pnp requires; use "
            "'unet', 'hybrid' or 'bm3d'"
        )
    if denoiser not in DENOISERS:
        known = ", ".join(map(repr, DENOISERS))
        raise ValueError(
            f"denoiser must be callable or one of {known}, got {validate.quoted(denoiser)}"
        )
    import fastrestore

    return lambda image, sigma: fastrestore.denoise(
        image, sigma, method=denoiser, data_range=data_range, **options
    )


def _is_module(denoiser: Any) -> bool:
    """Whether a denoiser is a network of PyTorch, without importing it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(denoiser, torch.nn.Module)


def _network_denoiser(net: Any, data_range: float) -> Denoiser:
    """Return a network of `fastrestore.nets` as a function of arrays; refuse others."""
    import fastrestore

    if isinstance(net, fastrestore.nets.Network) and net.takes_sigma:
        return lambda image, sigma: fastrestore.nets.apply(net, image, sigma, data_range=data_range)
    raise TypeError(
        f"denoiser is a network, {getattr(net, 'name', type(net).__name__)}, that does not take an "
        "array and a noise level; write a function denoiser(image, sigma) of arrays that calls it, "
        "or give a network of fastrestore.nets whose takes_sigma is True"
    )


def _schedule(
    sigmas: Any, iterations: Any, default_count: int, ends: tuple[float, float]
) -> list[float]:
    """Return the noise level of the denoiser in each iteration."""
    count = default_count
    if iterations is not None:
        count = validate.iterations(iterations)
    if sigmas is None:
        return decreasing_sigmas(*ends, count)
    wanted = "numbers above 0, one for each iteration"
    levels: list[float] = np.atleast_1d(validate.numbers("sigmas", sigmas, wanted)).tolist()
    if np.ndim(levels) != 1 or not all(levels):
        raise ValueError(f"sigmas must be {wanted}, got {validate.quoted(sigmas)}")
    if iterations is not None and len(levels) != count:
        raise ValueError(f"sigmas has {len(levels)} numbers for {count} iterations")
    return levels


def _regularization(value: Any, method: str) -> float:
    """Return the weight of the denoiser."""
    if value is None:
        return REGULARIZATION[method]
    if method == "pgm":
        raise ValueError(
            f"regularization={validate.quoted(value)} is for method='hqs' and 'admm', not for 'pgm'"
        )
    return validate.positive("regularization", value)


def _image(name: str, image: Any, shape: tuple[int, ...]) -> Any:
    """Return an image of this shape as float64."""
    values, _ = interop.recognize(name, image)
    validate.same_shape(name, values, shape)
    validate.check_finite(name, values)
    return values.astype(np.float64)


def _peak(data_range: Any, truth: Any) -> float:
    """Return the range that the PSNR refers to."""
    extent = ranges.extent(data_range)
    if extent is not None or truth is None:
        return extent or 1.0
    return float(truth.max()) - float(truth.min()) or 1.0
