"""TIFF files of arrays whose axes are named by the caller, such as those of an NPY file."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from fastrestore._io.picture import Image

AXES = "TZCYXS"  # those that TIFF names, in the order of ImageJ
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")


def encode_named(values: Image, axes: str, *, ome: bool) -> bytes:
    """Return the contents of an OME-TIFF, or of a TIFF that ImageJ opens as a hyperstack.

    ImageJ has three types; for others the axes are in a description that tifffile reads.
    """
    import tifffile

    stored = [name for name in AXES if name in axes]
    pages = np.ascontiguousarray(np.transpose(values, [axes.index(name) for name in stored]))
    imagej = not ome and values.dtype.name in _IMAGEJ_TYPES
    colors = "S" in stored and pages.shape[-1] in (3, 4)
    file = BytesIO()
    tifffile.imwrite(
        file,
        pages,
        ome=ome,
        imagej=imagej and (colors or "S" not in stored),
        photometric="rgb" if colors else "minisblack",
        metadata={"axes": "".join(stored)},
    )
    return file.getvalue()
