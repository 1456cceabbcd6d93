"""Transposition of squares of 16 x 16 floats in registers, as LLVM code.

A loop over single floats that are far apart takes four times as long.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._simd import pointer

SIDE = 16


def _transposed(builder, rows):
    """Return the columns of a square: exchange halves, quarters and so on of two rows at a time."""
    half = SIDE // 2
    while half:
        below = [k if not k & half else SIDE + k - half for k in range(SIDE)]
        above = [k + half if not k & half else SIDE + k for k in range(SIDE)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), SIDE), m) for m in (below, above)]
        for k in [k for k in range(SIDE) if not k & half]:
            a, b = rows[k], rows[k + half]
            rows[k], rows[k + half] = (builder.shuffle_vector(a, b, mask) for mask in masks)
        half //= 2
    return rows


def _pairs(builder, rows):
    """Return sums and differences of pairs of rows."""
    for k in range(0, SIDE, 2):
        a, b = rows[k], rows[k + 1]
        rows[k], rows[k + 1] = builder.fadd(a, b), builder.fsub(a, b)
    return rows


def _mover(*steps):
    """Create an intrinsic that reads the rows of a square, changes them, and writes them."""

    @intrinsic
    def move(typingctx, source, at, pitch, out, to, line):
        def generate(context, builder, signature, args):
            kind = ir.VectorType(ir.FloatType(), SIDE)

            def places(array_type, array, first, step):
                for _ in range(SIDE):
                    yield pointer(context, builder, array_type, array, first, kind)
                    first = builder.add(first, step)

            kinds = signature.args
            rows = [builder.load(p, align=4) for p in places(kinds[0], *args[:3])]
            for step in steps:
                rows = step(builder, rows)
            for row, place in zip(rows, places(kinds[3], *args[3:]), strict=True):
                builder.store(row, place, align=4)
            return context.get_dummy_value()

        index = types.intp
        return types.void(source, index, index, out, index, index), generate

    return move


# Arguments: an array, the first element, from row to row, and the same for the result
transpose = _mover(_transposed)
transpose_then_pairs = _mover(_transposed, _pairs)
pairs_then_transpose = _mover(_pairs, _transposed)
