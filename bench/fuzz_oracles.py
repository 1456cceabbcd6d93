"""What must hold for a call: no undocumented error, no stray line, the right result.

Each check returns None, or a line that says what is wrong.
"""

import contextlib
import inspect
import os
import tempfile
import traceback
import warnings
from pathlib import Path

import fuzz_arrays
import numpy as np

import fastrestore
from fastrestore import inverse

DOCUMENTED = (
    ValueError,
    TypeError,
    OSError,
    MemoryError,
    fastrestore.BackendUnavailableError,
    inverse.DivergenceError,
)
PACKAGE = str(Path(fastrestore.__file__).parent) + os.sep
HERE = Path(__file__).parent


def check(rng, call):
    """Run a call and all that must hold for it; return a list of faults."""
    image = call.arguments.get(call.image)
    before = np.array(image) if isinstance(image, np.ndarray) else None
    with listening() as faults, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = call.run()
        except Exception as error:
            return [*faults, *_of_error(error, call)]
        faults += [fault for fault in map(_of_warning, warned) if fault]
        faults += _of_result(call, image, before, result)
        if not faults and not call.spoiled and isinstance(result, np.ndarray) and call.image:
            warnings.simplefilter("ignore")
            faults += _of_oracle(rng, call, result)
    return faults


@contextlib.contextmanager
def listening():
    """Collect what is printed, by libraries written in C as well, as faults."""
    faults = []
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(1), os.dup(2)]
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield faults
        finally:
            for copy, stream in zip(kept, (1, 2), strict=True):
                os.dup2(copy, stream)
                os.close(copy)
            file.seek(0)
            printed = file.read().decode(errors="replace").strip()
            if printed:
                faults.append(f"printed: {printed[:200]!r}")


def _of_error(error, call):
    """Undocumented types, errors raised by other libraries, and refusals of valid arguments."""
    kind, line = type(error).__name__, " ".join(str(error).split())[:200]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not isinstance(error, DOCUMENTED):
        return [f"undocumented {kind}: {line} ({_place(frame)})"]
    if isinstance(error, MemoryError):
        return [] if call.spoiled else [f"MemoryError: {line}"]
    signature = "argument" in line and ("unexpected" in line or "missing" in line)
    if not frame.filename.startswith(PACKAGE) and not signature:
        return [f"{kind} of another library: {line} ({_place(frame)})"]
    if not line:
        return [f"{kind} without a message ({_place(frame)})"]
    return [] if call.spoiled else [f"refused valid arguments: {line}"]


def _place(frame):
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _of_warning(record):
    """Only warnings of this package, which point at the line of the caller, are allowed."""
    if record.category is not UserWarning:
        where = f"{Path(record.filename).name}:{record.lineno}"
        return f"stray {record.category.__name__}: {record.message} ({where})"
    if Path(record.filename).parent != HERE:
        return f"warning points at {record.filename}:{record.lineno}: {record.message}"
    return None


def _of_result(call, image, before, result):
    """Finite values, an untouched image, the documented shape and type."""
    faults = []
    if before is not None and not np.array_equal(
        before, np.asarray(image), equal_nan=before.dtype.kind in "fc"
    ):
        faults.append("the image was modified")
    if call.valid is not None and not call.spoiled:
        faults += _of_mask(call, before, result)
    values = _arrays(result)
    finite = _is_finite(before) and _is_finite(call.arguments.get(call.spoiled))
    if finite and not all(np.isfinite(value).all() for value in values):
        faults.append("the result is not finite")
    if call.spoiled or before is None or not isinstance(result, np.ndarray):
        return faults
    if call.same_shape and result.shape != before.shape:
        faults.append(f"shape {result.shape} for an image of shape {before.shape}")
    if (
        call.same_shape
        and before.dtype.kind == "f"
        and result.dtype != before.dtype.newbyteorder("=")
    ):
        faults.append(f"type {result.dtype} for an image of type {before.dtype}")
    return faults


def _of_mask(call, before, result):
    """Hidden pixels come back as they are, all others are finite."""
    valid = np.broadcast_to(call.valid, before.shape)
    if not np.array_equal(result[~valid], before[~valid].astype(result.dtype), equal_nan=True):
        return ["hidden pixels were changed"]
    return [] if np.isfinite(result[valid]).all() else ["valid pixels are not finite"]


def _is_finite(value):
    """Whether a value has no NaN and no infinity, as far as it has numbers."""
    numbers = isinstance(value, (np.ndarray, np.floating, float))
    return not numbers or np.asarray(value).dtype.kind not in "fc" or np.isfinite(value).all()


def _arrays(result):
    """The arrays and numbers of a result."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in _arrays(part)]
    if (
        isinstance(result, (np.ndarray, np.floating, float))
        and np.asarray(result).dtype.kind == "f"
    ):
        return [np.asarray(result)]
    return []


def _of_oracle(rng, call, result):
    """Compare the result with that of an equivalent call."""
    oracle = rng.choice([_layout, _layout, _scaled, _shifted, _type, _numpy, _again])
    try:
        wrong = oracle(rng, call, np.asarray(result))
    except Exception as error:
        return [f"an equivalent call raised {type(error).__name__}: {error}"]
    return [] if wrong is None else [f"silent wrong: {wrong}"]


def _again(rng, call, result):
    """Another number of workers."""
    changes = {"workers": 3} if "workers" in call.arguments else {}
    return _equal("a second call differs", call.run(**changes), result)


def _layout(rng, call, result):
    image = fuzz_arrays.laid_out(rng, call.arguments[call.image])
    return _equal(f"depends on strides {image.strides} or {image.dtype.str}",
                  call.run(**{call.image: image}), result)  # fmt: skip


def _type(rng, call, result):
    """Integers give what floats of the same values give."""
    image = call.arguments[call.image]
    if image.dtype.kind not in "iu" or image.dtype.itemsize > 2 or not call.same_shape:
        return None
    if isinstance(call.function, fastrestore.BM3DPlan):
        return None  # of images of one type
    changed = call.run(**{call.image: image.astype(np.float32)})
    return _close("integers differ from floats of these values", changed, result, call, 1e-5)


def _scaled(rng, call, result):
    """A power of two scales the result exactly."""
    image = call.arguments[call.image]
    if not call.scales or image.dtype.kind != "f" or image.dtype.itemsize == 2:
        return None
    factor = 2.0 ** int(rng.integers(-8, 9))
    changes = {k: call.arguments[k] * factor for k in call.scales if k in call.arguments}
    changed = call.run(**{call.image: image * image.dtype.type(factor)} | changes)
    return _equal(f"not scaled by {factor}", changed / changed.dtype.type(factor), result)


def _shifted(rng, call, result):
    """``f(a * x + b) = a * f(x) + b``, up to rounding."""
    image = call.arguments[call.image]
    if not call.scales or image.dtype != np.float64:
        return None
    a, b = float(rng.uniform(0.5, 3)), float(rng.uniform(-2, 2)) * call.span
    changes = {k: call.arguments[k] * a for k in call.scales if k in call.arguments}
    if "pilot" in changes:
        changes["pilot"] = changes["pilot"] + b
    changed = (call.run(**{call.image: image * a + b} | changes) - b) / a
    return _close(f"not equivariant, a={a:.3g}, b={b:.3g}", changed, result, call, 2e-2)


def _numpy(rng, call, result):
    """The specification, at a tenth of the calls because it is slow."""
    accepts = "backend" in inspect.signature(call.function).parameters
    if not call.backends or not accepts or rng.integers(10):
        return None
    return _close("differs from numpy", call.run(backend="numpy"), result, call, 2e-2)


def _equal(text, one, other):
    one, other = np.asarray(one), np.asarray(other)
    if one.shape == other.shape and np.array_equal(one, other, equal_nan=True):
        return None
    if one.shape != other.shape:
        return f"{text}: shapes {one.shape}, {other.shape}"
    return f"{text}: by {np.abs(one.astype(float) - other.astype(float)).max():.3g}"


def _close(text, one, other, call, tolerance):
    """Compare by the root mean square, because single groups may change by rounding."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if one.shape != other.shape:
        return f"{text}: shapes {one.shape}, {other.shape}"
    if call.valid is not None:
        valid = np.broadcast_to(call.valid, one.shape)
        one, other = one[valid], other[valid]
    difference = float(np.sqrt(np.mean((one - other) ** 2)))
    limit = tolerance * max(call.sigma, 0.02 * call.span) + 2e-6 * float(np.abs(other).max())
    if difference <= limit:
        return None
    return f"{text}: root mean square {difference:.3g}, at most {limit:.3g}"
