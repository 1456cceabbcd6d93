"""Files of tensors: reading them, and writing them through to the disk.

Foreign files can be damaged in any way, and the libraries that read them raise many kinds of
exceptions. The functions here raise `ValueError` with the name of the file instead.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def write_through(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk; an error names the file."""
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def read_safetensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt", device=device) as file:
            names = file.keys()  # the file itself is not iterable
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except Exception as error:
        raise damaged(path, error) from None


def read_pickled(path: Path) -> Any:
    """Read tensors from a pickle without running code from it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats that PyTorch no longer writes
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The message of PyTorch advises to run the code; this one does not
        found = re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", str(error))
        what = found[1] if found else "objects other than tensors"
        raise ValueError(
            f"{path} contains {what}, or is damaged, and is not loaded, because a pickle can run "
            "code; save only the state dict, preferably as .safetensors"
        ) from None
    except Exception as error:
        if "TorchScript" in str(error):
            raise ValueError(
                f"{path} is a TorchScript archive, which contains code, and is not loaded; if you "
                "trust it, convert it: torch.save(torch.jit.load(FILE).state_dict(), 'net.pth')"
            ) from None
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> ValueError:
    """Return the error for a file that a library cannot read."""
    if isinstance(error, OSError) and error.strerror:
        return ValueError(f"{path} cannot be read: {error.strerror}")
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(f"{path} is truncated or damaged: {text}")
