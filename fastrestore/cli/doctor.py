"""``fastrestore doctor``: what a bug report needs to say of an installation."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastrestore
from fastrestore._arrays import interop
from fastrestore._arrays.install import extra
from fastrestore._arrays.validate import usable_processors
from fastrestore.backends import select
from fastrestore.cli.errors import CommandError
from fastrestore.metrics import psnr

NAMES = 13  # characters of a heading
NEEDED = (
    "numpy", "scipy", "numba", "llvmlite", "PyWavelets", "OpenImageIO", "pillow", "tifffile",
)  # fmt: skip
DEVELOPMENT = {"test", "lint", "bench", "docs", "iqa"}  # extras of no use to users
VARIABLES = ("FASTRESTORE_", "NUMBA_", "OMP_", "OPENBLAS_", "MKL_", "CUDA_")
SLOW = "numpy"  # the backend that takes minutes, tested only if there is no other, on few pixels
SIDE, SMALL = 256, 32  # pixels: of the image of the test, and of that for the slow backend
SIGMA = 25.0
GAIN = 8.0  # least gain in dB; 9.4 is usual, and 12.5 for the small part of the image
Report = dict[str, list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = (
        "Copy the output into a bug report. It contains no file of yours, and no name but that of "
        "folders below your home folder.\n"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> None:
    """Print the report; raise if the test fails."""
    problems: list[str] = []
    parts: dict[str, Callable[[], list[str]]] = {
        "fastrestore": lambda: [f"{fastrestore.__version__}, in {_short(_folder())}"],
        "Python": lambda: [f"{platform.python_version()}, {platform.python_implementation()}"],
        "system": lambda: [platform.platform()],
        "processors": _processors,
        "memory": _memory,
        "packages": lambda: [f"{name} {_version(name)}" for name in NEEDED],
        "extras": _extras,
        "environment": _environment,
        "backends": _backends,
        "GPU": _gpu,
        "cache": lambda: _cache(problems),
        "test": lambda: _test(problems),
    }
    report: Report = {}
    for name, part in parts.items():
        report[name] = _lines(name, part, problems)
        if not args.json:
            _print(name, report[name])
    report["problems"] = problems
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        _print("problems", problems or ["none"])
    if problems:
        raise CommandError(f"{len(problems)} problem(s), see above")


def _lines(name: str, part: Callable[[], list[str]], problems: list[str]) -> list[str]:
    """Return a part of the report; an error is a problem, since broken packages raise anything."""
    try:
        return part()
    except Exception as error:
        problems.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")
        return ["failed, see below"]


def _print(name: str, lines: list[str]) -> None:
    """Print a heading and its lines at once, since the test takes a moment."""
    for number, line in enumerate(lines):
        print(f"{name if number == 0 else '':{NAMES}}{line}", flush=True)


def _folder() -> str:
    """Return the folder of the package."""
    return str(Path(fastrestore.__file__ or "").parent)


def _short(path: str) -> str:
    """Return a path with ~ for the home folder, whose name is personal."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def _version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processors() -> list[str]:
    """Return the number of processors and their kind."""
    count, usable = os.cpu_count(), usable_processors()
    limit = "" if usable == count else f", of which {usable} can be used"
    return [f"{count}{limit}, {_model()}"]


def _model() -> str:
    """Return the name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{found[1]}, {platform.machine()}" if found else platform.machine()


def _memory() -> list[str]:
    """Return the size of the memory, where the system says it."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return ["unknown"]
    return [f"{total / 2**30:.1f} GiB"]


def _extras() -> list[str]:
    """Return the optional packages by extra, installed or not."""
    try:
        requirements = importlib.metadata.requires("fastrestore") or []
    except importlib.metadata.PackageNotFoundError:
        return ["unknown, since the package has no metadata"]
    extras: dict[str, list[str]] = {}
    for text in requirements:
        found = re.match(r"""([\w.-]+).*;.*extra == ["'](\w+)["']""", text)
        if found and found[2] not in DEVELOPMENT:
            extras.setdefault(found[2], []).append(found[1])
    width = max(map(len, extras), default=0)
    return [f"{name:{width}}  {_extra(name, packages)}" for name, packages in extras.items()]


def _extra(name: str, packages: list[str]) -> str:
    """Return the versions of the packages of an extra, or how it is installed."""
    versions = [f"{package} {_version(package)}" for package in packages if _version(package)]
    missing = [package for package in packages if not _version(package)]
    if not missing:
        return ", ".join(versions)
    return "; ".join([*versions, f"{', '.join(missing)} not installed ({extra(name)})"])


def _environment() -> list[str]:
    """Return the variables that matter."""
    names = sorted(name for name in os.environ if name.startswith(VARIABLES))
    return [f"{name}={_short(os.environ[name])}" for name in names] or ["no variable that matters"]


def _backends() -> list[str]:
    """Return whether each backend can run."""
    chosen = select.select().NAME
    lines = []
    for name in select.MODULES:
        reason = select.why_unavailable(name)
        state = "available" if reason is None else f"unavailable: {reason}"
        lines.append(f"{name:6} {state}{' (used)' if name == chosen else ''}")
    return lines


def _gpu() -> list[str]:
    """Return the name of each GPU that CuPy can use, with the versions of CUDA."""
    if select.why_unavailable("cupy") is not None:
        return ["none that can be used"]
    runtime = interop.load_cupy().cuda.runtime
    versions = f"CUDA {runtime.runtimeGetVersion()}, driver for {runtime.driverGetVersion()}"
    lines = []
    for number in range(runtime.getDeviceCount()):
        found = runtime.getDeviceProperties(number)
        size = f"{found['totalGlobalMem'] / 2**30:.1f} GiB"
        kind = f"compute capability {found['major']}.{found['minor']}"
        lines.append(f"{found['name'].decode()}, {kind}, {size}, {versions}")
    return lines


def _cache(problems: list[str]) -> list[str]:
    """Return where compiled kernels are kept, and report what is wrong with the place."""
    from fastrestore.backends.numba import cache

    info = cache.info()
    problems += info["problems"]
    if info["path"] is None:
        return ["none"]
    return [f"{_short(str(info['path']))}, {info['files']} files, {info['bytes'] / 1e6:.1f} MB"]


def _test(problems: list[str]) -> list[str]:
    """Denoise a photograph with each backend that is fast, or with the only one."""
    names = [name for name in select.MODULES if select.why_unavailable(name) is None]
    lines = []
    for name in [name for name in names if name != SLOW] or [SLOW]:
        text, gain = _restored(name)
        lines.append(f"{name:6} {text}")
        if not gain >= GAIN:
            problems.append(f"{name} gains {gain:.2f} dB; at least {GAIN:g} are expected")
    return lines


def _restored(name: str) -> tuple[str, float]:
    """Return what a backend reached, and the gain in PSNR."""
    import pywt.data

    side = SMALL if name == SLOW else SIDE
    clean: Any = np.asarray(pywt.data.camera(), np.float32)[128 : 128 + side, 128 : 128 + side]
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    noisy = (clean + noise).astype(np.float32)
    times = []
    for _ in range(1 if name == SLOW else 2):  # the first call compiles or loads kernels
        start = time.perf_counter()
        restored = fastrestore.bm3d(noisy, SIGMA, data_range=255.0, backend=name)
        times.append(time.perf_counter() - start)
    before, after = (psnr(clean, each, data_range=255) for each in (noisy, restored))
    seconds = ", then ".join(f"{each:.2f} s" for each in times)
    size = f"{side} x {side} pixels"
    return f"{before:.2f} dB before, {after:.2f} dB after, {size} in {seconds}", after - before
