"""Stacks with named axes: which axes are restored together, and by which function."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from fastrestore._algorithms.bm4d import bm4d
from fastrestore._algorithms.vbm3d import vbm3d
from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import reporting
from fastrestore._chunked import entry

P = ParamSpec("P")
T = TypeVar("T")

KINDS = {"planes": "", "film": "T", "volume": "Z"}  # and the axis that is restored with the planes
_FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "film": (vbm3d, "time_axis"),
    "volume": (bm4d, "slice_axis"),
}
_ORDER = "TZYXS"  # of the axes of a part
# Options of `denoise` that `vbm3d` and `bm4d` have, too
_SHARED = ("noise", "strength", "profile", "mask", "data_range", "workers", "backend",
           "progress", "return_info")  # fmt: skip


class _Stack(NamedTuple):
    """The axes of an array, and those that are restored together."""

    axes: str
    shape: tuple[int, ...]
    together: str

    @property
    def inner(self) -> str:
        """The axes of a part, as the functions get them: slices or frames, Y, X and S.

        The order is fixed, because rounding makes results depend on it: blocks whose distances
        differ by less are chosen in the order of rows and columns.
        """
        return "".join(name for name in _ORDER if name in self.axes and name in self.together)

    def ordered(self, part: Any) -> Any:
        """Return a part with its axes in this order."""
        stored = [name for name in self.axes if name in self.together]
        return part.transpose([stored.index(name) for name in self.inner])

    def stored(self, part: Any) -> Any:
        """Return a part with its axes in the order of the array."""
        stored = [name for name in self.axes if name in self.together]
        return part.transpose([self.inner.index(name) for name in stored])

    @property
    def parts(self) -> int:
        """The number of parts."""
        return math.prod(
            size
            for name, size in zip(self.axes, self.shape, strict=True)
            if name not in self.together
        )

    def indices(self) -> Iterator[tuple[Any, ...]]:
        """Yield the index of each part."""
        yield from itertools.product(
            *(
                [slice(None)] if name in self.together else range(size)
                for name, size in zip(self.axes, self.shape, strict=True)
            )
        )

    def place(self, index: tuple[Any, ...]) -> str:
        """Name a part in messages."""
        pairs = zip(self.axes, index, strict=True)
        named = [f"{name}={k}" for name, k in pairs if not isinstance(k, slice)]
        stored = "".join(name for name in self.axes if name in self.together)
        named += [f"axes {self.inner}"] if self.inner != stored else []  # in which places are given
        return f"at {', '.join(named)}: " if named else ""

    def of_part(self, name: str, value: Any, index: tuple[Any, ...]) -> Any:
        """Return what belongs to a part of an array that broadcasts to the shape of the stack."""
        ndim = getattr(value, "ndim", 0)
        if ndim < 2:
            return value
        _check_broadcast(name, value, self.shape)
        sizes = zip(value.shape, index[-ndim:], strict=True)
        part = value[tuple(0 if size == 1 and k != slice(None) else k for size, k in sizes)]
        if name == "sigma" and math.prod(part.shape) == 1:  # a number, where maps do not apply
            return part.reshape(())
        missing = len(self.inner) - part.ndim  # axes of size 1, along which it is repeated
        return self.ordered(part.reshape((1,) * missing + tuple(part.shape)))


def along_axes(denoise: Callable[P, T]) -> Callable[P, T]:
    """Let a function for images restore stacks: its arguments `axes` and `kind` are for this."""
    signature = inspect.signature(denoise)

    @functools.wraps(denoise)
    def restored(*args: P.args, **options: P.kwargs) -> T:
        if not options.keys() <= signature.parameters.keys():
            return denoise(*args, **options)  # which raises
        image = args[0] if args else options.get("image")
        if entry.is_labeled(image):
            whole = signature.bind(*args, **options)
            whole.apply_defaults()
            labeled: T = entry.restored(restored, whole.arguments)
            return labeled
        axes, kind = options.pop("axes", None), str(options.pop("kind", "planes"))
        validate.choice("kind", kind, tuple(KINDS))
        if axes is None:
            if kind != "planes":
                raise ValueError(f"kind={kind!r} needs axes, such as axes={KINDS[kind] + 'YX'!r}")
            return denoise(*args, **options)
        bound = signature.bind(*args, **options).arguments
        image, sigma = bound.pop("image"), bound.pop("sigma", None)
        result: Any = _restored(denoise, image, sigma, (axes, kind), bound)
        return result  # type: ignore[no-any-return]

    return restored


def _restored(
    denoise: Callable[..., Any],
    image: Any,
    sigma: Any,
    layout: tuple[Any, str],
    options: dict[str, Any],
) -> Any:
    """Restore a stack part by part."""
    if entry.is_chunked(image):
        return _restored_lazily(denoise, image, sigma, layout, options)
    values, convert_back = interop.recognize("image", image)
    axes, kind = layout
    stack = _stack(axes, tuple(values.shape), kind)
    call = _call(denoise, stack, kind, options)
    mask, progress = options.get("mask"), options.get("progress", False)
    infos = []
    with reporting(progress, "denoise") as report, interop.use_device_of(values):
        out = interop.namespace(values).empty(values.shape, interop.result_dtype(values.dtype))
        for index in stack.indices():
            arrays = {
                "sigma": stack.of_part("sigma", sigma, index),
                "mask": stack.of_part("mask", mask, index),
            }
            given = {name: value for name, value in arrays.items() if value is not None}
            try:
                part = stack.ordered(values[index])
                result = call(part, **given, progress=_share(report, stack.parts))
            except (ValueError, TypeError) as error:
                raise type(error)(f"{stack.place(index)}{error}") from error
            if call.keywords.get("return_info"):
                result, info = result
                infos.append(info)
            out[index] = stack.stored(result)
        restored = convert_back(out)
    return (restored, tuple(infos)) if call.keywords.get("return_info") else restored


def _restored_lazily(
    denoise: Callable[..., Any],
    image: Any,
    sigma: Any,
    layout: tuple[Any, str],
    options: dict[str, Any],
) -> Any:
    """Restore a stack of Dask part by part, each of them lazily."""
    axes, kind = layout
    stack = _stack(axes, tuple(image.shape), kind)
    call = _call(denoise, stack, kind, options)
    mask = options.get("mask")
    parts = []
    for index in stack.indices():
        arrays = {
            "sigma": stack.of_part("sigma", sigma, index),
            "mask": stack.of_part("mask", mask, index),
        }
        given = {name: value for name, value in arrays.items() if value is not None}
        try:
            parts.append(stack.stored(call(stack.ordered(image[index]), **given)))
        except (ValueError, TypeError) as error:
            raise type(error)(f"{stack.place(index)}{error}") from error
    return entry.stacked(parts, [name in stack.together for name in stack.axes], image.shape)


def _share(report: Callable[[float], None], parts: int) -> Callable[[int, int], None]:
    """Return a callable that reports the progress of one of several parts."""
    last = 0.0

    def step(done: int, total: int) -> None:
        nonlocal last
        report((done / total - last) / parts)
        last = done / total

    return step


def _call(
    denoise: Callable[..., Any], stack: _Stack, kind: str, options: dict[str, Any]
) -> functools.partial[Any]:
    """Return the function for a part, with all its arguments but arrays."""
    _check_options(denoise, kind, options)
    used = {
        name: value
        for name, value in options.items()
        if name not in ("mask", "progress") and (name in _SHARED or kind == "planes")
    }
    if "S" in stack.inner:
        used["channel_axis"] = stack.inner.index("S")
    if kind == "planes":
        return functools.partial(denoise, **used)
    if used.get("profile") is None:
        used.pop("profile", None)
    function, name = _FUNCTIONS[kind]
    return functools.partial(function, **used, **{name: stack.inner.index(KINDS[kind])})


def _check_options(denoise: Callable[..., Any], kind: str, options: dict[str, Any]) -> None:
    """Raise if an option is given that does not apply."""
    for name in ("channel_axis", "batch_axis"):
        if options.get(name) is not None:
            raise ValueError(
                f"axes names all axes; leave out {name}={validate.quoted(options[name])}, and "
                "write S for the samples of a pixel, such as red, green and blue"
            )
    if kind == "planes":
        return
    defaults = inspect.signature(denoise).parameters
    for name, value in options.items():
        default = defaults[name].default
        same = value is default or (isinstance(value, str) and value == default)
        if name not in _SHARED and not same and (name, value) != ("method", "bm3d"):
            raise ValueError(
                f"{name}={validate.quoted(value)} is not used by kind={kind!r}, only by "
                "kind='planes'"
            )


def _stack(axes: Any, shape: tuple[int, ...], kind: str) -> _Stack:
    """Return the checked axes of a stack."""
    advice = "write a letter for each axis, such as 'TZYX'"
    if not isinstance(axes, str):
        raise TypeError(f"axes must be a string, got {validate.quoted(axes)}; {advice}")
    names = axes.upper()
    if len(names) != len(shape):
        raise ValueError(f"axes={axes!r} has {len(names)} letters, and the shape is {shape}; "
                         f"{advice}")  # fmt: skip
    if len(set(names)) < len(names) or not names.isalpha():
        raise ValueError(f"axes={axes!r} must have different letters; {advice}")
    if not {"Y", "X"} <= set(names):
        raise ValueError(f"axes={axes!r} must have Y and X, the rows and columns; {advice}")
    wanted = KINDS[kind]
    if wanted not in names:
        raise ValueError(
            f"kind={kind!r} needs an axis {wanted}, and axes={axes!r} has none; write "
            f"{_alternatives(names)}"
        )
    if not math.prod(shape):
        raise ValueError(f"image must not be empty, got shape {shape}")
    return _Stack(names, shape, f"YXS{wanted}")


def _alternatives(names: str) -> str:
    """Return the kinds that are possible for some axes."""
    return " or ".join(f"kind={kind!r}" for kind, axis in KINDS.items() if axis in names)


def _check_broadcast(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise if an array does not broadcast to a shape."""
    try:
        matches = np.broadcast_shapes(tuple(value.shape), shape) == shape
    except ValueError:
        matches = False
    if not matches:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, which does not broadcast to the "
                         f"shape {shape} of the image")  # fmt: skip
