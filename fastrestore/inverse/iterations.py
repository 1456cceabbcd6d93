"""The iterations of plug-and-play restoration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore.inverse.boundary import norm
from fastrestore.inverse.operators import Forward

Denoiser = Callable[[Any, float], Any]
REGULARIZATION = {"hqs": 0.23, "admm": 1.0, "pgm": 1.0}  # of "hqs": lambda of DPIR
HIGHEST = 49 / 255  # of the range: noise level of the denoiser in the first iteration
DIVERGED = 1e3  # growth of the squared residual at which an iteration has diverged
POWER_STEPS = 20  # power iterations for the norm of an operator


class DivergenceError(RuntimeError):
    """The iterations diverge: the residual grows, or the image is not finite.

    `pnp` raises it instead of returning the image.

    See Also
    --------
    pnp : Restore an image from linear measurements.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> data = np.random.default_rng(0).normal(100, 5, (32, 32))
    >>> try:
    ...     inverse.pnp(data, inverse.Blur(np.full((3, 3), 1 / 9)), sigma=5,
    ...                 denoiser=lambda image, sigma: -1e6 * image)
    ... except inverse.DivergenceError:
    ...     print("choose another denoiser")
    choose another denoiser
    """


@dataclass(frozen=True, eq=False)
class Result:
    """Result of `pnp` with ``return_history=True``.

    It records each iteration, so that their number can be chosen.

    Attributes
    ----------
    image : array
        The restored image.
    history : list of dict
        For each iteration: "sigma", the noise level given to the denoiser; "data", half the squared
        norm of the residual divided by the variance of the noise; "change", the norm of the
        change relative to the norm of the image; and "psnr" if `truth` was given.
    stopped : {"iterations", "tolerance"}
        Why the iterations ended: after the last one, or because the relative change was at most
        `tolerance`.

    See Also
    --------
    pnp : Restore an image from linear measurements.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> data = np.random.default_rng(0).normal(100, 5, (32, 32))
    >>> result = inverse.pnp(data, inverse.Blur(np.full((3, 3), 1 / 9)), sigma=5, iterations=3,
    ...                      return_history=True)
    >>> result.stopped, len(result.history)
    ('iterations', 3)
    """

    image: Any
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = "iterations"


class Settings(NamedTuple):
    """Parameters of the iterations."""

    denoiser: Denoiser
    sigmas: list[float]  # noise level of the denoiser in each iteration
    sigma: float  # of the noise in the data, above 0
    method: str = "hqs"
    regularization: float = REGULARIZATION["hqs"]
    tolerance: float = 0.0
    self_ensemble: bool = False


class Monitor(NamedTuple):
    """Observers of the iterations."""

    truth: Any = None
    peak: float = 1.0  # range of the truth, for "psnr"
    callback: Callable[[int, Any], object] | None = None
    report_progress: Callable[[float], None] = lambda share: None


def decreasing_sigmas(highest: float, lowest: float, count: int) -> list[float]:
    """Return noise levels for a denoiser that decrease by equal factors."""
    return [float(s) for s in np.geomspace(max(highest, lowest), lowest, count)]


def iterate(
    data: Any, forward: Forward, settings: Settings, first: Any, monitor: Monitor
) -> Result:
    """Alternate between fitting the data and denoising, from an initial estimate."""
    state = _State(data, forward, settings, first)
    history: list[dict[str, float]] = []
    variance, share = settings.sigma**2, 1 / len(settings.sigmas)
    reference = max(state.misfit(), variance * data.size)
    for number, level in enumerate(settings.sigmas):
        before = state.image
        state.step(number, level)
        misfit = state.misfit()
        if not misfit <= DIVERGED * reference:
            other = "" if settings.method == "hqs" else "method='hqs', "
            raise DivergenceError(
                f"iteration {number} diverged: the squared residual is {misfit / reference:.3g} "
                f"times that of the initial estimate; try {other}a larger sigma or less "
                "regularization, and check adjoint and denoiser"
            )
        change = norm(state.image - before) / (norm(state.image) or 1.0)
        entry = {"sigma": level, "data": misfit / (2 * variance), "change": change}
        if monitor.truth is not None:
            error = float(((state.image - monitor.truth) ** 2).mean())
            entry["psnr"] = float(10 * np.log10(monitor.peak**2 / error)) if error else np.inf
        history.append(entry)
        if monitor.callback is not None:
            monitor.callback(number, state.image)
        monitor.report_progress(share)
        if settings.tolerance > 0 and change <= settings.tolerance:
            monitor.report_progress(1 - (number + 1) * share)
            return Result(state.image, history, "tolerance")
    return Result(state.image, history)


class _State:
    """The current image, and one iteration."""

    def __init__(self, data: Any, forward: Forward, settings: Settings, first: Any) -> None:
        self.data, self.forward, self.settings = data, forward, settings
        self.image = first
        self._dual: Any = 0 * first if settings.method == "admm" else None
        self._length = 1 / squared_norm(forward, first) if settings.method == "pgm" else 0.0

    def _residual(self) -> Any:
        return self.forward.apply(self.image).reshape(self.data.shape) - self.data

    def misfit(self) -> float:
        """Return the squared norm of the residual."""
        residual = self._residual()
        return float((residual * residual).sum())

    def step(self, number: int, level: float) -> None:
        """Do one iteration: fit the data, then denoise."""
        settings, forward = self.settings, self.forward
        if settings.method == "pgm":
            moved = self.image - self._length * forward.adjoint(self._residual())
            self.image = self._denoise(moved, number, level)
            return
        weight = settings.regularization * settings.sigma**2 / level**2
        if settings.method == "hqs":
            fitted = forward.proximal(self.image, self.data, weight)
            self.image = self._denoise(fitted, number, level)
            return
        fitted = forward.proximal(self.image - self._dual, self.data, weight)
        self.image = self._denoise(fitted + self._dual, number, level)
        self._dual = self._dual + fitted - self.image

    def _denoise(self, image: Any, number: int, level: float) -> Any:
        """Call the denoiser and check what it returns."""
        turn = number % 8 if self.settings.self_ensemble else 0
        turned = _rotate(image, turn)
        result = self.settings.denoiser(turned, level)
        if not hasattr(result, "shape") or tuple(result.shape) != turned.shape:
            returned = (
                f"shape {tuple(result.shape)}"
                if hasattr(result, "shape")
                else validate.quoted(result)
            )
            raise ValueError(
                f"the denoiser returned {returned} in iteration {number}, for an image of shape "
                f"{turned.shape}"
            )
        namespace = interop.namespace(image)
        back = _rotate_back(namespace.asarray(result, dtype=np.float64), turn)
        if not bool(namespace.isfinite(back).all()):
            raise ValueError(
                f"the denoiser returned values that are NaN or infinite in iteration {number}, "
                f"for sigma={level:g}"
            )
        return back


def _rotate(image: Any, turn: int) -> Any:
    """Return the image in one of eight orientations: four rotations, then those of its mirror."""
    mirrored = image.T if turn >= 4 else image
    namespace = interop.namespace(image)
    return namespace.ascontiguousarray(namespace.rot90(mirrored, turn % 4)) if turn else image


def _rotate_back(image: Any, turn: int) -> Any:
    """Undo `_rotate`."""
    plain = interop.namespace(image).rot90(image, -(turn % 4))
    return plain.T if turn >= 4 else plain


def squared_norm(forward: Forward, image: Any) -> float:
    """Return the largest eigenvalue of A^T A, 5 % larger to be safe, by power iterations."""
    namespace = interop.namespace(image)
    seed = np.random.default_rng(0).standard_normal(image.shape)
    vector, value = namespace.asarray(seed), 1.0
    for _ in range(POWER_STEPS):
        vector = forward.adjoint(forward.apply(vector))
        value = norm(vector)
        if value == 0:
            return 1.0
        vector = vector / value
    return 1.05 * value
