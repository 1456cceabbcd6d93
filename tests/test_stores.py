"""Files that are read and written part by part: values, metadata, and what is refused."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import tifffile
from support.stores import LEVELS, MAKERS, PLANE, hdf5, multiscales, ome, two_arrays, zarr3

from fastrestore._io.errors import FileError
from fastrestore._io.stores import choose, pyramid
from fastrestore._io.stores.manifest import Manifest, digest
from fastrestore._io.stores.partial import Partial, checksum, write_part
from fastrestore._io.stores.regions import parts_of, region, regions
from fastrestore._io.stores.source import state_of

zarr = pytest.importorskip("zarr")


def unit_of(source):
    """Parts of about 64 rows and columns."""
    stored = source.storage if source.place.kind == "zarr" else (1,) * len(source.shape)
    axes = source.axes or "YX"
    return parts_of(axes, source.shape, stored, {"Y": 64, "X": 64})[1]


def written(source, target, change):
    """Write a result part by part, and return it as a source."""
    partial = Partial(target, source, unit_of(source), {"v": 1})
    for corner in partial.corners():
        values = source.values[region(corner, source.shape, partial.unit)]
        partial.manifest.add(
            corner, write_part(change(values), partial.place, corner, partial.unit)
        )
    partial.finish()
    assert not partial.folder.exists()
    return choose.read_source(target)


@pytest.fixture(params=MAKERS)
def source(request, tmp_path):
    path = tmp_path / request.param
    MAKERS[request.param](path)
    return choose.read_source(path)


def test_values_and_reduced_images(source, tmp_path):
    """All parts are written, and reduced images are means of the new values."""
    before = source.values[...]
    target = tmp_path / f"out-{source.root.name}"
    result = written(source, target, lambda values: values + 1)
    assert result.values[...].dtype == before.dtype
    np.testing.assert_array_equal(result.values[...], before + 1)
    assert (result.axes, result.reduced) == (source.axes, source.reduced)
    reduced = [*result.levels, *source.reduced[len(result.levels) :]]
    large = result.values[...].astype(float)
    for number, name in enumerate(reduced):
        small = reduced_image(result, name, number)
        expected = pyramid.block_means(
            large, tuple(slice(0, size) for size in small.shape), (1,) * (large.ndim - 2) + (2, 2)
        )
        assert np.abs(small - expected).max() <= 0.5
        large = small.astype(float)


def reduced_image(result, name, number):
    if result.place.kind == "zarr":
        return zarr.open_array(result.root / name, mode="r")[...]
    with tifffile.TiffFile(result.root) as file:
        return file.series[0].levels[number + 1].asarray()


def test_metadata(source, tmp_path):
    """Nothing but values differs."""
    target = tmp_path / f"out-{source.root.name}"
    written(source, target, lambda values: values + 1)
    if source.place.kind == "zarr":
        names = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
        files = [path for name in names for path in source.root.rglob(name)]
        assert files
        for path in files:
            copy = target / path.relative_to(source.root)
            assert copy.read_bytes() == path.read_bytes()
        labels = source.root / "labels/cells"
        if labels.exists():
            copied = zarr.open_array(target / "labels/cells", mode="r")[...]
            np.testing.assert_array_equal(copied, LEVELS[2])
    elif source.place.kind == "hdf5":
        assert described(target) == described(source.root)
    else:
        assert tags_of(target) == tags_of(source.root)


def described(path):
    """Names, attributes, shapes and storage of all that a file contains."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, node: found.update({name: (
            dict(node.attrs), getattr(node, "shape", None), getattr(node, "chunks", None),
            getattr(node, "compression", None),
        )}))  # fmt: skip
        found[""] = dict(file.attrs), file.get("link", getlink=True) is not None
    return found


def tags_of(path):
    """Descriptive tags and storage of the first page, and the number of pages."""
    codes = ("ImageDescription", "Software", "XResolution", "ResolutionUnit", "Compression",
             "TileWidth", "Predictor", "ExtraSamples", "PlanarConfiguration")  # fmt: skip
    with tifffile.TiffFile(path) as file:
        found = [str(file.pages.first.tags.valueof(code)) for code in codes]
        found[0] = file.is_ome or found[0]  # places and identifiers of planes differ
        return [*found, len(file.pages), file.series[0].axes, file.is_imagej is not None]


def test_from_other_formats_to_zarr(tmp_path):
    hdf5(tmp_path / "a.h5")
    result = written(choose.read_source(tmp_path / "a.h5"), tmp_path / "out.zarr", np.copy)
    np.testing.assert_array_equal(result.values[...], PLANE)
    with pytest.raises(FileError, match=r"a\.tif: the result of .*a\.h5 is written in its own"):
        choose.check_target(tmp_path / "a.tif", choose.read_source(tmp_path / "a.h5"))


def test_regions_cover_an_array_once():
    hits = np.zeros((5, 7, 3), int)
    for part in regions(hits.shape, (2, 3, 3)):
        hits[part] += 1
    assert (hits == 1).all()


@pytest.mark.parametrize(
    ("stored", "computed", "unit"),
    [
        ((64, 64), (1024, 1024), (1024, 1024)),
        ((1000, 700), (1000, 700), (1000, 700)),
        ((4096, 4096), (1024, 1024), (4096, 4096)),
        ((9000, 9000), (1000, 1000), (9000, 9000)),
    ],
)
def test_parts_are_whole_chunks_of_the_store(stored, computed, unit):
    found = parts_of("YX", (9000, 9000), stored, {"Y": 1024, "X": 1024})
    assert found == (computed, unit)


def test_manifest(tmp_path):
    """Lines that were cut do not count, and do not spoil the next one."""
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.begin({"sigma": 1})
    manifest.add((0, 64), "ab")
    manifest.close()
    with path.open("a") as file:
        file.write('{"part": [64, 0], "dig')
    manifest = Manifest(path)
    assert (manifest.settings, manifest.parts) == ({"sigma": 1}, {(0, 64): "ab"})
    manifest.add((64, 64), "cd")
    manifest.close()
    manifest = Manifest(path)
    manifest.close()
    assert manifest.parts == {(0, 64): "ab", (64, 64): "cd"}


def test_one_process_writes(tmp_path):
    pytest.importorskip("fcntl")
    manifest = Manifest(tmp_path / "m.jsonl")
    with pytest.raises(FileError, match=r"another process is writing .*; wait until it has"):
        Manifest(tmp_path / "m.jsonl")
    manifest.close()
    Manifest(tmp_path / "m.jsonl").close()


def test_checksums(tmp_path):
    """A part that was changed or cut has another checksum."""
    zarr3(tmp_path / "a.zarr")
    source = choose.read_source(tmp_path / "a.zarr")
    partial = Partial(tmp_path / "b.zarr", source, (64, 64), {})
    found = write_part(PLANE[:64, :64], partial.place, (0, 0), (64, 64))
    assert found == checksum(partial.place, (0, 0), (64, 64)) == digest(PLANE[:64, :64])
    chunk = next(path for path in partial.store.rglob("c/*/*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:40])
    assert checksum(partial.place, (0, 0), (64, 64)) == ""
    partial.manifest.close()


def test_state_depends_on_all_files(tmp_path):
    zarr3(tmp_path / "a.zarr")
    before = state_of(tmp_path / "a.zarr")
    assert before == state_of(tmp_path / "a.zarr")
    zarr.open_array(tmp_path / "a.zarr", mode="r+")[140, 100] = 3
    assert before != state_of(tmp_path / "a.zarr")


def one_axis(path):
    zarr.create_array(path, data=PLANE[0])


def complex_values(path):
    zarr.create_array(path, data=PLANE.astype(complex))


def plate(path):
    zarr.open_group(path, mode="w", attributes={"ome": {"plate": {}}}).create_group("A")


def lacking(path):
    ome(path)
    listed = json.loads((path / "zarr.json").read_text())
    listed["attributes"]["ome"]["multiscales"] = [multiscales("tcyx", 4)]
    (path / "zarr.json").write_text(json.dumps(listed))


def uneven(path):
    group = zarr.open_group(path, mode="w", attributes={
        "ome": {"version": "0.5", "multiscales": [multiscales("yx", 2)]}})  # fmt: skip
    group.create_array("0", data=PLANE)
    group.create_array("1", data=PLANE[:70, :50])


def damaged(path):
    zarr3(path)
    (path / "zarr.json").write_text("{")


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (two_arrays, r"contains 2 arrays; write the path of one of .*x\.zarr/a, .*x\.zarr/b$"),
        (one_axis, r"its shape is \(110,\); images have two axes or more"),
        (complex_values, r"its type is complex128; integers and floats are supported"),
        (plate, r"contains several images; write the path of one, such as .*/A$"),
        (lacking, r"its metadata list the resolution '3', which it lacks"),
        (uneven, r"\(150, 110\) and \(70, 50\), which are no whole fractions of each other"),
        (damaged, r"cannot read .*x\.zarr: "),
    ],
)
def test_unfit_stores(tmp_path, maker, message):
    maker(tmp_path / "x.zarr")
    with pytest.raises(FileError, match=message):
        choose.read_source(tmp_path / "x.zarr")


def test_unfit_files(tmp_path):
    hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["other"] = PLANE
    with pytest.raises(FileError, match=r"2 datasets .* --dataset with one of /other, /scan/image"):
        choose.read_source(tmp_path / "a.h5")
    assert choose.read_source(tmp_path / "a.h5", "other").place.name == "/other"
    with pytest.raises(FileError, match="has no dataset 'scan'; write --dataset with one of"):
        choose.read_source(tmp_path / "a.h5", "scan")
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    with pytest.raises(FileError, match=r"cannot read .*b\.h5"):
        choose.read_source(tmp_path / "b.h5")
    tifffile.imwrite(tmp_path / "w.tif", PLANE, photometric="miniswhite")
    with pytest.raises(FileError, match="its white is 0"):
        choose.read_source(tmp_path / "w.tif")
    MAKERS["tiled.tif"](tmp_path / "t.tif")
    whole = (tmp_path / "t.tif").read_bytes()
    (tmp_path / "t.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=r"cannot read .*t\.tif: .*truncated"):
        choose.read_source(tmp_path / "t.tif")


def test_a_damaged_chunk_names_its_place(tmp_path):
    zarr3(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/c/1/2"
    chunk.write_bytes(b"\0" * 9)
    values = choose.read_source(tmp_path / "a.zarr").values
    with pytest.raises(FileError, match=r"cannot read .*a\.zarr, part \[64:128, 64:96\]"):
        values[64:128, 64:96]
    np.testing.assert_array_equal(values[:64], PLANE[:64])
