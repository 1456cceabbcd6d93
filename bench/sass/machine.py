"""Execute the machine code of a kernel for a GPU: all lanes of some thread blocks at once.

Lanes have their own program counters, and those with the lowest run first. They meet again where
the code says so (BSSY and BSYNC, barriers). How often a warp issues each instruction, and what its
loads and stores take, are counted as for one warp after another.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from sass import text
from sass.memory import ARRAY, Memory
from sass.operations import OPERATIONS
from sass.traffic import Traffic

RESERVED = 1024  # bytes of shared memory before that of the kernel
PARAMETERS = 0x210  # where arguments begin in constant memory, of capability 9.0
RUNNING, AT_BARRIER, DONE, MEETING = 0, 1, 2, 3  # MEETING + k: waits at BSYNC Bk
CONSTANT = re.compile(r"c\[0x0\]\[(0x[0-9a-f]+)\]$")


class Launch(NamedTuple):
    """One launch of a kernel."""

    name: str
    grid: tuple[int, ...]
    threads: tuple[int, ...]
    arguments: tuple  # NumPy arrays and scalars, None for null pointers
    shared: int


class Machine(Memory):
    """Lanes of some thread blocks of a launch."""

    def __init__(self, code, launch, blocks):
        self.code, self.launch = code, launch
        self.size = (*launch.threads, 1, 1)[:3]
        self.grid = (*launch.grid, 1, 1)[:3]
        threads = self.size[0] * self.size[1] * self.size[2]
        self.per_block = -(-threads // 32) * 32
        count = len(blocks) * self.per_block
        self.place = np.tile(np.arange(self.per_block), len(blocks))
        self.block = np.repeat(np.arange(len(blocks)), self.per_block)
        self.number = np.repeat(np.asarray(blocks), self.per_block)
        self.lane, self.warp = np.arange(count) % 32, np.arange(count) // 32
        self.registers = {"R": np.zeros((256, count), np.uint32),
                          "UR": np.zeros((64, count), np.uint32)}  # fmt: skip
        self.flags = {"P": np.zeros((8, count), bool), "UP": np.zeros((8, count), bool)}
        self.flags["P"][7] = self.flags["UP"][7] = True
        self.memory = launch.arguments
        self.shared = np.full(
            (len(blocks), RESERVED + -(-launch.shared // 16) * 16), 0xFF, np.uint8
        )
        self.constants = _constants(launch, self.size, self.grid)
        self.pc = np.zeros(count, np.int64)
        self.status = np.where(self.place < threads, RUNNING, DONE)
        self.meetings = np.zeros((16, count), bool)  # lanes that BSSY has gathered
        self.counts = np.zeros(len(code), np.int64)  # of warps that issue an instruction
        self.traffic = Traffic(len(code))
        self._leaders = text.leaders(code)

    # Operands --------------------------------------------------------------------------------

    def u32(self, operand):
        """Return an operand as unsigned integers."""
        if operand[0] in "-~" and operand[1].isalpha():
            value = self.u32(operand[1:])
            return (np.uint32(0) - value) if operand[0] == "-" else ~value
        if operand.startswith("|"):
            return np.abs(np.asarray(self.u32(operand[1:-1])).view(np.int32)).view(np.uint32)
        found = self._register(operand)
        if found is not None:
            return found
        if found := CONSTANT.match(operand):
            return self.constants[int(found[1], 16) :][:4].view(np.uint32)[0]
        return np.uint32(int(operand, 0) & 0xFFFFFFFF)

    def u64(self, operand):
        """Return a pair of registers, or a constant of 64 bits."""
        if found := CONSTANT.match(operand):
            return self.constants[int(found[1], 16) :][:8].view(np.uint64)[0]
        if operand.startswith("-") and operand[1].isalpha():
            return np.uint64(0) - self.u64(operand[1:])
        if self._register(operand) is None:
            return np.uint64(int(operand, 0) & 0xFFFFFFFFFFFFFFFF)
        high = np.asarray(self.u32(self.next(operand))).astype(np.uint64)
        return np.asarray(self.u32(operand)).astype(np.uint64) | high << np.uint64(32)

    def f32(self, operand):
        """Return an operand as floating-point numbers."""
        if operand[0] == "-" and operand[1] in "RU|c":
            return -self.f32(operand[1:])
        if operand[0] == "|":
            return np.abs(self.f32(operand[1:-1]))
        if operand[0] in "RU" or operand.startswith("c["):
            return np.asarray(self.u32(operand)).view(np.float32)
        return np.asarray(_number(operand), np.float32)

    def f64(self, operand):
        """Return a pair of registers as floating-point numbers."""
        if operand[0] == "-" and operand[1] in "RU|c":
            return -self.f64(operand[1:])
        if operand[0] == "|":
            return np.abs(self.f64(operand[1:-1]))
        if operand[0] in "RU" or operand.startswith("c["):
            return np.asarray(self.u64(operand)).view(np.float64)
        return np.float64(_number(operand))

    def _register(self, operand):
        kind = "UR" if operand.startswith("UR") else "R"
        rest = operand[len(kind) :]
        if not operand.startswith("R") and kind == "R":
            return None
        if rest == "Z":
            return np.zeros_like(self.registers["R"][0])
        return self.registers[kind][int(rest.split(".")[0])]

    def next(self, operand):
        """Return the name of the register after this one."""
        kind = "UR" if operand.startswith("UR") else "R"
        rest = operand[len(kind) :]
        return operand if rest == "Z" else f"{kind}{int(rest) + 1}"

    def predicate(self, name):
        """Return the lanes in which a predicate is true."""
        if name.startswith("!"):
            return ~self.predicate(name[1:])
        kind = "UP" if name.startswith("U") else "P"
        number = name[len(kind) :]
        return self.flags[kind][7 if number == "T" else int(number)]

    def predicates(self, name):
        """Return all predicates, PR or UPR."""
        return self.flags["UP" if name.startswith("U") else "P"]

    def put(self, operand, value, mask):
        """Write a register."""
        uniform = operand.startswith("UR")
        rest = operand[2 if uniform else 1 :]
        if rest == "Z":
            return
        where = self.whole(mask) if uniform else mask
        if isinstance(value, np.ndarray) and value.dtype != np.uint32:
            value = value.astype(np.uint64).astype(np.uint32)
        row = self.registers["UR" if uniform else "R"][int(rest)]
        np.copyto(row, value, where=where, casting="unsafe")

    def put64(self, operand, value, mask):
        """Write a pair of registers."""
        self.put(operand, np.asarray(value & np.uint64(0xFFFFFFFF)), mask)
        self.put(self.next(operand), np.asarray(value >> np.uint64(32)), mask)

    def put_float(self, operand, value, mask):
        """Write a floating-point number."""
        self.put(operand, np.asarray(value, np.float32).view(np.uint32), mask)

    def put_predicate(self, name, value, mask):
        """Write a predicate."""
        kind = "UP" if name.startswith("U") else "P"
        if not name.endswith("T"):
            where = self.whole(mask) if kind == "UP" else mask
            np.copyto(self.flags[kind][int(name[len(kind) :])], value, where=where)

    def special(self, name):
        """Return a special register."""
        kind, _, axis = name.removeprefix("SR_").partition(".")
        if kind == "LANEID":
            return self.lane
        if kind == "CgaCtaId":
            return np.uint32(0)
        sizes, value = (self.size, self.place) if kind == "TID" else (self.grid, self.number)
        if kind not in ("TID", "CTAID"):
            raise NotImplementedError(name)
        before = int(np.prod(sizes[: "XYZ".index(axis)]))
        return (value // before % sizes["XYZ".index(axis)]).astype(np.uint32)

    def by_warp(self, mask):
        """Return one row for each warp."""
        return mask.reshape(-1, 32)

    def whole(self, mask):
        """Return all lanes of the warps that have one of these."""
        return np.repeat(self.by_warp(mask).any(1), 32)

    def ballot(self, given):
        """Return the lanes of each warp as bits, in all of its lanes."""
        bits = np.packbits(self.by_warp(given), axis=1, bitorder="little")
        return np.repeat(bits.view(np.uint32)[:, 0], 32)

    # Control ---------------------------------------------------------------------------------

    def run(self):
        """Run until all lanes are done."""
        with np.errstate(all="ignore"):
            while True:
                running = self.status == RUNNING
                if not running.any():
                    if (self.status == DONE).all():
                        return
                    self._release()
                    continue
                first = int(self.pc[running].min())
                self._step(first, running & (self.pc == first))

    def _step(self, k, mask):
        """Run a basic block."""
        warps = int(self.by_warp(mask).any(1).sum())
        while True:
            ins = self.code[k]
            self.counts[k] += warps
            lanes = mask & self.predicate(ins.guard) if ins.guard else mask
            if ins.name in text.ENDS or ins.name in ("BSSY", "BREAK"):
                if self._control(k, ins, mask, lanes):
                    return
            elif ins.name in ("LDG", "LDS", "LD", "LDL"):
                if lanes.any():
                    self.load(k, ins, lanes)
            elif ins.name in ("STG", "STS", "ST", "STL"):
                if lanes.any():
                    self.store(k, ins, lanes)
            elif ins.name in ("RED", "REDG", "ATOM", "ATOMG", "ATOMS"):
                if lanes.any():
                    self.reduce(k, ins, lanes)
            else:
                OPERATIONS[ins.name](self, ins, lanes)
            k += 1
            if k in self._leaders:
                self.pc[mask] = k
                return

    def _control(self, k, ins, mask, lanes):
        """Run an instruction that moves lanes; return whether the basic block ends."""
        self.pc[mask] = k + 1
        if ins.name == "BRA":
            self._branch(ins, mask, lanes)
        elif ins.name == "EXIT":
            self.status[lanes] = DONE
        elif ins.name == "BSSY":
            number = int(ins.operands[0][1:])
            self.meetings[number][self.whole(lanes)] = False
            self.meetings[number][lanes] = True
            return False
        elif ins.name == "BREAK":
            for condition in ins.operands[:-1]:
                lanes = lanes & self.predicate(condition)
            self.meetings[int(ins.operands[-1][1:])][lanes] = False
            return False
        elif ins.name == "BSYNC":
            self.status[lanes] = MEETING + int(ins.operands[0][1:])
            self.pc[lanes] = k + 1
        elif ins.name == "BAR":
            self.status[lanes] = AT_BARRIER
        elif ins.name == "CALL":
            self.pc[lanes] = ins.target
        elif ins.name == "RET":
            places = {each.address: n for n, each in enumerate(self.code)}
            back = np.broadcast_to(self.u32(ins.operands[0]), mask.shape)
            self.pc[lanes] = [places[int(each)] for each in back[lanes]]
        elif ins.name == "WARPSYNC" and "ALL" in ins.modifiers:
            pass  # lanes of a warp that wait elsewhere would be reported by the barrier after it
        elif ins.name == "WARPSYNC" and "COLLECTIVE" not in ins.modifiers:
            pass
        else:
            raise NotImplementedError(f"{ins.name} {ins.modifiers} {ins.operands}")
        return True

    def _branch(self, ins, mask, lanes):
        if "DIV" in ins.modifiers:  # to code for warps that are not complete
            given = np.broadcast_to(self.u32(ins.operands[0].lstrip("~")), mask.shape)
            lanes = lanes & (self.ballot(mask) != given)
        else:
            for condition in ins.operands[:-1]:
                lanes = lanes & self.predicate(condition)
        self.pc[lanes] = ins.target

    def _release(self):
        """Let lanes go on that all others have joined."""
        free = False
        for number in np.unique(self.status[self.status >= MEETING]) - MEETING:
            waiting = self.status == MEETING + number
            missing = self.meetings[number] & ~waiting & (self.status != DONE)
            ready = waiting & ~self.whole(missing & self.whole(waiting))
            self.status[ready] = RUNNING
            free |= bool(ready.any())
        arrived = (self.status == AT_BARRIER) | (self.status == DONE)
        ready = np.repeat(arrived.reshape(-1, self.per_block).all(1), self.per_block)
        ready &= self.status == AT_BARRIER
        if ready.any() and not free:
            self.status[ready] = RUNNING
            free = True
        if not free:
            raise RuntimeError("all lanes wait for each other")


def _number(text):
    """Return a floating-point number as the disassembler writes it."""
    text = text.strip().replace("INF", "inf").replace("QNAN", "nan").replace("SNAN", "nan")
    return float.fromhex(text) if text.lower().lstrip("+-").startswith("0x") else float(text)


def _constants(launch, size, grid):
    """Return the constant memory: shape of the launch, and arguments."""
    memory = bytearray(PARAMETERS)
    for place, value in zip(range(0, 24, 4), (*size, *grid), strict=True):
        memory[place : place + 4] = int(value).to_bytes(4, "little")
    for k, value in enumerate(launch.arguments):
        align = None
        if value is None:
            data = bytes(8)
        elif value.dtype.kind == "V":  # a structure of 32-bit numbers
            data, align = value.tobytes(), 4
        elif value.ndim:
            data = (k + 1 << int(ARRAY)).to_bytes(8, "little")
        else:
            data = value.tobytes()
        memory += bytes(-len(memory) % (align or len(data))) + data
    return np.frombuffer(bytes(memory + bytes(-len(memory) % 8 + 8)), np.uint8)
