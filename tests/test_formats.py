"""What survives in the formats of pictures: each cell of the table of `fastrestore formats`."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from support.commandline import works
from support.pictures import NOTE, PROFILE, XMP, exif, full, present, smooth, values

from fastrestore._io import images, tags, volumes
from fastrestore._io.formats import FORMATS, PROPERTIES, STACKS
from fastrestore._io.picture import Picture

WRITTEN = [form for form in FORMATS if form.types]
CASES = [(form, dtype) for form in WRITTEN for dtype in form.types]
TAGGED = ["png", "tif", "jpg", "webp"]


def stored(form, dtype, count, folder):
    path = folder / f"a{form.extensions[0]}"
    picture = full(values(dtype, count), alpha=count == 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images.write(path, picture)
        first = images.read(path)
        images.write(path, first)
    return picture, first, images.read(path)


@pytest.mark.parametrize(("form", "dtype"), CASES, ids=lambda item: getattr(item, "name", item))
def test_each_cell(tmp_path, form, dtype):
    count = 4 if "alpha" in form.keeps else 3
    picture, first, second = stored(form, dtype, count, tmp_path)
    if form.name == "JPEG XL":  # which is turned upright
        upright = np.rot90(picture.pixels, -1)
        picture = Picture.from_pixels(upright, alpha=True, tags=picture.tags)
    for back in (first, second):
        assert present(back) == form.keeps & present(picture)
        assert back.values.dtype == dtype
        assert back.values.shape == picture.values.shape
        if form.name == "JPEG":
            continue
        if form.name == "OpenEXR":  # which stores colors multiplied by alpha
            assert back.premultiplied
            expected = (picture.values * picture.alpha[..., None]).astype(dtype)
            np.testing.assert_array_equal(back.values, expected)
        else:
            np.testing.assert_array_equal(back.values, picture.values)
            if "alpha" in form.keeps:
                np.testing.assert_array_equal(back.alpha, picture.alpha)
    images.write(tmp_path / "b.jxl", Picture(smooth(1)))
    np.testing.assert_array_equal(images.read(tmp_path / "b.jxl").values, smooth(1))


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_gray(tmp_path, form):
    _, first, second = stored(form, form.types[0], 1, tmp_path)
    shape = {"WebP": (60, 47, 3), "JPEG XL": (47, 60, 3)}.get(form.name, (60, 47))
    assert first.values.shape == shape  # gray of JPEG XL cannot have a profile of colors
    if form.name != "JPEG":
        np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_what_is_lost_is_named(tmp_path, form):
    picture = full(values(form.types[0], 4), alpha=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images.write(tmp_path / f"a{form.extensions[0]}", picture)
    lost = " ".join(str(warning.message) for warning in caught)
    assert len(caught) == bool(lost)
    words = {"ICC": "the color profile", "EXIF": "EXIF", "alpha": "alpha", "text": "XMP"}
    for name, word in words.items():
        expected = name not in form.keeps and not (name == "alpha" and form.name == "NPY")
        assert (word in lost) == expected, lost


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_xl_is_turned_as_viewers_show_it(tmp_path, orientation):
    """Pillow turns by the EXIF of another file."""
    picture = Picture(smooth(), tags=tags.orientation(orientation))
    images.write(tmp_path / "a.jxl", picture)
    images.write(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as shown:
        expected = np.asarray(ImageOps.exif_transpose(shown))
    back = images.read(tmp_path / "a.jxl")
    assert back.orientation == 1
    np.testing.assert_array_equal(back.values, expected)


def test_gray_with_alpha_gives_colors_where_a_format_has_no_other(tmp_path):
    picture = Picture(smooth(1), np.uint8(smooth(2)[..., 1]))
    for name in ("a.bmp", "a.jxl", "a.webp"):
        images.write(tmp_path / name, picture)
        back = images.read(tmp_path / name)
        np.testing.assert_array_equal(back.values, np.stack([picture.values] * 3, -1))
        np.testing.assert_array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("source", TAGGED)
@pytest.mark.parametrize("target", TAGGED)
def test_other_programs_find_the_metadata(tmp_path, source, target):
    """Read files made by Pillow, convert them, and let Pillow read them."""
    options = {"icc_profile": PROFILE, "exif": exif(), "dpi": (300, 300)}
    made = tmp_path / ("made.png" if source == "tif" else f"a.{source}")
    Image.fromarray(smooth()).save(made, **options)
    if source == "tif":  # for which Pillow writes no EXIF
        images.write(tmp_path / "a.tif", images.read(made))
    picture = images.read(tmp_path / f"a.{source}")
    images.write(tmp_path / f"b.{target}", picture)
    with Image.open(tmp_path / f"b.{target}") as back:  # not loaded: Pillow would turn a TIFF
        assert back.info["icc_profile"] == PROFILE
        found = back.getexif()
        assert found.get_ifd(0x8769)[33437] == pytest.approx(2.8)
        assert (found[274], found[271]) == (6, "Maker")
        assert found.get_ifd(0x8769)[0x927C] == NOTE
        assert found.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0a comment"
        assert found.get_ifd(0x8825)[1] == "N"
        if "webp" not in (source, target):  # where Pillow writes and reads none
            assert back.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("target", TAGGED)
def test_other_programs_find_xmp(tmp_path, target):
    images.write(tmp_path / f"a.{target}", full(smooth(), alpha=False))
    with Image.open(tmp_path / f"a.{target}") as back:
        assert back.info["xmp"] == XMP


@pytest.mark.parametrize("subsampling", [0, 1, 2])  # 4:4:4, 4:2:2, 4:2:0
@pytest.mark.parametrize("quality", [70, 88, 97])
def test_jpeg_keeps_quality_and_subsampling(tmp_path, quality, subsampling):
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
    picture = images.read(tmp_path / "a.jpg")
    assert picture.options["subsampling"] == subsampling
    images.write(tmp_path / "b.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as made, Image.open(tmp_path / "b.jpg") as kept:
        assert made.quantization == kept.quantization
        assert [layer[1:3] for layer in made.layer] == [layer[1:3] for layer in kept.layer]


def test_tables_of_jpeg_are_kept(tmp_path):
    """Also those of no quality of libjpeg, such as cameras and Photoshop use."""
    tables = [[3 + k % 40 for k in range(64)], [5 + k % 30 for k in range(64)]]
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", qtables=tables, subsampling=2)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as kept:
        assert {k: list(table) for k, table in kept.quantization.items()} == dict(enumerate(tables))


def test_jpeg_of_other_formats_has_quality_95_and_full_colors(tmp_path):
    images.write(tmp_path / "a.jpg", Picture(smooth()))
    Image.fromarray(smooth()).save(tmp_path / "b.jpg", quality=95, subsampling=0)
    with Image.open(tmp_path / "a.jpg") as made, Image.open(tmp_path / "b.jpg") as expected:
        assert made.quantization == expected.quantization
        assert made.layer == expected.layer


def test_comments_and_progressive_scans_of_jpeg_are_kept(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", comment=b"a comment", progressive=True)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as kept:
        assert kept.info["comment"] == b"a comment"
        assert kept.info["progressive"]
    with pytest.warns(UserWarning, match=r"b\.tif: TIFF does not store comments"):
        images.write(tmp_path / "b.tif", images.read(tmp_path / "a.jpg"))


def test_large_profiles_of_jpeg_are_split(tmp_path):
    profile = PROFILE + bytes(np.random.default_rng(0).integers(0, 256, 200_000, np.uint8))
    images.write(tmp_path / "a.jpg", Picture(smooth()).with_icc(profile))
    assert images.read(tmp_path / "a.jpg").icc == profile
    with Image.open(tmp_path / "a.jpg") as kept:
        assert kept.info["icc_profile"] == profile


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
def test_lossless_compression_of_tiff_is_kept(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", smooth(), photometric="rgb", compression=compression)
    images.write(tmp_path / "b.tif", images.read(tmp_path / "a.tif"))
    with (
        tifffile.TiffFile(tmp_path / "a.tif") as made,
        tifffile.TiffFile(tmp_path / "b.tif") as kept,
    ):
        assert made.pages.first.compression == kept.pages.first.compression
    np.testing.assert_array_equal(images.read(tmp_path / "b.tif").values, smooth())


def test_private_tags_of_tiff_are_kept(tmp_path):
    """Those of GeoTIFF."""
    scale, place = (0.5, 0.5, 0.0), (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0)
    keys = (1, 1, 0, 1, 1024, 0, 1, 1)
    extra = [(33550, "d", 3, scale), (33922, "d", 6, place), (34735, "H", 8, keys),
             (42113, "s", 0, "-9999")]  # fmt: skip
    for order in "<>":
        tifffile.imwrite(tmp_path / "a.tif", smooth(1), extratags=extra, byteorder=order)
        images.write(tmp_path / "b.tif", images.read(tmp_path / "a.tif"))
        with tifffile.TiffFile(tmp_path / "b.tif") as kept:
            found = kept.pages.first.tags
            assert found[33550].value == scale
            assert found[33922].value == place
            assert found[34735].value == keys
            assert found[42113].value == "-9999"
    with pytest.warns(UserWarning, match=r"b\.png: PNG does not store the georeference"):
        images.write(tmp_path / "b.png", images.read(tmp_path / "a.tif"))


@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
@pytest.mark.parametrize("count", [2, 4, 5])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_of_tiff(tmp_path, dtype, count, planar):
    pixels = values(dtype, count)
    data = np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", planarconfig=planar)
    picture = images.read(tmp_path / "a.tif")
    images.write(tmp_path / "b.tif", picture)
    for back in (picture, images.read(tmp_path / "b.tif")):
        assert back.alpha is None
        np.testing.assert_array_equal(back.values, pixels)


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.int64])
@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
def test_alpha_of_tiff(tmp_path, kind, extra):
    pixels = values(kind, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[extra])
    images.write(tmp_path / "b.tif", images.read(tmp_path / "a.tif"))
    back = images.read(tmp_path / "b.tif")
    assert back.premultiplied == (extra == "assocalpha")
    np.testing.assert_array_equal(back.pixels, pixels)


def test_attributes_of_exr_are_kept(tmp_path):
    import OpenImageIO

    spec = OpenImageIO.ImageSpec(47, 60, 3, "float")
    spec.attribute("scene", "somewhere")
    spec.attribute("exposure", 0.25)
    spec.attribute("chromaticities", "float[8]", (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.31, 0.33))
    out = OpenImageIO.ImageOutput.create("openexr")
    out.open(str(tmp_path / "a.exr"), spec)
    out.write_image(values("float32", 3))
    out.close()
    images.write(tmp_path / "b.exr", images.read(tmp_path / "a.exr"))
    kept = OpenImageIO.ImageInput.open(str(tmp_path / "b.exr")).spec()
    assert kept.getattribute("scene") == "somewhere"
    assert kept.getattribute("exposure") == 0.25
    assert kept.getattribute("chromaticities")[:2] == pytest.approx((0.64, 0.33))


SCALE, KEYS = (0.5, 0.5, 0.0), (1, 1, 0, 1, 1024, 0, 1, 1)


def stack(path, form):
    """Write a stack with all that its format keeps; return its values."""
    pixels = values(form.types[1], 1, (5, 20, 30))
    if "alpha" in form.keeps:
        pixels = values(form.types[1], 4, (5, 20, 30))
    rgba = {"photometric": "rgb", "extrasamples": ["unassalpha"], "iccprofile": PROFILE}
    if form.name == "NPY, volume":
        np.save(path, pixels)
    elif form.name == "NIfTI":
        import nibabel

        made = nibabel.Nifti1Image(pixels, np.diag([0.5, 0.6, 2, 1]))
        made.header["descrip"] = b"a text"
        nibabel.save(made, path)
    elif form.name == "OME-TIFF":
        meta = {"axes": "ZYXS", "PhysicalSizeX": 0.5, "PhysicalSizeZ": 2.0, "Name": "a text"}
        tifffile.imwrite(path, pixels, ome=True, metadata=meta, **rgba)
    elif form.name == "ImageJ TIFF":
        meta = {"axes": "ZYX", "spacing": 2.0, "unit": "um", "Labels": ["a text"] * 5}
        tifffile.imwrite(path, pixels, imagej=True, metadata=meta, resolution=(2, 2),
                         iccprofile=PROFILE)  # fmt: skip
    else:
        extra = [(274, "H", 1, 6, True), (33550, "d", 3, SCALE, True), (34735, "H", 8, KEYS, True)]
        tifffile.imwrite(path, pixels, description="a text", resolution=(300, 200),
                         resolutionunit=2, metadata=None, extratags=extra, **rgba)  # fmt: skip
    return pixels


def properties(path, form):
    """Return what another program finds in a stack."""
    if form.name == "NPY, volume":
        return {"pages": np.load(path).shape[0]}
    if form.name == "NIfTI":
        import nibabel

        header = nibabel.load(path).header
        return {"voxel size": header.get_zooms(), "text": bytes(header["descrip"]),
                "axes": header.get_sform().tolist(), "pages": header.get_data_shape()}  # fmt: skip
    with tifffile.TiffFile(path) as tiff:
        page, series = tiff.pages.first, tiff.series[0]
        found = {"pages": series.shape, "text": "a text" in page.description}
        named = {"orientation": 274, "resolution": 282, "ICC": 34675, "alpha": 338, "scale": 33550}
        found |= {name: page.tags[tag].value for name, tag in named.items() if tag in page.tags}
        found["GeoTIFF"] = found.get("scale") == SCALE and page.tags[34735].value == KEYS
        if tiff.is_imagej:
            meta = tiff.imagej_metadata
            found |= {"axes": series.axes, "voxel size": meta["spacing"], "text": meta["Labels"]}
        if tiff.is_ome:
            size = [word for word in tiff.ome_metadata.split() if "PhysicalSize" in word]
            found |= {"axes": series.axes, "voxel size": size}
    return found


@pytest.mark.parametrize("form", STACKS, ids=lambda form: form.name)
def test_each_cell_of_stacks(tmp_path, form):
    source = tmp_path / f"a{form.extensions[0]}"
    target = tmp_path / f"b{form.extensions[0]}"
    pixels = stack(source, form)
    volume = volumes.read(source, None)
    volumes.write(target, volume.with_values(volume.values, target))
    before, after = properties(source, form), properties(target, form)
    assert all(before[name] for name in form.keeps)
    assert {name: before[name] for name in form.keeps} == {name: after[name] for name in form.keeps}
    np.testing.assert_array_equal(volumes.read(target, None).values, pixels)


def test_table(capsys):
    lines = works(capsys, "formats").splitlines()
    assert lines[0].split("  ")[0] == "format"
    assert len(lines) == 1 + len(FORMATS) + len(STACKS)
    header, png = lines[0], lines[1]
    for name in PROPERTIES:
        there = png[header.index(name) :].startswith("yes")
        assert there == (name in FORMATS[0].keeps)
    rows = json.loads(works(capsys, "formats", "--json"))
    assert rows[0]["extensions"] == [".png"]
    assert next(row["format"] for row in rows if not row["written"]) == "JPEG 2000"


def test_metadata_of_big_files_is_read():
    file = io.BytesIO()
    tifffile.imwrite(file, smooth(1), bigtiff=True, byteorder=">", extratags=[(274, "H", 1, 8)])
    assert tags.parse(file.getvalue())[274].data == b"\x08\0"


def test_tags_of_big_files_are_not_written():
    file = io.BytesIO()
    tifffile.imwrite(file, smooth(1), bigtiff=True)
    with pytest.warns(UserWarning, match="a TIFF over 4 GB is written without its metadata"):
        data = tags.graft(file.getvalue(), full(smooth(1), alpha=False).tags)
    assert data == file.getvalue()
    assert tags.graft(data, {}) == data
