"""Damaged files of every format: films, stacks, NumPy and NIfTI files, weights, kernel caches.

A case damages one file, and reads it by the command line, or by the function for its kind. It must
succeed, or end in one line that names the file; nothing else is printed or left in the folder.
"""

import functools
import io
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
from fuzz_oracles import DOCUMENTED, listening

from fastrestore import cli, nets

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.damage import damaged

CACHE = os.environ.get("FASTRESTORE_FUZZ_CACHE", "")  # a folder with the kernels of `CALL`
CALL = """
import numpy as np, fastrestore
image = np.add.outer(np.arange(20.0), np.arange(20.0) ** 2)
print(fastrestore.bm3d(image, 5.0, profile="fast").sum())
"""


def case(rng, verbose=False):
    """Draw a format and a damage; return the name of the format and the check."""
    name = NAMES[rng.integers(len(NAMES))]
    seed = int(rng.integers(2**32))
    if name == "cache":
        return name, functools.partial(_check_cache, rng, seed)
    read = FORMATS[name][1]
    return name, functools.partial(_check_file, name, read, seed, verbose)


def _check_file(name, read, seed, verbose):
    """Write the damaged file into a folder of its own and read it there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{name[name.index('.') :]}"
        path.write_bytes(damaged(_sample(name), seed))
        try:
            faults = read(path)
        except Exception as error:
            if verbose:
                traceback.print_exc()
            return [f"undocumented {type(error).__name__}: {' '.join(str(error).split())[:200]}"]
        left = {entry.name for entry in Path(folder).iterdir()} - {path.name, f"out{path.suffix}"}
        return faults + [f"left behind: {', '.join(sorted(left))}"] * bool(left)


def _by_command(command, *words):
    """Return a reader that runs a command of the command line."""

    def read(path):
        target = path.with_name(f"out{'.nii.gz' if path.name.endswith('.nii.gz') else path.suffix}")
        arguments = [command, str(path), *words, "--quiet", "--workers", "1"]
        with listening() as printed:
            status = _status([*arguments, "-o", str(target)])
        if target.name != f"out{path.suffix}":
            target.unlink(missing_ok=True)
        return _of_command(path, status, [line[len("printed: ") :] for line in printed])

    return read


def _status(arguments):
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _of_command(path, status, printed):
    """One line on standard error that names the file after an error, nothing after success."""
    text = eval(printed[0]) if printed else ""
    if status == 0:
        lines = [line for line in text.splitlines() if not line.startswith("fastrestore: warning")]
        return [f"printed with status 0: {text!r}"] * bool(lines)
    if status not in (1, 2) or "unexpected" in text:
        return [f"status {status}: {text!r}"]
    errors = [line for line in text.splitlines() if not line.startswith("fastrestore: warning")]
    if len(errors) != 1 or not errors[0].startswith("fastrestore: error: "):
        return [f"not one line of error: {text!r}"]
    if f"cannot write {path.parent / 'out'}" in errors[0]:  # what a damaged file holds
        left = any(path.parent.glob("out.*"))
        return [f"half-written: {text!r}"] * left
    return [f"the error does not name the file: {text!r}"] * (path.name not in errors[0])


def _load_weights(path):
    """Load a file of weights: a network, or a documented error that names the file."""
    with listening() as faults, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            nets.load(path)
        except DOCUMENTED as error:
            line = str(error)
            if path.name not in line or "\n" in line:
                faults.append(f"{type(error).__name__} does not name the file: {line[:200]!r}")
    return faults + [f"warned: {record.message}" for record in warned]


def _check_cache(rng, seed):
    """Damage one file of the kernel cache; a call in a new process must work and mend it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "cache"
        shutil.copytree(CACHE, copy)
        files = sorted(file for file in copy.rglob("*") if file.is_file())
        file = files[rng.integers(len(files))]
        file.write_bytes(damaged(file.read_bytes(), seed))
        for _ in range(2):
            ran = _child(copy)
            if ran.returncode or ran.stderr:
                return [f"cache, {file.suffix}: status {ran.returncode}: {ran.stderr[-300:]!r}"]
        wanted = Path(CACHE).with_suffix(".txt").read_text()
        return [f"silent wrong: {ran.stdout!r} for {wanted!r}"] * (ran.stdout != wanted)


def _child(folder):
    environment = {**os.environ, "FASTRESTORE_NUMBA_CACHE": str(folder)}
    command = [sys.executable, "-W", "error", "-c", CALL]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def prepare(folder):
    """Fill a cache of kernels to damage; return its path, for the environment."""
    cache = Path(folder) / "kernels"
    ran = _child(cache)
    cache.with_suffix(".txt").write_text(ran.stdout)
    return str(cache)


# Samples


@functools.cache
def _sample(name):
    """The bytes of an intact file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{name[name.index('.') :]}"
        FORMATS[name][0](path)
        return path.read_bytes()


def _stack():
    return np.random.default_rng(0).integers(0, 255, (4, 12, 16), np.uint8)


def _film(path):
    import av

    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4", ".mkv": "ffv1"}.get(path.suffix, "libx264")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.thread_count = 1
        for k in range(6):
            pixels = np.roll(np.tile(_stack()[0], (3, 2))[:32], k, 0)
            frame = av.VideoFrame.from_ndarray(np.repeat(pixels[..., None], 3, -1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.metadata["title"] = "a title"


def _nifti(path):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(_stack().astype(np.float32), np.eye(4)), path)


def _tiff(path):
    import tifffile

    tifffile.imwrite(path, _stack(), imagej=True, metadata={"axes": "ZYX", "spacing": 2.0})


def _ome(path):
    import tifffile

    tifffile.imwrite(path, _stack(), ome=True, compression="zlib", metadata={"axes": "ZYX"})


def _numpy(path):
    np.save(path, _stack().astype(np.float32))


def _image(path):
    np.save(path, _stack()[0].astype(np.float64))


def _safetensors(path):
    shutil.copy(Path(nets.__file__).parent / "weights" / "unet-gray.safetensors", path)


def _pth(path):
    import torch

    buffer = io.BytesIO()
    torch.save(nets.DnCNN(1, 3, 4).state_dict(), buffer)
    path.write_bytes(buffer.getvalue())


VIDEO = _by_command(
    "video", "--sigma", "0.05", "--radius", "1", "--stage", "basic", "--profile", "fast"
)
AUTO = _by_command(
    "video", "--sigma", "auto", "--radius", "0", "--stage", "basic", "--profile", "fast"
)
VOLUME = _by_command("volume", "--sigma", "auto", "--stage", "basic")
DENOISE = _by_command("denoise", "--sigma", "auto", "--stage", "basic")

FORMATS = {
    "film.mp4": (_film, VIDEO),
    "film auto.mp4": (_film, AUTO),
    "film.mkv": (_film, VIDEO),
    "film.webm": (_film, AUTO),
    "film.avi": (_film, VIDEO),
    "film.mov": (_film, VIDEO),
    "stack.tif": (_tiff, VOLUME),
    "stack ome.tif": (_ome, VOLUME),
    "stack.npy": (_numpy, VOLUME),
    "stack.nii": (_nifti, VOLUME),
    "stack.nii.gz": (_nifti, VOLUME),
    "image.npy": (_image, DENOISE),
    "weights.safetensors": (_safetensors, _load_weights),
    "weights.pth": (_pth, _load_weights),
}
# A case of the cache takes seconds, in two processes: they are a small share
NAMES = (*(name for name in FORMATS for _ in range(5)), "cache")
