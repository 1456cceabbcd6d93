"""Sorting networks for Numba kernels: every lane sorts a list of its own; see `_simd`.

A list is a column of keys, one vector for each place. Keys are positive float64, whose bits sort
like integers: the bits of a distance above a code. A minimum and a maximum of floats are single
instructions even where those of 64-bit integers are not.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrestore.backends.numba._simd import Vector, broadcast, pointer, vector_of

SIZE = 16  # keys sorted at a time: as many vectors as most processors have registers
NORMAL = 1 << 20  # added to the bits of a distance, so that no key is a subnormal number

_INT64 = ir.IntType(64)


def _exchange(builder, keys, first, second):
    """Put two keys in order."""
    a, b = keys[first], keys[second]
    less = builder.fcmp_ordered("<", a, b)
    keys[first] = builder.select(less, a, b)
    keys[second] = builder.select(less, b, a)


def _sort(builder, keys):
    """Sort by the odd-even merge sort of Batcher."""
    count, run = len(keys), 1
    while run < count:
        apart = run
        while apart:
            for start in range(apart % run, count - apart, 2 * apart):
                for k in range(start, min(start + apart, count - apart)):
                    if k // (2 * run) == (k + apart) // (2 * run):
                        _exchange(builder, keys, k, k + apart)
            apart //= 2
        run *= 2


def _merge(builder, keys):
    """Sort a bitonic list: one that rises and then falls, or falls and then rises."""
    apart = len(keys) // 2
    while apart:
        for k in range(len(keys)):
            if not k & apart:
                _exchange(builder, keys, k, k + apart)
        apart //= 2


def _column(context, builder, array_type, array, at, pitch, kind):
    """Addresses of the vectors of a list."""
    places = [builder.add(at, builder.mul(pitch, _INT64(k))) for k in range(SIZE)]
    return [pointer(context, builder, array_type, array, place, kind) for place in places]


@intrinsic(prefer_literal=True)
def sort_keys(typingctx, keys, at, pitch, lanes):
    """Sort lists of SIZE keys in place; key k is at ``at + k * pitch``."""
    vector = vector_of(keys, lanes)

    def generate(context, builder, signature, args):
        kind = context.get_value_type(vector)
        keys, at, pitch, _ = args
        places = _column(context, builder, signature.args[0], keys, at, pitch, kind)
        values = [builder.load(place, align=8) for place in places]
        _sort(builder, values)
        for value, place in zip(values, places, strict=True):
            builder.store(value, place, align=8)
        return context.get_dummy_value()

    return types.void(keys, types.intp, types.intp, lanes), generate


@intrinsic(prefer_literal=True)
def merge_keys(typingctx, keys, at, pitch, others, at_others, rest, lanes):
    """Keep the least of two sorted lists of SIZE keys in the first, sorted.

    Key k is at ``at + k * pitch`` of `keys`, and at ``at_others + k * lanes`` of `others`. The
    greatest are left there, sorted, if the literal `rest` is True.
    """
    vector = vector_of(keys, lanes)

    def generate(context, builder, signature, args):
        kind = context.get_value_type(vector)
        keys, at, pitch, others, at_others = args[:5]
        places = _column(context, builder, signature.args[0], keys, at, pitch, kind)
        pitch = _INT64(vector.lanes)
        beside = _column(context, builder, signature.args[3], others, at_others, pitch, kind)
        low = [builder.load(place, align=8) for place in places]
        high = [builder.load(place, align=8) for place in reversed(beside)]
        for k in range(SIZE):
            pair = [low[k], high[k]]
            _exchange(builder, pair, 0, 1)
            low[k], high[k] = pair
        for values, where in ((low, places), (high, beside))[: 1 + rest.literal_value]:
            _merge(builder, values)
            for value, place in zip(values, where, strict=True):
                builder.store(value, place, align=8)
        return context.get_dummy_value()

    index = types.intp
    return types.void(keys, index, index, others, index, rest, lanes), generate


@intrinsic(prefer_literal=True)
def keys_of(typingctx, bits, at, code, lanes):
    """Keys of the bits of consecutive distances, with the code of one displacement."""
    vector = Vector(lanes.literal_value, types.float64)

    def generate(context, builder, signature, args):
        many = vector.lanes
        wide = ir.VectorType(_INT64, many)
        narrow = ir.VectorType(ir.IntType(32), many)
        place = pointer(context, builder, signature.args[0], args[0], args[1], narrow)
        distance = builder.zext(builder.load(place, align=4), wide)
        distance = builder.shl(distance, ir.Constant(wide, [32] * many))
        key = builder.add(distance, broadcast(builder, args[2], many))
        return builder.bitcast(key, ir.VectorType(ir.DoubleType(), many))

    return vector(bits, types.intp, types.int64, lanes), generate


@intrinsic
def keep_lt(typingctx, a, b, value, other):
    """Lanes of `value` where ``a < b``, of `other` elsewhere; `a` and `b` are integers."""

    def generate(context, builder, signature, args):
        a, b, value, other = args
        return builder.select(builder.icmp_signed("<", a, b), value, other)

    return value(a, b, value, other), generate
