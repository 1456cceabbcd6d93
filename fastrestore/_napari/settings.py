"""The settings of the denoising widget, and the call that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastrestore._napari.axes import Axes

MODELS = ("auto", "white", "correlated", "signal-dependent", "camera")  # those of an image
STACK_MODELS = ("auto", "white", "signal-dependent")  # those of a volume or film
PROFILES = ("np", "balanced", "fast", "high", "iterative", "vn")
STACK_PROFILE = {"volume": "volume", "film": "video"}


@dataclass(frozen=True)
class Settings:
    """What is chosen in the widget.

    Attributes
    ----------
    axes : Axes
        Which axes are restored together.
    sigma : float or None
        Level of the noise, if it is known.
    model : str
        Model whose parameters are estimated, if `sigma` is None.
    strength : float
        Factor for the noise level.
    method : str
        As for `denoise`; for planes only.
    profile : str or None
        As for `denoise`, None for the default of the kind; not for networks.
    """

    axes: Axes
    sigma: float | None = None
    model: str = "auto"
    strength: float = 1.0
    method: str = "auto"
    profile: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `denoise` that differ from its defaults."""
        given: dict[str, Any] = {}
        if self.sigma is not None:
            given["sigma"] = self.sigma
        elif self.model != "auto":
            given["noise"] = self.model
        if self.strength != 1:
            given["strength"] = self.strength
        if self.method != "auto":
            given["method"] = self.method
        if self.profile is not None and self.method != "unet":
            given["profile"] = self.profile
        letters = self.axes.letters
        if letters != "YX":
            given["axes"] = letters
        if self.axes.kind != "planes":
            given["kind"] = self.axes.kind
        return given
