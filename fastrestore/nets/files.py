"""Files of weights, written by fastrestore and by other packages."""

from __future__ import annotations

import difflib
import functools
import json
import math
import os
from pathlib import Path
from typing import Any

from fastrestore.nets.community import community_network
from fastrestore.nets.layouts import UnrecognizedError, network_of
from fastrestore.nets.network import Network
from fastrestore.nets.run import check_device
from fastrestore.nets.storage import damaged, read_pickled, read_safetensors, write_through

WEIGHTS = Path(__file__).parent / "weights"
NOTES = "fastrestore"  # key of the metadata in our own files


def names() -> list[str]:
    """Return the names of the built-in weights.

    They are part of the package; nothing is downloaded.

    Returns
    -------
    list of str
        Names for `load`.

    See Also
    --------
    load : Load a network by one of these names.

    Examples
    --------
    >>> from fastrestore import nets
    >>> "unet-gray" in nets.names()
    True
    """
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load(name_or_path: str | os.PathLike[str], device: str = "cpu") -> Network:
    """Load a network from built-in weights or from a file.

    What a file contains is recognized from the names and shapes of its tensors. No code of a file
    is run.

    Parameters
    ----------
    name_or_path : str or path
        One of `names`, or a ``.safetensors``, ``.pth`` or ``.pt`` file. Supported layouts are those
        of KAIR (`DnCNN`, `FFDNet`, `UNet` as DRUNet), of the common PyTorch implementation of
        `DnCNN` (``dncnn.*``, with or without ``module.``), of deepinv (`DnCNN`), of ESRGAN,
        Real-ESRGAN and BSRGAN (`RRDBNet`, old and new keys), of BasicSR (`SRResNet`, and `SRVGG`,
        the compact network of Real-ESRGAN), and of TecoGAN for PyTorch (`VSRGAN`, for
        downsampling with or without blur). The sizes are derived from the weights, and batch
        normalization is merged into the convolutions. Other layouts are read with the package
        spandrel, if it is installed: SwinIR, HAT, DAT, SCUNet, NAFNet, FBCNN, LaMa and more.
    device : str, default "cpu"
        "cpu", "cuda" or "cuda:1".

    Returns
    -------
    Network
        A `torch.nn.Module` in evaluation mode. Its attribute ``sigmas`` is the range of noise
        levels it was trained for, on images from 0 to 1, or None if the file does not specify it.
        ``tiling`` is "exact" unless spandrel recognized the network: see `Network`.

    Raises
    ------
    FileNotFoundError
        If there are neither built-in weights of this name nor such a file.
    TypeError
        If `name_or_path` is neither a name nor a path.
    BackendUnavailableError
        If `device` is not available.
    ValueError
        If `device` is not the name of a device, or the file is damaged, is a pickle of anything
        but tensors, or does not contain a supported network. The message names the file, and says
        so if spandrel is not installed. Nothing else is raised, whatever the file contains, and no
        code of a pickle is run.

    See Also
    --------
    names : The built-in weights.
    apply : Restore an image with the network.

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
        path = WEIGHTS / f"{name_or_path}.safetensors"
        return _shared(path) if where.type == "cpu" else _read(path).to(where)
    path = Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{os.fspath(name_or_path)!r} is neither a file nor one of the built-in weights: "
            f"{', '.join(map(repr, names())) or 'none'}{_suggestion(path.name)}"
        )
    return _read(path).to(where)


def _suggestion(name: str) -> str:
    """Return a hint at a similar name."""
    small = name.lower()
    close = [each for each in names() if each.startswith(f"{small}-")]
    close = close or difflib.get_close_matches(small, names(), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _read(path: Path) -> Network:
    """Read a file in any supported format."""
    safe = path.suffix == ".safetensors"
    loaded, notes = _safetensors(path) if safe else (read_pickled(path), {})
    try:
        net = network_of(loaded, str(path), ours=bool(notes))
    except UnrecognizedError as error:
        if notes or not isinstance(loaded, dict):
            raise ValueError(str(error)) from None
        net = community_network(loaded, str(path), str(error))
    if "sigmas" in notes:
        low, high = notes["sigmas"]
        net.sigmas = (low / 255, high / 255)
    return net


# For built-in weights, which are read once; the network must not be trained
_shared = functools.cache(_read)


def _safetensors(path: Path) -> tuple[Any, dict[str, Any]]:
    """Read weights and our metadata."""
    tensors, metadata = read_safetensors(path)
    try:
        notes = json.loads(metadata.get(NOTES, "{}"))
        if "sigmas" in notes:
            low, high = map(float, notes["sigmas"])
            if not 0 <= low <= high < math.inf:
                raise ValueError(f"its range of sigma is from {low} to {high}")
            notes["sigmas"] = low, high
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, error) from None
    return tensors, notes


def save(net: Network, path: Path, *, sigmas: tuple[float, float], **notes: Any) -> None:
    """Write a network as safetensors in half precision, with its noise levels and other metadata.

    `sigmas` is on images from 0 to 255. The file is replaced atomically.
    """
    from safetensors.torch import save as serialized

    metadata = {"sigmas": list(sigmas), **notes}
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in net.state_dict().items()
    }
    new = path.with_name(f"{path.name}.new")
    write_through(new, serialized(tensors, {NOTES: json.dumps(metadata)}))
    new.replace(path)
