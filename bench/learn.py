"""Learn the numbers of a profile from photographs: factors, windows and transforms.

    python bench/learn.py --images BSDS500 --only BSD432_ids.txt --state learned.pt
    python bench/learn.py ... --parameters factors --crop 256 --similar 0.35 --scaled 0.35
    python bench/learn.py --state learned.pt --test Set12 BSD68
    python bench/learn.py ... --write learned.py

The third command prints the gains on test images, and learns nothing. The last one writes the
result as a module. The state is saved every few steps, and the command continues from it. Crops
are of the photographs in the list but for `--held` of them, and as many of the third that gains
most from grouping (`--similar` of the crops are of that third). Their mean gain in PSNR over the
profile to begin with is printed for both groups, by noise level, with the lowest gain of a
photograph. Use a single thread: OMP_NUM_THREADS=1.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from photographs import gray, psnr
from PIL import Image

import fastrestore
from fastrestore import Profile
from fastrestore.nets import LearnableBM3D

SIGMAS = (15, 25, 50)
LEVELS = ((10, 20), (20, 35), (35, 60))  # a level of each range for a crop
SCALES = (0.75, 1.8)
RATES = {"factors": 0.03, "windows": 0.004, "transforms": 0.001, "inverses": 0.0015}
HELD_CROP = 256
MEMORY = 0.95  # of the mean of the parameters over the last steps, which is the result


def main():
    """Learn, and print the gain on the photographs that are held out."""
    options = arguments()
    if options.test:
        test(options)
        return
    names = options.only.read_text().split() if options.only else None
    paths = sorted(
        path
        for path in options.images.rglob("*.jpg")
        if names is None or path.relative_to(options.images).as_posix() in names
    )
    paths = [paths[k] for k in np.random.default_rng(0).permutation(len(paths))]
    similar = most_similar(paths)
    groups = {
        "others": [path for path in paths if path not in similar][: options.held],
        "similar": similar[: options.held],
    }
    held = {name: Held(group, options.profile) for name, group in groups.items()}
    learning = Learning(options, *(without(each, groups) for each in (paths, similar)))
    while learning.step < options.steps:
        learning.advance()
        if learning.step % options.every == 0 or learning.step == options.steps:
            learning.save()
            for name, each in held.items():
                print(learning.step, name, each.gains(learning.result()), flush=True)
    if options.write:
        options.write.write_text(module(learning.result(), options.parameters))


def test(options):
    """Print the gains on test images, and the processor time relative to that before."""
    learned = LearnableBM3D(options.profile)
    learned.load_state_dict(torch.load(options.state, weights_only=True)["mean"])
    profile = learned.to_profile("tuned")
    for folder in options.test:
        held = Held(sorted(folder.glob("*.png")), options.profile, whole=True)
        print(folder.name, held.gains(profile), f"time {held.ratio(profile):.3f}", flush=True)


def arguments():
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description="learn the numbers of a profile")
    parser.add_argument("--images", type=Path, metavar="DIR")
    parser.add_argument("--test", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--only", type=Path, metavar="FILE", help="paths in DIR that are used")
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="to resume from")
    parser.add_argument("--profile", default="np", help="to begin with")
    parser.add_argument(
        "--begin", type=Path, metavar="FILE", help="state whose result to begin with"
    )
    parser.add_argument("--stage", choices=("both", "basic", "final"), default="both")
    parser.add_argument("--parameters", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--crop", type=int, default=96, metavar="PIXELS")
    parser.add_argument("--similar", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--scaled", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--rate", type=float, default=1.0, help="factor for the learning rates")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--crops", type=int, default=2, help="in a step, at each noise level")
    parser.add_argument("--held", type=int, default=16, help="photographs that are held out")
    parser.add_argument("--every", type=int, default=15, help="steps between measurements")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the profile as Python")
    options = parser.parse_args()
    if not (options.images or options.test):
        parser.error("--images or --test is needed")
    return options


class Learning:
    """The module, its optimizer, and the mean of its parameters."""

    def __init__(self, options, paths, similar):
        self.options, self.paths, self.similar, self.step = options, paths, similar, 0
        self.denoiser, self.mean = LearnableBM3D(options.profile), LearnableBM3D(options.profile)
        if options.begin:
            for net in (self.denoiser, self.mean):
                net.load_state_dict(torch.load(options.begin, weights_only=True)["mean"])
        for name, parameter in self.denoiser.named_parameters():
            kind, stage = name.split(".")
            is_learned = options.stage in ("both", stage) and kind in options.parameters
            parameter.requires_grad_(is_learned)
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
            clean = self.sample(rng)
            for limits in LEVELS:
                sigma = float(rng.uniform(*limits))
                noisy = clean + sigma * rng.standard_normal(clean.shape)
                image, truth = (
                    torch.from_numpy(each.astype(np.float32))[None, None] for each in (noisy, clean)
                )
                error = (self.denoiser(image, sigma) - truth).square().mean()
                (10 * error.log10() / (len(LEVELS) * self.options.crops)).backward()
        self.optimizer.step()
        self.step += 1
        weight = max(1 - MEMORY, 1 / self.step)
        with torch.no_grad():
            for own, new in zip(self.mean.parameters(), self.denoiser.parameters(), strict=True):
                own.lerp_(new, weight)

    def sample(self, rng):
        """Return a part of a photograph."""
        paths = self.similar if rng.random() < self.options.similar else self.paths
        image = gray(paths[rng.integers(len(paths))])
        if rng.random() < self.options.scaled:
            image = scaled(image, rng.uniform(*SCALES))
        return crop(image, rng, min(self.options.crop, *image.shape))


class Held:
    """Photographs to measure on."""

    def __init__(self, paths, profile, whole=False):
        rng = np.random.default_rng(0)
        images = [gray(path) for path in paths]
        self.clean = images if whole else [crop(each, rng, HELD_CROP) for each in images]
        self.profile = Profile.named(profile)
        self.before = self.measure(self.profile)

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

    def ratio(self, profile):
        """Return processor time relative to the profile to begin with, in turns, image by image."""
        times = np.zeros(2)
        for k, clean in enumerate(self.clean):
            for which, each in enumerate((profile, self.profile)):
                started = time.process_time()
                restored(clean, SIGMAS[k % len(SIGMAS)], k, each)
                times[which] += time.process_time() - started
        return times[0] / times[1]


def restored(clean, sigma, seed, profile):
    """Restore an image with noise of a seed."""
    noisy = clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)
    return fastrestore.bm3d(noisy, sigma, profile=profile, workers=1)


def most_similar(paths):
    """Return the third of the photographs in which grouping gains most, in their order."""
    one = Profile.named("balanced").replace(group_basic=1, group_final=1)
    gains = []
    for seed, path in enumerate(paths):
        clean = gray(path)[:HELD_CROP, :HELD_CROP]
        alone, grouped = (psnr(clean, restored(clean, 25, seed, p)) for p in (one, "balanced"))
        gains.append(grouped - alone)
    least = np.quantile(gains, 2 / 3)
    return [path for path, gain in zip(paths, gains, strict=True) if gain >= least]


def without(paths, groups):
    """Return the paths that are in none of the groups."""
    return [path for path in paths if not any(path in group for group in groups.values())]


def scaled(image, factor):
    """Return an image with other numbers of rows and columns."""
    height, width = image.shape
    size = round(factor * width), round(factor * height)
    larger = Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(larger, float), 0, 255)


def crop(image, rng, size):
    """Return a random part of an image."""
    top, left = (int(rng.integers(n - size + 1)) for n in image.shape)
    return image[top : top + size, left : left + size]


def module(profile, kinds):
    """Return a Python module with the arrays of a profile, of the kinds that were learned."""
    lines = ['"""Arrays of a profile, written by `bench/learn.py`."""', "", "# fmt: off"]
    for stage, factors in (("basic", "threshold_factors"), ("final", "wiener_factors")):
        fields = {
            "factors": (factors, 3),
            "windows": (f"window_{stage}", 4),
            "transforms": (f"transform_{stage}", 7),
            "inverses": (f"inverse_{stage}", 7),
        }
        for field, digits in (fields[kind] for kind in kinds):
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
