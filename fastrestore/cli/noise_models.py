"""The option --noise: a model to be estimated, one with its parameters, or a file."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import fastrestore
from fastrestore._noise.choice import MODELS as MODELS
from fastrestore.cli.errors import CommandError

POISSON, RICIAN, FILE = "poisson:", "rician:", ".npz"
POISSON_AUTO = "poisson:auto"


def parse(text: str) -> Any:
    """Return the argument `noise` of the library; ``poisson:auto`` as it is."""
    if text in MODELS or text == POISSON_AUTO:
        return text
    if text.startswith(POISSON):
        return _poisson(text)
    if text.startswith(RICIAN):
        return _rician(text)
    if text.lower().endswith(FILE):
        try:
            return fastrestore.NoiseSpec.load(text)
        except ValueError as error:
            raise CommandError(f"--noise: {error}") from None
    raise CommandError(
        f"--noise {text} is none of {', '.join(MODELS)}, poisson:GAIN,SIGMA, "
        f"poisson:GAIN,SIGMA,OFFSET, {POISSON_AUTO}, rician:SIGMA or a file SPEC{FILE}"
    )


def _poisson(text: str) -> fastrestore.PoissonGaussian:
    """Read ``poisson:GAIN,SIGMA`` or ``poisson:GAIN,SIGMA,OFFSET``."""
    numbers = _numbers(text.removeprefix(POISSON))
    gain, sigma, offset = (*numbers, 0.0)[:3] if len(numbers) in (2, 3) else [math.nan] * 3
    if not (0 < gain < math.inf and 0 <= sigma < math.inf and math.isfinite(offset)):
        raise CommandError(
            f"--noise {text} is not poisson:GAIN,SIGMA or poisson:GAIN,SIGMA,OFFSET with a "
            "positive gain and a non-negative sigma, in the file's own units; write for example "
            f"poisson:2.5,3 or poisson:2.5,3,100, or {POISSON_AUTO}"
        )
    return fastrestore.PoissonGaussian(gain, sigma, offset)


def _rician(text: str) -> fastrestore.Rician:
    """Read ``rician:SIGMA``."""
    numbers = _numbers(text.removeprefix(RICIAN))
    if len(numbers) != 1 or not 0 < numbers[0] < math.inf:
        raise CommandError(
            f"--noise {text} is not rician:SIGMA with a positive sigma, in the file's own units; "
            "write for example rician:20"
        )
    return fastrestore.Rician(numbers[0])


def _numbers(text: str) -> list[float]:
    """Read numbers separated by commas; an empty list if something else is there."""
    with contextlib.suppress(ValueError):
        return [float(word) for word in text.split(",")]
    return []
