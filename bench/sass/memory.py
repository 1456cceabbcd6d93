"""Loads, stores and atomics of lanes; see `machine.py`."""

from __future__ import annotations

import re

import numpy as np

SIZES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}
ADDRESS = re.compile(r"(?:desc\[UR\d+\])?\[(.*)\]$")
ARRAY = np.uint64(36)  # bits of an address in an array; those above are its number plus 1


class Memory:
    """Global and shared memory of a `Machine`."""

    def addresses(self, operand):
        """Return the addresses of an operand in brackets."""
        total = np.zeros(len(self.pc), np.uint64)
        for term in ADDRESS.match(operand)[1].split("+"):
            sign = term.startswith("-")
            if term.endswith(".64"):
                value = self.u64(term[:-3])
            elif self._register(term.removesuffix(".U32")) is not None:
                value = np.asarray(self.u32(term.removesuffix(".U32"))).astype(np.uint64)
            else:
                value = np.uint64(int(term, 0) & 0xFFFFFFFFFFFFFFFF)
                sign = False
            total = total - value if sign else total + value
        return total

    def load(self, k, ins, mask):
        """LDG and LDS."""
        size = _size(ins)
        bytes_ = self._view(ins, k, ins.operands[1], size, mask)
        if size < 4:
            kind = "i2" if "S16" in ins.modifiers else "i1" if "S8" in ins.modifiers else f"u{size}"
            words = bytes_.view(kind)[:, :1].astype(np.int32).view(np.uint32)
        else:
            words = bytes_.view(np.uint32)
        target = ins.operands[0]
        for word in range(words.shape[1]):
            if target != "RZ":
                self.registers["R"][int(target[1:]) + word][mask] = words[:, word]

    def store(self, k, ins, mask):
        """STG and STS."""
        size, source = _size(ins), ins.operands[1]
        words, name = [], source
        for _ in range(max(1, size // 4)):
            words.append(np.broadcast_to(self.u32(name), mask.shape)[mask])
            name = self.next(name)
        data = np.ascontiguousarray(np.stack(words, 1)).view(np.uint8)[:, :size]
        self._view(ins, k, ins.operands[0], size, mask, data)

    def reduce(self, k, ins, mask):
        """RED, ATOM and ATOMS, without their result unless that is asked for."""
        place = next(n for n, each in enumerate(ins.operands) if "[" in each)
        size = 8 if "64" in ins.modifiers else 4
        kind = np.dtype(
            {8: np.uint64, 4: np.float32 if "F32" in ins.modifiers else np.uint32}[size]
        )
        result = next((x for x in ins.operands[:place] if x not in ("RZ", "PT")), None)
        if "POPC" in ins.modifiers:
            value = np.ones(mask.sum(), np.uint32)
        else:
            given = ins.operands[place + 1]
            value = self.u64(given) if size == 8 else self.u32(given)
            value = np.ascontiguousarray(np.broadcast_to(value, mask.shape)[mask]).view(kind)
        if not {"ADD", "INC"} & set(ins.modifiers) or "CAS" in ins.modifiers:
            raise NotImplementedError(f"{ins.name}.{ins.modifiers}")
        if result is None:
            self._add(ins, ins.operands[place], value, mask)
        else:  # one after another, because each lane gets what was there before it
            for lane, one in zip(np.flatnonzero(mask), value, strict=True):
                alone = np.zeros_like(mask)
                alone[lane] = True
                old = self._view(ins, None, ins.operands[place], size, alone).view(kind)
                self._add(ins, ins.operands[place], one, alone)
                self.put(result, old.view(np.uint32)[0, 0], alone)
        self._view(ins, k, ins.operands[place], size, mask)

    def _add(self, ins, operand, value, mask):
        """Add numbers to memory at the addresses of the lanes."""
        at = self.addresses(operand)[mask]
        kind = np.asarray(value).dtype
        if ins.name == "ATOMS":
            flat = self.shared.reshape(-1).view(kind)
            rows = self.block[mask] * (self.shared.shape[1] // kind.itemsize)
            np.add.at(flat, rows + at.astype(np.int64) // kind.itemsize, value)
            return
        for number in np.unique(at >> ARRAY):
            own = at >> ARRAY == number
            array = self.memory[int(number) - 1].reshape(-1).view(kind)
            place = (at[own] & np.uint64((1 << int(ARRAY)) - 1)).astype(np.int64) // kind.itemsize
            np.add.at(array, place, np.broadcast_to(value, at.shape)[own])

    def _view(self, ins, k, operand, size, mask, data=None):
        """Read bytes at the addresses of the lanes, or write `data`; count what that takes."""
        at = self.addresses(operand)[mask]
        rows = self.block[mask]
        local = ins.name in ("LDS", "STS", "ATOMS")
        if k is not None:
            self.traffic.note(k, ins.name, at, size, self.warp[mask])
        if np.any(at % np.uint64(size)):
            raise ValueError(f"{ins} at {ins.where}: not aligned")
        inside = np.arange(size)
        if local:
            place = at.astype(np.int64)[:, None] + inside
            if data is not None:
                self.shared[rows[:, None], place] = data
                return None
            return self.shared[rows[:, None], place]
        found = np.empty((len(at), size), np.uint8)
        for number in np.unique(at >> ARRAY):
            own = at >> ARRAY == number
            array = self.memory[int(number) - 1].reshape(-1).view(np.uint8)
            place = (at[own] & np.uint64((1 << int(ARRAY)) - 1)).astype(np.int64)[:, None] + inside
            if data is not None:
                array[place] = data[own]
            else:
                found[own] = array[place]
        return found


def _size(ins):
    return next((SIZES[each] for each in ins.modifiers if each in SIZES), 4)
