"""Instructions of a kernel, from the text of the disassembler."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

SECTION = re.compile(r"^\.text\.(\w+):")
LABEL = re.compile(r"^(\.L_x_\d+|\$?[\w$]+):$")
LINE = re.compile(r'^\s*//## File "(?:[^"]*/)?([^"/]+)", line (\d+)')
CODE = re.compile(r"^\s*/\*([0-9a-f]+)\*/\s+(?:@(!?U?P[T\d]+)\s+)?([\w.]+)\s*(.*?)\s*;")
JUMPS = {"BRA", "BSSY", "CALL", "WARPSYNC"}  # whose last operand may be a label
# After these a basic block ends: lanes go elsewhere, or wait
ENDS = {"BRA", "BSYNC", "EXIT", "BAR", "CALL", "RET", "WARPSYNC", "JMP", "BRX"}


class Instruction(NamedTuple):
    """One instruction."""

    address: int
    guard: str  # predicate, "" if it always runs
    name: str  # without modifiers, such as IMAD
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]
    target: int | None  # place of the instruction to jump to
    where: str  # file and line of the source


def disassembler() -> str:
    """Return the path of nvdisasm."""
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations or () if spec else ()
    found = [path for each in folders for path in Path(each).glob("*/bin/nvdisasm")]
    path = str(found[0]) if found else shutil.which("nvdisasm")
    if path is None:
        raise ModuleNotFoundError("nvdisasm is missing: pip install nvidia-cuda-nvdisasm")
    return path


def disassembled(cubin: bytes) -> str:
    """Return the text of nvdisasm, with lines of the source."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [disassembler(), "-c", "-g", file.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def program(text: str, kernel: str) -> list[Instruction]:
    """Return the instructions of a kernel from the text of nvdisasm."""
    labels: dict[str, int] = {}
    rows: list[tuple[re.Match[str], str]] = []
    inside, where = False, ""
    for line in text.splitlines():
        if found := SECTION.match(line):
            inside = found[1] == kernel
        if not inside:
            continue
        if found := LABEL.match(line.strip()):
            labels[found[1]] = len(rows)
        elif found := LINE.match(line):
            where = f"{found[1]}:{found[2]}"
        elif found := CODE.match(line):
            rows.append((found, where))
    return [_instruction(found, labels, where) for found, where in rows]


def _instruction(found: re.Match[str], labels: dict[str, int], where: str) -> Instruction:
    name, *modifiers = found[3].split(".")
    operands = tuple(_split(found[4]))
    target = None
    if name in JUMPS and operands and operands[-1].startswith("`("):
        target = labels[operands[-1][2:-1]]
    return Instruction(
        int(found[1], 16), found[2] or "", name, tuple(modifiers), operands, target, where
    )


def _split(text: str) -> list[str]:
    """Split operands at commas."""
    return [part.replace(".reuse", "").strip() for part in text.split(",")] if text else []


def leaders(code: list[Instruction]) -> set[int]:
    """Return where basic blocks begin."""
    starts = {0} | {each.target for each in code if each.target is not None}
    return starts | {k + 1 for k, each in enumerate(code) if each.name in ENDS}


def loops(code: list[Instruction]) -> list[tuple[int, int]]:
    """Return the first and the last instruction of each loop: a jump back to a lower address."""
    found: dict[int, int] = {}
    for k, each in enumerate(code):
        if each.name == "BRA" and each.target is not None and each.target < k:
            found[each.target] = max(k, found.get(each.target, 0))
    return sorted(found.items())
