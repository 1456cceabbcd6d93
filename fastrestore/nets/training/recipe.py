"""Recipes: all parameters of a training, stored as JSON next to the weights."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastrestore._arrays import validate
from fastrestore.nets.discriminators import DISCRIMINATORS
from fastrestore.nets.network import Network
from fastrestore.nets.registry import KINDS
from fastrestore.nets.training.checks import check_known, from_json, shaped, typed

CHOICES: dict[str, tuple[str, ...]] = {
    "network": tuple(KINDS),
    "loss": ("l1", "l2", "charbonnier"),
    "precision": ("float32", "bfloat16"),
    "task": ("noise", "small", "blurred", "degraded", "photographs"),
    "adversary": ("", *DISCRIMINATORS),
}

# Defaults of the networks and of "gan", as they are called on the command line
LARGER: dict[str, Any] = {"channels": 3, "task": "small", "patch": 128}
USUAL: dict[str, dict[str, Any]] = {
    "refine": {"patch": 96, "batch": 8},
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
    """Parameters of a training.

    Trainings with the same recipe, photographs and device give identical weights.
    """

    network: str = "unet"  # one of KINDS
    channels: int = 1  # 1 for gray images, 3 for color
    sizes: dict[str, Any] = field(default_factory=dict)  # of the network, such as {"layers": 20}
    # Range of the standard deviation of the noise, on images from 0 to 255. It is drawn for each
    # patch from the uniform distribution; equal numbers give a constant sigma.
    sigma: tuple[float, float] = (0.0, 75.0)
    patch: int = 64  # side of a patch in pixels
    batch: int = 16  # number of patches in a step
    steps: int = 100_000  # number of steps of the optimizer, Adam
    rate: float = 1e-3  # largest learning rate, after linear warm-up; cosine decay to 0 follows
    warm: int = 500  # number of steps of the warm-up
    average: float = 0.999  # decay of the moving average of the weights, which is the result
    # Mean of absolute or squared differences, or of sqrt(difference**2 + 1e-6)
    loss: str = "l1"
    precision: str = "float32"  # of products; weights and sums are float32
    # Factors by which the photographs are resized; reduced photographs have finer detail
    shrink: tuple[float, ...] = (1.0,)
    turned: bool = True  # whether patches are rotated by 90 degrees; they are always reflected
    # "noise": white noise. "small": reduction by the scale of the network with the bicubic filter
    # of Pillow. "blurred": a Gaussian blur of 1.5 pixels followed by decimation (videos only).
    # "degraded": blur, resizing, noise and JPEG compression, twice, at the same size.
    # "photographs": blur, noise of a camera and JPEG compression, or nothing.
    task: str = "noise"
    # Discriminator, for the training of the network as the generator of a GAN, with its sizes and
    # learning rate. "film" takes three frames of a video.
    adversary: str = ""
    adversary_sizes: dict[str, Any] = field(default_factory=dict)
    adversary_rate: float = 1e-4
    # Weights of the losses of the network: differences of pixels, of features of a network for
    # image classification and of features of the discriminator, and the adversarial loss
    pixel: float = 1.0
    perceptual: float = 0.0
    features: float = 0.0
    adversarial: float = 0.0
    relativistic: bool = False  # whether the adversarial loss is the relativistic average one
    # Number of noise draws of each photograph that are restored by BM3D and stored, for "refine"
    draws: int = 8
    # Frames of a video; 1 for images. Videos are simulated from photographs by a moving camera.
    frames: int = 1
    # Weights of the losses for videos: difference between a frame and the one before, warped by
    # the flow; distance between the flow and the true flow in pixels, for simulated videos; and
    # difference between the results for a video in forward and in reverse order. With pixel=0 and
    # no discriminator only the flow network is trained.
    warp: float = 0.0
    motion: float = 0.0
    pingpong: float = 0.0
    # The discriminator is not updated while the difference of its mean log probabilities of real
    # and fake images exceeds this; 0 for no limit
    lead: float = 0.0
    # Initial weights, names or files, such as those of a training with the pixel loss only. A
    # VSRGAN also takes those of an SRResNet of the same number of blocks and features, and a Refine
    # for color those of one for gray images. Later weights replace those from earlier files.
    begin: str | tuple[str, ...] = ""
    seed: int = 0  # of all random numbers

    def __post_init__(self) -> None:
        """Raise if a value is invalid."""
        for name, least in {"batch": 1, "steps": 1, "warm": 0, "frames": 1, "draws": 1}.items():
            validate.integer(name, getattr(self, name), least=least)
        for name, options in CHOICES.items():
            validate.choice(name, getattr(self, name), options)
        checks = {
            "channels": (self.channels in (1, 3), "1 or 3"),
            "sigma": (
                0 <= self.sigma[0] <= self.sigma[1] <= 255,
                "two increasing numbers from 0 to 255",
            ),
            "patch": (self.patch >= 16 and self.patch % 8 == 0, "a multiple of 8, 16 or more"),
            "patch for adversary='vgg'": (self.adversary != "vgg" or self.patch == 128, "128"),
            "patch for adversary='film'": (
                self.adversary != "film" or self.patch % 16 == 0,
                "a multiple of 16",
            ),
            "frames with pingpong": (not self.pingpong or self.frames >= 2, "2 or more"),
            "frames for network='vsrgan'": (
                (self.frames > 1) == (self.network == "vsrgan"),
                "2 or more; for other networks it must be 1",
            ),
            "adversary for videos": (
                not self.adversary or (self.adversary == "film") == (self.frames > 1),
                "'film' if and only if frames is above 1",
            ),
            "task of images": (self.task != "blurred" or self.frames > 1, "another than 'blurred'"),
            "seed": (abs(self.seed) < 2**23, "between -8388608 and 8388608"),
            "rate": (0 < self.rate < 1, "between 0 and 1"),
            "average": (0 <= self.average < 1, "from 0 to less than 1"),
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
        """Whether only the flow network is trained."""
        return self.frames > 1 and not (self.pixel or self.perceptual or self.adversary)

    def beginnings(self) -> tuple[str, ...]:
        """Return the names or files of the initial weights, in order."""
        return tuple(filter(None, (self.begin,) if isinstance(self.begin, str) else self.begin))

    def make(self) -> Network:
        """Return the network with random weights."""
        return KINDS[self.network](self.channels, **self.sizes)

    def by_pixels(self) -> Recipe:
        """Return the recipe of the training before that of a GAN: with the pixel loss only."""
        return dataclasses.replace(
            self, rate=1e-3, adversary="", adversary_sizes={}, pixel=1.0, perceptual=0.0,
            features=0.0, adversarial=0.0, relativistic=False, pingpong=0.0, lead=0.0,
        )  # fmt: skip

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        rising = min(1.0, (step + 1) / max(1, self.warm))
        return self.rate * rising * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def text(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Recipe:
        """Return the recipe with these values; raise if a name is unknown or a value is invalid."""
        known = sorted(each.name for each in dataclasses.fields(cls))
        check_known("a recipe has no", values, known)
        values = {
            name: tuple(value) if isinstance(value, list) and name != "sizes" else value
            for name, value in values.items()
        }
        recipe = cls(**typed(cls, values))
        net = shaped(recipe.network, KINDS[recipe.network], recipe.channels, recipe.sizes)
        if recipe.adversary:
            name, kind = f"adversary={recipe.adversary!r}", DISCRIMINATORS[recipe.adversary]
            shaped(name, kind, recipe.channels, recipe.adversary_sizes)
        recipe.check_scale(net.scale)
        recipe.check_task(net)
        return recipe

    def check_scale(self, scale: int) -> None:
        """Raise unless the patch is a whole number of pixels after reduction."""
        step = math.lcm(8, scale)
        if self.patch % step:
            near = max(16, self.patch) // step * step or step
            raise ValueError(
                f"patch must be a multiple of {step} for scale {scale}, got {self.patch}; write "
                f"patch={near} or {near + step}"
            )

    def check_task(self, net: Network) -> None:
        """Raise if the task does not suit the scale or the inputs of the network."""
        name, scale = f"task={self.task!r}", net.scale
        if self.task in ("noise", "degraded", "photographs") and scale > 1:
            raise ValueError(
                f"{name} is for networks of scale 1, and this one has scale {scale}; write "
                "sizes.scale=1, or task=small"
            )
        if self.task == "small" and scale == 1:
            raise ValueError(
                f"{name} is for networks that enlarge, and this one has scale 1; write "
                "task=degraded, or sizes.scale=2"
            )
        if self.network == "refine" and (self.adversary or self.perceptual):
            raise ValueError(
                "refine is trained by the difference of pixels alone; leave out adversary= and "
                "perceptual="
            )
        if self.task != "noise" and net.takes_sigma:
            cure = "sizes.takes_sigma=false" if self.network == "unet" else "task=noise"
            raise ValueError(f"{name} has no sigma, which {self.network} needs; write {cure}")

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe from a file of JSON."""
        try:
            values = from_json(path.read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise ValueError(f"it contains a {type(values).__name__}")
            return cls.of(values)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"{path} is not a recipe: {error}") from None
