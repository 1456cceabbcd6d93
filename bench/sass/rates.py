"""Time that a launch takes at least on an H200, by resource of its multiprocessors.

Rates are those of the CUDA C++ Programming Guide (arithmetic instructions, capability 9.0), in
warps per clock cycle of a multiprocessor. Global atomics are limited by L2, which adds one sector
of 32 bytes per clock cycle in each of its slices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MULTIPROCESSORS, CLOCK = 132, 1.755e9
SCHEDULERS = 4  # of a multiprocessor: warps that issue an instruction in a clock cycle
SLICES = 96  # of L2
REGISTERS, WARPS, SHARED, BLOCKS = 65536, 64, 227 * 1024, 32  # of a multiprocessor
TENSOR = 512  # multiply-adds per clock cycle and warp scheduler: half precision 1024, TF32 half

FP32 = {"FADD", "FMUL", "FFMA", "HFMA2", "HADD2", "HMUL2"}  # 4 warps
SINGLE = {"MUFU", "I2F", "I2FP", "F2I", "F2F", "POPC", "FLO", "BREV", "UPOPC", "UFLO"}  # 0.5
DOUBLE = {"DADD", "DMUL", "DFMA", "DSETP"}  # 2
MEMORY = {"LDG", "LDS", "STG", "STS", "RED", "REDG", "ATOM", "ATOMG", "ATOMS", "LDL", "STL", "LD",
          "ST", "LDSM", "LDGSTS"}  # fmt: skip
EXCHANGE = {"SHFL", "REDUX"}  # a warp per cycle, on the way to shared memory
CONTROL = {"BRA", "BSSY", "BSYNC", "BREAK", "EXIT", "BAR", "CALL", "RET", "WARPSYNC", "NOP", "LDC",
           "S2R", "S2UR", "CS2R", "DEPBAR", "YIELD", "MEMBAR", "ULDC", "ENDCOLLECTIVE"}  # fmt: skip


class Bounds(NamedTuple):
    """Milliseconds by resource."""

    issue: float
    memory: float  # load/store units: shared memory, L1, and exchanges between lanes
    fp32: float
    integer: float  # integers, comparisons and logic
    tensor: float
    atomic: float

    def most(self) -> tuple[str, float]:
        """Return the resource that takes longest, and its time."""
        return max(self._asdict().items(), key=lambda pair: pair[1])


def bounds(code, counts, traffic, share, blocks) -> Bounds:
    """Return the bounds of a launch from the counts of some of its thread blocks.

    `share` is the number of thread blocks of the grid for each of those that were counted. All
    multiprocessors have the same number of thread blocks, or one more.
    """
    cycles = dict.fromkeys(Bounds._fields, 0.0)
    for ins, count in zip(code, counts, strict=True):
        cycles["issue"] += count / SCHEDULERS
        resource, rate = resource_of(ins.name)
        cycles[resource] += count / rate if rate else 0
    cycles["memory"] = float(
        np.sum(traffic.passes)
        + np.sum(np.maximum(traffic.lines, traffic.sectors / 4))
        + sum(count for ins, count in zip(code, counts, strict=True) if ins.name in EXCHANGE)
    )
    atomics = [ins.name in ("RED", "REDG", "ATOM", "ATOMG") for ins in code]
    cycles["atomic"] = float(np.sum(traffic.sectors[atomics])) * MULTIPROCESSORS / SLICES
    # Multiprocessors work at the same time, but none on a part of a thread block
    together = share * -(-blocks // MULTIPROCESSORS) / blocks
    return Bounds(**{name: 1e3 * each * together / CLOCK for name, each in cycles.items()})


def resource_of(name: str) -> tuple[str, float]:
    """Return the unit that runs an instruction, and its warps per cycle; 0 if counted elsewhere."""
    if name in FP32:
        return "fp32", 4
    if name in ("HMMA", "IMMA", "DMMA", "QGMMA", "HGMMA", "IGMMA"):
        return "tensor", SCHEDULERS * TENSOR / (16 * 8 * 8)
    if name in MEMORY or name in EXCHANGE or name in CONTROL:
        return "memory", 0
    if name in SINGLE:
        return "integer", 0.5
    return "integer", 2


def resident(threads: int, registers: int, shared: int) -> int:
    """Return how many warps of a kernel a multiprocessor holds."""
    warps = -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256
    fitting = min(
        WARPS // warps,
        REGISTERS // (per_warp * warps),
        SHARED // (shared + 1024),
        BLOCKS,
    )
    return int(fitting * warps)
