"""Learn the numbers of a profile from photographs: factors, windows and transforms.

    python bench/learn.py --images BSDS500 --only BSD432_ids.txt --state learned.pt
    python bench/learn.py ... --write fastrestore/_collaborative/tuned.py

The second command writes the result as the profile "tuned". The state is saved every few steps, and
the command continues from it. Crops are of the photographs in the list but for `--held` of them,
whose mean gain in PSNR over the profile to begin with is printed, by noise level, with the lowest
gain of a photograph. Use a single thread: OMP_NUM_THREADS=1.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from photographs import gray, psnr

import fastrestore
from fastrestore import Profile
from fastrestore.nets import LearnableBM3D

SIGMAS = (15, 25, 50)
RATES = {"factors": 0.03, "windows": 0.004, "transforms": 0.001, "inverses": 0.0015}
CROP, HELD_CROP = 96, 160
MEMORY = 0.95  # of the mean of the parameters over the last steps, which is the result


def main():
    """Learn, and print the gain on the photographs that are held out."""
    options = arguments()
    names = options.only.read_text().split() if options.only else None
    paths = sorted(
        path
        for path in options.images.rglob("*.jpg")
        if names is None or path.relative_to(options.images).as_posix() in names
    )
    paths = [paths[k] for k in np.random.default_rng(0).permutation(len(paths))]
    learning = Learning(options, paths[options.held :])
    held = Held(paths[: options.held], options.profile)
    while learning.step < options.steps:
        learning.advance()
        if learning.step % options.every == 0 or learning.step == options.steps:
            learning.save()
            print(learning.step, held.gains(learning.result()), flush=True)
    if options.write:
        options.write.write_text(module(learning.result()))


def arguments():
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description="learn the numbers of a profile")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR that are used")
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="to resume from")
    parser.add_argument("--profile", default="np", help="to begin with")
    parser.add_argument(
        "--begin", type=Path, metavar="FILE", help="state whose result to begin with"
    )
    parser.add_argument("--stage", choices=("both", "basic", "final"), default="both")
    parser.add_argument("--rate", type=float, default=1.0, help="factor for the learning rates")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--crops", type=int, default=2, help="in a step, at each noise level")
    parser.add_argument("--held", type=int, default=16, help="photographs that are held out")
    parser.add_argument("--every", type=int, default=15, help="steps between measurements")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the profile as Python")
    return parser.parse_args()


class Learning:
    """The module, its optimizer, and the mean of its parameters."""

    def __init__(self, options, paths):
        self.options, self.paths, self.step = options, paths, 0
        self.denoiser, self.mean = LearnableBM3D(options.profile), LearnableBM3D(options.profile)
        if options.begin:
            for net in (self.denoiser, self.mean):
                net.load_state_dict(torch.load(options.begin, weights_only=True)["mean"])
        for name, parameter in self.denoiser.named_parameters():
            parameter.requires_grad_(options.stage == "both" or name.endswith(options.stage))
        groups = [
            {
                "params": getattr(self.denoiser, name).parameters(),
                "lr": 0,
                "rate": options.rate * rate,
            }
            for name, rate in RATES.items()
        ]
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
        if options.state.exists():
            state = torch.load(options.state, weights_only=True)
            self.step = state["step"]
            self.denoiser.load_state_dict(state["denoiser"])
            self.mean.load_state_dict(state["mean"])
            self.optimizer.load_state_dict(state["optimizer"])

    def save(self):
        """Save the state."""
        names = ("denoiser", "mean", "optimizer")
        states = {name: getattr(self, name).state_dict() for name in names}
        torch.save({"step": self.step, **states}, self.options.state)

    def result(self):
        """Return the profile of the mean."""
        return self.mean.to_profile("tuned")

    def advance(self):
        """Take one step of the optimizer; the rates fall linearly to zero."""
        rng = np.random.default_rng(self.step)
        fall = 1 - self.step / self.options.steps
        for group in self.optimizer.param_groups:
            group["lr"] = fall * group["rate"]
        self.optimizer.zero_grad()
        for _ in range(self.options.crops):
            clean = crop(gray(self.paths[rng.integers(len(self.paths))]), rng, CROP)
            for sigma in SIGMAS:
                noisy = clean + sigma * rng.standard_normal(clean.shape)
                image, truth = (
                    torch.from_numpy(each.astype(np.float32))[None, None] for each in (noisy, clean)
                )
                error = (self.denoiser(image, sigma) - truth).square().mean()
                (10 * error.log10() / (len(SIGMAS) * self.options.crops)).backward()
        self.optimizer.step()
        self.step += 1
        weight = max(1 - MEMORY, 1 / self.step)
        with torch.no_grad():
            for own, new in zip(self.mean.parameters(), self.denoiser.parameters(), strict=True):
                own.lerp_(new, weight)


class Held:
    """Photographs to measure on."""

    def __init__(self, paths, profile):
        rng = np.random.default_rng(0)
        self.clean = [crop(gray(path), rng, HELD_CROP) for path in paths]
        self.before = self.measure(Profile.named(profile))

    def measure(self, profile):
        """Return the PSNR of each photograph at each noise level."""
        return np.array(
            [
                [
                    psnr(clean, np.clip(restored(clean, sigma, k, profile), 0, 255))
                    for sigma in SIGMAS
                ]
                for k, clean in enumerate(self.clean)
            ]
        )

    def gains(self, profile):
        """Describe the gains of a profile."""
        gains = self.measure(profile) - self.before
        levels = " ".join(f"{gain:+.3f}" for gain in gains.mean(0))
        return f"mean {gains.mean():+.4f} dB ({levels}), lowest {gains.min():+.3f}"


def restored(clean, sigma, seed, profile):
    """Restore an image with noise of a seed."""
    noisy = clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)
    return fastrestore.bm3d(noisy, sigma, profile=profile, workers=1)


def crop(image, rng, size):
    """Return a random part of an image."""
    top, left = (int(rng.integers(n - size + 1)) for n in image.shape)
    return image[top : top + size, left : left + size]


def module(profile):
    """Return a Python module with the arrays of a profile."""
    title = '"""The arrays of the profile "tuned", written by `bench/learn.py`."""'
    lines = [title, "", "# fmt: off"]
    for stage, factors in (("basic", "threshold_factors"), ("final", "wiener_factors")):
        matrices = {f"transform_{stage}": 7, f"inverse_{stage}": 7}
        for field, digits in {factors: 3, f"window_{stage}": 4, **matrices}.items():
            lines += [f"{field.upper()} = {text(getattr(profile, field), digits)}"]
    return "\n".join([*lines, ""])


def text(values, digits, indent=0):
    """Write nested tuples, with a vector on each line."""
    if isinstance(values[0], float):
        return "(" + ", ".join(f"{value:.{digits}f}" for value in values) + ")"
    space = " " * (indent + 4)
    rows = "".join(f"{space}{text(row, digits, indent + 4)},\n" for row in values)
    return f"(\n{rows}{' ' * indent})"


if __name__ == "__main__":
    main()
