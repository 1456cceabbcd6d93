"""What a command did with each file: lines of text, JSON and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.formats import BY_EXTENSION
from fastrestore._noise.choice import UNKNOWN, WHITE
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.spec_file import as_json
from fastrestore.cli.streams import shown as shown

CHANNELS = 4  # of which a line shows the noise level
RESTORED, SKIPPED, FAILED, PLANNED = "restored", "skipped", "failed", "planned"
TASTE = ("chroma_strength", "blend")  # options that change a result, and not the noise
_CURVE = 256  # numbers of a curve of the noise by brightness that details contain


@dataclass
class Outcome:
    """What was done with a file."""

    source: Path
    target: Path | None  # None if it was not decided on
    status: str
    details: dict[str, Any] = field(default_factory=dict)  # noise, method and others, for JSON
    seconds: float | None = None
    message: str = ""  # why it failed or was skipped
    kept: bool = False  # whether it was skipped because the result is up to date

    @property
    def place(self) -> str:
        """Return the result as it is written in reports."""
        return "" if self.target is None else shown(self.target)

    def line(self) -> str:
        """Return the line that is printed."""
        if self.status == SKIPPED:
            return f"{shown(self.source)}: skipped, {self.message}"
        parts = [] if not self.details else [noise_text(self.details), _method(self.details)]
        parts += [self.details.get("note", ""), hint(self.source, self.details)]
        parts += [] if self.seconds is None else [f"{self.seconds:.2f} s"]
        text = "; ".join(filter(None, parts))
        return f"{shown(self.source)} -> {self.place}{f': {text}' if text else ''}"

    def fields(self) -> dict[str, Any]:
        """Return an object for JSON."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        fields: dict[str, Any] = {"input": shown(self.source), "output": self.place or None}
        fields["status"] = self.status
        optional = {"message": self.message, "seconds": seconds, **self.details}
        optional.pop("note", None)  # words for the line, of what other fields contain
        return fields | {name: value for name, value in optional.items() if value not in (None, "")}


def details_of(info: Any) -> dict[str, Any]:
    """Return what a function estimated and used, from its `Info`."""
    noise = info.noise
    model = getattr(noise, "model", None) or (type(noise).__name__ if noise is not None else None)
    sigma = np.asarray(info.sigma, float)
    level = sigma if sigma.ndim < 2 else np.sqrt(np.square(sigma).mean())
    return {
        "noise": {
            "model": model if info.estimated or model else "given",
            "sigma": np.ravel(level).tolist(),
            "estimated": info.estimated,
            "reason": info.reason,
            **_curve(noise),
        },
        "strength": info.strength,
        "backend": info.backend,
    }


def _curve(noise: Any) -> dict[str, Any]:
    """Return the level of the noise by brightness, if it depends on it, and the distribution."""
    if not isinstance(noise, NoiseSpec) or noise.levels.size > _CURVE:
        return {}
    fields: dict[str, Any] = {}
    if noise.levels.shape[-1] > 1:
        fields |= {name: getattr(noise, name).tolist() for name in ("brightness", "levels")}
    if len(noise.sigma) > 1:
        fields["correlation"] = noise.correlation.tolist()
    if noise.distribution is not None:
        fields["distribution"] = as_json(noise.distribution)
    return fields


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return the counts of a batch."""
    counts = Counter(outcome.status for outcome in outcomes)
    total = sum(counts.values())
    words = [f"{counts[name]} {name}" for name in (RESTORED, PLANNED, SKIPPED, FAILED)
             if counts[name]]  # fmt: skip
    return ": ".join(filter(None, [f"{total} file{'' if total == 1 else 's'}", ", ".join(words)]))


def noise_text(details: dict[str, Any]) -> str:
    """Describe the noise."""
    noise = details.get("noise")
    if not noise:
        return ""
    levels = ", ".join(_number(sigma) for sigma in noise["sigma"][:CHANNELS])
    least, most = (_number(noise.get(name, 0)) for name in ("least", "most"))
    if least != most:  # of the planes of a stack
        levels = f"{least} to {most}"
    if not any(noise["sigma"]):
        return "no noise found" if noise.get("estimated") else "sigma 0"
    return f"{noise['model']} noise, sigma {levels}"


def hint(source: Path, details: dict[str, Any]) -> str:
    """Say what to try if an estimate may have left noise in an image; else return no text."""
    reason = (details.get("noise") or {}).get("reason", "")
    form = BY_EXTENSION.get(source.suffix.lower())
    if form is None:  # videos and volumes, whose noise is not that of one photograph
        return ""
    if reason.startswith(UNKNOWN):
        why = "noise and structure cannot be distinguished"
    elif reason == WHITE and form.name == "JPEG":
        why = "noise of JPEG files is rarely white"
    else:
        return ""
    return f"{why}: if noise is left, try --noise camera"


def _number(value: float) -> str:
    """Return a number of three digits or more, without an exponent if it is large."""
    return f"{value:.0f}" if 1000 <= value < 1e7 else f"{value:.3g}"


def _method(details: dict[str, Any]) -> str:
    """Describe the method, its parameters and the backend."""
    names = ("method", "profile", "backend")
    words = [str(details[name]) for name in names if details.get(name)]
    words += [f"alpha {details['alpha']:g}"] if "alpha" in details else []
    given = {name: details[name] for name in ("strength", *TASTE) if details.get(name, 1) != 1}
    return ", ".join(words + [f"{name.replace('_', ' ')} {x:g}" for name, x in given.items()])
