"""Batches of images of one size: joined, or each image on a thread of its own, or one by one."""

from __future__ import annotations

import contextvars
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from fastrestore._algorithms.joined import SMALL, Batch, Joined
from fastrestore._arrays import interop, threads, validate
from fastrestore._arrays.progress import reporting

_ARRAYS = ("sigma", "pilot", "guide", "mask")  # arguments that may differ from image to image


def restore_batch(restore: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Restore the images of a batch by a function, from all its arguments."""
    options = dict(arguments)
    image = options.pop("image")
    values, convert_back = interop.recognize("image", image)
    batch = _checked(tuple(values.shape), options)
    several = validate.flag("return_info", options.get("return_info", False))
    progress = options.pop("progress", False)
    infos: list[Any] = [None] * batch.images
    with reporting(progress, restore.__name__) as report, interop.use_device_of(values):
        out = interop.namespace(values).empty(values.shape, interop.result_dtype(values.dtype))
        joined = Joined.of(values, batch, options)
        if joined is not None and joined.restore(batch, out, report):
            restored = convert_back(out)
            return (restored, joined.infos()) if several else restored
        one = functools.partial(_one, restore, values, batch, options)
        for k, result in _each(one, batch, options, on_host=interop.on_host(values)):
            result, infos[k] = result if several else (result, None)
            batch.image(out, k)[...] = result
            report(1 / batch.images)
    restored = convert_back(out)
    return (restored, tuple(infos)) if several else restored


def _checked(shape: tuple[int, ...], options: dict[str, Any]) -> Batch:
    """Validate the axes."""
    channel_axis = options.pop("channel_axis", None)
    wanted = 3 if channel_axis is None else 4
    given = options.pop("batch_axis")
    if len(shape) != wanted:
        raise ValueError(
            f"image must have {wanted} axes for batch_axis={validate.quoted(given)}, got shape "
            f"{shape}"
        )
    axis = validate.axis("batch_axis", given, shape)
    if 0 in shape:
        raise ValueError(f"image is empty, its shape is {shape}")
    if channel_axis is not None:
        channels = validate.axis("channel_axis", channel_axis, shape)
        if channels == axis:
            raise ValueError(f"batch_axis and channel_axis are the same axis, {axis}")
        channel_axis = channels - (axis < channels)
    return Batch(shape, axis, channel_axis)


def _one(
    restore: Callable[..., Any],
    values: Any,
    batch: Batch,
    options: dict[str, Any],
    k: int,
    **others: Any,
) -> Any:
    """Restore one image."""
    own = {
        name: batch.argument(name, options[name], k)
        for name in _ARRAYS
        if options.get(name) is not None
    }
    arguments = {**options, **own, **others, "channel_axis": batch.channel_axis}
    try:
        return restore(batch.image(values, k), **arguments)
    except (ValueError, TypeError) as error:
        raise type(error)(f"image {k} of the batch: {error}") from error


def _each(
    one: Callable[..., Any], batch: Batch, options: dict[str, Any], *, on_host: bool
) -> Iterator[tuple[int, Any]]:
    """Restore the images, in any order.

    Yields
    ------
    int
        Index of an image.
    Any
        Its result.
    """
    workers = min(validate.workers(options.get("workers")), batch.images)
    if workers == 1 or not on_host or math.prod(batch.shape) > SMALL * batch.images:
        for k in range(batch.images):
            yield k, one(k)
        return
    threads.prepare()
    yield 0, one(0)  # with all threads: it compiles kernels once, and shows wrong arguments
    with ThreadPoolExecutor(workers, "fastrestore") as pool:
        try:
            running = {
                pool.submit(contextvars.copy_context().run, one, k, workers=1): k
                for k in range(1, batch.images)
            }
            for future in as_completed(running):
                yield running.pop(future), future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
