"""BM3D of many images of one shape, with tables and buffers that are kept between calls."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastrestore._arrays import interop, validate
from fastrestore._arrays.streams import on_stream_of
from fastrestore._collaborative.pipeline import Result, restore
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Inputs, Request, image_geometry
from fastrestore._collaborative.stage import Context
from fastrestore._collaborative.tiling import Tiling
from fastrestore._noise.planes import NoiseArguments, Source, noise_of_sigma
from fastrestore.backends.protocol import Needs


class BM3DPlan:
    """Restore many images of one shape and type with `bm3d`, such as the frames of a video.

    On a GPU, kernels are compiled when the plan is created, and the first call allocates buffers
    and tables. Later calls allocate only their result, so they can be captured in a CUDA graph. On
    the CPU a plan saves little.

    Parameters
    ----------
    shape : tuple of int
        Shape of the images.
    dtype : data type of NumPy or PyTorch, default float32
        Type of the images.
    sigma, psd, noise_kernel, noise, strength, profile, stage, mask, data_range, channel_axis, \
colorspace, chroma_strength, max_memory, deterministic, workers, backend : optional
        As for `bm3d`. By default noise level and range are measured for each image. Specify
        `data_range` to process all images consistently. The mask applies to all images.

    Attributes
    ----------
    shape : tuple of int
        Shape of the images.
    dtype : numpy.dtype
        Type of the images.
    nbytes : int
        Estimate of the working memory of a call in bytes, without image and result.
    backend : str
        Name of the backend, which is selected when the plan is created.

    Raises
    ------
    TypeError, ValueError, BackendUnavailableError, MemoryError
        As for `bm3d`.

    See Also
    --------
    bm3d : Restore one image, or with `batch_axis` several in one call.

    Notes
    -----
    Plans do not support `pilot` and `guide`. Images may be on the host or on any GPU. Calls from
    several threads run one after the other, because they share buffers. Use one plan for each CUDA
    stream. Copying or pickling a plan creates a new one.

    To capture a CUDA graph, call the plan once, then capture ``plan(image, out=result)``. The first
    call copies tables to the GPU and waits for them. Specify `sigma`: estimating it waits, too.
    Calls with a mask allocate memory and cannot be captured.

    On a GPU, ``plan(image, out=result)`` with the same two arrays records a CUDA graph in the
    second call, and later calls launch it, which takes the host as long as launching one kernel. A
    plan keeps up to 8 graphs and the memory that they use, which the current allocator of CuPy
    provides, and that of torch for tensors. Calls with a mask or an estimated noise level are not
    recorded.

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
        noise: Source | None = None,
        strength: float = 1.0,
        profile: str | Profile = "np",
        stage: str = "final",
        mask: Any = None,
        data_range: float | None = None,
        channel_axis: int | None = None,
        colorspace: str | None = "auto",
        chroma_strength: float = 1.0,
        max_memory: float | None = None,
        deterministic: bool = False,
        workers: int | None = None,
        backend: str | None = None,
    ) -> None:
        self._arguments = {
            key: value for key, value in locals().items() if key not in ("self", "__class__")
        }
        self._shape = validate.shape("shape", shape, validate.length(shape) or 2)
        self._dtype = _dtype(dtype)
        self._request = Request.validated(
            image_geometry(self._shape, channel_axis),
            None,
            NoiseArguments(sigma, psd, noise_kernel, noise),
            strength=strength,
            profile=profile,
            stage=stage,
            mask=mask,
            data_range=data_range,
            colorspace=colorspace,
            chroma_strength=chroma_strength,
            max_memory=max_memory,
            deterministic=deterministic,
            workers=workers,
            backend=backend,
        )
        self._context: Context | None = None  # of an earlier image, if it can be reused
        self._lock = threading.Lock()
        self._replays = self._request.backend.replays() if self._is_repeatable() else None
        _plans.add(self)
        request = self._request
        self._nbytes = self._memory()
        stabilized = request.noise is not None and request.noise.model is not None
        filtered = np.dtype(np.float64) if stabilized else self._dtype
        stages = request.stages(piloted=False)
        mapped = request.noise is not None and request.noise.map is not None
        needs = Needs(request.profile, stages, filtered, mapped)
        with interop.use_device_of(np.empty(0), request.device):
            request.backend.warm(needs, request.execution)

    def _is_repeatable(self) -> bool:
        """Whether a call only depends on the pixels of the image through kernels."""
        request = self._request
        simple = request.mask is None and request.profile.residual == 0
        return simple and request.noise is not None and request.noise.model is None

    shape = property(lambda self: self._shape, doc="Shape of the images.")
    dtype = property(lambda self: self._dtype, doc="Type of the images.")
    nbytes = property(lambda self: self._nbytes, doc="Estimate of the working memory of a call.")
    backend = property(lambda self: self._request.backend.NAME, doc="Name of the backend.")

    def __repr__(self) -> str:
        return f"BM3DPlan({self.shape}, {self.dtype.name!r}, ..., backend={self.backend!r})"

    def __reduce__(self) -> Any:
        return partial(BM3DPlan, **self._arguments), ()

    def _memory(self) -> int:
        """Estimate the memory of a call, of the largest tile if the image does not fit."""
        request = self._request
        geometry, noise = request.geometry, request.noise
        rows, columns = np.delete(self._shape, geometry.channel_axis or ()).tolist()[-2:]
        maps = 0 if noise is None or noise.map is None else 1 + geometry.channels
        return Tiling.of((geometry.channels, rows, columns), maps, request, piloted=False).cost()

    @on_stream_of("image")
    def __call__(self, image: Any, *, sigma: Any = None, out: Any = None) -> Any:
        """Restore an image.

        Parameters
        ----------
        image : array
            Image of the shape and type of the plan.
        sigma : float or array, optional
            Noise level of this image, instead of that of the plan. Not for plans with `psd`,
            `noise_kernel` or `noise`.
        out : array, optional
            Array for the result: of the shape and on the device of `image`, of its type if that
            is a float type and float32 otherwise, in any memory layout. It must not share memory
            with `image`, nor be a broadcast array.

        Returns
        -------
        array
            Estimate of the clean image, or `out`.

        Raises
        ------
        TypeError, ValueError
            If `image` or `out` has the wrong shape, type or kind.
        """
        if self._replays is not None and sigma is None and out is not None:
            with self._lock:
                if self._replays.again(image, out):
                    return out
        values, restore_kind = interop.recognize("image", image)
        if values.shape != self.shape or values.dtype.newbyteorder("=") != self.dtype:
            raise ValueError(
                f"image has shape {values.shape} and type {values.dtype}, "
                f"the plan {self.shape} and {self.dtype}"
            )
        target = None if out is None else _target(out, values)
        request = self._request if sigma is None else self._with(sigma)
        with self._lock, interop.use_device_of(values):
            context = self._context if sigma is None else None  # is for the noise of the plan

            def run() -> Result:
                return restore(request, Inputs(values, out=target), context)

            if sigma is None and target is not None and self._replays is not None:
                result = self._replays.call(values, target, run)
            else:
                result = run()
            if sigma is None:
                self._context = result.context
        return restore_kind(result.image) if out is None else out

    def _with(self, sigma: Any) -> Request:
        """Return the request for another sigma, with the same buffers."""
        request = self._request
        given = [self._arguments[name] for name in ("psd", "noise_kernel", "noise")]
        if any(value is not None and not isinstance(value, str) for value in given):
            raise ValueError(
                "sigma cannot replace the psd, noise_kernel or noise of this plan; create another"
            )
        valid = None if request.mask is None else request.mask.valid
        spec = noise_of_sigma(sigma, self._shape, request.geometry.channel_axis, valid)
        if spec.map is not None and request.profile.whole():
            raise ValueError(f"profile {request.profile.name!r} does not take a map of sigma")
        return replace(request, noise=spec)


_plans: weakref.WeakSet[BM3DPlan] = weakref.WeakSet()


def _unlock() -> None:
    """Replace locks that threads of the parent process held during a fork."""
    for plan in _plans:
        plan._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _dtype(dtype: Any) -> np.dtype[Any]:
    """Validate the type of images."""
    name = str(dtype).removeprefix("torch.")
    try:
        kind = np.dtype(name if str(dtype) != name else dtype).newbyteorder("=")
    except TypeError:
        raise TypeError(f"dtype must be a type of real numbers, got {dtype!r}") from None
    if kind.kind not in "fiu":
        raise TypeError(f"dtype must be a type of real numbers, got {kind.name!r}")
    return kind


def _target(out: Any, image: Any) -> Any:
    """Validate an array for the result."""
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
    if any(n > 1 and not stride for n, stride in zip(values.shape, values.strides, strict=True)):
        raise ValueError("out is a broadcast array, whose pixels share memory; copy it")
    return values
