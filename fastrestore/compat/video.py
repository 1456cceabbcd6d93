"""Videos, with the arguments of filters for VapourSynth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastrestore
from fastrestore._arrays import validate
from fastrestore._collaborative.profile import Profile


def BM3Dv2(  # noqa: N802
    clip: Any,
    ref: Any = None,
    sigma: Any = 3.0,
    block_step: int = 8,
    bm_range: int = 9,
    radius: int = 0,
    ps_num: int = 2,
    ps_range: int = 4,
    chroma: bool = False,
) -> NDArray[Any]:
    """Remove noise from frames with BM3D or V-BM3D, with the arguments of BM3DCUDA.

    The frames are an array, where the filter for VapourSynth takes a clip.

    Parameters
    ----------
    clip : array, shape (frames, M, N), or (frames, M, N, 3) with `chroma`
        Noisy frames: integers of 8 to 16 bits, or floats of the range [0, 1]. With `chroma`, the
        channels are luminance and chroma, and blocks are matched on the luminance.
    ref : array, shape of `clip`, optional
        Estimate of the clean frames, for Wiener filtering. By default there is hard thresholding
        alone. With a `radius`, leave it out and use `fastrestore.vbm3d`, which runs both stages.
    sigma : float or three floats
        Standard deviation of the noise on the scale of 8 bits, for any type.
    block_step : int, default 8
        Distance between reference blocks in pixels, 1 to 8.
    bm_range : int, default 9
        Search radius in pixels.
    radius : int, default 0
        Number of frames before and after that blocks are taken from.
    ps_num : int, default 2
        Number of blocks that are followed from frame to frame.
    ps_range : int, default 4
        Search radius in other frames.
    chroma : bool, default False
        Whether the frames have three channels.

    Returns
    -------
    numpy array, shape of `clip`
        Estimate of the clean frames. Floats keep their type, integers give float32 in the same
        units.

    Raises
    ------
    TypeError, ValueError
        As for `fastrestore.bm3d` and `fastrestore.vbm3d`, and if there is a `ref` with a `radius`.

    See Also
    --------
    fastrestore.vbm3d : Both stages, for frames of any range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import BM3Dv2
    >>> clip = np.random.default_rng(0).normal(0.5, 10 / 255, (3, 32, 32)).astype(np.float32)
    >>> bool(BM3Dv2(clip, sigma=10, radius=1).std() < 5 / 255)
    True
    """
    frames = np.asarray(clip)
    colored = validate.flag("chroma", chroma)
    if frames.ndim != (4 if colored else 3) or (colored and frames.shape[3] != 3):
        wanted = "(frames, M, N, 3) with chroma=True" if chroma else "(frames, M, N)"
        raise ValueError(f"clip must have the shape {wanted}, got {frames.shape}")
    if not frames.size:
        raise ValueError(f"clip is empty, its shape is {frames.shape}")
    reach = validate.integer("radius", radius, least=0, most=16)
    step = validate.integer("block_step", block_step, least=1, most=8)
    search = validate.integer("bm_range", bm_range, least=0, most=127)
    trails = validate.integer("ps_num", ps_num, least=1, most=8)
    follow = validate.integer("ps_range", ps_range, least=0, most=63)
    wanted = "a number of 0 or more" + (", or three" if chroma else "")
    levels = validate.numbers("sigma", sigma, wanted) * _unit(frames)
    if levels.size not in ((1, 3) if chroma else (1,)):
        raise ValueError(f"sigma must be {wanted}, got {validate.quoted(sigma)}")
    options: dict[str, Any] = {
        "profile": Profile.named("video" if reach else "fast").replace(
            step_basic=step, step_final=step, radius_basic=search, radius_final=search,
            group_basic=8, group_final=8, trails_basic=trails, trails_final=trails,
            predict_basic=follow, predict_final=follow, follow_basic=follow, follow_final=follow,
        ),
        "channel_axis": -1 if chroma else None,
        "colorspace": None,
        "stage": "basic" if ref is None else "final",
    }  # fmt: skip
    level = float(levels.reshape(-1)[0]) if levels.size == 1 else levels
    if reach and ref is not None:
        raise ValueError(
            "ref cannot be used with a radius: leave out ref, or use fastrestore.vbm3d"
        )
    if reach:
        return np.stack(list(fastrestore.vbm3d(frames, level, radius=reach, **options)))
    if chroma:
        options["match_channel"] = 0
    pilots = [None] * len(frames) if ref is None else np.asarray(ref)
    if ref is not None and np.shape(ref) != frames.shape:
        raise ValueError(f"ref has shape {np.shape(ref)}, but clip has shape {frames.shape}")
    pairs = zip(frames, pilots, strict=True)
    return np.stack([fastrestore.bm3d(one, level, pilot=pilot, **options) for one, pilot in pairs])


def _unit(frames: NDArray[Any]) -> float:
    """Return a step of 8 bits in the units of frames."""
    if frames.dtype.kind not in "fiu":
        raise TypeError(f"clip must hold integers or floats, got {frames.dtype}")
    return (1.0 if frames.dtype.kind == "f" else float(np.iinfo(frames.dtype).max)) / 255
