"""Vectors inside Numba kernels: values of `lanes` floats, and operations on them.

The vectorizer of LLVM fails on most loops of block matching and on small transforms, so the kernels
use explicit vectors. They are plain LLVM IR, which is compiled to the widest instructions of the
processor (AVX-512, AVX2, SSE, NEON).

Arrays are one-dimensional and contiguous; an index counts elements and is not checked.
`lanes` is a literal: a constant of the kernel, not a variable.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)


def address(array):
    """Return the address of the first element."""
    return array.__array_interface__["data"][0]  # sooner than array.ctypes


def aligned(size, dtype):
    """Return zeros aligned to a cache line; a wide vector across two lines takes twice the time."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(size + 64 // itemsize, dtype)
    first = -address(memory) % 64 // itemsize
    return memory[first : first + size]


def aligned_empty(size, dtype):
    """Return memory aligned to a cache line, not initialized."""
    itemsize = np.dtype(dtype).itemsize
    memory = np.empty(size + 64 // itemsize, dtype)
    first = -address(memory) % 64 // itemsize
    return memory[first : first + size]


def aligned_copy(values):
    """Return a flat float32 copy aligned to a cache line."""
    out = aligned(values.size, np.float32)
    out[:] = values.reshape(-1)
    return out


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


def vector_of(array, lanes):
    """Type of the vector that is read from `array`."""
    return Vector(lanes.literal_value, array.dtype)


def first_element(context, builder, array_type, array):
    """Address of the first element of an array; one instruction, unlike `make_array`."""
    return context.data_model_manager[array_type].get(builder, array, "data")


def pointer(context, builder, array_type, array, index, vector_type):
    """Address of a vector in an array."""
    data = first_element(context, builder, array_type, array)
    return builder.bitcast(builder.gep(data, [index]), vector_type.as_pointer())


def _whole(value):
    """Whether a vector or a scalar is of integers."""
    return isinstance(getattr(value.type, "element", value.type), ir.IntType)


def _compare(builder, operator, a, b):
    """Compare lane by lane; never true for a NaN."""
    return (builder.icmp_signed if _whole(a) else builder.fcmp_ordered)(operator, a, b)


def broadcast(builder, scalar, lanes):
    """Set every lane to a scalar."""
    vector = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _INT32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT32, lanes), None))


def fused(builder, a, b, c):
    """``a * b + c`` rounded once, on any processor."""
    kind = a.type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    name = f"llvm.fma.v{kind.count}f{bits}"
    signature = ir.FunctionType(kind, [kind] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [a, b, c])


def moved_down(builder, value):
    """Move every lane one place down; the last keeps its value."""
    lanes = value.type.count
    source = [min(k + 1, lanes - 1) for k in range(lanes)]
    return builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(_INT32, lanes), source))


@intrinsic
def flattened(typingctx, array):
    """View a contiguous array as one-dimensional; less code than ``reshape(-1)``."""
    view = types.Array(array.dtype, 1, "C", readonly=not array.mutable)

    def generate(context, builder, signature, args):
        source = context.make_array(array)(context, builder, args[0])
        made = context.make_array(view)(context, builder)
        context.populate_array(
            made,
            data=source.data,
            shape=[source.nitems],
            strides=[source.itemsize],
            itemsize=source.itemsize,
            meminfo=None,
        )
        return made._getvalue()

    return view(array), generate


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, lanes):
    """Read `lanes` consecutive elements."""
    vector = vector_of(array, lanes)

    def generate(context, builder, signature, args):
        kind = context.get_value_type(vector)
        address = pointer(context, builder, signature.args[0], args[0], args[1], kind)
        return builder.load(address, align=4)

    return vector(array, types.intp, lanes), generate


@intrinsic
def store(typingctx, array, index, value):
    """Write a vector to consecutive elements."""

    def generate(context, builder, signature, args):
        kind = args[2].type
        address = pointer(context, builder, signature.args[0], args[0], args[1], kind)
        builder.store(args[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def prefetch(typingctx, array, index):
    """Prefetch the cache line of an element that will be read."""

    def generate(context, builder, signature, args):
        data = first_element(context, builder, signature.args[0], args[0])
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [address.type, *[_INT32] * 3])
        name = "llvm.prefetch.p0i8"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [address, _INT32(0), _INT32(3), _INT32(1)])  # a read, of data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic(prefer_literal=True)
def spread(typingctx, array, index, lanes):
    """Set every lane to one element of an array."""
    vector = vector_of(array, lanes)

    def generate(context, builder, signature, args):
        data = first_element(context, builder, signature.args[0], args[0])
        return broadcast(builder, builder.load(builder.gep(data, [args[1]])), vector.lanes)

    return vector(array, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def splat(typingctx, value, lanes):
    """Set every lane to a number of any type."""
    element = value
    vector = Vector(lanes.literal_value, element)

    def generate(context, builder, signature, args):
        return broadcast(builder, args[0], vector.lanes)

    return vector(element, lanes), generate


def _elementwise(name):
    """Create the intrinsic for an LLVM instruction with two operands, floats or integers."""

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
        return fused(builder, *args)

    return a(a, b, c), generate


@intrinsic
def fnma(typingctx, a, b, c):
    """``c - a * b``, rounded once."""

    def generate(context, builder, signature, args):
        return fused(builder, builder.fneg(args[0]), args[1], args[2])

    return a(a, b, c), generate


@intrinsic
def widen(typingctx, value):
    """Convert float32 to float64."""
    vector = Vector(value.lanes, types.float64)

    def generate(context, builder, signature, args):
        return builder.fpext(args[0], context.get_value_type(vector))

    return vector(value), generate


@intrinsic
def shift(typingctx, value):
    """Move every lane one place down; the last keeps its value."""

    def generate(context, builder, signature, args):
        return moved_down(builder, args[0])

    return value(value), generate


@intrinsic(prefer_literal=True)
def head(typingctx, value, count):
    """The first `count` lanes, the others zero."""

    def generate(context, builder, signature, args):
        lanes = args[0].type.count
        source = [k if k < count.literal_value else lanes for k in range(lanes)]
        mask = ir.Constant(ir.VectorType(_INT32, lanes), source)
        return builder.shuffle_vector(args[0], ir.Constant(args[0].type, None), mask)

    return value(value, count), generate


@intrinsic
def mask_le(typingctx, a, b):
    """Set bit k of the result if ``a[k] <= b[k]``; never for a NaN."""

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
    """Write a vector of integers to consecutive elements of an int32 array."""

    def generate(context, builder, signature, args):
        kind = ir.VectorType(_INT32, args[2].type.count)
        address = pointer(context, builder, signature.args[0], args[0], args[1], kind)
        builder.store(builder.fptosi(args[2], kind), address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


def _choice(operator):
    """Create the intrinsic for one of two vectors, lane by lane, or of two scalars."""

    @intrinsic
    def choice(typingctx, a, b):
        kind = types.intp if isinstance(a, types.Integer) else a

        def generate(context, builder, signature, args):
            return builder.select(_compare(builder, operator, *args), *args)

        return kind(kind, kind), generate

    return choice


minimum = _choice("<")
maximum = _choice(">")


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


@intrinsic(prefer_literal=True)
def stack_floats(typingctx, size):
    """Create a float32 array on the stack, which LLVM can hold in registers."""
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
