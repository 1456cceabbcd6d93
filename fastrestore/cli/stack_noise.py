"""Noise of the parts of a stack, for the line and the report."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_OF_PARTS = ("reason", "brightness", "levels", "correlation", "distribution")  # differ by part


class Part(NamedTuple):
    """What was found in an image, film or volume of a stack."""

    place: str  # such as "T=0, Z=3"
    details: dict[str, Any]


def pooled(parts: list[Part]) -> dict[str, Any]:
    """Return details of a stack: the noise of all parts, and what they have in common."""
    first = parts[0].details
    noises = [part.details["noise"] for part in parts if part.details.get("noise")]
    if len(parts) == 1 or len(noises) < len(parts):
        return first
    levels = [float(np.sqrt(np.square(each["sigma"]).mean())) for each in noises]
    models = dict.fromkeys(each["model"] for each in noises if any(each["sigma"]))
    noise = noises[0] | {
        "model": " and ".join(models) or noises[0]["model"],
        "sigma": np.sqrt(np.square([each["sigma"] for each in noises]).mean(0)).tolist(),
        "least": min(levels),
        "most": max(levels),
        "parts": [
            {"at": part.place} | {name: each[name] for name in ("model", "sigma", "reason")
                                  if name in each}
            for part, each in zip(parts, noises, strict=True)
        ],
    }  # fmt: skip
    for name in _OF_PARTS:
        noise.pop(name, None)
    return first | {"noise": noise}
