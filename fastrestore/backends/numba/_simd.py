"""Vectors inside Numba kernels: a value of `lanes` floats, and what one does with it.

LLVM's own vectoriser gives up on most loops of block matching and on small transforms, so
the kernels say what they want in vectors. Everything here is plain LLVM IR, which LLVM turns
into the widest instructions of the processor it runs on (AVX-512, AVX2, SSE, NEON).

Arrays are one-dimensional and contiguous; an index counts elements and is not checked.
`lanes` is a literal: a constant of the kernel, not a variable.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


def aligned(size, dtype):
    """Zeros that begin on a cache line: a wide vector across two lines costs double."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(size + 64 // itemsize, dtype)
    first = -memory.ctypes.data % 64 // itemsize
    return memory[first : first + size]


class Vector(types.Type):
    """Numba type of a vector of numbers in registers."""

    def __init__(self, lanes, element):
        self.lanes, self.element = lanes, element
        super().__init__(name=f"Vector({lanes}, {element})")


@register_default(Vector)
class _VectorModel(models.PrimitiveModel):
    """A vector is one LLVM value."""

    def __init__(self, manager, vector):
        element = manager.lookup(vector.element).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def _vector_of(array, lanes):
    """Type of the vector that is read from `array`."""
    return Vector(lanes.literal_value, array.dtype)


def _pointer(context, builder, array_type, array, index, vector_type):
    """Address of a vector in an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector_type.as_pointer())


def _whole(vector):
    """Whether these are integers."""
    return isinstance(vector.type.element, ir.IntType)


def _compare(builder, operator, a, b):
    """Compare lane by lane; never true for a NaN."""
    return (builder.icmp_signed if _whole(a) else builder.fcmp_ordered)(operator, a, b)


def _broadcast(builder, scalar, lanes):
    """Put one scalar into every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _INT32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT32, lanes), None))


def _fused(builder, a, b, c):
    """``a * b + c`` rounded once, on any processor."""
    kind = a.type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    name = f"llvm.fma.v{kind.count}f{bits}"
    signature = ir.FunctionType(kind, [kind] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [a, b, c])


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, lanes):
    """Read `lanes` consecutive elements."""
    vector = _vector_of(array, lanes)

    def generate(context, builder, signature, args):
        kind = context.get_value_type(vector)
        address = _pointer(context, builder, signature.args[0], args[0], args[1], kind)
        return builder.load(address, align=4)

    return vector(array, types.intp, lanes), generate


@intrinsic
def store(typingctx, array, index, value):
    """Write a vector to consecutive elements."""

    def generate(context, builder, signature, args):
        kind = args[2].type
        address = _pointer(context, builder, signature.args[0], args[0], args[1], kind)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic(prefer_literal=True)
def spread(typingctx, array, index, lanes):
    """Read one element into every lane."""
    vector = _vector_of(array, lanes)

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return _broadcast(builder, builder.load(builder.gep(data, [args[1]])), vector.lanes)

    return vector(array, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def splat(typingctx, value, lanes):
    """Put a float32, an int32 or an int64 into every lane."""
    element = value if isinstance(value, types.Integer) else types.float32
    vector = Vector(lanes.literal_value, element)

    def generate(context, builder, signature, args):
        return _broadcast(builder, args[0], vector.lanes)

    return vector(element, lanes), generate


def _elementwise(name):
    """Make the intrinsic of an LLVM instruction of two operands, of floats or of integers."""

    @intrinsic
    def operation(typingctx, a, b):
        def generate(context, builder, signature, args):
            return getattr(builder, ("" if _whole(args[0]) else "f") + name)(*args)

        return a(a, b), generate

    return operation


add = _elementwise("add")
sub = _elementwise("sub")
mul = _elementwise("mul")
div = _elementwise("div")


@intrinsic
def fma(typingctx, a, b, c):
    """``a * b + c``, rounded once."""

    def generate(context, builder, signature, args):
        return _fused(builder, *args)

    return a(a, b, c), generate


@intrinsic
def fnma(typingctx, a, b, c):
    """``c - a * b``, rounded once."""

    def generate(context, builder, signature, args):
        return _fused(builder, builder.fneg(args[0]), args[1], args[2])

    return a(a, b, c), generate


@intrinsic
def widen(typingctx, value):
    """Turn float32 into float64."""
    vector = Vector(value.lanes, types.float64)

    def generate(context, builder, signature, args):
        return builder.fpext(args[0], context.get_value_type(vector))

    return vector(value), generate


@intrinsic
def shift(typingctx, value):
    """Move every lane one place down; the last keeps its value."""

    def generate(context, builder, signature, args):
        lanes = args[0].type.count
        source = [min(k + 1, lanes - 1) for k in range(lanes)]
        mask = ir.Constant(ir.VectorType(_INT32, lanes), source)
        return builder.shuffle_vector(args[0], args[0], mask)

    return value(value), generate


@intrinsic
def mask_le(typingctx, a, b):
    """Bit k of the result says whether ``a[k] <= b[k]``; never for a NaN."""

    def generate(context, builder, signature, args):
        bits = ir.IntType(args[0].type.count)
        truth = _compare(builder, "<=", *args)
        return builder.zext(builder.bitcast(truth, bits), _INT64)

    return types.uint64(a, b), generate


@intrinsic
def count_less(typingctx, total, a, b):
    """Add 1 to the lanes of `total` where ``a < b``; vectors of integers."""

    def generate(context, builder, signature, args):
        less = builder.icmp_signed("<", args[1], args[2])
        return builder.sub(args[0], builder.sext(less, args[0].type))

    return total(total, a, b), generate


@intrinsic
def keep_ge(typingctx, value, a, b):
    """`value` where ``a >= b``, else zero."""

    def generate(context, builder, signature, args):
        value, a, b = args
        zero = ir.Constant(value.type, None)
        return builder.select(_compare(builder, ">=", a, b), value, zero)

    return value(value, a, b), generate


@intrinsic
def absolute(typingctx, value):
    """Magnitudes."""

    def generate(context, builder, signature, args):
        kind = args[0].type
        name = f"llvm.fabs.v{kind.count}f32"
        function_type = ir.FunctionType(kind, [kind])
        return builder.call(
            cgutils.get_or_insert_function(builder.module, function_type, name), args
        )

    return value(value), generate


@intrinsic
def store_integers(typingctx, array, index, value):
    """Write a vector of whole numbers to consecutive elements of an int32 array."""

    def generate(context, builder, signature, args):
        kind = ir.VectorType(_INT32, args[2].type.count)
        address = _pointer(context, builder, signature.args[0], args[0], args[1], kind)
        builder.store(builder.fptosi(args[2], kind), address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def minimum(typingctx, a, b):
    """The lesser of two vectors, lane by lane."""

    def generate(context, builder, signature, args):
        return builder.select(_compare(builder, "<", *args), *args)

    return a(a, b), generate


@intrinsic
def trailing_zeros(typingctx, bits):
    """Index of the lowest bit that is set; undefined for 0."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.intp(types.uint64), generate


@intrinsic
def count_ones(typingctx, bits):
    """Count the bits that are set."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.intp(types.uint64), generate


def _weighted_sum(builder, factors, vectors):
    """Sum of vectors, each times a scalar, added in their order."""
    total = builder.fmul(factors[0], vectors[0])
    for factor, vector in zip(factors[1:], vectors[1:], strict=True):
        total = _fused(builder, factor, vector, total)
    return total


def _folded(builder, entry, source):
    """Multiply by rows that are alternately even and odd: half the products.

    Even rows see sums of opposite samples, odd rows differences.
    """
    count, half = len(source), len(source) // 2
    pairs = [(source[k], source[count - 1 - k]) for k in range(half)]
    even = [builder.fadd(*pair) for pair in pairs] + source[half : count - half]
    odd = [builder.fsub(*pair) for pair in pairs]
    for row in range(count):
        values = odd if row % 2 else even
        yield _weighted_sum(builder, [entry(row, k) for k in range(len(values))], values)


def _unfolded(builder, entry, source):
    """Multiply by columns that are alternately even and odd: the way back of `_folded`."""
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


_PRODUCTS = {"any": _general, "even-odd rows": _folded, "even-odd columns": _unfolded}


@intrinsic(prefer_literal=True)
def transform_pair(typingctx, out, at_out, next_out, matrix, values, a, b, size, lanes, kind):
    """Transform the sum and the difference of two blocks: a Haar step and a matrix product.

    A block is `size` vectors, those of `values` begin at `a` and `b`. The product of the matrix
    (size, size) and ``a + b`` goes to `at_out`, that with ``a - b`` to `next_out`. All is held
    in registers and written as one piece, because LLVM cannot know that `out` and `values` are
    different arrays and would read every vector again. `kind` is one of the names of
    `_PRODUCTS`.
    """
    vector = _vector_of(values, lanes)
    count = size.literal_value
    product = _PRODUCTS[kind.literal_value]

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, next_out, matrix, values, a, b = args[:7]
        entries = context.make_array(signature.args[3])(context, builder, matrix).data

        def address(which, array, start, k):
            index = builder.add(start, _INT64(k * vector.lanes))
            return _pointer(context, builder, signature.args[which], array, index, vector_type)

        def entry(row, column):
            place = builder.gep(entries, [_INT64(row * count + column)])
            return _broadcast(builder, builder.load(place), vector.lanes)

        def block(start):
            return [builder.load(address(4, values, start, k), align=4) for k in range(count)]

        pairs = list(zip(block(a), block(b), strict=True))
        total = list(product(builder, entry, [builder.fadd(*pair) for pair in pairs]))
        difference = list(product(builder, entry, [builder.fsub(*pair) for pair in pairs]))
        for start, results in ((at_out, total), (next_out, difference)):
            for k, result in enumerate(results):
                builder.store(result, address(0, out, start, k), align=4)
        return context.get_dummy_value()

    parameters = (out, types.intp, types.intp, matrix, values, types.intp, types.intp)
    return types.void(*parameters, size, lanes, kind), generate


@intrinsic(prefer_literal=True)
def combine(typingctx, out, at_out, factors, at, vectors, size, lanes):
    """Make `size` vectors of `size` vectors: the transform along the lanes of `factors`.

    ``out[c] = sum_u factors[c, u] * vectors[u]``, where row c of `factors` has `lanes` elements
    and the first begins at `at`.
    """
    vector = _vector_of(vectors, lanes)
    count = size.literal_value

    def generate(context, builder, signature, args):
        vector_type = context.get_value_type(vector)
        out, at_out, factors, at, vectors = args[:5]
        numbers = context.make_array(signature.args[2])(context, builder, factors).data

        def address(which, array, index):
            return _pointer(context, builder, signature.args[which], array, index, vector_type)

        def factor(c, u):
            place = builder.add(at, _INT64(c * vector.lanes + u))
            number = builder.load(builder.gep(numbers, [place]))
            return _broadcast(builder, number, vector.lanes)

        source = [
            builder.load(address(4, vectors, _INT64(u * vector.lanes)), align=4)
            for u in range(count)
        ]
        for c in range(count):
            result = _weighted_sum(builder, [factor(c, u) for u in range(count)], source)
            place = builder.add(at_out, _INT64(c * vector.lanes))
            builder.store(result, address(0, out, place), align=4)
        return context.get_dummy_value()

    return types.void(out, types.intp, factors, types.intp, vectors, size, lanes), generate


@intrinsic(prefer_literal=True)
def stack_floats(typingctx, size):
    """Make a float32 array on the stack, which LLVM can then keep in registers."""
    array = types.Array(types.float32, 1, "C")
    count = size.literal_value

    def generate(context, builder, signature, args):
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.FloatType(), count))
        memory.align = 64
        made = context.make_array(array)(context, builder)
        data = builder.bitcast(memory, ir.FloatType().as_pointer())
        context.populate_array(
            made,
            data=data,
            shape=[_INT64(count)],
            strides=[_INT64(4)],
            itemsize=_INT64(4),
            meminfo=None,
        )
        return made._getvalue()

    return array(size), generate
