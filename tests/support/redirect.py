"""Send calls of functions inside a loaded library to other functions.

CuPy's wheels contain the CUDA runtime as a static library, which talks to the driver in an
undocumented way. Its functions are in the symbol table, so that a jump can be written over each.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from pathlib import Path

SYMBOL_TABLE, FUNCTION = 2, 2
SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
SECTION = struct.Struct("<IIQQQQIIQQ")
FLAGS = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC


def functions(path):
    """Offsets and sizes of the functions in the symbol table of a 64-bit ELF file, by name."""
    data = Path(path).read_bytes()
    start, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    sections = [SECTION.unpack_from(data, start + k * SECTION.size) for k in range(count)]
    out = {}
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != SYMBOL_TABLE:
            continue
        names = sections[link][4]
        for name, info, _, section, value, length in SYMBOL.iter_unpack(
            data[offset : offset + size]
        ):
            if info & 15 == FUNCTION and section:
                end = data.index(b"\0", names + name)
                out[data[names + name : end].decode()] = value, length
    return out


def base_of(path):
    """Address at which a library is loaded in this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, _, offset, *_, file = line.split(maxsplit=5)
        if file.strip() == str(path) and int(offset, 16) == 0:
            return int(place.split("-")[0], 16)
    raise LookupError(f"{path} is not loaded")


def jump(target, argument=None):
    """Code for x86-64 that jumps to an address, with a new first argument if there is one."""
    code = b"\x48\xb8" + struct.pack("<Q", target) + b"\xff\xe0"
    return code if argument is None else b"\x48\xbf" + struct.pack("<Q", argument) + code


def redirect(path, codes):
    """Write code over functions of a loaded library, by name."""
    base, table = base_of(path), functions(path)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for name, code in codes.items():
        offset, size = table[name]
        if size < len(code):
            raise ValueError(f"{name} has {size} bytes, the jump takes {len(code)}")
        at = base + offset
        first = at // mmap.PAGESIZE * mmap.PAGESIZE
        length = at + len(code) - first
        if protect(ctypes.c_void_p(first), ctypes.c_size_t(length), FLAGS):
            raise OSError(ctypes.get_errno(), f"the code of {name} cannot be changed")
        ctypes.memmove(at, code, len(code))
