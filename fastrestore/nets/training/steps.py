"""One step of a training: the network's turn, and that of its adversary if it has one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastrestore.nets.discriminators import judged
from fastrestore.nets.frnet import VSRGAN, warped
from fastrestore.nets.training.clips import Clips
from fastrestore.nets.training.data import Patches
from fastrestore.nets.training.perceptual import Perceptual
from fastrestore.nets.training.recipe import Recipe
from fastrestore.nets.training.state import State
from fastrestore.nets.training.tasks import drawn, drawn_films
from fastrestore.nets.video_discriminator import triplets

CLIP = 1.0  # largest norm of a gradient
SHIFT = 8  # pixels that what is judged is moved by at most


class Turn(NamedTuple):
    """What came of the network's turn."""

    lost: dict[str, Tensor]
    made: Tensor  # what the adversary is shown
    true: Tensor


def step(
    state: State, source: Patches | Clips, device: str, perceptual: Perceptual | None = None
) -> dict[str, float]:
    """Do one step; return what was lost, by name."""
    recipe = state.recipe
    if isinstance(source, Clips):
        turn = _film(state, source, device, perceptual)
    else:
        turn = _image(state, source, device, perceptual)
    lost: dict[str, Tensor] = turn.lost
    if state.adversary is not None:
        lost |= _verdict(state, turn, device)
    total = torch.stack(list(lost.values())).sum()
    advance(state.adam, total, recipe.rate_at(state.step))
    if state.adversary is not None:
        lost |= adversary_step(state, turn, device)
        if recipe.adversarial:
            lost["ratio"] = lost["adversarial"].detach() / recipe.adversarial / lost["adversary"]
    state.step += 1
    state.average()
    values = {name: float(value.detach()) for name, value in lost.items()}
    if not np.isfinite(list(values.values())).all():
        raise FloatingPointError(
            f"the loss of step {state.step} is {float(total.detach())}; try a smaller rate"
        )
    return values


def _image(state: State, patches: Patches, device: str, perceptual: Perceptual | None) -> Turn:
    """Let the network restore images."""
    recipe = state.recipe
    random = state.random(device)
    seen, sigma, wanted = drawn(recipe, patches, random)
    # What is wanted, too: gradients take its order of memory, and are slow in another
    seen, wanted = (each.contiguous(memory_format=torch.channels_last) for each in (seen, wanted))
    with precise(recipe, device):
        restored = state.net.train()(seen, sigma).float()
        lost = {"pixel": recipe.pixel * difference(restored, wanted, recipe.loss)}
        if recipe.adversary == "vgg":  # sees patches of one size alone
            shown = restored, wanted
        else:
            shown = shifted(restored, wanted, random)
        if perceptual is not None and recipe.perceptual:
            lost["perceptual"] = recipe.perceptual * perceptual(*shown)
    return Turn(lost, *shown)


def shifted(made: Tensor, true: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut some rows and columns off either end, the same of both, at random.

    Networks that judge see every second pixel, of those again every second one. Would they always
    be the same ones, what a generator makes of the others would be seen less: it makes grids.
    """
    spare = min(SHIFT, min(made.shape[-2:]) // 4)
    top, left = torch.randint(spare + 1, (2,), generator=random, device=random.device).tolist()
    height, width = (n - spare for n in made.shape[-2:])
    cut = (..., slice(top, top + height), slice(left, left + width))
    return made[cut], true[cut]


def _film(state: State, clips: Clips, device: str, perceptual: Perceptual | None) -> Turn:
    """Let the network restore films; with ping-pong forward and then back."""
    recipe, net = state.recipe, state.net
    assert isinstance(net, VSRGAN)
    random = state.random(device)
    seen, wanted, true_flows = drawn_films(recipe, clips, random, net.scale)
    if recipe.flow_alone:
        with precise(recipe, device):
            before, now = seen[:, :-1].flatten(0, 1), seen[:, 1:].flatten(0, 1)
            flows = net.train().flow(now, before).float()
            return Turn(_flow_lost(recipe, flows, true_flows, before, now), seen, seen)
    if recipe.pingpong:
        seen, wanted = (torch.cat([each, each[:, :-1].flip(1)], 1) for each in (seen, wanted))
    with precise(recipe, device):
        made, flows = net.train().film(seen)
        made = made.float()
        lost = {"pixel": recipe.pixel * difference(made, wanted, recipe.loss)}
        before, now = seen[:, :-1].flatten(0, 1), seen[:, 1:].flatten(0, 1)
        lost |= _flow_lost(recipe, flows.flatten(0, 1).float(), true_flows, before, now)
        if recipe.pingpong:
            there, back = made[:, : recipe.frames - 1], made[:, recipe.frames :].flip(1)
            lost["pingpong"] = recipe.pingpong * difference(there, back, recipe.loss)
        if perceptual is not None and recipe.perceptual:
            pair = shifted(made.flatten(0, 1), wanted.flatten(0, 1), random)
            lost["perceptual"] = recipe.perceptual * perceptual(*pair)
        if state.adversary is None:
            return Turn(lost, made, wanted)
        return Turn(lost, *(triplets(net, films, seen) for films in (made, wanted)))


def _flow_lost(
    recipe: Recipe, flows: Tensor, true: Tensor, before: Tensor, now: Tensor
) -> dict[str, Tensor]:
    """What is lost by flow: frames that do not meet, and how far it is from the true one.

    The true one is known for the way forward (B, T - 1, 2, H, W), and not everywhere.
    """
    lost = {}
    if recipe.warp:
        lost["warp"] = recipe.warp * difference(warped(before, flows), now, recipe.loss)
    if recipe.motion:
        batch, count = true.shape[:2]
        forward = flows.view(batch, -1, *flows.shape[1:])[:, :count]
        known = torch.isfinite(true)
        apart = (forward - torch.where(known, true, forward.detach())).square().sum(2)
        share = known.float().mean().clamp_min(1e-6)
        lost["motion"] = recipe.motion * ((apart + 1e-6).sqrt() - 1e-3).mean() / share
    return lost


def difference(restored: Tensor, wanted: Tensor, kind: str) -> Tensor:
    """Mean of differences, by the loss of a recipe."""
    error = restored - wanted
    if kind == "charbonnier":
        return (error.square() + 1e-6).sqrt().mean()
    return error.abs().mean() if kind == "l1" else error.square().mean()


def advance(adam: torch.optim.Adam, loss: Tensor, rate: float) -> None:
    """Move the weights of one optimiser, and of no other."""
    for group in adam.param_groups:
        group["lr"] = rate
    adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [value for group in adam.param_groups for value in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, CLIP)
    adam.step()


def _verdict(state: State, turn: Turn, device: str) -> dict[str, Tensor]:
    """What the network loses by its adversary, which stays as it is: it is the network's turn."""
    recipe, adversary = state.recipe, state.adversary
    assert adversary is not None
    adversary.requires_grad_(False).eval()
    lost = {}
    with precise(recipe, device):
        if recipe.features:
            look: Any = adversary.features
            pairs = zip(look(turn.made), look(turn.true), strict=True)
            apart = [(made - true).abs().mean().float() for made, true in pairs]
            lost["features"] = recipe.features * torch.stack(apart).mean()
        if recipe.adversarial:
            made, true = adversary(turn.made).float(), adversary(turn.true).float()
            lost["adversarial"] = recipe.adversarial * judged(true, made, recipe.relativistic)[1]
    return lost


def adversary_step(state: State, turn: Turn, device: str) -> dict[str, Tensor]:
    """Let the adversary learn, unless it leads by too much; return its loss and how right it is."""
    recipe, adversary = state.recipe, state.adversary
    assert adversary is not None
    assert state.adversary_adam is not None
    adversary.requires_grad_(True).train()
    with precise(recipe, device):
        verdicts = adversary(turn.true.detach()).float(), adversary(turn.made.detach()).float()
    loss = judged(*verdicts, recipe.relativistic)[0]
    real, fake = (verdict.detach() for verdict in verdicts)
    if not recipe.lead or _lead(real, fake) < recipe.lead:
        slower = recipe.rate_at(state.step) / recipe.rate
        advance(state.adversary_adam, loss, recipe.adversary_rate * slower)
    middle = (real.mean() + fake.mean()) / 2 if recipe.relativistic else 0.0
    right = [(real > middle).float().mean(), (fake < middle).float().mean()]
    return {"adversary": loss, "accuracy": torch.stack(right).mean()}


def _lead(real: Tensor, fake: Tensor) -> float:
    """How much more the adversary believes what is true: by the logarithm of its verdicts."""
    log = torch.nn.functional.logsigmoid
    return float(log(real).mean() - log(fake).mean())


def precise(recipe: Recipe, device: str) -> AbstractContextManager[Any]:
    """Products in the precision of a recipe."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=recipe.precision == "bfloat16")


class Balance:
    """Whether one of two players has lost for good: then neither learns any more."""

    def __init__(self) -> None:
        self.accuracy, self.steps = 0.5, 0

    def told(self, accuracy: float) -> None:
        """Hear how often the adversary was right in a step.

        Raises
        ------
        RuntimeError
            If it has been right nearly always, or wrong, for a long time.
        """
        self.accuracy = SLOW * self.accuracy + (1 - SLOW) * accuracy
        collapsed = not LEAST < self.accuracy < 1 - LEAST
        self.steps = self.steps + 1 if collapsed else 0
        if self.steps >= PATIENCE:
            who = "its adversary" if self.accuracy > 0.5 else "the network"
            raise RuntimeError(
                f"{who} has won: the adversary has been right in {100 * self.accuracy:.1f} % of "
                f"its verdicts over {PATIENCE} steps, and neither learns any more; begin again "
                "with another adversary_rate, adversarial or adversary_sizes"
            )


SLOW, LEAST, PATIENCE = 0.99, 0.005, 2000
