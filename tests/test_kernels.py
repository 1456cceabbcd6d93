"""Every kernel compiled for every architecture: no warning, no spill, registers as recorded."""

import re

import pytest
from support.nvrtc import compiled

from fastrestore.backends.cupy._module import HEADERS, folder, source

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
REGISTERS = re.compile(r"^\| `(\w+)\.cu` \| ([A-Za-z0-9= ,-]+) \| ([\d |]+) \|$", re.MULTILINE)


def recorded():
    """The table of registers in kernels/README.md: file, constants, limit by architecture."""
    for name, constants, limits in REGISTERS.findall((folder() / "README.md").read_text()):
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
