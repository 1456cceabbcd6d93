"""Distances of a row of 3-D blocks, in registers, for Numba kernels; see `_simd`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._row_distances import step_sums
from fastrestore.backends.numba._simd import broadcast, moved_down, pointer, vector_of

INT64 = ir.IntType(64)


def _of_block(builder, some, earlier):
    """Add the sums of earlier rows, the latest first, and then those of the next columns."""
    whole, remaining = some.all, some.remaining
    for sums in earlier:
        whole = builder.fadd(sums[0], whole)
        remaining = builder.fadd(sums[-1], remaining)
    distance = remaining
    for _ in earlier:
        distance = builder.fadd(whole, moved_down(builder, distance))
    return distance


@intrinsic(prefer_literal=True)
def cube_distances(
    typingctx, out, at_out, apart, sums, local, at_local, values, at, start, bias, at_bias,
    size, thick, step, count, lanes,
):  # fmt: skip
    """Squared distances of a row of blocks to those at `count` neighboring displacements.

    As `row_distances`, for blocks of `thick` slices. Pixels (s, r, c) of the current step of the
    blocks are the vector at ``at_local + ((c * step + r) * thick + s) * lanes`` of `local`, and
    those of displaced blocks begin at ``at + start[(c * step + r) * thick + s]`` of `values`. Rows
    are summed before columns, and two sums of each step are in `sums`.
    """
    vector = vector_of(values, lanes)
    width, many, slices = step.literal_value, count.literal_value, thick.literal_value
    steps = -(-size.literal_value // width) - 1  # whole ones
    last = (size.literal_value - 1) % width

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, apart, sums, local, at_local, values, at, start, bias, at_bias = args[:11]
        starts = context.make_array(signature.args[8])(context, builder, start).data
        biases = context.make_array(signature.args[9])(context, builder, bias).data

        def address(which, array, index):
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        def pixel(s, r, c):
            place = INT64(((c * width + r) * slices + s) * vector.lanes)
            return builder.load(address(4, local, builder.add(at_local, place)), align=4)

        def displaced(s, r, c):
            place = INT64((c * width + r) * slices + s)
            offset = builder.load(builder.gep(starts, [place]))
            return builder.load(address(6, values, builder.add(at, offset)), align=4)

        def places(k, d, count):
            first = 2 * (k * many + d)
            return [address(3, sums, INT64((first + n) * vector.lanes)) for n in range(count)]

        totals = step_sums(builder, pixel, displaced, (slices, width), last, many)
        for d, (every, some) in enumerate(totals):
            new = [every.all] if last == width - 1 else [every.all, every.remaining]
            kept = [places(k, d, len(new)) for k in range(steps)]
            earlier = [[builder.load(place, align=4) for place in each] for each in kept]
            distance = _of_block(builder, some, earlier)
            for step_of_block, where in zip([new, *earlier], kept, strict=False):
                for value, place in zip(step_of_block, where, strict=True):
                    builder.store(value, place, align=4)
            offset = builder.load(builder.gep(biases, [builder.add(at_bias, INT64(d))]))
            distance = builder.fadd(distance, broadcast(builder, offset, vector.lanes))
            place = builder.add(at_out, builder.mul(apart, INT64(d)))
            builder.store(distance, address(0, out, place), align=4)
        return context.get_dummy_value()

    index = types.intp
    variables = (out, index, index, sums, local, index, values, index, start, bias, index)
    return types.void(*variables, size, thick, step, count, lanes), generate
