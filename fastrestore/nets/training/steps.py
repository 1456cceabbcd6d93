"""One training step: an update of the network, and of the discriminator if there is one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastrestore.nets.discriminators import gan_losses
from fastrestore.nets.frnet import VSRGAN, neighbors, warped
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import Patches
from fastrestore.nets.training.pairs import Pairs
from fastrestore.nets.training.perceptual import Perceptual
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.state import State
from fastrestore.nets.training.tasks import draw_degraded, draw_degraded_videos
from fastrestore.nets.video_discriminator import triplets

CLIP = 1.0  # largest norm of a gradient
SHIFT = 8  # largest random shift of the input of the discriminator, in pixels
# Collapse of a GAN: factor of the running mean of the accuracy, its bounds, and steps beyond them
SMOOTHING, LEAST, PATIENCE = 0.99, 0.005, 2000


class Output(NamedTuple):
    """Losses of the network, and the input of the discriminator."""

    losses: dict[str, Tensor]
    fake: Tensor
    real: Tensor


def step(
    state: State, source: Patches | Pairs | Clips, perceptual: Perceptual | None = None
) -> dict[str, float]:
    """Do one step; return the losses by name."""
    recipe = state.recipe
    if isinstance(source, Clips):
        output = _restore_videos(state, source, perceptual)
    else:
        output = _restore_images(state, source, perceptual)
    losses: dict[str, Tensor] = output.losses
    if state.discriminator is not None:
        losses |= _discriminator_losses(state, output)
    total = torch.stack(list(losses.values())).sum()
    advance(state.adam, total, recipe.rate_at(state.step))
    if state.discriminator is not None:
        losses |= discriminator_step(state, output)
        if recipe.adversarial:
            scaled = losses["adversarial"].detach() / recipe.adversarial
            losses["ratio"] = scaled / losses["adversary"]
    state.step += 1
    state.average()
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not np.isfinite(list(values.values())).all():
        raise FloatingPointError(
            f"the loss of step {state.step} is {float(total.detach())}; try a smaller rate"
        )
    return values


def _restore_images(
    state: State, patches: Patches | Pairs, perceptual: Perceptual | None
) -> Output:
    """Run the network on degraded patches."""
    recipe = state.recipe
    random = state.random()
    sigma: Tensor | None
    if isinstance(patches, Pairs):
        seen, sigma, target = patches.draw(state.step, random)
    else:
        seen, sigma, target = draw_degraded(recipe, patches, random)
    # The target, too: gradients take its memory order, and other orders are slow
    seen, target = (each.contiguous(memory_format=torch.channels_last) for each in (seen, target))
    with autocast(state):
        restored = state.net.train()(seen, sigma).float()
        losses = {"pixel": recipe.pixel * difference(restored, target, recipe.loss)}
        if recipe.adversary == "vgg":  # takes one size only
            pair = restored, target
        else:
            pair = shifted(restored, target, random)
        if perceptual is not None and recipe.perceptual:
            losses["perceptual"] = recipe.perceptual * perceptual(*pair)
    return Output(losses, *pair)


def shifted(fake: Tensor, real: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crop both images to the same random position.

    Discriminators downsample by strided convolutions. Without the shift some positions modulo the
    stride have less influence on the loss, and generators learn grid artifacts there.
    """
    spare = min(SHIFT, min(fake.shape[-2:]) // 4)
    top, left = torch.randint(spare + 1, (2,), generator=random, device=random.device).tolist()
    height, width = (n - spare for n in fake.shape[-2:])
    crop = (..., slice(top, top + height), slice(left, left + width))
    return fake[crop], real[crop]


def _restore_videos(state: State, clips: Clips, perceptual: Perceptual | None) -> Output:
    """Run the network on degraded videos; with the ping-pong loss forward and then backward."""
    recipe, net = state.recipe, state.net
    assert isinstance(net, VSRGAN)
    random = state.random()
    seen, target, true_flows = draw_degraded_videos(recipe, clips, random, net.scale)
    if recipe.flow_alone:
        with autocast(state):
            pair = neighbors(seen)
            flows = net.train().flow(*pair).float()
            return Output(_flow_losses(recipe, flows, true_flows, pair), seen, seen)
    if recipe.pingpong:
        seen, target = (torch.cat([each, each[:, :-1].flip(1)], 1) for each in (seen, target))
    with autocast(state):
        restored, flows = net.train().video(seen)
        restored = restored.float()
        losses = {"pixel": recipe.pixel * difference(restored, target, recipe.loss)}
        flat = flows.flatten(0, 1).float()
        losses |= _flow_losses(recipe, flat, true_flows, neighbors(seen))
        if recipe.pingpong:
            forward = restored[:, : recipe.frames - 1]
            backward = restored[:, recipe.frames :].flip(1)
            losses["pingpong"] = recipe.pingpong * difference(forward, backward, recipe.loss)
        if perceptual is not None and recipe.perceptual:
            pair = shifted(restored.flatten(0, 1), target.flatten(0, 1), random)
            losses["perceptual"] = recipe.perceptual * perceptual(*pair)
        if state.discriminator is None:
            return Output(losses, restored, target)
        return Output(losses, *(triplets(net, videos, seen) for videos in (restored, target)))


def _flow_losses(
    recipe: Recipe, flows: Tensor, true: Tensor, pair: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Return the losses of the flow: of warped frames, and of the distance to the true flow.

    The true flow (B, T - 1, 2, H, W) is that of the forward direction; NaN where unknown.
    """
    losses, (now, before) = {}, pair
    if recipe.warp:
        losses["warp"] = recipe.warp * difference(warped(before, flows), now, recipe.loss)
    if recipe.motion:
        batch, count = true.shape[:2]
        forward = flows.view(batch, -1, *flows.shape[1:])[:, :count]
        known = torch.isfinite(true)
        squared = (forward - torch.where(known, true, forward.detach())).square().sum(2)
        share = known.float().mean().clamp_min(1e-6)
        losses["motion"] = recipe.motion * ((squared + 1e-6).sqrt() - 1e-3).mean() / share
    return losses


def difference(restored: Tensor, target: Tensor, kind: str) -> Tensor:
    """Return the mean difference by the loss function of a recipe."""
    error = restored - target
    if kind == "charbonnier":
        return (error.square() + 1e-6).sqrt().mean()
    return error.abs().mean() if kind == "l1" else error.square().mean()


def advance(adam: torch.optim.Adam, loss: Tensor, rate: float) -> None:
    """Update the weights of one optimizer."""
    for group in adam.param_groups:
        group["lr"] = rate
    adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [value for group in adam.param_groups for value in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, CLIP)
    adam.step()


def _discriminator_losses(state: State, output: Output) -> dict[str, Tensor]:
    """Return the losses that use the discriminator, whose weights are not updated."""
    recipe, discriminator = state.recipe, state.discriminator
    assert discriminator is not None
    discriminator.requires_grad_(False).eval()
    losses = {}
    with autocast(state):
        if recipe.features:
            features: Any = discriminator.features
            pairs = zip(features(output.fake), features(output.real), strict=True)
            distances = [(fake - real).abs().mean().float() for fake, real in pairs]
            losses["features"] = recipe.features * torch.stack(distances).mean()
        if recipe.adversarial:
            fake, real = discriminator(output.fake).float(), discriminator(output.real).float()
            generator = gan_losses(real, fake, recipe.relativistic)[1]
            losses["adversarial"] = recipe.adversarial * generator
    return losses


def discriminator_step(state: State, output: Output) -> dict[str, Tensor]:
    """Update the discriminator, unless its lead is too large; return its loss and accuracy."""
    recipe, discriminator = state.recipe, state.discriminator
    assert discriminator is not None
    discriminator.requires_grad_(True).train()
    with autocast(state):
        real, fake = (discriminator(each.detach()).float() for each in (output.real, output.fake))
    loss = gan_losses(real, fake, recipe.relativistic)[0]
    real, fake = real.detach(), fake.detach()
    if not recipe.lead or _lead(real, fake) < recipe.lead:
        schedule = recipe.rate_at(state.step) / recipe.rate
        advance(state.discriminator_adam, loss, recipe.adversary_rate * schedule)
    middle = (real.mean() + fake.mean()) / 2 if recipe.relativistic else 0.0
    right = [(real > middle).float().mean(), (fake < middle).float().mean()]
    return {"adversary": loss, "accuracy": torch.stack(right).mean()}


def _lead(real: Tensor, fake: Tensor) -> float:
    """Return the difference in mean log probability between real and fake images."""
    log = torch.nn.functional.logsigmoid
    return float(log(real).mean() - log(fake).mean())


def autocast(state: State) -> AbstractContextManager[Any]:
    """Run products in the precision of the recipe."""
    kind, half = torch.device(state.device).type, state.recipe.precision == "bfloat16"
    return torch.autocast(kind, torch.bfloat16, enabled=half)


class Balance:
    """Detects the collapse of a GAN from the accuracy of the discriminator."""

    def __init__(self) -> None:
        self.accuracy, self.steps = 0.5, 0

    def update(self, accuracy: float) -> None:
        """Add the accuracy in one step; raise if it has been extreme for many steps."""
        self.accuracy = SMOOTHING * self.accuracy + (1 - SMOOTHING) * accuracy
        collapsed = not LEAST < self.accuracy < 1 - LEAST
        self.steps = self.steps + 1 if collapsed else 0
        if self.steps >= PATIENCE:
            kind = "strong" if self.accuracy > 0.5 else "weak"
            raise RuntimeError(
                f"the discriminator is too {kind}: its accuracy was {100 * self.accuracy:.1f} % "
                f"over {PATIENCE} steps, and the gradients vanish; start again with another "
                "adversary_rate, adversarial or adversary_sizes"
            )
