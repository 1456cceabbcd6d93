"""What a call estimated and used, as a paragraph for a methods section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fastrestore
from fastrestore._algorithms.papers import Citations
from fastrestore._collaborative.profile import Profile
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import PoissonGaussian, Rician

if TYPE_CHECKING:
    from fastrestore._algorithms.info import Info

METHODS = {
    "bm3d": ("BM3D", "bm3d", "image"),
    "vbm3d": ("V-BM3D", "vbm3d", "video"),
    "bm4d": ("BM4D", "bm4d", "volume"),
    "sharpen": ("the sharpening variant of BM3D", "sharpen", "image"),
}
# Of the functions whose paper is not that of BM3D: they extend it
EXTENSIONS = ("sharpen",)
UNITS = "in the units of the image"
LISTED = 8  # levels that are listed
LONGEST = 200  # characters of a profile


def methods_text(info: Info) -> str:
    """Return sentences about the method, the noise and further steps, and a list of papers."""
    version = fastrestore.__version__
    cited = Citations(library=f"The fastrestore developers, fastrestore {version}, software.")
    sentences = [_method(info, cited)]
    if _is_noiseless(info):
        source = "found" if info.estimated else "assumed"
        sentences.append(f"No noise was {source}, and nothing was removed.")
    else:
        sentences += [_noise(info, cited), *_strength(info, cited), *_steps(info, cited)]
    return f"{' '.join(sentences)}\n\n{cited.listed()}\n"


def _is_noiseless(info: Info) -> bool:
    """Whether the level is 0 everywhere."""
    return info.strength == 0 or not np.any(info.sigma)


def _method(info: Info, cited: Citations) -> str:
    """Name the algorithm, the library and the profile."""
    name, paper, _ = METHODS[info.function]
    papers = ("bm3d", paper) if info.function in EXTENSIONS else (paper,)
    text = f"Noise was removed by {name} {cited.of(*papers)} with exact variances of group"
    text += f" coefficients {cited.of('variance')}, as implemented in fastrestore "
    text += f"{fastrestore.__version__} {cited.of('library')} "
    if info.function == "sharpen":
        return f"{text}(alpha {info.profile.sharpen:g}, backend {info.backend})."
    only = ", hard thresholding only" if info.stage == "basic" else ""
    return f"{text}({_profile(info.profile)}, backend {info.backend}{only})."


def _profile(profile: Profile) -> str:
    """Return the name of a profile, or an expression for one without a name."""
    if profile == Profile.named("np"):
        return "profile np, the default parameters"
    if profile.name != "custom":
        return f"profile {profile.name}"
    expression = repr(profile)
    return "a custom profile" if len(expression) > LONGEST else f"profile {expression}"


def _noise(info: Info, cited: Citations) -> str:
    """Describe the noise, and whether it was estimated."""
    model = info.noise
    distribution = model.distribution if isinstance(model, NoiseSpec) else model
    source = "specified"
    if info.estimated:
        source = f"estimated from the {METHODS[info.function][2]}{_estimator(info, cited)}"
    description = _spectrum_and_level(info) if distribution is None else _stabilized(info, cited)
    return f"The noise was {source} as {description}."


def _estimator(info: Info, cited: Citations) -> str:
    """Cite the paper of the estimator, if it follows one."""
    assert isinstance(info.noise, NoiseSpec)
    if info.noise.model == "white":
        return f" {cited.of('level')}"
    if isinstance(info.noise.distribution, PoissonGaussian):
        return f" {cited.of('counts')}"
    return ""


def _stabilized(info: Info, cited: Citations) -> str:
    """Describe a distribution whose variance was stabilized."""
    model: Any = info.noise.distribution if isinstance(info.noise, NoiseSpec) else info.noise
    if isinstance(model, PoissonGaussian):
        return (
            f"Poisson-Gaussian noise with a gain of {model.gain:.4g}, read-out noise with a "
            f"standard deviation of {model.sigma:.4g} and a black level of {model.offset:.4g}, "
            f"{UNITS}; its variance was stabilized by the generalized Anscombe transform with an "
            f"exact unbiased inverse {cited.of('anscombe')}, in several passes where there are few "
            f"photons {cited.of('few photons')}"
        )
    if isinstance(model, Rician):
        return (
            f"Rician noise with a standard deviation of {model.sigma:.4g}, {UNITS}; its variance "
            f"was stabilized, and the bias of the magnitude removed {cited.of('rician')}"
        )
    name = type(model).__name__
    return f"a model of its distribution ({name}), whose transform stabilizes its variance"


def _spectrum_and_level(info: Info) -> str:
    """Describe noise without a distribution."""
    spec, name = info.noise, "white Gaussian noise"
    if info.correlated:
        known = "" if isinstance(spec, NoiseSpec) else " of a given power spectrum"
        name = f"correlated noise{known}"
    if isinstance(spec, NoiseSpec) and spec.levels.shape[1] > 1:
        low, high = spec.levels.min(), spec.levels.max()
        return (
            f"{name} whose standard deviation depends on the brightness, from {low:.4g} to "
            f"{high:.4g}, with a root mean square of {_listed(info.sigma)}, {UNITS}"
        )
    if np.ndim(info.sigma) > 1:
        low, high = np.nanmin(info.sigma), np.nanmax(info.sigma)
        return f"{name} with a map of its standard deviation, from {low:.4g} to {high:.4g}, {UNITS}"
    return f"{name} with a standard deviation of {_listed(info.sigma)}, {UNITS}"


def _listed(levels: Any) -> str:
    """Return one level, or those of the channels."""
    texts = [f"{level:.4g}" for level in np.ravel(levels)]
    if len(texts) == 1:
        return texts[0]
    if len(texts) > LISTED:
        return f"{np.min(levels):.4g} to {np.max(levels):.4g}"
    return f"{', '.join(texts[:-1])} and {texts[-1]} in the channels"


def _strength(info: Info, cited: Citations) -> list[str]:
    """Say how the strength was chosen, unless it is the default."""
    if info.trials:
        return [
            f"The profile and a factor of {info.strength:g} for the noise level were selected from "
            f"{len(info.trials)} choices by Stein's unbiased risk estimate {cited.of('sure')}."
        ]
    if info.strength == 1:
        return []
    return [f"The noise level was multiplied by {info.strength:g}."]


def _steps(info: Info, cited: Citations) -> list[str]:
    """Describe steps that not every call has."""
    texts, profile = [], info.profile
    if info.correlated and profile.iterations:
        steps = f"{profile.iterations} iterations of half-quadratic splitting"
        texts.append(f"{steps} followed {cited.of('splitting', 'prior')}.")
    if profile.residual:
        texts.append(f"Residuals were filtered again {cited.of('variance')}.")
    if info.refined:
        texts.append(f"A convolutional network corrected the result {cited.of('hybrid')}.")
    if info.residual is not None:
        texts.append(
            f"The removed component was compared with the noise {cited.of('residual')}: its "
            f"relative variance is {info.residual.level:.2f}, and the overlap of the power spectra "
            f"{info.residual.spectrum:.2f}."
        )
    if info.grid:
        texts.append(f"The video has blocks of compression of {info.grid}x{info.grid} pixels.")
    if info.std is not None:
        texts.append("The standard deviation of the remaining error was predicted at each pixel.")
    return texts
