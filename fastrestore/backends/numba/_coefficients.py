"""Shrinkage of the coefficients of a group, WIDEST at a time, as LLVM code for `_shrink`.

A coefficient is the difference of two halves of a part of a group. Its variance is
``var A + var B - 2 cov(A, B)``, and that of the sum of the halves ``var A + var B + 2 cov(A, B)``.
Written as instructions, these loops compile in half of the time that Numba takes for them.

`group` is a tuple of arrays: half-transformed noisy blocks, those of the pilot, and variances.
`wiener` is False to threshold. Without `scales`, which is None for noise of one level, variances
have a lower limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.limits import LEAST
from fastrestore.backends.numba._simd import Vector, broadcast, first_element, fused
from fastrestore.backends.numba._variance import WIDE, WIDEST

TINY = float(np.finfo(np.float32).tiny)

_INT32, _INT64, _FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
_KIND = ir.VectorType(_FLOAT, WIDE)
_TOTAL = Vector(WIDE, types.float32)


class _Code:
    """Instructions on vectors of WIDE coefficients."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder

    def arrays(self, kind: Any, group: Any) -> list[Any]:
        """Return the first elements of the arrays of a tuple."""
        members = (self.builder.extract_value(group, k) for k in range(len(kind)))
        return [self.first(each, array) for each, array in zip(kind, members, strict=True)]

    def first(self, kind: Any, array: Any) -> Any:
        """Return the address of the first element."""
        return first_element(self.context, self.builder, kind, array)

    def place(self, data: Any, at: Any, k: int) -> Any:
        """Return the address of the vector at ``at + k``."""
        index = self.builder.add(at, _INT64(k))
        return self.builder.bitcast(self.builder.gep(data, [index]), _KIND.as_pointer())

    def load(self, data: Any, at: Any, k: int) -> Any:
        """Read a vector."""
        return self.builder.load(self.place(data, at, k), align=4)

    def store(self, value: Any, data: Any, at: Any, k: int) -> None:
        """Write a vector."""
        self.builder.store(value, self.place(data, at, k), align=4)

    def splat(self, number: Any) -> Any:
        """Set every lane to a scalar."""
        return broadcast(self.builder, number, WIDE)

    def larger(self, a: Any, b: Any) -> Any:
        """Return the larger of two vectors, lane by lane."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def hard(self, c: Any, scaled: Any, v: Any, strength: Any, scale: Any) -> tuple[Any, Any]:
        """Return scaled coefficients and their variances, or zeros below the threshold.

        strength: lambda**2 sigma**2.
        """
        build, zero = self.builder, ir.Constant(_KIND, None)
        kept = build.fcmp_ordered(">=", build.fmul(c, c), build.fmul(strength, v))
        return build.select(kept, scaled, zero), build.select(kept, build.fmul(v, scale), zero)

    def wiener(self, c: Any, p: Any, v: Any, strength: Any, total: Any) -> tuple[Any, Any]:
        """Return coefficients times the Wiener gain of the pilot `p`, and the remaining variances.

        strength: mu**2 sigma**2.
        """
        build = self.builder
        energy = fused(build, p, p, self.splat(_FLOAT(TINY)))
        gain = build.fdiv(energy, fused(build, strength, v, energy))
        return build.fmul(c, gain), fused(build, build.fmul(v, gain), gain, total)


def _either(builder: Any, wiener: Any, total: Any, generate: Callable[..., Any]) -> Any:
    """Generate code for both kinds of shrinkage, with one branch; return the total of that taken.

    One kernel for both compiles sooner than two, and the branch is always the same.
    """
    ends = []
    with builder.if_else(wiener) as arms:
        for arm, is_hard in zip(arms, (False, True), strict=True):
            with arm:
                ends.append((generate(is_hard, total), builder.block))
    result = builder.phi(_KIND)
    for value, block in ends:
        result.add_incoming(value, block)
    return result


@intrinsic
def shrink_pair(
    typingctx, group, covariance, strength, a, length, own, shared, at, factors, scales, wiener,
    total,
):  # fmt: skip
    """Shrink the difference of two blocks, which was computed before; set the variance of the sum.

    The blocks begin at `a`, `length` apart; the covariances of a block and of the pair at `own` and
    `shared`; strength at `at`. With `scales`, `factors` (2,) are those of these covariances. Return
    the remaining variances, added to a total, of Wiener filtering.
    """

    def generate(context, builder, signature, args):
        code = _Code(context, builder)
        noisy, pilot, variance = code.arrays(group, args[0])
        noise, limits = (code.first(signature.args[k], args[k]) for k in (1, 2))
        a, length, own_at, shared_at, at, scalars = args[3:9]
        b, half, is_mapped = builder.add(a, length), code.splat(_FLOAT(0.5)), scales != types.none
        least = code.splat(_FLOAT(0 if is_mapped else LEAST))
        scaling = [code.splat(builder.extract_value(scalars, k)) for k in range(2)]

        def shrink(is_hard, total):
            for k in range(0, WIDEST, WIDE):
                own, shared = code.load(noise, own_at, k), code.load(noise, shared_at, k)
                if is_mapped:
                    own, shared = builder.fmul(scaling[0], own), builder.fmul(scaling[1], shared)
                code.store(builder.fadd(own, shared), variance, a, k)
                v = code.larger(builder.fsub(own, shared), builder.fmul(least, own))
                d, factor = code.load(noisy, b, k), code.load(limits, at, k)
                scaled = builder.fmul(d, half)
                if is_hard:
                    out, kept = code.hard(d, scaled, v, factor, half)
                    code.store(kept, variance, b, k)
                else:
                    out, total = code.wiener(scaled, code.load(pilot, b, k), v, factor, total)
                code.store(out, noisy, b, k)
            return total

        return _either(builder, args[10], args[11], shrink)

    index = types.intp
    numbers = types.UniTuple(types.float32, 2)  # type: ignore[attr-defined]
    parameters = (group, covariance, strength, index, index, index, index, index, numbers, scales)
    return _TOTAL(*parameters, types.boolean, total), generate


@intrinsic
def shrink_halves(
    typingctx, group, covariance, strength, a, b, own, shared, at, least, scale, wiener, total
):
    """Shrink the difference of two halves at `a` and `b`, and replace the first by their sum.

    `shared` is the vector of sums of their covariances. Variances are at least `least` times those
    of a block. The inverse transform will scale coefficients; `scale` is for their variances.
    """

    def generate(context, builder, signature, args):
        code = _Code(context, builder)
        noisy, pilot, variance = code.arrays(group, args[0])
        noise, limits = (code.first(signature.args[k], args[k]) for k in (1, 2))
        a, b, own_at, together, at = args[3:8]
        least, scale = (code.splat(args[k]) for k in (8, 9))

        def shrink(is_hard, total):
            for k in range(0, WIDEST, WIDE):
                lanes = ir.Constant(ir.VectorType(_INT32, WIDE), list(range(k, k + WIDE)))
                shared = builder.shuffle_vector(together, together, lanes)
                both = builder.fadd(code.load(variance, a, k), code.load(variance, b, k))
                code.store(builder.fadd(both, shared), variance, a, k)
                limit = builder.fmul(least, code.load(noise, own_at, k))
                v, factor = code.larger(builder.fsub(both, shared), limit), code.load(limits, at, k)
                x, y = code.load(noisy, a, k), code.load(noisy, b, k)
                code.store(builder.fadd(x, y), noisy, a, k)
                d = builder.fsub(x, y)
                if is_hard:
                    out, kept = code.hard(d, d, v, factor, scale)
                    code.store(kept, variance, b, k)
                else:
                    p, q = code.load(pilot, a, k), code.load(pilot, b, k)
                    code.store(builder.fadd(p, q), pilot, a, k)
                    out, total = code.wiener(d, builder.fsub(p, q), v, factor, total)
                code.store(out, noisy, b, k)
            return total

        return _either(builder, args[10], args[11], shrink)

    index = types.intp
    parameters = (group, covariance, strength, index, index, index, shared, index)
    return _TOTAL(*parameters, types.float32, types.float32, types.boolean, total), generate


@intrinsic
def shrink_whole(typingctx, group, covariance, strength, at, own, least, scale, wiener, total):
    """Shrink the sums of all blocks at `at`; `least` as for `shrink_halves`."""

    def generate(context, builder, signature, args):
        code = _Code(context, builder)
        noisy, pilot, variance = code.arrays(group, args[0])
        noise, limits = (code.first(signature.args[k], args[k]) for k in (1, 2))
        at, own_at = args[3:5]
        least, scale = (code.splat(args[k]) for k in (5, 6))

        def shrink(is_hard, total):
            for k in range(0, WIDEST, WIDE):
                limit = builder.fmul(least, code.load(noise, own_at, k))
                v = code.larger(code.load(variance, at, k), limit)
                factor, c = code.load(limits, at, k), code.load(noisy, at, k)
                scaled = builder.fmul(c, scale)
                if is_hard:
                    out, kept = code.hard(c, scaled, v, factor, scale)
                    code.store(kept, variance, at, k)
                else:
                    out, total = code.wiener(scaled, code.load(pilot, at, k), v, factor, total)
                code.store(out, noisy, at, k)
            return total

        return _either(builder, args[7], args[8], shrink)

    index = types.intp
    parameters = (group, covariance, strength, index, index, types.float32, types.float32)
    return _TOTAL(*parameters, types.boolean, total), generate
