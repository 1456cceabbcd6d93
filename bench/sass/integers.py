"""What instructions for integers, predicates and constants compute; see `operations.py`."""

from __future__ import annotations

import numpy as np

MASK32 = np.uint64(0xFFFFFFFF)
COMPARE = {
    "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
    "EQ": np.equal, "NE": np.not_equal,
}  # fmt: skip


def wide(value):
    return np.asarray(value).astype(np.uint64)


def signed(value):
    return np.asarray(value).view(np.int32)


# Integers -----------------------------------------------------------------------------------


def carries(ins, first):
    """Return how many operands from `first` on are predicates that receive a carry."""
    count = 0
    while ins.operands[first + count].lstrip("U").startswith("P"):
        count += 1
    return count


def iadd3(m, ins, mask):
    count = carries(ins, 1)
    a, b, c = ins.operands[1 + count : 4 + count]
    total = sum(wide64(m, each, "X" in ins.modifiers) for each in (a, b, c))
    if "X" in ins.modifiers:
        for name in ins.operands[4 + count :]:
            total = total + m.predicate(name)
    m.put(ins.operands[0], total & MASK32, mask)
    for k in range(count):
        m.put_predicate(ins.operands[1 + k], (total >> np.uint64(32)) > k, mask)


def wide64(m, operand, extended=False):
    """Return an operand of an addition in 64 bits; a negative one as its complement plus 1."""
    if operand.startswith("-") and not operand.startswith("-0x"):
        return (wide(m.u32(operand[1:])) ^ MASK32) + np.uint64(1)
    if operand.startswith("~"):
        return wide(m.u32(operand[1:])) ^ MASK32
    del extended
    return wide(m.u32(operand))


def lea(m, ins, mask):
    count = carries(ins, 1)
    rest = ins.operands[1 + count :]
    shift = int(rest[3 if "HI" in ins.modifiers and "SX32" not in ins.modifiers else 2], 0)
    a, b = m.u32(rest[0]), wide64(m, rest[1])
    if "HI" not in ins.modifiers:
        total = ((wide(a) << np.uint64(shift)) & MASK32) + b
    elif "SX32" in ins.modifiers:
        moved = (signed(a).astype(np.int64) << shift) >> 32
        total = (moved.astype(np.uint64) & MASK32) + b
    else:
        both = wide(a) | wide(m.u32(rest[2])) << np.uint64(32)
        total = (both << np.uint64(shift)) >> np.uint64(32)
        total = total + b
    if "X" in ins.modifiers:
        total = total + m.predicate(rest[-1])
    m.put(ins.operands[0], total & MASK32, mask)
    for k in range(count):
        m.put_predicate(ins.operands[1 + k], (total >> np.uint64(32)) > k, mask)


def imad(m, ins, mask):
    count = carries(ins, 1)
    a, b, c = ins.operands[1 + count : 4 + count]
    unsigned = "U32" in ins.modifiers
    if "WIDE" in ins.modifiers or "HI" in ins.modifiers:
        kind = np.uint32 if unsigned else np.int32
        left, right = (m.u32(each).view(kind).astype(np.int64) for each in (a, b))
        product = (left.astype(np.uint64) * right.astype(np.uint64)) + m.u64(c)
        if "HI" in ins.modifiers:
            m.put(ins.operands[0], product >> np.uint64(32), mask)
        else:
            m.put64(ins.operands[0], product, mask)
        if count:  # a carry out of 64 bits
            m.put_predicate(ins.operands[1], product < m.u64(c), mask)
        return
    value = m.u32(a) * m.u32(b) + m.u32(c)
    if "X" in ins.modifiers:
        value = value + m.predicate(ins.operands[-1])
    m.put(ins.operands[0], value, mask)


def iabs(m, ins, mask):
    m.put(ins.operands[0], np.abs(signed(m.u32(ins.operands[1]))).view(np.uint32), mask)


def isetp(m, ins, mask):
    relation, combine = ins.modifiers[0], next(x for x in ins.modifiers if x in COMBINE)
    kind = np.uint32 if "U32" in ins.modifiers else np.int32
    a, b = (np.asarray(m.u32(each)).view(kind) for each in ins.operands[2:4])
    result = COMPARE[relation](a, b)
    if "EX" in ins.modifiers:
        low = m.predicate(ins.operands[5])
        equal = a == b
        strict = {"LE": np.less, "GE": np.greater}.get(relation, COMPARE[relation])
        result = (a != b) | low if relation == "NE" else (
            equal & low if relation == "EQ" else strict(a, b) | (equal & low)
        )  # fmt: skip
    set_predicates(m, ins, mask, result, combine)


COMBINE = {"AND": np.logical_and, "OR": np.logical_or, "XOR": np.logical_xor}


def set_predicates(m, ins, mask, result, combine):
    other = m.predicate(ins.operands[4])
    m.put_predicate(ins.operands[0], COMBINE[combine](result, other), mask)
    m.put_predicate(ins.operands[1], COMBINE[combine](~result, other), mask)


def lop3(m, ins, mask):
    out = ins.operands[0].lstrip("U").startswith("P")
    rest = ins.operands[1:] if out else ins.operands
    a, b, c = (np.asarray(m.u32(each)) for each in rest[1:4])
    value = table(int(rest[4], 0), a, b, c)
    m.put(rest[0], value, mask)
    if out:
        m.put_predicate(ins.operands[0], value != 0, mask)


def table(lut, a, b, c):
    """Apply a table of 8 bits to each bit of three numbers."""
    value = np.zeros_like(a | b | c)
    for k in range(8):
        if lut >> k & 1:
            value |= (a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c)
    return value


def plop3(m, ins, mask):
    a, b, c = (m.predicate(each) for each in ins.operands[2:5])
    for name, lut in zip(ins.operands[:2], ins.operands[5:7], strict=True):
        m.put_predicate(name, table(int(lut, 0), a, b, c), mask)


def shf(m, ins, mask):
    a, amount, c = (np.asarray(m.u32(each)) for each in ins.operands[1:4])
    shift = wide(amount)
    shift = shift & np.uint64(31) if "W" in ins.modifiers else np.minimum(shift, np.uint64(32))
    both = wide(a) | wide(c) << np.uint64(32)
    if "L" in ins.modifiers:
        value = (both << shift) >> np.uint64(32) if "HI" in ins.modifiers else wide(a) << shift
    elif "HI" in ins.modifiers and "S32" in ins.modifiers:
        value = (signed(c).astype(np.int64) >> shift.astype(np.int64)).astype(np.uint64)
    elif "HI" in ins.modifiers:
        value = wide(c) >> shift
    elif "S64" in ins.modifiers:
        value = (both.view(np.int64) >> shift.astype(np.int64)).astype(np.uint64)
    else:
        value = both >> shift
    m.put(ins.operands[0], value & MASK32, mask)


def prmt(m, ins, mask):
    a, selector, c = (np.asarray(m.u32(each)) for each in ins.operands[1:4])
    both = wide(a) | wide(c) << np.uint64(32)
    value = np.zeros_like(both)
    for k in range(4):
        nibble = wide(selector) >> np.uint64(4 * k) & np.uint64(15)
        byte = both >> (np.uint64(8) * (nibble & np.uint64(7))) & np.uint64(255)
        sign = np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0))
        value |= np.where(nibble & np.uint64(8), sign, byte) << np.uint64(8 * k)
    m.put(ins.operands[0], value, mask)


def sel(m, ins, mask):
    a, b = (
        m.f32(each).view(np.uint32) if ins.name == "FSEL" else m.u32(each)
        for each in ins.operands[1:3]
    )
    m.put(ins.operands[0], np.where(m.predicate(ins.operands[3]), a, b), mask)


def vimnmx(m, ins, mask):
    kind = np.uint32 if "U32" in ins.modifiers else np.int32
    *sources, least = ins.operands[1:]
    values = [np.asarray(m.u32(each)).view(kind) for each in sources]
    if len(values) == 3:  # VIADDMNMX
        values = [values[0] + values[1], values[2]]
    value = np.where(m.predicate(least), np.minimum(*values), np.maximum(*values))
    if "RELU" in ins.modifiers:
        value = np.maximum(value, 0)
    m.put(ins.operands[0], value.view(np.uint32), mask)


def viadd(m, ins, mask):
    m.put(ins.operands[0], sum(wide64(m, each) for each in ins.operands[1:3]) & MASK32, mask)


def mov(m, ins, mask):
    m.put(ins.operands[0], m.u32(ins.operands[1]), mask)


def mov64(m, ins, mask):
    if ins.modifiers[:1] == ("64",):
        m.put64(ins.operands[0], m.u64(ins.operands[1]), mask)
    else:
        mov(m, ins, mask)


def popc(m, ins, mask):
    m.put(ins.operands[0], np.bitwise_count(np.asarray(m.u32(ins.operands[1]))), mask)


def flo(m, ins, mask):
    value = np.asarray(m.u32(ins.operands[-1])).astype(np.float64)
    top = np.where(value > 0, np.frexp(value)[1] - 1, -1).astype(np.int32)
    m.put(ins.operands[0], (31 - top if "SH" in ins.modifiers else top).view(np.uint32), mask)


def brev(m, ins, mask):
    value = np.asarray(m.u32(ins.operands[1]))
    bits = np.unpackbits(np.ascontiguousarray(value).view(np.uint8), bitorder="little")
    m.put(
        ins.operands[0],
        np.packbits(bits.reshape(-1, 32)[:, ::-1], bitorder="little").view(np.uint32),
        mask,
    )


def p2r(m, ins, mask):
    bits = sum(m.predicates(ins.operands[0])[k].astype(np.uint32) << k for k in range(7))
    keep = int(ins.operands[-1], 0)
    other = m.u32(ins.operands[2]) & np.uint32(~keep & 0xFFFFFFFF)
    m.put(ins.operands[0], (bits & np.uint32(keep)) | other, mask)


def r2p(m, ins, mask):
    bits = m.u32(ins.operands[1])
    for k in range(7):
        if int(ins.operands[2], 0) >> k & 1:
            m.put_predicate(f"P{k}", (bits >> np.uint32(k) & np.uint32(1)) != 0, mask)
