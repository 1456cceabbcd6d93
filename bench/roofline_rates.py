"""Rates of one core, by small kernels: arithmetic on vectors, and loads by level of memory."""

import time
from typing import NamedTuple

import numba
import numpy as np

from fastrestore.backends.numba import _simd

WIDTHS = (8, 16)  # floats of a vector; the faster of both counts
CHAINS = 14  # independent vectors: they hide latency, and fit into 16 registers with two others
L1, L2, MEMORY = 2**14, 2**18, 2**26  # bytes that are read again and again
SECONDS = 0.02  # of a measurement
ROUNDS = 5  # measurements; the least time counts

ARITHMETIC = """
def kernel(values, rounds):
    x, y = load(values, 0, width), load(values, width, width)
    {start}
    for _ in range(rounds):
        {step}
    {stop}
"""

LOADS = """
def kernel(values, rounds):
    {start}
    for _ in range(rounds):
        for at in range(0, len(values), CHAINS * width):
            {step}
    {stop}
"""

# What each of the chains does in a step
FMA = ("a{k} = fma(a{k}, x, y)",)
MIXED = ("a{k} = fma(x, y, a{k})", "b{k} = sub(b{k}, x)")
DIVISION = ("a{k} = div(x, a{k})",)
LOAD = ("a{k} = add(a{k}, load(values, at + {k} * width, width))",)


class Rates(NamedTuple):
    """Operations on single floats, or bytes, in a second."""

    fma: float  # fused multiply-adds
    mixed: float  # as many multiply-adds as additions, which some processors run side by side
    division: float
    l1: float
    l2: float
    memory: float


def measured() -> Rates:
    """Measure all rates."""
    return Rates(
        fma=arithmetic(FMA),
        mixed=arithmetic(MIXED),
        division=arithmetic(DIVISION),
        l1=loads(L1),
        l2=loads(L2),
        memory=loads(MEMORY),
    )


def arithmetic(steps):
    """Operations on single floats in a second."""
    values = _simd.aligned(32, np.float32)
    values[:] = 1
    chains = CHAINS // len(steps)
    return max(
        len(steps) * chains * width / seconds(compiled(ARITHMETIC, steps, width, chains), values)
        for width in WIDTHS
    )


def loads(size):
    """Bytes in a second, from memory of this many bytes that is read in order."""
    best = 0.0
    for width in WIDTHS:
        line = CHAINS * width
        values = _simd.aligned(size // 4 // line * line, np.float32)
        kernel = compiled(LOADS, LOAD, width, CHAINS)
        best = max(best, values.nbytes / seconds(kernel, values))
    return best


def compiled(template, steps, width, chains):
    """Compile a kernel whose steps are repeated for every chain."""
    names = [f"{name}{k}" for name in "ab"[: len(steps)] for k in range(chains)]
    lines = {
        "start": "; ".join(f"{name} = load(values, 0, width)" for name in names),
        "step": "; ".join(step.format(k=k) for k in range(chains) for step in steps),
        "stop": "; ".join(f"store(values, 0, {name})" for name in names),
    }
    # Every result counts, and the values remain equal to 1 or 0: no subnormal numbers
    lines["stop"] = (
        f"total = {names[0]}; "
        + "; ".join(f"total = add(total, {name})" for name in names[1:])
        + "; return first(total)"
    )
    scope = {**vars(_simd), "width": width, "CHAINS": CHAINS, "first": first}
    exec(template.format(**lines), scope)
    return numba.njit(nogil=True, error_model="numpy")(scope["kernel"])


@numba.njit
def first(vector):
    """Number of lanes below 2, so that the vector is needed."""
    return _simd.count_ones(_simd.mask_le(vector, vector))


def seconds(kernel, values):
    """Seconds of one round, the least of some measurements."""
    rounds = 1
    kernel(values, rounds)  # compiles
    while spent(kernel, values, rounds) < SECONDS:
        rounds *= 2
    return min(spent(kernel, values, rounds) for _ in range(ROUNDS)) / rounds


def spent(kernel, values, rounds):
    """Processor time of some rounds."""
    start = time.process_time()
    kernel(values, rounds)
    return time.process_time() - start
