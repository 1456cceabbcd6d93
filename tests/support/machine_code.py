"""Kernels of a small image, executed on the CPU twice: their source, and their machine code."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastrestore._collaborative.profile import PROFILES
from fastrestore._cuda.module import source
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select
from support import image_kernels, nvrtc
from support.images import camera, noisy
from support.stages import image_stage

BENCH = str(Path(__file__).parents[2] / "bench")
SIGMA, SIZE = 25.0, 32


@functools.cache
def modules():
    """Return the modules of bench/sass; without the disassembler skip, or fail where required."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [BENCH, *sys.path])
        text, machine = (importlib.import_module(f"sass.{name}") for name in ("text", "machine"))
    try:
        text.disassembler()
    except ModuleNotFoundError as error:
        required = "compiler" in os.environ.get("FASTRESTORE_TEST_REQUIRE", "")
        (pytest.fail if required else pytest.skip)(str(error))
    return text, machine


@functools.cache
def launches():
    """Launch the kernels of both stages of np: name, constants, arguments before and after."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        plain = image_kernels.module
        patch.setattr(
            image_kernels,
            "module",
            lambda name, text=None, **defines: _Noted(plain(name, text, **defines), defines, found),
        )
        image = np.round(np.clip(noisy(camera(height=SIZE, width=SIZE), SIGMA), 0, 255))
        image = np.ascontiguousarray(image, np.float32)
        image_kernels.measured(image)
        images = (image[None],)
        for which in ("basic", "final"):
            stage = image_stage(PROFILES["np"], which, PlaneNoise.white(SIGMA), 255.0)
            image_kernels.match(images[-1][0], stage)
            matches = select("numpy").bm3d_match(images[-1][0], stage, Execution(1))
            pilot = image_kernels.filtered(images, matches, stage)
            images = (image[None], pilot)
    return found


class _Noted:
    """A kernel whose launches are noted."""

    def __init__(self, kernel, defines, found):
        self._kernel, self._defines, self._found = kernel, defines, found

    def launch(self, name, grid, threads, arguments, shared=0, seed=0):
        before = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
        self._kernel.launch(name, grid, threads, arguments, shared, seed)
        self._found.append(SimpleNamespace(
            name=name, defines=self._defines, grid=grid, threads=threads, shared=shared,
            before=before, after=arguments,
        ))  # fmt: skip


@functools.cache
def executed(number):
    """Execute the machine code of a launch; return the machine and its registers."""
    launch = launches()[number]
    text, machine = modules()
    log, cubin = nvrtc.cubin(source(launch.name), 90, "-lineinfo", **launch.defines)
    registers = int(re.search(rf"{launch.name}.*?Used (\d+) registers", log, re.DOTALL)[1])
    code = text.program(text.disassembled(cubin), launch.name)
    arguments = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in launch.before)
    given = machine.Launch(launch.name, launch.grid, launch.threads, arguments, launch.shared)
    result = machine.Machine(code, given, range(int(np.prod(launch.grid))))
    result.run()
    return result, registers


def hot_loop(machine):
    """Return the instructions of the loop that issues most, and holds no other loop."""
    text, _ = modules()
    loops = [pair for pair in text.loops(machine.code) if machine.counts[pair[1]]]
    inner = [
        (first, last)
        for first, last in loops
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in loops)
    ]
    if not inner:
        return 0
    first, last = max(inner, key=lambda pair: machine.counts[pair[0] : pair[1] + 1].sum())
    return last + 1 - first
