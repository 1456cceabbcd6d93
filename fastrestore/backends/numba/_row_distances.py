"""Distances of a row of blocks, in registers, for Numba kernels; see `_simd`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._simd import broadcast, fused, moved_down, pointer, vector_of

INT64 = ir.IntType(64)


def _total(builder, a, b):
    """Sum of two vectors, of which the first is missing at the beginning."""
    return b if a is None else builder.fadd(a, b)


def _square(builder, a, b, earlier):
    """Add the squared differences of two vectors to earlier ones."""
    delta = builder.fsub(a, b)
    if earlier is None:
        return builder.fmul(delta, delta)
    return fused(builder, delta, delta, earlier)


class _Sums:
    """Sums over the columns of a step, of all of them and of the remaining ones of a block."""

    def __init__(self):
        self.all = self.remaining = None

    def add(self, builder, column, is_last):
        """Add the next column."""
        self.all = _total(builder, self.all, column)
        if is_last:
            self.remaining = self.all

    def of_block(self, builder, steps):
        """Add whole steps and the remaining columns, which are the sums of the next lanes."""
        result = self.remaining
        for _ in range(steps):
            result = builder.fadd(self.all, moved_down(builder, result))
        return result


def step_sums(builder, pixel, displaced, shape, last, count):
    """Sums for `count` displacements: of all rows of a step, and of the remaining ones.

    ``pixel(s, r, c)`` and ``displaced(s, r, c)`` are vectors of pixels. shape: slices of a block,
    and rows and columns of a step. `last` is the last of the remaining rows and columns. All
    columns are summed together, so that every displaced pixel is read once.
    """
    slices, step = shape
    results = [(_Sums(), _Sums()) for _ in range(count)]
    rows = [[None] * count for _ in range(step)]
    remaining = []
    for r in range(step):
        for s in range(slices):
            own = [pixel(s, r, c) for c in range(step)]
            for k in range(step + count - 1):
                other = displaced(s, r, k)
                for c in range(max(0, k + 1 - count), min(step, k + 1)):
                    rows[c][k - c] = _square(builder, own[c], other, rows[c][k - c])
        if r == last:
            remaining = [list(each) for each in rows]
    for c in range(step):
        for d, (every, some) in enumerate(results):
            every.add(builder, rows[c][d], c == last)
            some.add(builder, remaining[c][d], c == last)
    return results


@intrinsic(prefer_literal=True)
def row_distances(
    typingctx, out, at_out, apart, sums, local, at_local, values, at, start, bias, at_bias,
    size, step, count, lanes,
):  # fmt: skip
    """Squared distances of a row of blocks to those at `count` neighboring displacements.

    Pixels (r, c) of the current step of the blocks are the vector at
    ``at_local + (c * step + r) * lanes`` of `local`. Those of displaced blocks, where c is up to
    ``step + count - 1``, begin at ``at + start[c * step + r]`` of `values`. Earlier steps of the
    blocks, as rows, are in `sums`, the latest first, which this row is added to. The bias at
    ``at_bias + d`` is added to the distances of displacement d, which are written at
    ``at_out + d * apart`` of `out`. Pass the constants, from `size` on, by keyword.
    """
    vector = vector_of(values, lanes)
    width, many = step.literal_value, count.literal_value
    steps = -(-size.literal_value // width) - 1  # whole ones
    last = (size.literal_value - 1) % width

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, apart, sums, local, at_local, values, at, start, bias, at_bias = args[:11]
        starts = context.make_array(signature.args[8])(context, builder, start).data
        biases = context.make_array(signature.args[9])(context, builder, bias).data

        def address(which, array, index):
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        def pixel(_, r, c):
            place = builder.add(at_local, INT64((c * width + r) * vector.lanes))
            return builder.load(address(4, local, place), align=4)

        def displaced(_, r, c):
            offset = builder.load(builder.gep(starts, [INT64(c * width + r)]))
            return builder.load(address(6, values, builder.add(at, offset)), align=4)

        totals = step_sums(builder, pixel, displaced, (1, width), last, many)
        for d, (every, some) in enumerate(totals):
            places = [address(3, sums, INT64((k * many + d) * vector.lanes)) for k in range(steps)]
            earlier = [builder.load(place, align=4) for place in places]
            distance = some.of_block(builder, steps)
            for rows in earlier:
                distance = builder.fadd(distance, rows)
            for rows, place in zip(
                [every.of_block(builder, steps), *earlier], places, strict=False
            ):
                builder.store(rows, place, align=4)
            offset = builder.load(builder.gep(biases, [builder.add(at_bias, INT64(d))]))
            distance = builder.fadd(distance, broadcast(builder, offset, vector.lanes))
            place = builder.add(at_out, builder.mul(apart, INT64(d)))
            builder.store(distance, address(0, out, place), align=4)
        return context.get_dummy_value()

    index = types.intp
    variables = (out, index, index, sums, local, index, values, index, start, bias, index)
    return types.void(*variables, size, step, count, lanes), generate
