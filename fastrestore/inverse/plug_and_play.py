"""Plug and play: a denoiser in the place of what is known of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore.inverse.iterations import Denoiser, Plan, Result, Told, solve
from fastrestore.inverse.operators import Blur, Forward

METHODS = ("hqs", "admm", "pgm")
USUAL = {"hqs": 8, "admm": 20, "pgm": 50}  # iterations
HIGHEST = 49 / 255  # of the range: sigma of the first iteration
SHARES = {"hqs": 0.23, "admm": 1.0, "pgm": 1.0}  # lambda of DPIR: weight of the denoiser
LEAST = 1e-3  # of the range: sigma is taken for no less
NAMED = ("auto", "bm3d", "unet", "hybrid")  # methods of `denoise` that are told sigma


def pnp(
    data: Any,
    forward: Forward,
    sigma: float,
    *,
    denoiser: Denoiser | str = "bm3d",
    method: str = "hqs",
    iterations: int | None = None,
    sigmas: Any = None,
    share: float | None = None,
    start: Any = None,
    tolerance: float = 0.0,
    data_range: float | None = None,
    turned: bool = False,
    truth: Any = None,
    progress: Progress = False,
    callback: Callable[[int, Any], object] | None = None,
    return_history: bool = False,
) -> Any:
    """Restore an image from linear data, with any denoiser inside.

    Parameters
    ----------
    data : array
        What was measured, such as a blurred image (M, N), of an integer or float type. Colours
        are restored one by one. What a `Mask` says is missing may be NaN.
    forward : Forward
        What was done to the image: `Blur`, `Mask`, `Decimation`, or `Forward` with functions of
        yours or a SciPy LinearOperator.
    sigma : float
        Standard deviation of the noise of the data, in their units. If in doubt take more: told
        half of what there is, an inversion makes the rest of the noise large.
    denoiser : callable or str, default "bm3d"
        ``denoiser(image, sigma)`` returns an image of the same shape; or "bm3d", "unet" or "hybrid"
        of `fastrestore.denoise`. (A "dncnn" is not told how much to remove.)
    method : {"hqs", "admm", "pgm"}
        Half-quadratic splitting [1]_, the alternating direction method of multipliers [2]_, or
        proximal gradient.
    iterations : int, optional
        8, 20 or 50 by method.
    sigmas : sequence of float, optional
        What the denoiser is told in each iteration, in the units of the image. By default it falls
        from 49/255 of the range to `sigma`, by equal factors. That suits operators that keep the
        units, as means do: give them where data are sums, as projections are.
    share : float, optional
        Weight of the denoiser against the data: 0.23 for "hqs", 1 for "admm"; "pgm" has none.
    start : array, shape (M, N), optional
        First image. Without it the forward operator makes one: of functions of yours their adjoint,
        from which pixels that nothing is known of take many iterations to come back (`Mask` begins
        with the nearest known ones).
    tolerance : float, default 0
        Stop when the image changes by no more than this share of its norm; with 0, do not.
    data_range : float, optional
        Range of the clean image. Without it that of the first image is measured, and "psnr" is for
        the range of `truth`.
    turned : bool, default False
        Whether the denoiser sees the image turned and mirrored, in another way each time: for
        networks, which leave less of a pattern then.
    truth : array, shape (M, N), optional
        The clean image, for "psnr" in the history.
    progress : bool or callable, default False
        As for `fastrestore.bm3d`.
    callback : callable, optional
        ``callback(iteration, image)`` after each iteration.
    return_history : bool, default False
        Whether to return a `Result`.

    Returns
    -------
    array, shape (M, N), or Result
        The same kind of array as the data, on the same device; float32 for float32 and integers,
        else float64.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as said; if `adjoint` is none of `apply`; if the denoiser returns
        another shape, or NaN: the iteration is named.
    DivergenceError
        If the image goes away from the data.

    Notes
    -----
    In iteration k the data and the denoiser have their turns: ``x`` minimises
    ``|A x - data|**2 + share sigma**2 / sigma_k**2 |x - z|**2``, in closed form where `forward` has
    one, then ``z = denoiser(x, sigma_k)``. "admm" adds what the two disagree on to the next turn;
    "pgm" takes a step along the gradient in place of the minimiser.

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
            f"forward must be an operator of fastrestore.inverse, got {forward!r:.60}; "
            "inverse.Forward makes one of two functions"
        )
    there, restore = interop.recognize("data", data)
    dtype = interop.result_dtype(there.dtype)
    with interop.use_device_of(there), reporting(progress, "pnp") as tick:
        values = there.astype(np.float64)
        forward.check(values)
        values = forward.brought(values)
        validate.check_finite("data", values)
        first = _first(values, forward, sigma, start, dtype)
        plan = planned(method, iterations, sigmas, sigma, share, tolerance,
                       validate.range_of(data_range, first), turned)  # fmt: skip
        known = _truth(truth, first)
        told = Told(known, _peak(data_range, known), callback, tick)
        found = solve(values, forward, plan, named(denoiser, plan.extent), first, told)
        image = restore(interop.place_like(found.image.astype(dtype), there))
    if not return_history:
        return image
    return Result(image, found.history, found.stopped)


def planned(
    method: Any, iterations: Any, sigmas: Any, sigma: Any, share: Any, tolerance: Any,
    extent: float, turned: bool,
) -> Plan:  # fmt: skip
    """Check how it is to be done."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    level = validate.not_negative("sigma", sigma)
    count = USUAL[method] if iterations is None else iterations
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"iterations must be a whole number of 1 or more, got {iterations!r}")
    least = max(level, LEAST * extent)
    if sigmas is None:
        steps = [float(s) for s in np.geomspace(max(HIGHEST * extent, least), least, int(count))]
    else:
        steps = [validate.positive("each of sigmas", s) for s in np.atleast_1d(sigmas).tolist()]
        if not steps:
            raise ValueError("sigmas has no number; it needs one for each iteration")
        if iterations is not None and len(steps) != count:
            raise ValueError(f"sigmas has {len(steps)} numbers for {count} iterations")
    if share is not None and method == "pgm":
        raise ValueError(f"share={share!r} is for method='hqs' and 'admm', not for 'pgm'")
    weight = validate.positive("share", SHARES[method] if share is None else share)
    return Plan(
        method, steps, least, weight, validate.not_negative("tolerance", tolerance), extent,
        validate.flag("turned", turned),
    )  # fmt: skip


def named(denoiser: Any, extent: float, **options: Any) -> Denoiser:
    """A denoiser by its name, or that of the user."""
    if callable(denoiser):
        given: Denoiser = denoiser
        return given
    from fastrestore._algorithms import denoise

    if denoiser == "dncnn":
        raise ValueError(
            "denoiser='dncnn' is not told how much noise to remove, which an iteration needs; take "
            "'unet', 'hybrid' or 'bm3d'"
        )
    if denoiser not in NAMED:
        known = ", ".join(map(repr, NAMED))
        raise ValueError(f"denoiser must be callable or one of {known}, got {denoiser!r:.60}")
    return lambda image, sigma: denoise.denoise(
        image, sigma, method=denoiser, data_range=extent, **options
    )


def _first(data: Any, forward: Forward, sigma: Any, start: Any, dtype: Any) -> Any:
    """The first image: that of the user, or of the operator."""
    if start is None:
        return forward.start(data, sigma)
    there, _ = interop.recognize("start", start)
    validate.check_finite("start", there)
    wanted = forward.start(data, sigma).shape
    if there.shape != wanted:
        raise ValueError(f"start has shape {there.shape}, the image {wanted}")
    return there.astype(np.float64)


def _truth(truth: Any, first: Any) -> Any:
    """Check the clean image."""
    if truth is None:
        return None
    there, _ = interop.recognize("truth", truth)
    if there.shape != first.shape:
        raise ValueError(f"truth has shape {there.shape}, the image {first.shape}")
    return there.astype(np.float64)


def _peak(data_range: Any, truth: Any) -> float:
    """Range that the PSNR is for."""
    told = validate.extent(data_range)
    if told is not None or truth is None:
        return told or 1.0
    return float(truth.max()) - float(truth.min()) or 1.0


def deblurred(
    planes: Any,
    psf: Any,
    sigma: float,
    boundary: str,
    denoiser: Any,
    options: dict[str, Any],
    tick: Callable[[float], None],
) -> Any:
    """`fastrestore.deblur` with a denoiser inside, channel by channel."""
    extent = options["data_range"]
    chosen = "bm3d" if denoiser is None else denoiser
    more = {k: options[k] for k in ("profile", "workers", "backend")} if chosen == "bm3d" else {}
    forward = Blur(psf, boundary)
    seen = [forward.brought(plane) for plane in planes]
    inner, turned = named(chosen, extent, **more), chosen != "bm3d"
    return each_by_itself(seen, seen, forward, sigma, extent, inner, turned, tick)


def each_by_itself(
    seen: Any, first: Any, forward: Forward, sigma: float, extent: float, inner: Denoiser,
    turned: bool, tick: Callable[[float], None],
) -> Any:  # fmt: skip
    """Restore colours one after the other, as `pnp` does."""
    plan = planned("hqs", None, None, sigma, None, 0.0, extent, turned)
    told = Told(tick=lambda share: tick(share / len(seen)))
    found = [
        solve(plane, forward, plan, inner, begin, told).image
        for plane, begin in zip(seen, first, strict=True)
    ]
    return interop.namespace(seen[0]).stack(found)
