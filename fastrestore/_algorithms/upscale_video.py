"""Networks that make films larger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from fastrestore.nets import Network


def super_resolve_video(
    frames: Any,
    scale: int = 4,
    *,
    model: str | os.PathLike[str] | Network = "vsrgan",
    time_axis: int = 0,
    channel_axis: int | None = None,
    data_range: float | None = None,
    scene_cuts: bool = True,
    tile: int | str | None = "auto",
    device: str | None = None,
    precision: str = "auto",
) -> Iterator[Any]:
    """Make a film larger, frame by frame, each by what was made of the one before.

    Parameters
    ----------
    frames : array, shape (T, M, N) or (T, M, N, C) in any order, or iterable of arrays
        Frames of any integer or float type: gray, RGB, or either with alpha. Of an iterable, a
        generator for instance, two frames are held; one that is empty gives nothing.
    scale : int, default 4
        How many times larger along each side: what the model is for; 1 restores at the same size.
    model : {"vsrgan"}, path or Network
        "vsrgan" gives details that look right, and may be made up [1]_. Or a file, or a network of
        `fastrestore.nets`, such as "srresnet-x4"; one for images sees each frame by itself, and
        what it makes may flicker.
    time_axis : int, default 0
        The axis of time of an array.
    channel_axis : int, optional
        The axis of colours: of the array, or of the frames of an iterable.
    data_range : float, optional
        White, black being 0. Without it as for `super_resolve`, by the first frame: what is found
        there is kept for all. Data of 12 bits in uint16 want ``data_range=4095``.
    scene_cuts : bool, default True
        Whether to look for cuts, and to start afresh there. Each film starts afresh.
    tile, device, precision
        As for `fastrestore.nets.apply`.

    Returns
    -------
    iterator of arrays
        Frames of the same kind as those that came in, `scale` times as large along each side,
        each as soon as its own has come; floats keep their type, integers give float32. Of an
        array: ``numpy.stack(list(frames))`` makes one of them.

    Raises
    ------
    TypeError, ValueError
        As `super_resolve` does, at once; and if frames change their shape or type, or hold NaN:
        the frame is named by its number, when its turn comes.
    ImportError
        If PyTorch is not installed.
    BackendUnavailableError, MemoryError
        As `fastrestore.nets.apply` does.

    Notes
    -----
    The network is that of FRVSR [2]_: it finds out how things have moved since the frame before,
    moves what was made of that, and adds what the new frame tells. Memory does not grow with the
    length of the film.

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
    >>> film = np.random.default_rng(0).integers(0, 256, (5, 18, 24, 3), np.uint8)
    >>> larger = fastrestore.super_resolve_video(film, channel_axis=-1)
    >>> [frame.shape for frame in larger]
    [(72, 96, 3), (72, 96, 3), (72, 96, 3), (72, 96, 3), (72, 96, 3)]
    """
    from fastrestore._arrays import validate
    from fastrestore.nets import need_torch

    need_torch()
    from fastrestore.nets.enlarge import Options
    from fastrestore.nets.enlarge_video import enlarge_film

    cuts = validate.flag("scene_cuts", scene_cuts)
    told = Options(channel_axis, data_range, tile, device, precision, False)
    return enlarge_film(frames, scale, model, time_axis, cuts, told)
