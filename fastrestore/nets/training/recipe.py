"""All numbers of a training: what is written beside weights repeats them."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastrestore.nets.discriminators import ADVERSARIES
from fastrestore.nets.network import Network
from fastrestore.nets.registry import KINDS, make
from fastrestore.nets.training.checks import check_sizes, typed

LOSSES = ("l1", "l2", "charbonnier")
PRECISIONS = ("float32", "bfloat16")
TASKS = ("noise", "small", "blurred", "degraded")

# Where a kind of training begins, by what the command line calls it
LARGER: dict[str, Any] = {"channels": 3, "task": "small", "patch": 128}
USUAL: dict[str, dict[str, Any]] = {
    "srresnet": LARGER,
    "srvgg": LARGER,
    "vsrgan": {
        "network": "vsrgan", "channels": 3, "task": "small", "frames": 10, "patch": 128, "batch": 4,
        "rate": 5e-5, "loss": "charbonnier", "warp": 1.0, "motion": 0.1, "adversary": "film",
        "adversary_rate": 5e-5, "adversarial": 0.01, "features": 0.1, "pingpong": 0.5, "lead": 0.4,
    },
    "gan": LARGER | {
        "network": "srresnet", "rate": 1e-4, "adversary": "unet", "pixel": 1.0, "features": 1.0,
        "adversarial": 0.005, "relativistic": True,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train, on what, and how.

    Attributes
    ----------
    network : str
        "dncnn", "unet", "ffdnet", "srresnet", "srvgg" or "vsrgan".
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
    loss : {"l1", "l2", "charbonnier"}
        Mean of absolute or squared differences, or of ``sqrt(difference**2 + 1e-6)``.
    precision : {"float32", "bfloat16"}
        Of products; weights and sums are float32.
    shrink : tuple of float
        Every photograph is seen at these scales, too, as smaller ones have finer detail.
    turned : bool
        Whether patches are turned by a quarter, too; they are mirrored always.
    task : {"noise", "small", "blurred", "degraded"}
        What is undone: white noise; Pillow's bicubic reduction by the scale of the network; a
        Gaussian blur of 1.5 pixels, of which every so many-th pixel is kept (films alone); blur,
        reduction, noise and JPEG, twice, to the same size.
    frames : int
        Of a film; 1 for images. Films are made of photographs by moving over them.
    adversary : {"", "vgg", "unet", "film"}
        A discriminator that is trained in turn with the network, which is then a GAN's generator;
        "film" sees three frames at once.
    adversary_sizes, adversary_rate
        Its sizes, and its step width.
    pixel, perceptual, features, adversarial : float
        Weights of what the network loses: differences of pixels, of features of a network that was
        trained to recognise things, of features of the discriminator, and its verdict.
    warp, motion, pingpong : float
        Of films: weights of differences between a frame and the one before, moved to it; between
        the flow that is found and the true one, in pixels, where a film is made of a photograph;
        and between the results when a film is played forward and then back. A network for films
        with ``pixel=0`` and no adversary learns flow alone, to begin with.
    lead : float
        The discriminator waits while the logarithm of its verdicts leads by so much; 0: never.
    relativistic : bool
        Whether the discriminator judges true and made images against each other.
    begin : str or tuple of str
        Weights to begin with, a name or a file, such as those of a training by pixels alone; a
        VSRGAN begins with an SRResNet, too, of as many blocks and features. Of several each one
        is taken over what those before it gave.
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
    task: str = "noise"
    adversary: str = ""
    adversary_sizes: dict[str, Any] = field(default_factory=dict)
    adversary_rate: float = 1e-4
    pixel: float = 1.0
    perceptual: float = 0.0
    features: float = 0.0
    adversarial: float = 0.0
    relativistic: bool = False
    frames: int = 1
    warp: float = 0.0
    motion: float = 0.0
    pingpong: float = 0.0
    lead: float = 0.0
    begin: str | tuple[str, ...] = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        checks = {
            "network": (self.network in KINDS, f"one of {', '.join(KINDS)}"),
            "channels": (self.channels in (1, 3), "1 or 3"),
            "sigma": (0 <= self.sigma[0] <= self.sigma[1] <= 255, "two numbers from 0 to 255"),
            "patch": (self.patch >= 16 and self.patch % 8 == 0, "a multiple of 8, 16 or more"),
            "adversary": (self.adversary in ("", *ADVERSARIES), "'', 'vgg', 'unet' or 'film'"),
            "patch for adversary='vgg'": (self.adversary != "vgg" or self.patch == 128, "128"),
            "patch for adversary='film'": (
                self.adversary != "film" or self.patch % 16 == 0,
                "a multiple of 16",
            ),
            "frames": (self.frames >= 1, "1 or more"),
            "frames with pingpong": (not self.pingpong or self.frames >= 2, "2 or more"),
            "frames for network='vsrgan'": (
                (self.frames > 1) == (self.network == "vsrgan"),
                "2 or more, for others 1",
            ),
            "adversary for films": (
                not self.adversary or (self.adversary == "film") == (self.frames > 1),
                "'film' for more than one frame, and for no other",
            ),
            "task of images": (self.task != "blurred" or self.frames > 1, "another than 'blurred'"),
            "batch": (self.batch >= 1, "1 or more"),
            "steps": (self.steps >= 1, "1 or more"),
            "rate": (0 < self.rate < 1, "between 0 and 1"),
            "warm": (self.warm >= 0, "0 or more"),
            "average": (0 <= self.average < 1, "from 0 to less than 1"),
            "loss": (self.loss in LOSSES, f"one of {', '.join(LOSSES)}"),
            "task": (self.task in TASKS, f"one of {', '.join(TASKS)}"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "shrink": (
                bool(self.shrink) and all(0 < s <= 1 for s in self.shrink),
                "scales of more than 0 and at most 1",
            ),
        }
        for name, (good, expected) in checks.items():
            if not good:
                value = getattr(self, name.split()[0])
                raise ValueError(f"{name} must be {expected}, got {value!r}")

    @property
    def flow_alone(self) -> bool:
        """Whether a network for films learns nothing but how things move."""
        return self.frames > 1 and not (self.pixel or self.perceptual or self.adversary)

    def beginnings(self) -> tuple[str, ...]:
        """What to begin with, one after the other."""
        return tuple(filter(None, (self.begin,) if isinstance(self.begin, str) else self.begin))

    def make(self) -> Network:
        """Make the network, not trained yet."""
        return make(self.network, self.channels, **self.sizes)

    def by_pixels(self) -> Recipe:
        """What a GAN begins with: the same network, that loses by differences of pixels alone."""
        return dataclasses.replace(
            self, rate=1e-3, adversary="", adversary_sizes={}, pixel=1.0, perceptual=0.0,
            features=0.0, adversarial=0.0, relativistic=False, pingpong=0.0, lead=0.0,
        )  # fmt: skip

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
        recipe = cls(**typed(cls, told))
        check_sizes(recipe.network, KINDS[recipe.network], recipe.sizes, "sizes")
        if recipe.adversary:
            made = ADVERSARIES[recipe.adversary]
            check_sizes(f"adversary={recipe.adversary!r}", made, recipe.adversary_sizes, "sizes")
        try:
            net = recipe.make()
        except (TypeError, ValueError) as error:
            raise ValueError(f"sizes of {recipe.network}: {error}") from None
        recipe.check_scale(net.scale)
        recipe.check_task(net)
        return recipe

    def check_scale(self, scale: int) -> None:
        """Refuse a patch that is not cut into whole pixels of small images, and what has none.

        Raises
        ------
        ValueError
            That says which would do.
        """
        step = math.lcm(8, scale)
        if self.patch % step:
            near = max(16, self.patch) // step * step or step
            raise ValueError(
                f"patch must be a multiple of {step} for scale {scale}, got {self.patch}; write "
                f"patch={near} or {near + step}"
            )

    def check_task(self, net: Network) -> None:
        """Refuse what is not undone by a network of its scale, or is of noise it has to be told.

        Raises
        ------
        ValueError
            That says which would do.
        """
        name, scale = f"task={self.task!r}", net.scale
        if self.task in ("noise", "degraded") and scale > 1:
            raise ValueError(
                f"{name} is for networks of scale 1, and this one has {scale}; write "
                "sizes.scale=1, or task=small"
            )
        if self.task == "small" and scale == 1:
            raise ValueError(
                f"{name} is for networks that enlarge, and this one has scale 1; write "
                "task=degraded, or sizes.scale=2"
            )
        if self.task != "noise" and net.takes_sigma:
            cure = "sizes.takes_sigma=false" if self.network == "unet" else "task=noise"
            raise ValueError(f"{name} tells {self.network} no noise; write {cure}")

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
