"""What loads and stores take: passes of shared memory, lines and sectors of global memory."""

from __future__ import annotations

import numpy as np

BANKS, LINE, SECTOR = 32, 128, 32  # banks of 4 bytes; bytes
SHARED = ("LDS", "STS", "ATOMS")
PASS = 128  # bytes to or from registers in a pass


class Traffic:
    """Counts for each instruction of a program."""

    def __init__(self, size):
        self.passes = np.zeros(size, np.int64)  # of shared memory, conflicts included
        self.lines = np.zeros(size, np.int64)  # of global memory
        self.sectors = np.zeros(size, np.int64)

    def note(self, k, name, addresses, size, warps):
        """Count one instruction of lanes with these addresses, which belong to these warps."""
        if name in SHARED:
            self.passes[k] += passes(addresses, size, warps, name == "ATOMS")
        else:
            self.lines[k] += distinct(addresses // LINE, warps)
            self.sectors[k] += distinct(addresses // SECTOR, warps)


def distinct(values, warps):
    """Return the number of different values in each warp, summed."""
    return len(np.unique(warps.astype(np.uint64) << np.uint64(48) | values.astype(np.uint64)))


def passes(addresses, size, warps, atomic=False):
    """Return the passes that shared memory takes.

    Lanes that read one word share it; different words of a bank take turns. Wide accesses take a
    pass for each 128 bytes of registers, even if all lanes read the same.
    """
    words = addresses.astype(np.int64) // 4
    groups = warps.astype(np.int64)
    if size > 4:  # lanes of a pass: 16 or 8
        turns = size * 32 // PASS
        order = np.arange(len(words)) - np.searchsorted(groups, groups)  # of the lane in its warp
        groups = groups * turns + order * turns // 32
        extra = np.arange(size // 4)
        words, groups = (words[:, None] + extra).ravel(), np.repeat(groups, size // 4)
    keys = groups << 32 | words
    if not atomic:
        keys = np.unique(keys)
    banks = (keys >> 32) * BANKS + (keys & 0xFFFFFFFF) % BANKS
    used, counts = np.unique(banks, return_counts=True)
    groups = used // BANKS
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return int(np.maximum.reduceat(counts, starts).sum())
