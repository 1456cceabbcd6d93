"""Product of a matrix and vectors in registers, for the kernels of volumes; see `_products`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._products import PRODUCTS
from fastrestore.backends.numba._simd import (
    Vector,
    broadcast,
    first_element,
    pointer,
    vector_of,
)

INT64 = ir.IntType(64)


@intrinsic(prefer_literal=True)
def transform(typingctx, out, at_out, matrix, values, at, pitch_out, pitch, size, lanes, kind):
    """Multiply a matrix (size, size) by `size` vectors, `pitch` apart in `values` from `at` on.

    Results are `pitch_out` apart in `out` from `at_out` on. `kind` is a key of `PRODUCTS`. Pass the
    constants, from `pitch_out` on, by keyword.
    """
    vector = vector_of(values, lanes)
    count = size.literal_value
    product = PRODUCTS[kind.literal_value]

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, matrix, values, at = args[:5]
        entries = first_element(context, builder, signature.args[2], matrix)

        def address(which, array, start, k, pitch):
            index = builder.add(start, INT64(k * pitch.literal_value))
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        def entry(row, column):
            place = builder.gep(entries, [INT64(row * count + column)])
            return broadcast(builder, builder.load(place), vector.lanes)

        source = [builder.load(address(3, values, at, k, pitch), align=4) for k in range(count)]
        for k, result in enumerate(list(product(builder, entry, source))):
            builder.store(result, address(0, out, at_out, k, pitch_out), align=4)
        return context.get_dummy_value()

    variables = (out, types.intp, matrix, values, types.intp)
    return types.void(*variables, pitch_out, pitch, size, lanes, kind), generate


@intrinsic(prefer_literal=True)
def repeated(typingctx, value, times, lanes):
    """Repeat every lane `times` times in a vector of `lanes`; any number is in those left over."""
    vector = Vector(lanes.literal_value, value.element)

    def generate(context, builder, signature, args):
        last = args[0].type.count - 1
        source = [min(k // times.literal_value, last) for k in range(vector.lanes)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), source)
        return builder.shuffle_vector(args[0], args[0], mask)

    return vector(value, times, lanes), generate
