"""Small Zarr stores, HDF5 and TIFF files for tests."""

import h5py
import numpy as np
import tifffile
import zarr

RANDOM = np.random.default_rng(0)
PLANE = RANDOM.integers(0, 999, (150, 110), np.uint16)
LEVELS = (PLANE, PLANE[:150:2, ::2], PLANE[:150:4, ::4])


def multiscales(axes, count=3):
    """Describe the resolutions of an image in the terms of OME."""
    scales = [
        {"path": str(k), "coordinateTransformations": [
            {"type": "scale", "scale": [2.0**k if name in "yx" else 1.0 for name in axes]}]}
        for k in range(count)
    ]  # fmt: skip
    kinds = {"t": "time", "c": "channel"}
    return {"axes": [{"name": name, "type": kinds.get(name, "space")} for name in axes],
            "datasets": scales, "name": "scan"}  # fmt: skip


def zarr3(path):
    zarr.create_array(
        path, data=PLANE, chunks=(64, 32), attributes={"unit": "um"}, dimension_names=("y", "x"),
        fill_value=7,
    )  # fmt: skip


def zarr2(path):
    zarr.create_array(path, data=PLANE, chunks=(64, 64), zarr_format=2, attributes={"a": [1]})


def sharded(path):
    zarr.create_array(path, data=PLANE, chunks=(16, 16), shards=(64, 64))


def ome(path, version=3):
    group = zarr.open_group(path, mode="w", zarr_format=version)
    for name, level in enumerate(LEVELS):
        group.create_array(str(name), data=np.stack([level, level])[None], chunks=(1, 1, 32, 32))
    described = {"multiscales": [multiscales("tcyx")]}
    group.attrs.update({"ome": {"version": "0.5", **described}} if version == 3 else described)
    labels = group.create_group("labels").create_array("cells", data=LEVELS[2], chunks=(16, 16))
    labels.attrs["of"] = "cells"


def ome2(path):
    ome(path, 2)


def hdf5(path):
    with h5py.File(path, "w") as file:
        options = {"chunks": (32, 32), "compression": "gzip", "shuffle": True}
        file.create_dataset("scan/image", data=PLANE, **options).attrs["unit"] = "counts"
        file["scan/angles"] = np.arange(4.0)
        file["link"] = h5py.SoftLink("/scan/image")
        file.attrs["beamline"] = "I99"


def nexus(path):
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        data = file.create_group("entry/data")
        file["entry"].attrs["default"] = "data"
        data.attrs.update({"NX_class": "NXdata", "signal": "counts"})
        data["counts"] = PLANE
        data["errors"] = np.sqrt(PLANE)


def tiled(path):
    tags = {"software": "scope", "description": "a scan", "resolution": (300, 300)}
    tifffile.imwrite(path, PLANE, tile=(64, 32), compression="zlib", predictor=True, **tags)


def pages(path):
    tifffile.imwrite(path, np.stack([PLANE, PLANE]), imagej=True, metadata={"axes": "TYX"})


def big(path):
    tifffile.imwrite(path, np.stack([PLANE] * 2), bigtiff=True, ome=True, metadata={"axes": "ZYX"})


def rgba(path):
    colors = np.stack([PLANE, PLANE // 2, PLANE // 3, PLANE + 9], -1)
    tifffile.imwrite(path, colors, photometric="rgb", extrasamples=[2], tile=(32, 48))


def planar(path):
    colors = np.stack([PLANE, PLANE // 2, PLANE // 3])
    tifffile.imwrite(path, colors, photometric="rgb", planarconfig="separate", tile=(32, 48))


def pyramid(path):
    with tifffile.TiffWriter(path) as file:
        same = {"photometric": "minisblack", "tile": (64, 64), "compression": "zlib"}
        file.write(LEVELS[0], subifds=2, resolution=(100, 100), **same)
        for level in LEVELS[1:]:
            file.write(level, subfiletype=1, **same)


def two_arrays(path):
    group = zarr.open_group(path, mode="w")
    for name in ("a", "b"):
        group.create_array(name, data=PLANE)


MAKERS = {
    "zarr3.zarr": zarr3, "zarr2.zarr": zarr2, "sharded.zarr": sharded, "ome.zarr": ome,
    "ome2.zarr": ome2, "a.h5": hdf5, "a.nxs": nexus, "tiled.tif": tiled, "pages.tif": pages,
    "big.ome.tif": big, "rgba.tif": rgba, "planar.tif": planar, "pyramid.tif": pyramid,
}  # fmt: skip
