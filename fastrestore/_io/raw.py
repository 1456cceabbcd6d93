"""Camera raw files, developed to 16-bit RGB by LibRaw."""

from __future__ import annotations

from pathlib import Path

from fastrestore._arrays.install import extra
from fastrestore._io import oiio
from fastrestore._io.errors import FileError
from fastrestore._io.picture import Picture


def read_raw(path: Path) -> Picture:
    """Read (M, N, 3) in sRGB, upright, with the white balance of the camera."""
    try:
        import rawpy
    except ImportError:
        raise FileError(f"camera raw files need rawpy; install it with {extra('raw')}") from None
    try:
        with rawpy.imread(str(path)) as raw:
            sizes = raw.sizes
            oiio.check_memory(sizes.width * sizes.height * 6, (sizes.height, sizes.width))
            pixels = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    except rawpy.LibRawError as error:
        text = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise FileError(f"it is damaged, or no camera raw file: {text}") from error
    return Picture(pixels, format="rawpy")
