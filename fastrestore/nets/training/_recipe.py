"""All numbers of a training: what is written beside weights repeats them."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastrestore.nets._network import Network
from fastrestore.nets._networks import KINDS, make

LOSSES = ("l1", "l2")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train, on what, and how.

    Attributes
    ----------
    network : str
        "dncnn", "unet" or "ffdnet".
    channels : int
        1 for gray images, 3 for colour.
    sizes : dict
        Other arguments of the network, such as ``{"layers": 20}``.
    sigma : (float, float)
        Noise of a patch is drawn evenly from here, on images from 0 to 255; two equal numbers for
        one sigma.
    patch : int
        Side of a patch in pixels.
    batch : int
        Patches of a step.
    steps : int
        Steps of the optimiser (Adam).
    rate : float
        Largest step width. It rises to that in the first `warm` steps and falls to 0 by half a
        cosine.
    warm : int
    average : float
        Weights that come out are running means over about 1 / (1 - average) steps.
    loss : {"l1", "l2"}
        Mean of absolute or squared differences.
    precision : {"float32", "bfloat16"}
        Of products; weights and sums are float32.
    shrink : tuple of float
        Every photograph is seen at these scales, too, as smaller ones have finer detail.
    turned : bool
        Whether patches are turned by a quarter, too; they are mirrored always.
    seed : int
        Two runs with the same recipe and photographs on one device are equal, bit by bit.
    """

    network: str = "unet"
    channels: int = 1
    sizes: dict[str, Any] = field(default_factory=dict)
    sigma: tuple[float, float] = (0.0, 75.0)
    patch: int = 64
    batch: int = 16
    steps: int = 100_000
    rate: float = 1e-3
    warm: int = 500
    average: float = 0.999
    loss: str = "l1"
    precision: str = "float32"
    shrink: tuple[float, ...] = (1.0,)
    turned: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        checks = {
            "network": (self.network in KINDS, f"one of {', '.join(KINDS)}"),
            "channels": (self.channels in (1, 3), "1 or 3"),
            "sigma": (0 <= self.sigma[0] <= self.sigma[1] <= 255, "two numbers from 0 to 255"),
            "patch": (self.patch >= 16 and self.patch % 8 == 0, "a multiple of 8, 16 or more"),
            "batch": (self.batch >= 1, "1 or more"),
            "steps": (self.steps >= 1, "1 or more"),
            "rate": (0 < self.rate < 1, "between 0 and 1"),
            "warm": (self.warm >= 0, "0 or more"),
            "average": (0 <= self.average < 1, "from 0 to less than 1"),
            "loss": (self.loss in LOSSES, f"one of {', '.join(LOSSES)}"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "shrink": (
                bool(self.shrink) and all(0 < s <= 1 for s in self.shrink),
                "scales of more than 0 and at most 1",
            ),
        }
        for name, (good, expected) in checks.items():
            if not good:
                raise ValueError(f"{name} must be {expected}, got {getattr(self, name)!r}")

    def make(self) -> Network:
        """Make the network, not trained yet."""
        return make(self.network, self.channels, **self.sizes)

    def rate_at(self, step: int) -> float:
        """Step width of a step."""
        rising = min(1.0, (step + 1) / max(1, self.warm))
        return self.rate * rising * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def text(self) -> str:
        """Write as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Recipe:
        """Make a recipe of names and values.

        Raises
        ------
        ValueError
            If a name is unknown, or a value is not what it has to be.
        """
        names = {each.name for each in dataclasses.fields(cls)}
        unknown = sorted(set(told) - names)
        if unknown:
            known = ", ".join(sorted(names))
            raise ValueError(f"a recipe has no {', '.join(unknown)}; it has {known}")
        told = {k: tuple(v) if isinstance(v, list) and k != "sizes" else v for k, v in told.items()}
        try:
            recipe = cls(**told)
            recipe.make()
        except TypeError as error:
            raise ValueError(f"the recipe makes no network: {error}") from None
        return recipe

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read what `text` wrote.

        Raises
        ------
        ValueError
            If it is no recipe.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(told, dict):
                raise ValueError(f"it holds a {type(told).__name__}")
            return cls.of(told)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"{path} is no recipe: {error}") from None
