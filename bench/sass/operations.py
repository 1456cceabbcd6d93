"""What the instructions of a GPU compute, for all lanes at once.

Each function takes the machine, an instruction and the lanes that run it. Names and meanings are
those of NVIDIA's list of instructions (cuda-binary-utilities); details that it does not give were
found by comparing results with the same kernels on a CPU.
"""

from __future__ import annotations

import numpy as np

from sass import floats, integers


def vote(m, ins, mask):
    given = m.predicate(ins.operands[-1]) & mask
    if ins.operands[0].lstrip("U")[0] != "P":
        m.put(ins.operands[0], m.ballot(given), mask)
    out = next((x for x in ins.operands[:2] if x.lstrip("U")[0] == "P"), "PT")
    votes = m.by_warp(given)
    one = votes.any(1) if "ANY" in ins.modifiers else (votes | ~m.by_warp(mask)).all(1)
    m.put_predicate(out, np.repeat(one, 32), mask)


def shfl(m, ins, mask):
    value, by = np.asarray(m.u32(ins.operands[2])), m.u32(ins.operands[3]).astype(np.int64)
    lane, kind = m.lane, ins.modifiers[0]
    source = {"BFLY": lane ^ by, "UP": lane - by, "DOWN": lane + by, "IDX": by & 31}[kind]
    inside = (source >= 0) & (source < 32)
    source = np.where(inside, source, lane)
    result = value.reshape(-1)[m.warp * 32 + source] if value.ndim else value
    m.put(ins.operands[1], result, mask)
    m.put_predicate(ins.operands[0], inside, mask)


def redux(m, ins, mask):
    """Combine a number of all lanes of a warp."""
    value = np.asarray(np.broadcast_to(m.u32(ins.operands[1]), mask.shape))
    kind = "SUM" if "SUM" in ins.modifiers else next(
        (x for x in ("MIN", "MAX", "OR", "XOR") if x in ins.modifiers), "AND"
    )  # fmt: skip
    function, start = {
        "SUM": (np.add, 0), "OR": (np.bitwise_or, 0), "XOR": (np.bitwise_xor, 0),
        "AND": (np.bitwise_and, 0xFFFFFFFF), "MIN": (np.minimum, None), "MAX": (np.maximum, None),
    }[kind]  # fmt: skip
    if start is None:
        typed = value.view(np.int32) if "S32" in ins.modifiers else value
        info = np.iinfo(typed.dtype)
        value, start = typed, info.max if kind == "MIN" else info.min
    rows = np.where(mask, value, start).astype(value.dtype).reshape(-1, 32)
    m.put(
        ins.operands[0],
        np.repeat(function.reduce(rows, 1), 32).astype(value.dtype).view(np.uint32),
        mask,
    )


def r2ur(m, ins, mask):
    """Take the number of the first lane of each warp."""
    value = np.broadcast_to(m.u32(ins.operands[-1]), mask.shape).reshape(-1, 32)
    first = m.by_warp(mask).argmax(1)
    m.put(ins.operands[0], np.repeat(value[np.arange(len(first)), first], 32), mask)


def s2r(m, ins, mask):
    m.put(ins.operands[0], m.special(ins.operands[1]), mask)


def cs2r(m, ins, mask):
    if ins.operands[1] != "SRZ":
        raise NotImplementedError(f"CS2R {ins.operands}")
    m.put(ins.operands[0], 0, mask)
    if "32" not in ins.modifiers:
        m.put(m.next(ins.operands[0]), 0, mask)


def nothing(m, ins, mask):
    del m, ins, mask


# Functions that have the name of their instruction
INTEGERS = ("IADD3", "LEA", "IMAD", "IABS", "ISETP", "LOP3", "PLOP3", "SHF", "PRMT", "SEL",
            "VIMNMX", "VIADD", "MOV", "POPC", "FLO", "BREV", "P2R", "R2P")  # fmt: skip
FLOATS = ("FADD", "FMUL", "FFMA", "FMNMX", "FSETP", "FCHK", "MUFU", "HFMA2", "I2F", "F2I", "F2F",
          "DSETP")  # fmt: skip
IGNORED = ("NOP", "YIELD", "MEMBAR", "DEPBAR", "ERRBAR", "CCTL")

OPERATIONS = {
    **{name: getattr(integers, name.lower()) for name in INTEGERS},
    **{name: getattr(floats, name.lower()) for name in FLOATS},
    **dict.fromkeys(IGNORED, nothing),
    **dict.fromkeys(("DADD", "DMUL", "DFMA"), floats.double),
    **dict.fromkeys(("S2R", "S2UR"), s2r),
    "FSEL": integers.sel, "IMNMX": integers.vimnmx, "VIADDMNMX": integers.vimnmx,
    "LDC": integers.mov64, "I2FP": floats.i2f, "VOTE": vote, "VOTEU": vote, "SHFL": shfl,
    "REDUX": redux, "R2UR": r2ur, "CS2R": cs2r,
}  # fmt: skip
OPERATIONS |= {
    f"U{name}": OPERATIONS[name]
    for name in ("IADD3", "LEA", "IMAD", "ISETP", "LOP3", "PLOP3", "SHF", "SEL", "MOV", "POPC",
                 "FLO", "BREV", "PRMT", "LDC")
}  # fmt: skip
