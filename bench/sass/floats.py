"""What instructions for floating-point numbers compute; see `operations.py`."""

from __future__ import annotations

import numpy as np

from sass.integers import COMBINE, COMPARE, MASK32, set_predicates

SMALLEST = np.float32(1.1754944e-38)  # normal number


def flushed(value, modifiers):
    """Replace subnormal numbers by 0 if the instruction does."""
    if "FTZ" in modifiers:
        return np.where(np.abs(value) < SMALLEST, np.copysign(np.float32(0), value), value)
    return value


def fadd(m, ins, mask):
    a, b = (flushed(m.f32(each), ins.modifiers) for each in ins.operands[1:3])
    m.put_float(ins.operands[0], flushed(a + b, ins.modifiers), mask)


def fmul(m, ins, mask):
    a, b = (flushed(m.f32(each), ins.modifiers) for each in ins.operands[1:3])
    m.put_float(ins.operands[0], flushed(a * b, ins.modifiers), mask)


def ffma(m, ins, mask):
    a, b, c = (flushed(m.f32(each), ins.modifiers).astype(np.float64) for each in ins.operands[1:4])
    m.put_float(ins.operands[0], flushed((a * b + c).astype(np.float32), ins.modifiers), mask)


def fmnmx(m, ins, mask):
    a, b = m.f32(ins.operands[1]), m.f32(ins.operands[2])
    least, most = (np.minimum, np.maximum) if "NAN" in ins.modifiers else (np.fmin, np.fmax)
    m.put_float(
        ins.operands[0], np.where(m.predicate(ins.operands[3]), least(a, b), most(a, b)), mask
    )


def fsetp(m, ins, mask):
    relation, combine = ins.modifiers[0], next(x for x in ins.modifiers if x in COMBINE)
    a, b = m.f32(ins.operands[2]), m.f32(ins.operands[3])
    result = COMPARE[relation.removesuffix("U")](a, b)
    unordered = np.isnan(a) | np.isnan(b)
    result = result | unordered if relation.endswith("U") else result & ~unordered
    set_predicates(m, ins, mask, result, combine)


def fchk(m, ins, mask):
    """Set the predicate where a division needs its slow path."""
    a, b = m.f32(ins.operands[1]), m.f32(ins.operands[2])
    exponents = [np.frexp(np.where(np.isfinite(x) & (x != 0), x, 1))[1] for x in (a, b)]
    plain = np.isfinite(a) & np.isfinite(b) & (b != 0) & (np.abs(exponents[1]) < 125)
    plain &= np.abs(exponents[0] - exponents[1]) < 120
    m.put_predicate(ins.operands[0], ~plain, mask)


def mufu(m, ins, mask):
    value = m.f32(ins.operands[1]).astype(np.float64)
    function = {
        "RCP": lambda x: 1 / x, "RSQ": lambda x: 1 / np.sqrt(x), "SQRT": np.sqrt,
        "EX2": np.exp2, "LG2": np.log2,
    }[ins.modifiers[0]]  # fmt: skip
    m.put_float(ins.operands[0], function(value).astype(np.float32), mask)


def hfma2(m, ins, mask):
    """Only as the compiler uses it for constants: a pair of half-precision numbers."""
    if ins.operands[1:3] != ("-RZ", "RZ"):
        raise NotImplementedError(f"{ins.name} {ins.operands}")
    high, low = (np.float16(float(each)).view(np.uint16) for each in ins.operands[3:5])
    m.put(ins.operands[0], np.uint32(int(high) << 16 | int(low)), mask)


def i2f(m, ins, mask):
    kind = next((x for x in ins.modifiers if x in ("U32", "U16", "U8", "S16", "S8")), "S32")
    value = np.asarray(m.u32(ins.operands[1]))
    if kind != "U32":
        value = value.view(np.int32) if kind == "S32" else NARROW[kind](value)
    if "F64" in ins.modifiers:
        m.put64(ins.operands[0], np.asarray(value, np.float64).view(np.uint64), mask)
    else:
        m.put_float(ins.operands[0], np.asarray(value).astype(np.float32), mask)


NARROW = {
    "U16": lambda x: x & np.uint32(0xFFFF), "U8": lambda x: x & np.uint32(0xFF),
    "S16": lambda x: x.astype(np.uint16).view(np.int16),
    "S8": lambda x: x.astype(np.uint8).view(np.int8),
}  # fmt: skip


def f2i(m, ins, mask):
    double = "F64" in ins.modifiers
    value = m.f64(ins.operands[1]) if double else m.f32(ins.operands[1]).astype(np.float64)
    value = np.trunc(value) if "TRUNC" in ins.modifiers else np.rint(value)
    low, high = (0, 2**32 - 1) if "U32" in ins.modifiers else (-(2**31), 2**31 - 1)
    if "S64" in ins.modifiers or "64" in ins.modifiers:
        m.put64(ins.operands[0], value.astype(np.int64).view(np.uint64), mask)
        return
    value = np.clip(np.nan_to_num(value), low, high)
    m.put(ins.operands[0], value.astype(np.int64).astype(np.uint64) & MASK32, mask)


def f2f(m, ins, mask):
    if ins.modifiers[0] == "F64":
        value = m.f32(ins.operands[1]).astype(np.float64)
        m.put64(ins.operands[0], value.view(np.uint64), mask)
    else:
        m.put_float(ins.operands[0], m.f64(ins.operands[1]).astype(np.float32), mask)


def double(m, ins, mask):
    values = [m.f64(each) for each in ins.operands[1:]]
    value = {
        "DADD": lambda: values[0] + values[1], "DMUL": lambda: values[0] * values[1],
        "DFMA": lambda: values[0] * values[1] + values[2],
    }[ins.name]()  # fmt: skip
    m.put64(ins.operands[0], np.asarray(value, np.float64).view(np.uint64), mask)


def dsetp(m, ins, mask):
    relation, combine = ins.modifiers[0], next(x for x in ins.modifiers if x in COMBINE)
    result = COMPARE[relation.removesuffix("U")](m.f64(ins.operands[2]), m.f64(ins.operands[3]))
    set_predicates(m, ins, mask, result, combine)
