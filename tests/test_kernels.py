"""Every kernel compiled for every architecture: no warning, no spill, registers as recorded.

Machine code of both stages of np is executed, and counted.
"""

import re

import numpy as np
import pytest
from support import machine_code
from support.nvrtc import compiled

from fastrestore._cuda.module import HEADERS, folder, source

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
REGISTERS = re.compile(r"^\| `(\w+)\.cu` \| ([A-Za-z0-9_= ,-]+) \| ([\d |]+) \|$", re.MULTILINE)
WORK = re.compile(r"^\| `(\w+)\.cu` \| ((?:\d+ \| ){4}\d+) \|$", re.MULTILINE)
FIGURES = ("instructions of the hottest loop", "of a thread block", "passes", "registers", "shared")


def recorded():
    """The table of registers in kernels/README.md: file, constants, limit by architecture."""
    text = (folder() / "README.md").read_text().split("## Work")[0]
    for name, constants, limits in REGISTERS.findall(text):
        defines = dict(pair.split("=") for pair in constants.split(", ") if "=" in pair)
        yield name, defines, dict(zip(ARCHITECTURES, map(int, limits.split("|")), strict=True))


TABLE = list(recorded())


def test_the_tables_name_every_kernel():
    files = {path.name[:-3] for path in folder().iterdir() if path.name.endswith(".cu")}
    assert files == set(HEADERS)
    assert {name for name, _, _ in TABLE} == files
    text = (folder() / "README.md").read_text()
    for name in files:
        assert f"| `{name}.cu` | " in text.split("Registers")[0]
        assert f"{name}(" in (folder() / f"{name}.cu").read_text()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("row", range(len(TABLE)))
def test_it_compiles_within_its_registers(row, architecture):
    name, defines, limits = TABLE[row]
    log = compiled(source(name), architecture, **defines)
    assert "warning" not in log, log
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in log, log
    used = max(int(count) for count in re.findall(r"Used (\d+) registers", log))
    assert used <= limits[architecture], log


def work():
    """What the machine code of each launch takes, on average of its thread blocks."""
    for number, launch in enumerate(machine_code.launches()):
        machine, registers = machine_code.executed(number)
        passes = machine.traffic.passes.sum() + machine.traffic.lines.sum()
        blocks = int(np.prod(launch.grid))
        yield launch.name, (
            machine_code.hot_loop(machine), int(machine.counts.sum()) // blocks,
            int(passes) // blocks, registers, launch.shared,
        )  # fmt: skip


def budgets():
    """The table of work in kernels/README.md: file, and a limit for each figure."""
    text = (folder() / "README.md").read_text().split("## Work")[1]
    for name, limits in WORK.findall(text):
        yield name, tuple(map(int, limits.split("|")))


def test_loops_and_thread_blocks_keep_to_their_budget():
    over = []
    for (name, limit), (own, figures) in zip(budgets(), work(), strict=True):
        assert name == own
        if any(a > b for a, b in zip(figures, limit, strict=True)):
            over.append(f"{name}: {dict(zip(FIGURES, figures, strict=True))} against {limit}")
    assert not over, "\n".join(over)


def test_machine_code_computes_what_the_source_does():
    for number, launch in enumerate(machine_code.launches()):
        machine, _ = machine_code.executed(number)
        for actual, expected in zip(machine.memory, launch.after, strict=True):
            if not isinstance(expected, np.ndarray) or expected.dtype.kind == "V":
                continue  # a number or a structure, which kernels do not change
            if expected.dtype.kind == "i":
                np.testing.assert_array_equal(actual, expected)
            else:
                np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)
