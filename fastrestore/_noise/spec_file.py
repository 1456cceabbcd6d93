"""Files of noise specifications: arrays and a header as JSON in ``.npz``."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._arrays import validate
from fastrestore._arrays.replacement import Replacement
from fastrestore._noise.spec import ARRAYS, NoiseSpec
from fastrestore._noise.vst import NoiseModel, PoissonGaussian, Rician

FORMAT, VERSION = "fastrestore.NoiseSpec", 1
EXTENSION = ".npz"
LARGEST = 2**28  # bytes of an array in a file; real ones have some thousand
DISTRIBUTIONS: dict[str, Any] = {"PoissonGaussian": PoissonGaussian, "Rician": Rician}


def save(spec: NoiseSpec, path: str | os.PathLike[str]) -> None:
    """Write a specification; an existing file is replaced when the new one is complete."""
    target = _checked(path)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "distribution": as_json(spec.distribution),
        "strength": spec.strength,
    }
    arrays: dict[str, Any] = {name: getattr(spec, name) for name in ARRAYS}
    stream = io.BytesIO()
    np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays)
    new = Replacement(target)
    try:
        new.temporary.write_bytes(stream.getvalue())
        new.commit()
    finally:  # also after Ctrl-C
        new.discard()


def load(path: str | os.PathLike[str]) -> NoiseSpec:
    """Read a specification."""
    source = _checked(path)
    data = source.read_bytes()
    try:
        arrays, header = _contents(data)
    except Exception as error:
        raise _damaged(source, error) from None
    if header.get("format") != FORMAT:
        raise ValueError(f"{source} is not a file that NoiseSpec.save wrote")
    if header.get("version") != VERSION:
        version = validate.quoted(header.get("version"))
        raise ValueError(
            f"{source} has the version {version}, and this fastrestore reads version {VERSION}; "
            "update fastrestore, or save the noise again"
        )
    try:
        return NoiseSpec(**arrays, **_from_json(header))
    except Exception as error:
        raise _damaged(source, error) from None


def _checked(path: str | os.PathLike[str]) -> Path:
    """Return the path, whose extension must be that of the format."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a string or a path, got {validate.quoted(path)}")
    target = Path(path)
    if target.suffix.lower() != EXTENSION:
        raise ValueError(f"path must end in {EXTENSION}, got {str(path)!r}")
    return target


def _contents(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read arrays and header; the header of another file is empty."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if "header.npy" not in sizes:
            return {}, {}
        largest = max(sizes.values())
        if largest > LARGEST:
            raise ValueError(f"an array has {largest} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        header = json.loads(str(file["header"]))
        if not isinstance(header, dict):
            return {}, {}
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            return {}, header
        return {name: file[name] for name in ARRAYS}, header


def as_json(model: NoiseModel | None) -> dict[str, Any] | None:
    """Return the name and the parameters of a distribution."""
    if model is None:
        return None
    kind = DISTRIBUTIONS[type(model).__name__]
    parameters = {field.name: float(getattr(model, field.name)) for field in fields(kind)}
    return {"name": kind.__name__, **parameters}


def _from_json(header: dict[str, Any]) -> dict[str, Any]:
    """Return distribution and strength."""
    given = header["distribution"]
    if given is not None:
        given = DISTRIBUTIONS[given["name"]](**{k: v for k, v in given.items() if k != "name"})
    return {"distribution": given, "strength": header["strength"]}


def _damaged(path: Path, error: Exception) -> ValueError:
    """Return the error for a file that cannot be understood."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(f"{path} is truncated or damaged: {text}")
