"""Conversion of state dicts of other packages to the layout of our networks.

The network and its sizes are derived from the names and shapes of the weights.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastrestore.nets.network import Network
from fastrestore.nets.refine import FACTOR
from fastrestore.nets.registry import KINDS

Tensors = dict[str, Tensor]

KNOWN = (
    "DnCNN (model.*, dncnn.* or in_conv, conv_list.*, out_conv), FFDNet (model.*, 4 C + 1 channels "
    "in), U-Net or DRUNet (m_head, m_down1.*, ...), Refine (head, encoder.*, ...), SRResNet and "
    "RRDBNet (conv_first, body.0.*, ... or RRDB_trunk.*), SRVGG (body.0, body.1, ...) and VSRGAN "
    "(fnet.*, srnet.*)"
)
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict")
OWN_EPS, KAIR_EPS, TORCH_EPS = 1e-4, 1e-4, 1e-5  # of batch normalization


class UnrecognizedError(ValueError):
    """Weights by name that are none of our networks, and may be one of another package."""


class Described(NamedTuple):
    """Name of a network, its sizes, and its weights in our layout."""

    kind: str
    channels: int
    sizes: dict[str, Any]
    tensors: Tensors


def network_of(loaded: Any, source: str, ours: bool = False) -> Network:
    """Return the network of a loaded file; `ours` if fastrestore wrote it.

    Raise `UnrecognizedError` if it may be one of another package, and otherwise `ValueError`.
    """
    tensors = _unwrapped(loaded, source)
    try:
        found = _recognized(tensors, source, ours)
    except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        if str(error).startswith(source):
            raise
        # Names or shapes that no network has; those expected are not checked one by one
        detail = f"{type(error).__name__}: {str(error)[:200]}"
        raise UnrecognizedError(
            f"{source} is not a known network: {detail}; known: {KNOWN}"
        ) from None
    check_finite(found.tensors, source)
    make = functools.partial(KINDS[found.kind], found.channels, **found.sizes)
    _check_shapes(make, found.tensors, source)
    net = make()
    net.load_state_dict(found.tensors)
    return net.eval().requires_grad_(False)


def check_finite(tensors: Tensors, source: str) -> None:
    """Raise if a weight is NaN or infinite."""
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{source}: {name} has values that are NaN or infinite")


def _check_shapes(make: Callable[[], Network], tensors: Tensors, source: str) -> None:
    """Raise unless the weights fit a network, which is made without memory for its own."""
    try:
        with torch.device("meta"):
            net = make()
    except (ValueError, TypeError, RuntimeError) as error:
        raise UnrecognizedError(f"{source} is not a known network: {error}") from None
    try:
        net.load_state_dict({name: value.to("meta") for name, value in tensors.items()})
    except RuntimeError as error:
        reasons = "; ".join(line.strip()[:200] for line in str(error).splitlines()[1:4])
        raise UnrecognizedError(
            f"{source} is not a complete {type(net).__name__}: {reasons}"
        ) from None


def described(net: Network) -> Described:
    """Return the name and the sizes of a network."""
    return _recognized(dict(net.state_dict()), type(net).__name__, ours=True)


def _unwrapped(loaded: Any, source: str) -> Tensors:
    """Return the weights by name as float32, without enclosing dictionaries."""
    for name in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
            loaded = loaded[name]
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(f"{source} contains a {type(loaded).__name__} instead of weights by name")
    return plain(loaded, source)


def plain(loaded: dict[Any, Any], source: str) -> Tensors:
    """Return weights by name as float32; raise if there is anything else."""
    if not all(isinstance(value, Tensor) for value in loaded.values()):
        raise UnrecognizedError(
            f"{source} does not contain weights by name: {_quoted(loaded)}; known: {KNOWN}"
        )
    tensors: Tensors = {}
    for name, value in loaded.items():
        if not _is_plain(value):
            raise ValueError(f"{source}: {name!r:.60} is not a plain tensor of real numbers")
        weights = value.float() if value.is_floating_point() else value
        tensors[str(name).removeprefix("module.")] = weights
    return tensors


def _is_plain(value: Tensor) -> bool:
    """Return whether a tensor has real numbers, each of them in memory."""
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        return False
    # A tensor that repeats few numbers can be larger than the memory
    size = value.numel() * value.element_size()
    return value.device.type == "cpu" and size <= value.untyped_storage().nbytes()


def _recognized(tensors: Tensors, source: str, ours: bool) -> Described:
    """Identify the network."""
    names = set(tensors)
    if any(name.startswith("RRDB_trunk.") for name in names):
        tensors = _renamed(tensors)
        names = set(tensors)
    if {"fnet.flow.0.weight", "srnet.conv_in.0.weight"} <= names:
        return _vsrgan(tensors)
    if {"conv_first.weight", "conv_body.weight"} <= names:
        return _rrdb(tensors)
    if {"conv_first.weight", "conv_last.weight", "body.0.conv1.weight"} <= names:
        return _srresnet(tensors, source)
    if "body.0.weight" in names and "body.1.weight" in names:
        return _srvgg(tensors, source)
    if {"head.weight", "tail.weight", "decoder.0.0.res.0.weight"} <= names:
        return _refine(tensors)
    if "m_head.weight" in names and "m_tail.weight" in names:
        return _unet(tensors)
    if {"in_conv.weight", "out_conv.weight"} <= names:
        return _of_deepinv(tensors, source)
    if any(name.startswith("dncnn.") for name in names):
        renamed = {f"model.{name.removeprefix('dncnn.')}": v for name, v in tensors.items()}
        return _chain(renamed, source, TORCH_EPS, ours)
    if any(re.fullmatch(r"model\.\d+\.weight", name) for name in names):
        return _chain(tensors, source, KAIR_EPS, ours)
    raise _unknown(tensors, source)


def _unknown(tensors: Tensors, source: str) -> UnrecognizedError:
    """Return the error for names that no network has."""
    return UnrecognizedError(f"{source} is not a known network: {_quoted(tensors)}; known: {KNOWN}")


def _quoted(tensors: dict[str, Any]) -> str:
    """Quote the names of the weights."""
    names = [str(name) for name in tensors]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"it has the keys {', '.join(names[:6])}{more}"


def _chain(tensors: Tensors, source: str, eps: float, ours: bool) -> Described:
    """Describe a DnCNN or an FFDNet, which are sequences of convolutions."""
    layers, over = _merged(tensors, eps)
    if len(layers) < 2:
        raise UnrecognizedError(
            f"{source} is not a known network: {_quoted(tensors)}; known: {KNOWN}"
        )
    if over:
        raise UnrecognizedError(
            f"{source} is not a complete network: {', '.join(over[:3])} fit no layer"
        )
    merged: Tensors = {}
    for k, (weight, bias) in enumerate(layers):
        merged |= {f"model.{2 * k}.weight": weight, f"model.{2 * k}.bias": bias}
    (width, inside), outside = layers[0][0].shape[:2], len(layers[-1][0])
    sizes = {"layers": len(layers), "width": width}
    if inside == outside and inside in (1, 3):
        if len(layers) == 7 and not ours:
            raise ValueError(
                f"{source} has 7 convolutions like an IRCNN, whose dilations are not in the file; "
                f"known: {KNOWN}"
            )
        return Described("dncnn", inside, sizes, merged)
    if (inside, outside) in ((5, 4), (13, 12)):
        return Described("ffdnet", outside // 4, sizes, merged)
    raise UnrecognizedError(
        f"{source} is not a known network: its first convolution has {inside} input channels, its "
        f"last {outside} output channels; known: {KNOWN}"
    )


def _merged(tensors: Tensors, eps: float) -> tuple[list[tuple[Tensor, Tensor]], list[str]]:
    """Return weight and bias of each convolution, and the names of the tensors that fit no layer.

    Batch normalization is merged into the convolution before it.
    """
    rest, layers = dict(tensors), list[tuple[Tensor, Tensor]]()
    numbers = {int(found[1]) for name in rest if (found := re.match(r"model\.(\d+)\.", name))}
    for name in (f"model.{k}" for k in sorted(numbers)):
        if layers and f"{name}.running_var" in rest:
            gain, shift, mean, variance = (
                rest.pop(f"{name}.{part}")
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            rest.pop(f"{name}.num_batches_tracked", None)
            factor = gain / (variance + eps).sqrt()
            weight, bias = layers[-1]
            layers[-1] = weight * factor[:, None, None, None], (bias - mean) * factor + shift
        elif f"{name}.weight" in rest and rest[f"{name}.weight"].ndim == 4:
            weight = rest.pop(f"{name}.weight")
            layers.append((weight, rest.pop(f"{name}.bias", weight.new_zeros(len(weight)))))
    return layers, sorted(rest)


def _of_deepinv(tensors: Tensors, source: str) -> Described:
    """Describe a DnCNN of deepinv, which adds its output where ours subtracts it."""
    count = _count(tensors, r"conv_list\.(\d+)\.weight$")
    order = ["in_conv", *(f"conv_list.{k}" for k in range(count)), "out_conv"]
    renamed: Tensors = {}
    for k, name in enumerate(order):
        for part in ("weight", "bias"):
            value = tensors.get(f"{name}.{part}")
            if value is not None:
                renamed[f"model.{k}.{part}"] = -value if name == "out_conv" else value
    return _chain(renamed, source, KAIR_EPS, ours=True)


def _unet(tensors: Tensors) -> Described:
    """Describe a U-Net by its head, its levels and its blocks."""
    head, tail = tensors["m_head.weight"], tensors["m_tail.weight"]
    depth = _count(tensors, r"m_down(\d+)\.")
    blocks = _count(tensors, r"m_body\.(\d+)\.")
    widths = [head.shape[0]]
    for level in range(1, depth + 1):
        name = f"m_down{level}.{blocks}.weight"
        widths.append(tensors[name].shape[0] if name in tensors else widths[-1])
    takes_sigma = head.shape[1] > tail.shape[0]
    sizes = {"widths": tuple(widths), "blocks": blocks, "takes_sigma": takes_sigma}
    return Described("unet", tail.shape[0], sizes, tensors)


def _refine(tensors: Tensors) -> Described:
    """Describe a Refine by its tail, its levels and its blocks."""
    depth = _count(tensors, r"down\.(\d+)\.")
    widths = [tensors["head.weight"].shape[0]]
    widths += [tensors[f"down.{level}.weight"].shape[0] for level in range(depth)]
    blocks = [_count(tensors, rf"encoder\.{level}\.(\d+)\.") for level in range(depth)]
    blocks.append(_count(tensors, r"body\.(\d+)\."))
    sizes = {"widths": tuple(widths), "blocks": tuple(blocks)}
    return Described("refine", tensors["tail.weight"].shape[0] // FACTOR**2, sizes, tensors)


OLD = (
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)


def _renamed(tensors: Tensors) -> Tensors:
    """Convert the names of the first ESRGAN files to the current ones."""
    renamed: Tensors = {}
    for name, value in tensors.items():
        for old, new in OLD:
            name = re.sub(old, new, name)
        renamed[name] = value
    return renamed


def _count(tensors: Tensors, pattern: str) -> int:
    """Count the different numbers that a pattern finds in the names."""
    return len({found[1] for name in tensors if (found := re.match(pattern, name))})


def _rrdb(tensors: Tensors) -> Described:
    """Describe an RRDBNet by its blocks; the scale follows from the number of input channels."""
    first, last = tensors["conv_first.weight"], tensors["conv_last.weight"]
    interlaced = first.shape[1] // last.shape[0]
    sizes = {
        "scale": {1: 4, 4: 2, 16: 1}.get(interlaced, 0),
        "blocks": _count(tensors, r"body\.(\d+)\."),
        "width": first.shape[0],
        "growth": len(tensors.get("body.0.rdb1.conv1.weight", ())),
    }
    return Described("rrdb", last.shape[0], sizes, tensors)


def _srresnet(tensors: Tensors, source: str) -> Described:
    """Describe an SRResNet by its blocks and its pixel shuffles."""
    first = tensors["conv_first.weight"]
    steps = sum(f"upconv{k}.weight" in tensors for k in (1, 2))
    up = tensors.get("upconv1.weight")
    if up is not None and len(up) != 4 * first.shape[0]:
        raise UnrecognizedError(f"{source} is an SRResNet of another scale than 1, 2 and 4")
    sizes = {
        "scale": 2**steps,
        "blocks": _count(tensors, r"body\.(\d+)\."),
        "width": first.shape[0],
    }
    return Described("srresnet", first.shape[1], sizes, tensors)


def _vsrgan(tensors: Tensors) -> Described:
    """Describe a recurrent network for videos; buffers of a filter indicate bicubic upsampling."""
    buffers = {name for name in tensors if name.endswith("upsample_func.kernels")}
    rest = {name: value for name, value in tensors.items() if name not in buffers}
    width, inside = rest["srnet.conv_in.0.weight"].shape[:2]
    channels = rest["srnet.conv_out.weight"].shape[0]
    sizes = {
        "scale": round((inside / channels - 1) ** 0.5),
        "blocks": _count(rest, r"srnet\.resblocks\.(\d+)\."),
        "width": width,
        "flow_width": len(rest["fnet.flow.0.weight"]),
        "upsample": "bicubic" if buffers else "bilinear",
    }
    return Described("vsrgan", channels, sizes, rest)


def _srvgg(tensors: Tensors, source: str) -> Described:
    """Describe an SRVGG; the scale follows from the channels of the last convolution."""
    first = tensors["body.0.weight"]
    last = max(int(name.split(".")[1]) for name in tensors if name.startswith("body."))
    pixels = len(tensors[f"body.{last}.weight"]) // first.shape[1]
    scale = round(pixels**0.5)
    if scale**2 != pixels or scale > 4 or last % 2:
        raise UnrecognizedError(
            f"{source} is not a known network: {_quoted(tensors)}; known: {KNOWN}"
        )
    sizes = {"scale": scale, "layers": last // 2 - 1, "width": first.shape[0]}
    return Described("srvgg", first.shape[1], sizes, tensors)
