"""BM3D of many images of one shape: what can be got ready once is kept."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastrestore._arrays import interop, validate
from fastrestore._collaborative.pipeline import Cutting
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Call, Options
from fastrestore._noise.vst import NoiseModel


class BM3DPlan:
    """`bm3d` for many images of one shape and type, as frames or iterations give them.

    On a GPU the kernels are compiled when the plan is made, buffers and tables are kept from the
    first call on, and later calls allocate nothing but their result; so they can be captured in a
    CUDA graph. On the CPU a plan saves little.

    Parameters
    ----------
    shape : tuple of int
        Shape of the images.
    dtype : data type of NumPy or torch, default float32
        Their type.
    sigma, psd, noise_kernel, noise, profile, stage, data_range, channel_axis, colorspace, \
chroma_strength, max_memory, deterministic, workers, backend
        As for `bm3d`. What is left open is measured in every image anew: sigma, and the range that
        thresholds of matching follow; give `data_range` if frames are to be treated alike.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError, MemoryError
        As `bm3d`.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    nbytes : int
        Memory that a call takes, about, beside image and result.
    backend : str
        Who computes: chosen when the plan is made, for good.

    Notes
    -----
    A plan knows no pilot and no guide, see `bm3d` for them. Its images may be on the host or on any
    GPU. The buffers serve one call at a time: calls from several threads wait for each other, and
    calls on several CUDA streams need a plan each. A copy of a plan, or one sent to another
    process, is a new plan.

    Before a CUDA graph is captured, run the plan once: the first call copies tables to the GPU and
    waits for them. Give the plan's `sigma` and capture ``plan(image, out=result)``.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> frames = np.random.default_rng(0).normal(100, 10, (3, 32, 32)).astype(np.float32)
    >>> plan = fastrestore.BM3DPlan(frames[0].shape, sigma=10)
    >>> restored = [plan(frame) for frame in frames]
    >>> float(restored[0].std()) < 5
    True
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike = np.float32,
        sigma: Any = None,
        *,
        psd: Any = None,
        noise_kernel: Any = None,
        noise: NoiseModel | None = None,
        profile: str | Profile = "np",
        stage: str = "final",
        data_range: float | None = None,
        channel_axis: int | None = None,
        colorspace: str | None = "auto",
        chroma_strength: float = 1.0,
        max_memory: float | None = None,
        deterministic: bool = False,
        workers: int | None = None,
        backend: str | None = None,
    ) -> None:
        self._made_of = {
            key: value for key, value in locals().items() if key not in ("self", "__class__")
        }
        self._shape = _shape(shape)
        self._dtype = _dtype(dtype)
        self._call = Call.checked(
            {"sigma": sigma, "psd": psd, "noise_kernel": noise_kernel, "noise": noise},
            Options(
                profile, stage, data_range, channel_axis, colorspace, chroma_strength, max_memory,
                deterministic, workers, backend,
            ),
            self.shape,
            True,
        )  # fmt: skip
        self._lock = threading.Lock()
        job = self._call.job
        self._nbytes = self._memory()
        filtered = self.dtype if noise is None else np.dtype(np.float64)
        job.engine.warm(job.profile, job.stages(piloted=False), filtered, job.run)

    shape = property(lambda self: self._shape, doc="Shape of the images.")
    dtype = property(lambda self: self._dtype, doc="Type of the images.")
    nbytes = property(lambda self: self._nbytes, doc="Memory that a call takes, about.")
    backend = property(lambda self: self._call.job.engine.NAME, doc="Who computes.")

    def __repr__(self) -> str:
        return f"BM3DPlan({self.shape}, {self.dtype.name!r}, ..., backend={self.backend!r})"

    def __reduce__(self) -> Any:
        return _made, (self._made_of,)

    def _memory(self) -> int:
        """Estimate the memory of a call, cut into tiles if it must be."""
        axis, levels = self._call.channel_axis, self._call.levels
        rows, columns = (size for k, size in enumerate(self.shape) if axis is None or k != axis % 3)
        count = 1 if axis is None else self.shape[axis]
        maps = 1 + count if levels is not None and levels.map is not None else 0
        cutting = Cutting.of((count, rows, columns), maps, self._call.job, piloted=False)
        return cutting.cost_of(cutting.side())

    def __call__(self, image: Any, *, sigma: Any = None, out: Any = None) -> Any:
        """Restore an image.

        Parameters
        ----------
        image : array
            Of the shape and type of the plan.
        sigma : float or array, optional
            In place of that of the plan, which must not have been told the noise otherwise.
        out : array, optional
            Where the result goes: of the shape of `image`, the type of a result (float32 for
            integers), in any layout, where `image` is. It must not share memory with `image`.

        Returns
        -------
        array
            The estimate of the clean image, or `out`.

        Raises
        ------
        TypeError, ValueError
            If `image` or `out` is of another shape, type or kind.
        """
        values, restore = interop.recognize("image", image)
        if values.shape != self.shape or values.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(
                f"image has shape {values.shape} and type {values.dtype}, "
                f"the plan {self.shape} and {self.dtype}"
            )
        target = None if out is None else _target(out, values)
        call = self._call if sigma is None else self._with(sigma)
        with self._lock, interop.use_device_of(values):
            result, _ = call.run(values, None, None, lambda share: None, target)
        return restore(result) if out is None else out

    def _with(self, sigma: Any) -> Call:
        """Return the call for another sigma, with the same buffers."""
        call = self._call
        if call.faint or call.noise is not None:
            raise ValueError("the plan was told the noise otherwise than by sigma; make another")
        levels = validate.levels(sigma, self.shape, call.channel_axis)
        if call.job.profile.residual and levels.map is not None:
            raise ValueError(f"profile {call.job.profile.name!r} does not take a map of sigma")
        return replace(call, levels=levels, kept=[])


def _made(arguments: dict[str, Any]) -> BM3DPlan:
    """Make a plan again."""
    return BM3DPlan(**arguments)


def _shape(shape: Any) -> tuple[int, ...]:
    """Check the shape of images; the axes are checked with the other arguments."""
    sizes = shape.tolist() if isinstance(shape, np.ndarray) and shape.ndim == 1 else shape
    if not isinstance(sizes, (tuple, list)) or not all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in sizes
    ):
        got = f"an array of shape {shape.shape}" if np.ndim(shape) > 1 else repr(shape)
        raise TypeError(
            f"shape must be that of the images, as image.shape or (512, 512), got {got}"
        )
    return tuple(int(size) for size in sizes)


def _dtype(dtype: Any) -> np.dtype[Any]:
    """Check the type of images."""
    name = str(dtype).removeprefix("torch.")
    try:
        kind = np.dtype(name if str(dtype) != name else dtype).newbyteorder("=")
    except TypeError:
        raise TypeError(f"dtype must be a type of real numbers, got {dtype!r}") from None
    if kind.kind not in "fiu":
        raise TypeError(f"dtype must be a type of real numbers, got {kind.name!r}")
    return kind


def _target(out: Any, image: Any) -> Any:
    """Check where a result shall go."""
    values, _ = interop.recognize("out", out)
    dtype = interop.result_dtype(image.dtype)
    if values.shape != image.shape or values.dtype != dtype:
        raise ValueError(
            f"out has shape {values.shape} and type {values.dtype}; "
            f"it must be {image.shape} and {dtype}"
        )
    interop.check_same_device("out", values, image)
    if interop.namespace(values).may_share_memory(values, image):
        raise ValueError("out shares memory with image, which is still read when out is written")
    if interop.on_host(values) and not values.flags.writeable:
        raise ValueError("out is read-only")
    return values
