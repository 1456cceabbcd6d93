"""Sums of many vectors in registers, for Numba kernels; see `_simd`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._simd import (
    Vector,
    broadcast,
    first_element,
    fused,
    pointer,
    vector_of,
)

INT64 = ir.IntType(64)


def _weighted_sum(builder, factors, vectors):
    """Sum of vectors, each times a scalar, added in their order."""
    total = builder.fmul(factors[0], vectors[0])
    for factor, vector in zip(factors[1:], vectors[1:], strict=True):
        total = fused(builder, factor, vector, total)
    return total


def _folded(builder, entry, source):
    """Multiply by rows that are alternately even and odd, with half the products.

    Even rows are multiplied by sums of opposite samples, odd rows by differences.
    """
    count, half = len(source), len(source) // 2
    pairs = [(source[k], source[count - 1 - k]) for k in range(half)]
    even = [builder.fadd(*pair) for pair in pairs] + source[half : count - half]
    odd = [builder.fsub(*pair) for pair in pairs]
    for row in range(count):
        values = odd if row % 2 else even
        yield _weighted_sum(builder, [entry(row, k) for k in range(len(values))], values)


def _unfolded(builder, entry, source):
    """Multiply by columns that are alternately even and odd: the inverse of `_folded`."""
    count, half = len(source), len(source) // 2
    results = [None] * count
    for row in range(count - half):
        even, odd = (
            _weighted_sum(builder, [entry(row, k) for k in range(p, count, 2)], source[p::2])
            for p in (0, 1)
        )
        results[row] = builder.fadd(even, odd)
        results[count - 1 - row] = builder.fsub(even, odd)
    if count % 2:  # the middle sample: odd rows are zero there
        results[half] = even
    return results


def _general(builder, entry, source):
    """Multiply by any matrix."""
    columns = range(len(source))
    for row in columns:
        yield _weighted_sum(builder, [entry(row, k) for k in columns], source)


PRODUCTS = {"any": _general, "even-odd rows": _folded, "even-odd columns": _unfolded}


@intrinsic(prefer_literal=True)
def transform_pair(
    typingctx, out, at_out, matrix, values, a, b, apart, pitch_out, pitch, size, lanes, kind
):
    """Transform the sum and the difference of two blocks: a Haar step and a matrix product.

    A block is `size` vectors, `pitch` apart in `values` and `pitch_out` apart in `out`; the blocks
    begin at `a` and `b` of `values`. The product of the matrix (size, size) and ``a + b`` is
    written at `at_out`, and that with ``a - b`` at ``at_out + apart``, vector by vector; if they
    overlap, the second overwrites the first. All results remain in registers until the end, because
    LLVM cannot prove that `out` and `values` are different arrays and would reload every vector.
    `kind` is a key of `PRODUCTS`. Pass the constants, from `apart` on, by keyword.
    """
    product = PRODUCTS[kind.literal_value]

    def generate(context, builder, signature, args):
        _pair(context, builder, signature, args, product)
        return context.get_dummy_value()

    variables = (out, types.intp, matrix, values, types.intp, types.intp)
    constants = (apart, pitch_out, pitch, size, lanes, kind)
    return types.void(*variables, *constants), generate


@intrinsic(prefer_literal=True)
def transform_pair_if(
    typingctx, out, at_out, matrix, values, a, b, is_folded, apart, pitch_out, pitch, size, lanes,
    kind,
):  # fmt: skip
    """`transform_pair` of a `kind` if `is_folded`, a variable, else of any."""
    product = PRODUCTS[kind.literal_value]

    def generate(context, builder, signature, args):
        with builder.if_else(args[6]) as (then, otherwise):
            with then:
                _pair(context, builder, signature, args, product)
            with otherwise:
                _pair(context, builder, signature, args, _general)
        return context.get_dummy_value()

    variables = (out, types.intp, matrix, values, types.intp, types.intp, types.boolean)
    constants = (apart, pitch_out, pitch, size, lanes, kind)
    return types.void(*variables, *constants), generate


def _pair(context, builder, signature, args, product):
    """Generate the code of `transform_pair` with a product of `PRODUCTS`."""
    apart, pitch_out, pitch, count, lanes = (each.literal_value for each in signature.args[-6:-1])
    vector_type = context.get_value_type(Vector(lanes, signature.args[3].dtype))
    out, at_out, matrix, values, a, b = args[:6]
    next_out = builder.add(at_out, INT64(apart))
    entries = first_element(context, builder, signature.args[2], matrix)

    def address(which, array, start, k, pitch):
        index = builder.add(start, INT64(k * pitch))
        return pointer(context, builder, signature.args[which], array, index, vector_type)

    def entry(row, column):
        place = builder.gep(entries, [INT64(row * count + column)])
        return broadcast(builder, builder.load(place), lanes)

    def block(start):
        return [builder.load(address(3, values, start, k, pitch), align=4) for k in range(count)]

    pairs = list(zip(block(a), block(b), strict=True))
    for start, operation in ((at_out, builder.fadd), (next_out, builder.fsub)):
        results = list(product(builder, entry, [operation(*pair) for pair in pairs]))
        for k, result in enumerate(results):
            builder.store(result, address(0, out, start, k, pitch_out), align=4)


@intrinsic(prefer_literal=True)
def lift_block(typingctx, out, at_out, values, at, across, matrix, size, lanes):
    """Transform the columns of a block of an image; column c is written to vector c of `out`.

    ``out[c] = sum_n values[at + n * across + c] * matrix[n]``, where row n of `matrix` has `lanes`
    elements. Pass the constants, `size` and `lanes`, by keyword.
    """
    vector = vector_of(matrix, lanes)
    count = size.literal_value

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, values, at, across, matrix = args[:6]
        pixels = first_element(context, builder, signature.args[2], values)

        def address(which, array, index):
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        def pixel(n, c):
            place = builder.add(builder.add(at, builder.mul(across, INT64(n))), INT64(c))
            return broadcast(builder, builder.load(builder.gep(pixels, [place])), vector.lanes)

        rows = [
            builder.load(address(5, matrix, INT64(n * vector.lanes)), align=4) for n in range(count)
        ]
        for c in range(count):
            column = _weighted_sum(builder, [pixel(n, c) for n in range(count)], rows)
            place = builder.add(at_out, INT64(c * vector.lanes))
            builder.store(column, address(0, out, place), align=4)
        return context.get_dummy_value()

    variables = (out, types.intp, values, types.intp, types.intp, matrix)
    return types.void(*variables, size, lanes), generate


@intrinsic(prefer_literal=True)
def combine(typingctx, out, factors, at, vectors, columns, terms, lanes):
    """Combine `terms` vectors to `columns` vectors by a matrix product.

    ``out[c] = sum_u factors[c, u] * vectors[u]``, where row c of `factors` has `lanes` elements
    and the first begins at `at`. Pass the constants, from `columns` on, by keyword.
    """
    vector = vector_of(vectors, lanes)
    count, length = columns.literal_value, terms.literal_value

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, factors, at, vectors = args[:4]
        numbers = first_element(context, builder, signature.args[1], factors)

        def address(which, array, index):
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        def factor(c, u):
            place = builder.add(at, INT64(c * vector.lanes + u))
            number = builder.load(builder.gep(numbers, [place]))
            return broadcast(builder, number, vector.lanes)

        source = [
            builder.load(address(3, vectors, INT64(u * vector.lanes)), align=4)
            for u in range(length)
        ]
        for c in range(count):
            result = _weighted_sum(builder, [factor(c, u) for u in range(length)], source)
            builder.store(result, address(0, out, INT64(c * vector.lanes)), align=4)
        return context.get_dummy_value()

    variables, constants = (out, factors, types.intp, vectors), (columns, terms, lanes)
    return types.void(*variables, *constants), generate


@intrinsic
def lane_sum(typingctx, vector):
    """Sum of the lanes, in their order."""

    def generate(context, builder, signature, args):
        total = ir.Constant(ir.FloatType(), 0)
        for lane in range(vector.lanes):
            total = builder.fadd(total, builder.extract_element(args[0], ir.IntType(32)(lane)))
        return total

    return vector.element(vector), generate


@intrinsic(prefer_literal=True)
def distances(typingctx, out, values, at, across, pixels, size, first, last, tile, lanes):
    """Squared distances of a block and those at `tile` rows of `lanes` neighboring positions.

    The first position begins at `at` of `values`, whose rows are `across` apart; `pixels` is the
    block (size, size). Every row of values is read once for all positions that need it. Columns
    `first` to `last` of the block are summed and added to the sums of earlier columns in `out`.
    Pass the constants, from `size` on, by keyword.
    """
    vector = vector_of(values, lanes)
    count, rows = size.literal_value, tile.literal_value
    columns = range(first.literal_value, last.literal_value)

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, values, at, across, pixels = args[:5]
        own = first_element(context, builder, signature.args[4], pixels)

        def address(which, array, index):
            return pointer(context, builder, signature.args[which], array, index, vector_type)

        sums = [ir.Constant(vector_type, None)] * rows
        if columns.start > 0:
            sums = [
                builder.load(address(0, out, INT64(t * vector.lanes)), align=4) for t in range(rows)
            ]
        for n in columns:
            column = [
                broadcast(
                    builder,
                    builder.load(builder.gep(own, [INT64(k * count + n)])),
                    vector.lanes,
                )
                for k in range(count)
            ]
            place = builder.add(at, INT64(n))
            for m in range(count + rows - 1):
                value = builder.load(address(1, values, place), align=4)
                place = builder.add(place, across)
                for t in range(max(0, m + 1 - count), min(rows, m + 1)):
                    delta = builder.fsub(value, column[m - t])
                    sums[t] = fused(builder, delta, delta, sums[t])
        for t, total in enumerate(sums):
            builder.store(total, address(0, out, INT64(t * vector.lanes)), align=4)
        return context.get_dummy_value()

    parameters = (out, values, types.intp, types.intp, pixels, size, first, last)
    return types.void(*parameters, tile, lanes), generate
