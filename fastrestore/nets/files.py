"""Files of weights: what we write, and what others have."""

from __future__ import annotations

import difflib
import functools
import json
import os
import pickle
import re
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from fastrestore.nets.layouts import network_of
from fastrestore.nets.network import Network
from fastrestore.nets.run import check_device

NOTES = "fastrestore"  # the key of what we say of our own files


def names() -> list[str]:
    """Return the names of the weights that come with the library.

    Examples
    --------
    >>> from fastrestore import nets
    >>> "unet-gray" in nets.names()
    True
    """
    folder = resources.files("fastrestore.nets") / "weights"
    if not folder.is_dir():
        return []
    files = (each.name for each in folder.iterdir())
    return sorted(n.removesuffix(".safetensors") for n in files if n.endswith(".safetensors"))


def load(name_or_path: str | os.PathLike[str], device: str = "cpu") -> Network:
    """Load a network: one that comes with the library, by its name, or a file.

    Parameters
    ----------
    name_or_path : str or path
        One of `names`, or a ``.safetensors``, ``.pth`` or ``.pt`` file: `DnCNN` as KAIR writes it,
        as the common PyTorch implementation does (``dncnn.*``, with or without ``module.``), as
        deepinv does; `FFDNet` and `UNet` (DRUNet) as KAIR writes them; `RRDBNet` as ESRGAN,
        Real-ESRGAN and BSRGAN do, with old keys and new; `SRResNet` and `SRVGG` (the compact one of
        Real-ESRGAN) as BasicSR does; `VSRGAN` as TecoGAN for PyTorch does, for frames that are
        means or blurred. Sizes are read from the weights, batch normalisation is merged into the
        convolutions.
    device : str, default "cpu"
        Where the network is to be: "cpu", "cuda", "cuda:1".

    Returns
    -------
    Network
        A `torch.nn.Module` in evaluation mode. Its ``sigmas`` are the noise it was trained for, of
        images from 0 to 1, where the file tells.

    Raises
    ------
    FileNotFoundError
        If there is neither such a name nor such a file.
    TypeError
        If it is neither a name nor a path.
    BackendUnavailableError
        If `device` is not here.
    ValueError
        If there is no such device, or the file is damaged, is a pickle of more than numbers, or
        holds no network that is known.

    Examples
    --------
    >>> from fastrestore import nets
    >>> net = nets.load("unet-gray")
    >>> net.channels, net.takes_sigma
    (1, True)
    """
    where = check_device(device)
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(f"name_or_path must be a name or a file, got {name_or_path!r:.60}")
    if isinstance(name_or_path, str) and name_or_path in names():
        net = _shipped(name_or_path)
        return net if where.type == "cpu" else _read(_place(name_or_path)).to(where)
    path = Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{os.fspath(name_or_path)!r} is neither a file nor one of the weights that come with "
            f"the library: {', '.join(map(repr, names())) or 'none'}{_meant(path.name)}"
        )
    return _read(path).to(where)


def _meant(name: str) -> str:
    """Say which name may have been meant."""
    small = name.lower()
    close = [each for each in names() if each.startswith(f"{small}-")]
    close = close or difflib.get_close_matches(small, names(), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


@functools.cache
def _shipped(name: str) -> Network:
    """Keep what came with the library; nobody may train it."""
    return _read(_place(name))


def _place(name: str) -> Path:
    with resources.as_file(resources.files("fastrestore.nets") / "weights") as folder:
        return folder / f"{name}.safetensors"


def _read(path: Path) -> Network:
    """Read a file of any known kind."""
    notes: dict[str, Any] = {}
    if path.suffix == ".safetensors":
        loaded, notes = _safetensors(path)
    else:
        loaded = _pickled(path)
    net = network_of(loaded, str(path), ours=bool(notes))
    if "sigmas" in notes:
        low, high = notes["sigmas"]
        net.sigmas = (low / 255, high / 255)
    return net


def _safetensors(path: Path) -> tuple[Any, dict[str, Any]]:
    """Read weights, and what we wrote beside them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            notes = json.loads((file.metadata() or {}).get(NOTES, "{}"))
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"{path} is cut short or damaged: {error}") from None
    return tensors, notes


def _pickled(path: Path) -> Any:
    """Read numbers from a pickle, and nothing that could run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Not what PyTorch advises, which is to run the code
        found = re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", str(error))
        what = f"{found[1]}, which is more" if found else "more"
        raise ValueError(
            f"{path} holds {what} than numbers, or is damaged, and is not loaded, because a pickle "
            "can run code; save the state dict alone, best as .safetensors"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is cut short or damaged: {str(error)[:200]}") from None


def save(net: Network, path: Path, *, sigmas: tuple[float, float], **notes: Any) -> None:
    """Write a network as safetensors in half precision, with what it was trained for.

    `sigmas` is on images from 0 to 255. The file is there whole, or as it was before.
    """
    from safetensors.torch import save as serialised

    told = {"sigmas": list(sigmas), **notes}
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in net.state_dict().items()
    }
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(serialised(tensors, {NOTES: json.dumps(told)}))
    new.replace(path)
