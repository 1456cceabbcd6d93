"""Super-resolution of videos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from fastrestore.nets import Network


def super_resolve_video(
    frames: Any,
    scale: float = 4,
    *,
    model: str | os.PathLike[str] | Network = "srresnet",
    time_axis: int = 0,
    channel_axis: int | None = None,
    data_range: float | None = None,
    scene_cuts: bool = True,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
) -> Iterator[Any]:
    """Increase the resolution of a video with a network.

    A network for images enlarges frames one by one. "vsrgan" uses the previous result, too, so that
    details flicker less.

    Parameters
    ----------
    frames : array, shape (T, M, N) or (T, M, N, C) in any order, or iterable of arrays
        Frames of any integer or float type: gray, RGB, or one of them with alpha. An iterable, such
        as a generator, is consumed frame by frame, and two frames are held in memory. An empty
        iterable gives no frames.
    scale : float, default 4
        Factor for the numbers of rows and columns, as for `super_resolve`. With 1 and a model of
        this scale, the video is restored at the same size.
    model : {"srresnet", "srgan", "vsrgan"}, path or Network
        "srresnet" and "srgan" are those of `super_resolve`, for each frame independently. "vsrgan"
        is a recurrent network that generates details, which may be wrong [1]_; its results flicker
        less than those of "srgan", and more than those of "srresnet". A file of weights or a
        network of `fastrestore.nets` can be given instead.
    time_axis : int, default 0
        Time axis of an array.
    channel_axis : int, optional
        Axis of the colors, in the array, or in each frame of an iterable. By default frames are
        gray.
    data_range : float, optional
        Value of white, with black at 0. By default it is determined as for `super_resolve`, from
        the first frame, and is the same for all frames. Use ``data_range=4095`` for 12-bit data in
        uint16.
    scene_cuts : bool, default True
        Whether to detect scene cuts. The recurrence restarts at a cut.
    tile, device, precision : optional
        As for `fastrestore.nets.apply`.

    Returns
    -------
    iterator of arrays
        Frames of the same kind as the input, with ``round(M * scale)`` rows and
        ``round(N * scale)`` columns. Floats keep their type, integers give float32. Each frame is
        returned without waiting for later ones. ``numpy.stack(list(frames))`` converts NumPy
        frames to an array.

    Raises
    ------
    TypeError, ValueError
        As for `super_resolve`. While iterating: if the shape or type of frames changes, or a frame
        contains NaN; the message gives the number of the frame.
    ImportError
        If PyTorch is not installed.
    BackendUnavailableError, MemoryError
        As for `fastrestore.nets.apply`.

    See Also
    --------
    super_resolve : Increase the resolution of an image.
    vbm3d : Remove noise from a video first.

    Notes
    -----
    "vsrgan", the network of FRVSR [2]_, estimates the optical flow between consecutive frames,
    warps the previous result accordingly, and combines it with the new frame. The required memory
    does not depend on the length of the video. A frame that is equal to the frame before gets the
    same result, and the recurrence continues as if it were absent; on a GPU only with `scene_cuts`.

    References
    ----------
    .. [1] M. Chu et al., "Learning temporal coherence via self-supervision for GAN-based video
       generation", ACM Transactions on Graphics 39(4), 2020.
    .. [2] M. S. M. Sajjadi, R. Vemulapalli, M. Brown, "Frame-recurrent video super-resolution",
       CVPR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> video = np.random.default_rng(0).integers(0, 256, (5, 18, 24, 3), np.uint8)
    >>> larger = fastrestore.super_resolve_video(video, channel_axis=-1)
    >>> [frame.shape for frame in larger]
    [(72, 96, 3), (72, 96, 3), (72, 96, 3), (72, 96, 3), (72, 96, 3)]
    """
    from fastrestore._arrays import validate
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.call import Options
    from fastrestore.nets.enlarge import requested
    from fastrestore.nets.enlarge_video import enlarge_video

    cuts = validate.flag("scene_cuts", scene_cuts)
    options = Options(channel_axis=channel_axis, data_range=data_range, tile=tile, device=device,
                      precision=precision)  # fmt: skip
    return enlarge_video(frames, time_axis, requested(model, scale, options), cuts)
