"""Results in a few numbers: exact ones, for one platform, and coarse ones, for all.

Rounding differs between processors and libraries, and a group of blocks now and then with it. So a
hash of all bits is compared only where it was made; means and samples are compared everywhere.
"""

import hashlib
import math
import platform

import numpy as np

PARTS, SAMPLES = 8, 8
# Shares of the range. Inputs that change by a last bit of float32 move deviations by 3e-5, means of
# parts by 1.5e-4 and single values by 1.3e-3; between backends tests allow 5e-3.
BOUNDS = {"deviation": 1e-4, "parts": 5e-4, "samples": 5e-3}


def leaves(result):
    """The arrays of a result, on the host."""
    several = result if isinstance(result, tuple) else (result,)
    return [np.asarray(each) for each in several]


def digest(result):
    """Hash of types, shapes and all bits."""
    made = hashlib.sha256()
    for array in leaves(result):
        made.update(f"{array.dtype.str} {array.shape} ".encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()[:16]


def fingerprint(result):
    """Coarse numbers of each array."""
    return [_coarse(array) for array in leaves(result)]


def _coarse(array):
    flat = array.astype(np.float64).ravel()
    extent = float(np.ptp(flat)) or float(abs(flat[0])) or 1.0
    digits = 5 - math.floor(math.log10(extent))
    places = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).astype(int)
    parts = np.array_split(flat, min(PARTS, flat.size))
    return {
        "type": f"{array.dtype.str} {array.shape}",
        "range": float(f"{extent:.5g}"),
        "deviation": round(float(flat.std()), digits),
        "parts": [round(float(part.mean()), digits) for part in parts],
        "samples": [round(float(flat[place]), digits) for place in places],
    }


def same(kept, found):
    """Whether two fingerprints are of results that differ by rounding alone."""
    return len(kept) == len(found) and all(map(_alike, kept, found))


def _alike(kept, found):
    if kept["type"] != found["type"]:
        return False
    return all(
        np.abs(np.subtract(kept[key], found[key])).max() <= bound * kept["range"]
        for key, bound in BOUNDS.items()
    )


def platform_key():
    """What bits depend on: libraries, and the instructions that they may use."""
    import numba
    import pywt
    import scipy

    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "vectors of numpy": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "pywavelets": pywt.__version__,
        "torch": _torch_version(),
    }


def _processor():
    """The processor that Numba compiles for, and its widest vectors."""
    from llvmlite import binding
    from numba import config

    features = binding.get_host_cpu_features()
    level = next((name for name in ("avx512f", "avx2", "neon") if features.get(name)), "none")
    return f"{config.CPU_NAME or binding.get_host_cpu_name()} {config.CPU_FEATURES or level}"


def _torch_version():
    try:
        import torch
    except ImportError:
        return None
    return torch.__version__
