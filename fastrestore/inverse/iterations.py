"""The iterations of plug and play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop
from fastrestore.inverse.boundary import norm
from fastrestore.inverse.operators import Forward

Denoiser = Callable[[Any, float], Any]
FAR = 1e3  # times as far from the data as at the start: this leads nowhere
POWER_STEPS = 20  # to find the norm of an operator


class DivergenceError(RuntimeError):
    """The iteration went away from the data, or to values that are none."""


@dataclass(frozen=True, eq=False)
class Result:
    """What `pnp` returns when it is asked for its history.

    Attributes
    ----------
    image : array
        The restored image.
    history : list of dict
        Of each iteration: "sigma" that the denoiser was told, "data", half the squared distance
        from the data divided by the variance of the noise, "change", the norm of what changed as a
        share of that of the image, and "psnr" if the truth was given.
    stopped : str
        "iterations", or "tolerance" if the image changed by less.
    """

    image: Any
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = "iterations"


class Plan(NamedTuple):
    """How to go about it."""

    method: str
    sigmas: list[float]  # of the denoiser, by iteration
    sigma: float  # of the noise
    share: float
    tolerance: float
    extent: float
    turned: bool


class Told(NamedTuple):
    """Who wants to know."""

    truth: Any = None
    peak: float = 1.0  # range of the truth, of which "psnr" is
    callback: Callable[[int, Any], object] | None = None
    tick: Callable[[float], None] = lambda share: None


def solve(
    data: Any, forward: Forward, plan: Plan, denoiser: Denoiser, first: Any, told: Told
) -> Result:
    """Iterate."""
    step = _Step(data, forward, plan, denoiser, first)
    history: list[dict[str, float]] = []
    variance = plan.sigma**2
    begin = max(step.misfit(first), variance * data.size)
    stopped = "iterations"
    for number, level in enumerate(plan.sigmas):
        before = step.image
        step.once(number, level)
        away = step.misfit(step.image)
        if not away <= FAR * begin:
            raise DivergenceError(
                f"iteration {number} went astray: the image is {away / begin:.3g} times as far "
                f"from the data as the first one; {_cure(plan.method)}"
            )
        scale = norm(step.image) or 1.0
        entry = {
            "sigma": level, "data": away / (2 * variance),
            "change": norm(step.image - before) / scale,
        }  # fmt: skip
        if told.truth is not None:
            error = float(((step.image - told.truth) ** 2).mean())
            entry["psnr"] = float(10 * np.log10(told.peak**2 / error)) if error else np.inf
        history.append(entry)
        if told.callback is not None:
            told.callback(number, step.image)
        told.tick(1 / len(plan.sigmas))
        if plan.tolerance > 0 and entry["change"] <= plan.tolerance:
            told.tick(1 - (number + 1) / len(plan.sigmas))
            stopped = "tolerance"
            break
    return Result(step.image, history, stopped)


def _cure(method: str) -> str:
    """What to try where an iteration goes astray."""
    other = "" if method == "hqs" else "method='hqs', "
    return f"take {other}a larger sigma or less share, and look at adjoint and denoiser"


class _Step:
    """One iteration after the other."""

    def __init__(
        self, data: Any, forward: Forward, plan: Plan, denoiser: Denoiser, first: Any
    ) -> None:
        self.data, self.forward, self.plan = data, forward, plan
        self._denoiser = denoiser
        self.image = first
        self._dual: Any = 0 * first if plan.method == "admm" else None
        self._length = 1 / squared_norm(forward, first) if plan.method == "pgm" else 0.0

    def misfit(self, image: Any) -> float:
        """Squared distance from the data."""
        away = self.forward.apply(image).reshape(self.data.shape) - self.data
        return float((away * away).sum())

    def once(self, number: int, level: float) -> None:
        """Give the data their turn, and the denoiser."""
        plan, forward = self.plan, self.forward
        if plan.method == "pgm":
            rest = forward.apply(self.image).reshape(self.data.shape) - self.data
            moved = self.image - self._length * forward.adjoint(rest)
            self.image = self._denoised(moved, number, level)
            return
        weight = plan.share * plan.sigma**2 / level**2
        if plan.method == "hqs":
            fitted = forward.near(self.image, self.data, weight)
            self.image = self._denoised(fitted, number, level)
            return
        fitted = forward.near(self.image - self._dual, self.data, weight)
        self.image = self._denoised(fitted + self._dual, number, level)
        self._dual = self._dual + fitted - self.image

    def _denoised(self, image: Any, number: int, level: float) -> Any:
        """Call the denoiser, and look at what it returns."""
        turn = number % 8 if self.plan.turned else 0
        result = self._denoiser(_turned(image, turn), level)
        namespace = interop.namespace(image)
        if not hasattr(result, "shape") or tuple(result.shape) != _turned(image, turn).shape:
            raise ValueError(
                f"the denoiser returned {_shape_of(result)} in iteration {number}, for an image of "
                f"shape {_turned(image, turn).shape}"
            )
        back = _turned_back(namespace.asarray(result, dtype=np.float64), turn)
        if not bool(namespace.isfinite(back).all()):
            raise ValueError(
                f"the denoiser returned values that are NaN or infinite in iteration {number}, "
                f"for sigma={level:g}"
            )
        return back


def _shape_of(result: Any) -> str:
    return f"shape {tuple(result.shape)}" if hasattr(result, "shape") else f"{result!r:.40}"


def _turned(image: Any, turn: int) -> Any:
    """Turn an image by quarters, and mirror it."""
    mirrored = image.T if turn >= 4 else image
    namespace = interop.namespace(image)
    return namespace.ascontiguousarray(namespace.rot90(mirrored, turn % 4)) if turn else image


def _turned_back(image: Any, turn: int) -> Any:
    plain = interop.namespace(image).rot90(image, -(turn % 4))
    return plain.T if turn >= 4 else plain


def squared_norm(forward: Forward, image: Any) -> float:
    """Largest eigenvalue of the operator and its adjoint, by power iterations."""
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
