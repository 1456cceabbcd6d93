"""Time of the backward pass of `nets.BM3D` over its forward pass, and its accuracy.

``python bench/gradients.py [--workers N] [--profile NAME] [--size N]``. With ``--factors``: time of
`nets.LearnableBM3D` for an image and the gradients of its factors, by kernels and by PyTorch.
"""

import argparse
import time

import numpy as np
import torch
from photographs import SIGMA, noisy, photograph

from fastrestore import nets


def timed(function):
    """Return the wall time and the processor time of a call in milliseconds, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor), result


def inputs(size, by_pixel):
    """Return a noisy photograph and its level, which need gradients, and the photograph."""
    photo = photograph(size)
    image, clean = (
        torch.from_numpy(np.asarray(each, np.float32))[None, None] for each in (noisy(photo), photo)
    )
    level = torch.full((size, size) if by_pixel else (), float(SIGMA))
    return image.requires_grad_(True), level.requires_grad_(True), clean


def once(module, image, level, clean):
    """Time one forward and one backward pass."""
    *forward, restored = timed(lambda: module(image, level))
    loss = (restored - clean).square().mean()
    *backward, _ = timed(loss.backward)
    return np.array([forward, backward])


def disagreement(profile, by_pixel):
    """Largest difference of the gradients of numba and numpy, relative to the largest value."""
    found = []
    for backend in ("numpy", "numba"):
        image, level, clean = inputs(64, by_pixel)
        once(nets.BM3D(profile=profile, backend=backend), image, level, clean)
        found.append((image.grad, level.grad))
    pairs = zip(*found, strict=True)
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


def factors(size, profile):
    """Print the processor time of the gradients of factors, and how far the two ways agree."""
    found, times = [], []
    for is_short in (False, True):
        learnable = nets.LearnableBM3D(profile)
        for group in (learnable.windows, learnable.transforms, learnable.inverses):
            group.requires_grad_(not is_short)
        image, _, clean = inputs(size, by_pixel=False)
        image = image.detach()
        if is_short:
            once(learnable, image, SIGMA, clean)  # compile
            learnable.zero_grad()
        times.append(once(learnable, image, SIGMA, clean)[:, 1].sum() / 1e3)
        found.append(torch.cat([each.grad.flatten() for each in learnable.factors.values()]))
    slow, fast = found
    print(
        f"factors, {size}x{size}: {times[0]:.1f} s by PyTorch, {times[1]:.2f} s by kernels, "
        f"{times[0] / times[1]:.0f} times; largest difference {(slow - fast).abs().max():.1e} of "
        f"{slow.abs().max():.1e}"
    )


def main():
    """Print a line for sigma as a number, and one for a map."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--profile", default="np")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--factors", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.factors:
        factors(arguments.size, arguments.profile)
        return
    module = nets.BM3D(profile=arguments.profile, workers=arguments.workers, backend="numba")
    for by_pixel in (False, True):
        data = inputs(arguments.size, by_pixel)
        once(module, *data)  # compile
        rounds = np.median([once(module, *data) for _ in range(arguments.rounds)], axis=0)
        (wall, processor), (wall_back, processor_back) = rounds
        print(
            f"sigma {'map' if by_pixel else 'number':6}  forward {wall:.0f} ms, backward "
            f"{wall_back:.0f} ms, {wall_back / wall:.2f} times (processor time "
            f"{processor_back / processor:.2f}); numba and numpy differ by "
            f"{disagreement(arguments.profile, by_pixel):.1e}"
        )


if __name__ == "__main__":
    main()
