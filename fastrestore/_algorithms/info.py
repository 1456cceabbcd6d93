"""What a call estimated and used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._collaborative.block_matches import BlockMatches, Matching
from fastrestore._collaborative.comparison import Residual
from fastrestore._collaborative.pipeline import Result
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Request
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import NoiseModel


class Trial(NamedTuple):
    """A profile and a strength, and the estimate of their mean squared error."""

    profile: str | Profile
    strength: float
    sure: float

    def choice(self) -> dict[str, Any]:
        """Return the arguments of `bm3d`."""
        return {"profile": self.profile, "strength": self.strength}


@dataclass(frozen=True, slots=True)
class Info:
    """Parameters that a function estimated and used.

    Functions return it as a second result if they are called with ``return_info=True``. Fields that
    do not apply to a call are None.

    Attributes
    ----------
    sigma : float or array
        Standard deviation of the noise: a number, one for each channel, or a map. If the level
        depends on the brightness, its root mean square. With a noise model that was given it is 1,
        the level after the transform.
    estimated : bool
        Whether the noise was estimated.
    noise : NoiseSpec, PoissonGaussian, Rician, other noise model or None
        Noise that was estimated, or given as ``noise=``; None if it was given in another way.
    reason : str
        Why this model of the noise was used.
    strength : float
        Factor by which the noise level was multiplied, which `sigma` and `noise` do not contain.
    profile : Profile
        Parameters of the algorithm.
    backend : str
        Name of the backend.
    residual : Residual or None
        Comparison of what was removed with noise that was estimated and is not white. `level` is
        the median variance of the residual in small blocks, relative to the noise, 0.3 to 1 if the
        noise is right. `spectrum` is the overlap of their power spectra, from 0 to 1. `structure`
        is the rank correlation with the variance of the restored image, positive if structure was
        removed. `rest` is the variance of the restored image in its flattest blocks, relative to
        the noise. If it is low, and `level` too, the image is restored again with less noise. None
        for white noise, a `distribution`, videos, volumes, noise that was given, and very small
        images.
    grid : int
        Side of the blocks of compression that the first frames of a video show, 8 or 16, or 0. Only
        videos whose noise is estimated are searched for it.
    trials : tuple
        With ``tune=True``: the choices that were compared, each with the attributes ``profile``,
        ``strength`` and ``sure``, the estimate of its mean squared error. See `metrics.sure`.
    refined : bool
        With ``method="hybrid"``: whether the network corrected the result of `bm3d`. If not,
        `reason` says why.
    matches : BlockMatches or None
        With ``matches=True``: the blocks that were matched, to be used for other images.
    std : array or None
        With ``uncertainty=True``: the standard deviation of the error that is left in each pixel,
        bias included, as an array of the shape and the kind of the result. In photographs the
        error of about 95 % of the pixels is within twice this value. It is NaN where a mask is
        False, and 0 where there is no noise.
    function : str
        Function that restored the image: "bm3d", "vbm3d", "bm4d" or "sharpen".
    stage : str
        "final", or "basic" if only hard thresholding was applied.
    correlated : bool
        Whether the noise has a power spectrum that is not flat, or correlated channels.

    See Also
    --------
    bm3d : Remove noise from an image.
    NoiseSpec : The noise, as in `noise`.

    Examples
    --------
    A paragraph for a methods section, and the papers it cites:

    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored, info = fastrestore.bm3d(noisy, 10, return_info=True)
    >>> info.methods_text().startswith("Noise was removed by BM3D [1]")
    True
    """

    sigma: float | NDArray[Any]
    estimated: bool
    noise: NoiseSpec | NoiseModel | None
    reason: str
    strength: float
    profile: Profile
    backend: str
    residual: Residual | None = None
    grid: int = 0
    trials: tuple[Trial, ...] = ()
    refined: bool = False
    matches: BlockMatches | None = None
    std: Any = None
    function: str = "bm3d"
    stage: str = "final"
    correlated: bool = False

    @classmethod
    def of(
        cls, request: Request, result: Result, sigma: Any, matching: Matching | None = None
    ) -> Info:
        """Return what was used in a call with `sigma`."""
        noise: NoiseSpec | NoiseModel | None = None
        reason, estimated = "the noise was given", False
        used = result.noise.sigmas if request.noise is None else request.noise.sigmas
        if result.choice is not None:
            noise, reason = result.choice.spec, result.choice.reason
            used, estimated = noise.sigma, isinstance(request.source, str)
        elif request.noise is not None and request.noise.model is not None:
            noise, used = request.noise.model, request.noise.sigmas
        level = float(used[0]) if request.geometry.channel_axis is None else used
        if result.choice is None and result.noise.map is not None:
            level = np.asarray(interop.to_host(sigma))
        name = result.backend or request.backend.NAME
        return cls(
            level, estimated, noise, reason, request.strength, request.profile, name,
            result.residual, matches=None if matching is None else matching.result(),
            function=_function(request), stage=request.stage,
            correlated=result.noise.spectrum is not None or result.noise.cross is not None,
        )  # fmt: skip

    def methods_text(self) -> str:
        """Describe the call in a paragraph for a methods section, with the papers it cites.

        Returns
        -------
        str
            Sentences about the algorithm, its parameters, the noise and further steps, in plain
            text, and a numbered list of references. It mentions what this object contains: add
            other arguments, such as `guide`, `pilot` or `mask`, yourself.

        Examples
        --------
        >>> import numpy as np
        >>> import fastrestore
        >>> image = np.random.default_rng(0).normal(100, 10, (64, 64))
        >>> restored, info = fastrestore.bm3d(image, 10, return_info=True)
        >>> "The noise was specified as white Gaussian noise" in info.methods_text()
        True
        """
        from fastrestore._algorithms.methods import methods_text

        return methods_text(self)


def _function(request: Request) -> str:
    """Return the name of the function of an image or a volume."""
    if request.ndim == 3:
        return "bm4d"
    return "bm3d" if request.profile.sharpen == 1 else "sharpen"
