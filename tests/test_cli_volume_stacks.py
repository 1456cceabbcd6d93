"""The command line: TIFF stacks keep slices, axes and metadata, or end in one line."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from support.commandline import fails, names, with_info, works

import fastrestore

SHAPE = (5, 14, 18)
MICRO = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 2.0}


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Replace bm4d by the identity, so that volumes have to come back as they were."""
    seen = []

    def bm4d(volume, sigma=None, **options):
        seen.append(volume)
        return with_info(volume if volume.dtype.kind == "f" else volume.astype(float), options)

    monkeypatch.setattr(fastrestore, "bm4d", bm4d)
    return seen


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(shape=SHAPE, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


def volume(capsys, source, target):
    works(capsys, "volume", source, "-o", target, "--sigma", "0")


def one_directory(path):
    """Cut the list of pages off after the first one, as ImageJ writes stacks beyond 4 GB."""
    data = bytearray(Path(path).read_bytes())
    order = ">" if data[:2] == b"MM" else "<"
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    struct.pack_into(order + "I", data, first + 2 + 12 * count, 0)
    Path(path).write_bytes(data)


# ImageJ


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("shape", "axes"), [(SHAPE, "ZYX"), ((5, 2, 14, 18), "ZCYX"), (SHAPE, "TYX")]
)
def test_imagej_stack_in_one_directory(capsys, order, shape, axes):
    values = drawn(shape)
    labels = {"Labels": [f"schicht {k} µ" for k in range(values.size // 252)], "Info": "Zeiß"}
    tifffile.imwrite("a.tif", values, imagej=True, byteorder=order, resolution=(3, 4),
                     metadata={"axes": axes, "spacing": 2.5, "unit": "um", **labels})  # fmt: skip
    one_directory("a.tif")
    volume(capsys, "a.tif", "b.tif")
    with tifffile.TiffFile("a.tif") as before, tifffile.TiffFile("b.tif") as after:
        assert (len(before.pages), len(after.pages)) == (1, values.size // 252)
        np.testing.assert_array_equal(after.asarray(), values)
        assert after.series[0].axes == before.series[0].axes == axes
        assert after.imagej_metadata == before.imagej_metadata
        assert after.imagej_metadata["Labels"] == labels["Labels"]
        assert after.pages[0].resolution == (3, 4)


def test_stack_in_one_directory_is_no_image(capsys, folder):
    """It was restored as one image, and all slices but one were lost."""
    tifffile.imwrite("a.tif", drawn(), imagej=True, metadata={"axes": "ZYX"})
    one_directory("a.tif")
    tifffile.imwrite("s.tif", drawn(), photometric="minisblack", metadata={"truncate": True})
    assert names(folder) == ["a.tif", "s.tif"]
    for name in names(folder):
        works(capsys, "denoise", name, "-o", "b.tif", "--sigma", "0", "--overwrite")
        np.testing.assert_array_equal(tifffile.imread("b.tif"), drawn())


# OME


def ome_file(name, values, axes, **metadata):
    tifffile.imwrite(name, values, ome=True, metadata={"axes": axes, **MICRO, **metadata})


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        (SHAPE, "ZYX"),
        (SHAPE, "TYX"),
        ((2, *SHAPE), "CZYX"),
        ((5, 2, 14, 18), "ZCYX"),
        ((*SHAPE, 3), "ZYXS"),
        ((*SHAPE, 4), "ZYXS"),
        ((5, 3, 14, 18), "ZSYX"),
    ],
)
def test_ome_tiff_keeps_axes_and_description(capsys, shape, axes):
    values = drawn(shape)
    options = {"planarconfig": "separate", "photometric": "rgb"} if axes == "ZSYX" else {}
    tifffile.imwrite("a.ome.tif", values, ome=True, metadata={"axes": axes, **MICRO}, **options)
    volume(capsys, "a.ome.tif", "b.ome.tif")
    with tifffile.TiffFile("a.ome.tif") as before, tifffile.TiffFile("b.ome.tif") as after:
        assert after.is_ome
        np.testing.assert_array_equal(after.series[0].asarray(), values)
        assert after.series[0].axes == before.series[0].axes
        assert without_identity(after.ome_metadata) == without_identity(before.ome_metadata)
        assert 'PhysicalSizeX="0.5"' in after.ome_metadata
        assert 'PhysicalSizeXUnit="µm"' in after.ome_metadata
        assert after.pages[0].tags[270].dtype == 2  # text


def without_identity(xml):
    return re.sub(r'\s?UUID="[^"]*"', "", xml)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_is_not_encoded_twice(capsys, encoding):
    text = "größe µ".encode(encoding)
    tifffile.imwrite("a.tif", drawn(), photometric="minisblack", description=text, metadata=None,
                     extratags=[(315, "s", 0, text, True)])  # fmt: skip
    volume(capsys, "a.tif", "b.tif")
    for name in ("a.tif", "b.tif"):
        data = Path(name).read_bytes()
        assert data.count(text + b"\0") == 2


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_of_an_image_is_not_encoded_twice(capsys, monkeypatch, encoding):
    monkeypatch.setattr(
        fastrestore, "bm3d", lambda image, *_, **options: with_info(image.astype(float), options)
    )
    text = "größe µ".encode(encoding)
    tifffile.imwrite("a.tif", drawn((14, 18)), description=text, metadata=None)
    assert works(capsys, "denoise", "a.tif", "-o", "b.tif", "--sigma", "0", "--quiet") == ""
    assert text + b"\0" in Path("b.tif").read_bytes()


def test_planes_in_another_order(capsys):
    """OME-XML can place the planes in any order; in the result they follow the axes."""
    values = drawn()
    ome_file("a.ome.tif", values, "ZYX")
    with tifffile.TiffFile("a.ome.tif") as tiff:
        xml = tiff.ome_metadata
    planes = "".join(f'<TiffData IFD="{k}" FirstZ="{4 - k}" PlaneCount="1"/>' for k in range(5))
    mixed = re.sub("<TiffData[^>]*/>", planes, xml)
    mixed = mixed.replace("<Pixels ", '<Pixels BigEndian="true" ')
    tifffile.imwrite("a.ome.tif", values[::-1], photometric="minisblack", metadata=None,
                     description=mixed.encode(), byteorder=">")  # fmt: skip
    np.testing.assert_array_equal(tifffile.imread("a.ome.tif"), values)
    volume(capsys, "a.ome.tif", "b.ome.tif")
    np.testing.assert_array_equal(tifffile.imread("b.ome.tif"), values)
    with tifffile.TiffFile("b.ome.tif") as tiff:
        assert tiff.ome_metadata.count("<TiffData") == 1
        assert 'BigEndian="false"' in tiff.ome_metadata


@pytest.mark.parametrize("other", ["secret.ome.tif", "../secret.ome.tif", "none.ome.tif"])
def test_planes_in_other_files_are_not_read(capsys, folder, calls, other):
    """They were opened, or replaced by zeros where they did not exist."""
    ome_file("secret.ome.tif", drawn(), "ZYX")
    with tifffile.TiffFile("secret.ome.tif") as tiff:
        xml = tiff.ome_metadata
    identity = "urn:uuid:11111111-2222-3333-4444-555555555555"
    planes = (
        f'<TiffData IFD="0" FirstZ="0" PlaneCount="5"><UUID FileName="{other}">{identity}</UUID>'
        "</TiffData>"
    )
    listed = re.sub("<TiffData[^>]*/>", planes, xml).encode()
    tifffile.imwrite("a.ome.tif", drawn()[:2], photometric="minisblack", metadata=None,
                     description=listed)  # fmt: skip
    line = fails(capsys, "volume", "a.ome.tif", "-o", "b.tif", "--sigma", "0", status=1)
    assert line == (f"cannot read a.ome.tif: its OME-XML lists other files such as {other}; write "
                    "all planes to one file first")  # fmt: skip
    assert calls == []


def test_one_plane_of_several_files_is_an_image(capsys, monkeypatch):
    monkeypatch.setattr(
        fastrestore, "bm3d", lambda image, *_, **options: with_info(image.astype(float), options)
    )
    ome_file("other.ome.tif", drawn(), "ZYX")
    with tifffile.TiffFile("other.ome.tif") as tiff:
        xml = tiff.ome_metadata
    planes = "".join(
        f'<TiffData FirstZ="{k}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{k}</UUID>'
        "</TiffData>"
        for k, name in enumerate(["a.ome.tif", *4 * ["other.ome.tif"]])
    )
    listed = re.sub("<TiffData[^>]*/>", planes, xml)
    tifffile.imwrite("a.ome.tif", drawn()[0], description=listed.encode(), metadata=None)
    assert works(capsys, "denoise", "a.ome.tif", "-o", "b.tif", "--sigma", "0", "--quiet") == ""
    np.testing.assert_array_equal(tifffile.imread("b.tif", key=0), drawn()[0])


def test_renamed_file_is_one_file(capsys):
    ome_file("a.ome.tif", drawn(), "ZYX")
    with tifffile.TiffFile("a.ome.tif") as tiff:
        xml = tiff.ome_metadata
    own = re.search('UUID="([^"]*)"', xml)[1]
    planes = f'<TiffData PlaneCount="5"><UUID FileName="old.ome.tif">{own}</UUID></TiffData>'
    listed = re.sub("<TiffData[^>]*/>", planes, xml)
    tifffile.imwrite("a.ome.tif", drawn(), photometric="minisblack", metadata=None,
                     description=listed.encode())  # fmt: skip
    volume(capsys, "a.ome.tif", "b.ome.tif")
    np.testing.assert_array_equal(tifffile.imread("b.ome.tif"), drawn())
    with tifffile.TiffFile("b.ome.tif") as tiff:
        assert "UUID" not in tiff.ome_metadata


def test_missing_planes_are_an_error(capsys, folder):
    ome_file("a.ome.tif", drawn(), "ZYX")
    with tifffile.TiffFile("a.ome.tif") as tiff:
        xml = tiff.ome_metadata
    tifffile.imwrite("a.ome.tif", drawn()[:3], photometric="minisblack", metadata=None,
                     description=xml.encode())  # fmt: skip
    line = fails(capsys, "volume", "a.ome.tif", "-o", "b.tif", "--sigma", "0", status=1)
    assert line == "cannot read a.ome.tif: its OME-XML lists planes that it does not have"


# Layout of the pages


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_channels_of_npy_become_samples(capsys, count, axis):
    values = drawn((*SHAPE, count))
    np.save("a.npy", np.moveaxis(values, -1, axis))
    works(capsys, "volume", "a.npy", "-o", "b.tif", "--sigma", "0", "--channel-axis", axis)
    with tifffile.TiffFile("b.tif") as tiff:
        assert len(tiff.pages) == 5
        assert tiff.pages[0].samplesperpixel == count
        np.testing.assert_array_equal(tiff.asarray(), values)


@pytest.mark.parametrize("keep", [1, 2, 3, 4])
def test_broken_list_of_pages(capsys, folder, keep):
    """Pages that cannot be found are not left out without a word."""
    with tifffile.TiffWriter("a.tif") as out:
        for page in drawn():
            out.write(page, photometric="minisblack", contiguous=False, metadata=None)
    data = Path("a.tif").read_bytes()
    with tifffile.TiffFile("a.tif") as tiff:
        end = tiff.pages[keep].offset
    Path("b.tif").write_bytes(data[:end])
    for argv, status in (
        (["volume", "b.tif", "-o", "c.tif", "--sigma", "0"], 1),
        (["info", "b.tif"], 2),
    ):
        line = fails(capsys, *argv, status=status)
        assert line == ("cannot read b.tif: it is truncated or damaged: its list of pages breaks "
                        f"off after {keep}")  # fmt: skip
    assert names(folder) == ["a.tif", "b.tif"]


@pytest.mark.parametrize(("code", "readable"), [(65000, True), (315, False), (50839, False)])
def test_tag_beyond_the_end(capsys, code, readable):
    """tifffile leaves such tags out; those that are copied would be lost without a word."""
    tifffile.imwrite("a.tif", drawn(), photometric="minisblack", metadata=None,
                     extratags=[(code, "B", 100, bytes(100), True)])  # fmt: skip
    data = bytearray(Path("a.tif").read_bytes())
    at = data.index(struct.pack("<HHI", code, 1, 100))
    struct.pack_into("<I", data, at + 8, 10**6)
    Path("a.tif").write_bytes(data)
    if readable:
        volume(capsys, "a.tif", "b.tif")
    else:
        line = fails(capsys, "volume", "a.tif", "-o", "b.tif", "--sigma", "0", status=1)
        assert line.endswith("it is truncated or damaged: a tag lies beyond its end")
