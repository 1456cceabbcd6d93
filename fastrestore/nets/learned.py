"""BM3D whose numbers are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

import fastrestore
from fastrestore._collaborative import sides
from fastrestore._collaborative.arrays import LEAST_WINDOW, MOST_FACTOR
from fastrestore._collaborative.covariance import inverse_matrix, kaiser_window, transform_matrix
from fastrestore._collaborative.profile import FACTORS, Profile, named_profile
from fastrestore._collaborative.tape import Step, Tape, recording
from fastrestore.nets.groups import TINY, Numbers, filtered

SMALLEST = 1e-3  # factor, so that its logarithm is finite


class LearnableBM3D(nn.Module):
    """BM3D whose thresholds, windows and transforms are parameters.

    The module is called like `BM3D`, ``denoiser(x, sigma)``. Its parameters begin as the numbers of
    a profile. `to_profile` returns the learned ones as a `Profile`, with which `bm3d` and `vbm3d`
    run at full speed, without PyTorch.

    Parameters
    ----------
    profile : str or Profile
        Profile to begin with.

    Attributes
    ----------
    factors, windows, transforms, inverses : ParameterDict
        Parameters of the stages "basic" and "final": the logarithms of the factors for the
        threshold and the Wiener strength by level of the Haar transform and coefficient
        (levels + 1, N, N), the windows (N,), and the matrices (N, N) of the transforms and of the
        transforms back. Call ``requires_grad_(False)`` of those that should not change.

    Raises
    ------
    TypeError, ValueError
        If `profile` is not a profile, or one that sharpens, filters residuals, or has sides of
        blocks by axis.

    See Also
    --------
    BM3D : BM3D with fixed parameters and a compiled backward pass.
    fastrestore.Profile : What `to_profile` returns.

    Notes
    -----
    The matches are held fixed: they are those of the image for the present parameters. The
    threshold passes the derivative of a smooth step. Some numbers are constrained, see `Profile`:
    the first row of a transform and the first column of a transform back remain constant. Factors
    of transposed coefficients are equal, and windows symmetric; if the transform is even and odd,
    such as the DCT, it remains so, because then kernels need half the products.

    Images need white noise, and channels are filtered independently. Gradients with respect to the
    images and sigma pass, too.

    If the factors are the only parameters that require gradients, the backend of `bm3d` computes
    them, if it can, and those of the images hold fixed which coefficients pass the threshold.
    Otherwise groups are computed in PyTorch on the CPU, and again in the backward pass, which takes
    much longer: use small images.

    Examples
    --------
    >>> import torch
    >>> from fastrestore.nets import LearnableBM3D
    >>> denoiser = LearnableBM3D("fast")
    >>> clean = torch.linspace(0, 1, 32).expand(1, 1, 24, 32)
    >>> loss = (denoiser(clean + 0.1 * torch.randn(clean.shape), 0.1) - clean).square().mean()
    >>> loss.backward()
    >>> denoiser.windows["final"].grad.shape
    torch.Size([8])
    >>> denoiser.to_profile("mine").name
    'mine'
    """

    def __init__(self, profile: str | Profile = "np") -> None:
        super().__init__()
        self.start = named_profile(profile)
        if self.start.sharpen != 1 or self.start.residual:
            raise ValueError(
                f"profile {self.start.name!r} sharpens or filters residuals, which cannot be "
                "learned: write profile='np'"
            )
        if sides.are_given(self.start):
            raise ValueError(
                f"profile {self.start.name!r} has sides of blocks by axis, which cannot be "
                "learned: write profile='np'"
            )
        numbers = {which: _numbers_of(self.start, which) for which in FACTORS}
        self.folds = {which: _is_even_odd(each[2]) for which, each in numbers.items()}
        self.factors, self.windows, self.transforms, self.inverses = (
            nn.ParameterDict({which: torch.tensor(each[k]) for which, each in numbers.items()})
            for k in range(4)
        )

    def to_profile(self, name: str = "custom") -> Profile:
        """Return the present numbers as a profile.

        Parameters
        ----------
        name : str
            Name of the profile.

        Returns
        -------
        Profile
            The profile to begin with, with arrays.
        """
        changes: dict[str, Any] = {"name": name}
        with torch.no_grad():
            for which, field in FACTORS.items():
                forward, inverse, window, factors = (
                    each.double().numpy() for each in self._arrays(which)
                )
                changes |= {
                    field: factors,
                    f"window_{which}": window,
                    f"transform_{which}": forward,
                    f"inverse_{which}": inverse,
                }
        return self.start.replace(**changes)

    def forward(self, image: Tensor, sigma: Tensor | float) -> Tensor:
        """Restore images (B, C, H, W) with white noise of level sigma, a number or one by image."""
        if image.ndim != 4:
            raise ValueError(f"images must be B x C x H x W, got shape {tuple(image.shape)}")
        levels = torch.as_tensor(sigma, dtype=image.dtype)
        if levels.numel() not in (1, len(image)):
            raise ValueError(
                f"sigma must be a number, or one for each of {len(image)} images, got shape "
                f"{tuple(levels.shape)}"
            )
        profile = self.to_profile()
        return torch.stack(
            [
                torch.stack([self._restored(plane, level, profile) for plane in one])
                for one, level in zip(image, levels.reshape(-1).expand(len(image)), strict=True)
            ]
        )

    def _restored(self, image: Tensor, level: Tensor, profile: Profile) -> Tensor:
        """Restore an image (H, W)."""
        least = max(sides.longest(profile, "block", which) for which in FACTORS)
        if min(image.shape) < least:
            raise ValueError(
                f"images must have at least {least} x {least} pixels, got {tuple(image.shape)}"
            )
        with recording() as tape:
            result = fastrestore.bm3d(image.detach(), level.item(), profile=profile)
        if tape.context is None:
            return image  # without noise
        if self._is_short(tape):
            factors = [self._arrays(which)[3] for which in FACTORS]
            restored: Tensor = Factored.apply(image, level, *factors, result, tape)  # type: ignore[no-untyped-call]
            return restored
        unit = 2.0**tape.context.units.exponent
        images: tuple[Tensor, ...] = (image * unit,)
        for which, step in zip(FACTORS, tape.steps, strict=True):
            numbers = self._numbers(which, step, (level * unit) ** 2)
            images = images[0], filtered(images, step.matches, numbers)
        return images[1] / unit

    def _is_short(self, tape: Tape) -> bool:
        """Whether the backend of a call has all gradients that are needed."""
        others = (self.windows, self.transforms, self.inverses)
        needed = any(each.requires_grad for group in others for each in group.values())
        assert tape.request is not None
        return not needed and "learning" in tape.request.backend.capabilities

    def _numbers(self, which: str, step: Step, variance: Tensor) -> Numbers:
        """Return the numbers of a stage, for the variance of its noise."""
        forward, inverse, window, factors = (
            each.to(variance.dtype) for each in self._arrays(which)
        )
        squared = factors**2 if which == "basic" else factors
        stage = step.stage
        strength = float(stage.strength[0]) * variance * squared
        return Numbers(forward, inverse, window, strength, stage.group, stage.size_weight)

    def _arrays(self, which: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return transform, inverse, window and factors, within their constraints."""
        forward, inverse = self.transforms[which], self.inverses[which]
        if self.folds[which]:
            forward, inverse = _even_odd(forward), _even_odd(inverse.T).T
        others = forward[1:] - forward[1:].mean(1, keepdim=True)
        others = others / others.norm(dim=1, keepdim=True)
        constant = torch.full_like(forward[:1], len(forward) ** -0.5)
        inverse = torch.cat([constant.T, inverse[:, 1:]], 1)
        window = self.windows[which]
        window = (window + window.flip(0)).clamp_min(0)
        window = (window / window.max()).clamp_min(LEAST_WINDOW)
        logarithms = self.factors[which]
        factors = ((logarithms + logarithms.mT) / 2).exp().clamp_max(MOST_FACTOR)
        return torch.cat([constant, others]), inverse, window, factors


class Factored(torch.autograd.Function):
    """Restored image (H, W), a function of image, level and factors of both stages.

    Its gradients are computed by the backend that has restored it.
    """

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, level: Tensor, basic: Tensor, final: Tensor, result: Tensor,
        tape: Tape,
    ) -> Tensor:  # fmt: skip
        """Keep the tape of a call, and return its result."""
        ctx.tape = tape
        ctx.save_for_backward(basic, final)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Propagate a gradient backward through the tape."""
        found = ctx.tape.backward(gradient.double().cpu().numpy()[None], by_pixel=False)
        image = torch.from_numpy(found.image[0]).to(gradient)
        level = torch.from_numpy(found.level).sum().to(gradient)
        # The strengths are the squares of the factors of the threshold
        pairs = zip((2, 1), found.factors, ctx.saved_tensors, strict=True)
        factors = (
            torch.from_numpy(power * each).to(own) / own.clamp_min(TINY)
            for power, each, own in pairs
        )
        return image, level, *factors, None, None


def _numbers_of(profile: Profile, which: str) -> tuple[NDArray[Any], ...]:
    """Return logarithms of factors, window, transform and inverse of a stage of a profile."""
    block, group, transform, inverse, window, kaiser = (
        getattr(profile, f"{field}_{which}")
        for field in ("block", "group", "transform", "inverse", "window", "kaiser")
    )
    factors = getattr(profile, FACTORS[which])
    if factors is None:
        factors = np.ones((group.bit_length(), block, block))
    values = (
        np.log(np.maximum(factors, SMALLEST)),
        kaiser_window(block, kaiser) if window is None else np.array(window),
        transform_matrix(transform, block),
        inverse_matrix(transform, block, inverse),
    )
    return tuple(value.astype(np.float32) for value in values)


def _is_even_odd(matrix: NDArray[Any]) -> bool:
    """Whether the rows are alternately even and odd."""
    signs = (-1.0) ** np.arange(len(matrix))[:, None]
    return np.allclose(matrix, signs * matrix[:, ::-1], atol=1e-6)


def _even_odd(matrix: Tensor) -> Tensor:
    """Return the even part of rows 0, 2, .., and the odd part of the others."""
    signs = torch.where(torch.arange(len(matrix)) % 2 == 0, 1, -1)[:, None]
    return (matrix + signs * matrix.flip(1)) / 2
