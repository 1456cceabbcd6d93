"""The command line: `volume`."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from support.commandline import fails, names, with_info, works

import fastrestore
from fastrestore.cli import main

SHAPE = (5, 14, 18)


@pytest.fixture
def calls(monkeypatch):
    """Replace bm4d by the identity, so that volumes have to come back as they were."""
    seen = []

    def bm4d(volume, sigma=None, **options):
        used = {name: value for name, value in options.items() if name != "return_info"}
        seen.append({"volume": volume, "sigma": sigma, **used})
        return with_info(volume if volume.dtype.kind == "f" else volume.astype(float), options)

    monkeypatch.setattr(fastrestore, "bm4d", bm4d, raising=False)
    return seen


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(dtype, shape=SHAPE):
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1, shape).astype(dtype)
    limits = np.iinfo(dtype)
    plain = np.dtype(dtype).newbyteorder("=")
    return rng.integers(limits.min, limits.max, shape, plain, endpoint=True).astype(dtype)


def volume(capsys, *argv):
    works(capsys, "volume", argv[0], "-o", *argv[1:])


def test_result_equals_bm4d(capsys, folder):
    levels = np.linspace(50, 200, 20)
    noisy = np.random.default_rng(0).normal(levels, 10, (8, 20, 20)).astype(np.uint8)
    tifffile.imwrite("a.tif", noisy, photometric="minisblack")
    volume(capsys, "a.tif", "b.tif", "--sigma", "10/255", "--stage", "basic", "--data-range", "200")
    expected = fastrestore.bm4d(noisy, 10, stage="basic", data_range=200)
    result = tifffile.imread("b.tif")
    np.testing.assert_array_equal(result, np.clip(np.rint(expected), 0, 255))
    assert result.astype(float).std() < noisy.astype(float).std()


# Files


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8", "f2"])
@pytest.mark.parametrize(("source", "target"), [
    ("a.tif", "b.tif"), ("a.npy", "b.npy"), ("a.tif", "b.npy"), ("a.npy", "b.tiff"),
])  # fmt: skip
def test_values_are_kept(capsys, folder, calls, dtype, source, target):
    values = drawn(dtype)
    if source == "a.npy":
        np.save(source, values)
    else:
        tifffile.imwrite(source, values, photometric="minisblack")
    volume(capsys, source, target, "--sigma", "0")
    result = np.load(target) if target == "b.npy" else tifffile.imread(target)
    assert result.dtype == values.dtype
    np.testing.assert_array_equal(result, values)
    assert calls[0]["channel_axis"] is None


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", ">i2", ">f4"])
def test_nifti_keeps_header_and_affine(capsys, folder, calls, name, kind, dtype):
    values, affine = drawn(dtype), np.diag([1.5, 2, 3, 1])
    affine[:3, 3] = -10, 20, -30
    made = kind(values, affine)
    made.header["descrip"] = b"a head"
    made.header.set_xyzt_units("mm", "sec")
    made.set_qform(affine, code=2)
    made.set_sform(affine, code=4)
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"one word"))
    made.to_filename(name)
    volume(capsys, name, f"b{name[1:]}", "--sigma", "0")
    before, after = nibabel.load(name), nibabel.load(f"b{name[1:]}")
    assert type(after) is kind
    np.testing.assert_array_equal(after.affine, affine)
    for field in before.header:
        if not field.startswith("scl_"):
            np.testing.assert_array_equal(after.header[field], before.header[field])
    assert after.header.extensions[0].get_content() == before.header.extensions[0].get_content()
    np.testing.assert_array_equal(after.dataobj.get_unscaled(), values)
    assert (after.dataobj.slope, after.dataobj.inter) == (1, 0)
    packed = Path(f"b{name[1:]}").read_bytes().startswith(b"\x1f\x8b")
    assert packed == name.endswith(".gz")


def scaled(name, slope=0.5, inter=-100.0):
    """Write integers with slope 0.5 and intercept -100."""
    stored = drawn("i2")
    made = nibabel.Nifti1Image(stored, np.eye(4))
    made.header.set_slope_inter(slope, inter)
    made.to_filename(name)
    return stored


def test_nifti_with_slope_and_intercept(capsys, folder, calls):
    stored = scaled("a.nii")
    volume(capsys, "a.nii", "b.nii", "--sigma", "12.5")
    np.testing.assert_allclose(calls[0]["volume"], stored * 0.5 - 100)
    assert calls[0]["sigma"] == 12.5
    after = nibabel.load("b.nii")
    assert (after.dataobj.slope, after.dataobj.inter) == (0.5, -100)
    assert after.get_data_dtype() == np.int16
    np.testing.assert_array_equal(after.dataobj.get_unscaled(), stored)
    volume(capsys, "a.nii", "c.npy", "--sigma", "12.5")
    np.testing.assert_allclose(np.load("c.npy"), stored * 0.5 - 100)


def test_results_are_rounded_and_clipped(capsys, monkeypatch, folder):
    def bm4d(values, sigma=None, **options):
        return with_info(np.resize([-3.0, 0.5, 1.5, 254.6, 300.0], values.shape), options)

    monkeypatch.setattr(fastrestore, "bm4d", bm4d, raising=False)
    np.save("a.npy", np.zeros((2, 5, 5), np.uint8))
    volume(capsys, "a.npy", "b.npy", "--sigma", "0.1")
    np.testing.assert_array_equal(np.load("b.npy")[0, 0], [0, 0, 2, 255, 255])


@pytest.mark.parametrize(
    ("shape", "options", "axis"),
    [
        ((5, 14, 18, 3), {"photometric": "rgb"}, 3),
        ((5, 2, 14, 18), {"imagej": True, "metadata": {"axes": "ZCYX", "spacing": 2.0}}, 1),
        ((2, 5, 14, 18), {"ome": True, "metadata": {"axes": "CZYX"}}, 0),
    ],
)
def test_tiff_with_channels(capsys, folder, calls, shape, options, axis):
    values = drawn("u2", shape)
    tifffile.imwrite("a.tif", values, resolution=(300, 200), **options)
    volume(capsys, "a.tif", "b.tif", "--sigma", "0")
    assert calls[0]["channel_axis"] == -1
    np.testing.assert_array_equal(calls[0]["volume"], np.moveaxis(values, axis, -1))
    with tifffile.TiffFile("a.tif") as before, tifffile.TiffFile("b.tif") as after:
        np.testing.assert_array_equal(after.asarray(), values)
        assert after.series[0].axes == before.series[0].axes
        assert after.pages[0].resolution == before.pages[0].resolution == (300, 200)
        assert len(after.pages) == len(before.pages)
        if "imagej" in options:
            assert after.imagej_metadata["spacing"] == 2


def test_npy_with_channels(capsys, folder, calls):
    values = drawn("f4", (2, *SHAPE))
    np.save("a.npy", values)
    volume(capsys, "a.npy", "b.npy", "--sigma", "0", "--channel-axis", "0")
    np.testing.assert_array_equal(calls[0]["volume"], np.moveaxis(values, 0, -1))
    np.testing.assert_array_equal(np.load("b.npy"), values)


# Noise


@pytest.mark.parametrize(
    ("dtype", "words", "expected"),
    [
        ("u1", ["25/255"], 25),
        ("u2", ["25", "--sigma-scale", "8bit"], 25 * 257),
        ("i2", ["20", "--sigma-scale", "native"], 20),
        ("f4", ["0.1"], 0.1),
        ("u1", ["auto"], None),
    ],
)
def test_units_of_sigma(capsys, folder, calls, dtype, words, expected):
    np.save("a.npy", drawn(dtype))
    volume(capsys, "a.npy", "b.npy", "--sigma", *words)
    assert calls[0]["sigma"] == (expected and pytest.approx(expected))


def test_noise_models_and_spectrum(capsys, folder, calls):
    np.save("a.npy", drawn("u2"))
    np.save("psd.npy", np.ones(SHAPE))
    argv = ["a.npy", "b.npy", "--overwrite"]
    volume(capsys, *argv, "--noise", "rician:20")
    volume(capsys, *argv, "--noise", "poisson:2.5,3")
    volume(capsys, *argv, "--psd", "psd.npy")
    assert calls[0]["noise"] == fastrestore.Rician(20)
    assert calls[1]["noise"] == fastrestore.PoissonGaussian(2.5, 3)
    np.testing.assert_array_equal(calls[2]["psd"], np.ones(SHAPE))
    assert [call["sigma"] for call in calls] == [None] * 3


def test_options_reach_bm4d(capsys, folder, calls):
    np.save("a.npy", drawn("u1"))
    volume(capsys, "a.npy", "b.npy", "--sigma", "0.1")
    volume(capsys, "a.npy", "c.npy", "--sigma", "0.1", "--slice-axis", "2", "--profile", "fast",
           "--stage", "basic", "--data-range", "99", "--workers", "2",
           "--backend", "numpy")  # fmt: skip
    for call in calls:
        del call["volume"]
    shared = {"sigma": pytest.approx(25.5), "channel_axis": None, "progress": False}
    assert calls == [
        shared | {"slice_axis": None, "profile": "volume", "stage": "final", "data_range": None,
                  "workers": None, "backend": None},
        shared | {"slice_axis": 2, "profile": "fast", "stage": "basic", "data_range": 99,
                  "workers": 2, "backend": "numpy"},
    ]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), [([], True), (["--quiet"], False)])
def test_progress_on_a_terminal(monkeypatch, capsys, folder, calls, words, expected):
    np.save("a.npy", drawn("u1"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    volume(capsys, "a.npy", "b.npy", "--sigma", "0.1", *words)
    assert calls[0]["progress"] is expected


# Errors

# What is wrong with one file is found when it is read, and others would be restored
LATER = ("cannot read", "b.nii: NIfTI", "b.tif: TIFF", "channel_axis=0")


@pytest.mark.parametrize(
    ("source", "target", "words", "message"),
    [
        ("none.nii", "b.nii", [], "none.nii: no such file"),
        ("a.png", "b.tif", [], "a.png: unknown extension '.png'; use one of .tif, .tiff, .npy"),
        ("a.npy", "b.png", [], "b.png: unknown extension '.png'; use one of"),
        ("a.npy", "there.npy", [], "there.npy exists already; add --overwrite to replace it"),
        ("a.npy", "no/b.npy", [], "no/b.npy: there is no directory no; create it first"),
        ("a.npy", "b.nii", [], "b.nii: NIfTI needs a header and an affine, which a.npy lacks"),
        ("a.nii", "b.tif", [], "b.tif: TIFF cannot store the header and the affine of a.nii"),
        ("a.nii", "b.nii", ["--channel-axis", "0"], "channel_axis=0 applies to .npy only; a.nii"),
        ("four.npy", "b.npy", [], "cannot read four.npy: its shape is (2, 5, 14, 18); three axes"),
        ("a.npy", "b.npy", ["--channel-axis", "0"], "cannot read a.npy: its shape is (5, 14, 18);"),
        ("four.npy", "b.npy", ["--channel-axis", "4"], "cannot read four.npy: channel_axis=4 is"),
        ("bool.npy", "b.npy", [], "cannot read bool.npy: its type is bool; integers and floats"),
        ("empty.npy", "b.npy", [], "cannot read empty.npy: it has no voxels"),
        ("page.tif", "b.tif", [], "cannot read page.tif: it has one page; a volume has several"),
        ("pages.tif", "b.tif", [], "cannot read pages.tif: its pages differ in size or type"),
        ("cut.tif", "b.tif", [], "cannot read cut.tif: "),
        ("bad.nii", "b.nii", [], "cannot read bad.nii: "),
        ("cut.nii.gz", "b.nii", [], "cannot read cut.nii.gz: "),
        ("a.npy", "b.npy", ["--noise", "rician:0"], "--noise rician:0 is not rician:SIGMA with a"),
        ("a.npy", "b.npy", ["--noise", "rician:x"], "--noise rician:x is not rician:SIGMA"),
        ("a.npy", "b.npy", ["--noise", "poisson:auto"], "--noise poisson:auto is for images"),
        ("a.npy", "b.npy", ["--noise", "salt"], "--noise salt is none of auto, white,"),
        ("a.npy", "b.npy", ["--psd", "none.npy"], "cannot read none.npy: No such file"),
        ("a.npy", "b.npy", ["--sigma", "1", "--noise", "rician:1"], "specify the noise once"),
        ("a.npy", "b.npy", ["--sigma", "25"], "--sigma 25 is ambiguous for a.npy"),
        ("scaled.nii", "b.nii", ["--sigma", "9", "--sigma-scale", "8bit"], "--sigma-scale 8bit is"),
    ],
)  # fmt: skip
def test_errors(capsys, folder, calls, source, target, words, message):
    prepare()
    before = names(folder)
    noise = words if words and words[0] in ("--noise", "--psd", "--sigma") else ["--sigma", "0.1"]
    rest = [] if noise is words else words
    status = 1 if message.startswith(LATER) else 2
    line = fails(capsys, "volume", source, "-o", target, *noise, *rest, status=status)
    assert line.startswith(message)
    assert calls == []
    assert names(folder) == before


def prepare():
    """Make what the table above needs."""
    values = drawn("u1")
    np.save("a.npy", values)
    np.save("there.npy", values)
    np.save("four.npy", np.stack([values, values]))
    np.save("bool.npy", values > 9)
    np.save("empty.npy", values[:0])
    tifffile.imwrite("page.tif", values[0])
    tifffile.imwrite("whole.tif", values, photometric="minisblack")
    with tifffile.TiffWriter("pages.tif") as out:
        for page in (values[0], values[1, :9]):
            out.write(page, photometric="minisblack", contiguous=False)
    Path("cut.tif").write_bytes(Path("whole.tif").read_bytes()[:-400])
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("a.nii")
    scaled("scaled.nii")
    Path("bad.nii").write_bytes(b"words" * 200)
    Path("cut.nii.gz").write_bytes(gzip.compress(Path("a.nii").read_bytes())[:500])
    Path("a.png").write_bytes(b"")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_shape_of_nifti_beyond_its_length(capsys, folder, calls, name):
    """The memory is not reserved first."""
    data = bytearray(nibabel.Nifti1Image(drawn("f4"), np.eye(4)).to_bytes())
    struct.pack_into("<3h", data, 42, 2000, 2000, 30000)
    Path(name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    line = fails(capsys, "volume", name, "-o", "b.nii", "--sigma", "1", status=1)
    assert line.startswith(f"cannot read {name}: it is truncated or damaged: its shape (2000, 2000")
    assert calls == []


@pytest.mark.filterwarnings("default")
def test_repaired_header_is_reported_once(capfd, folder, calls):
    """The lines of nibabel itself are not printed."""
    data = bytearray(nibabel.Nifti1Image(drawn("u1"), np.eye(4)).to_bytes())
    struct.pack_into("<f", data, 80, 0.0)
    struct.pack_into("<h", data, 252, 77)
    Path("a.nii").write_bytes(data)
    assert main(["volume", "a.nii", "-o", "b.nii", "--sigma", "0"]) == 0
    assert capfd.readouterr().err == (
        "fastrestore: warning: a.nii: the header is damaged: pixdim[1,2,3] should be non-zero; "
        "setting 0 dims to 1; qform_code 77 not valid; setting to 0\n"
    )
    np.testing.assert_array_equal(nibabel.load("b.nii").get_fdata(), drawn("u1"))


def test_affine_that_cannot_be_written(capsys, folder, calls):
    data = bytearray(nibabel.Nifti1Image(drawn("u1"), np.eye(4)).to_bytes())
    struct.pack_into("<f", data, 280, np.nan)
    Path("a.nii").write_bytes(data)
    assert fails(capsys, "volume", "a.nii", "-o", "b.nii", "--sigma", "1", status=1).startswith(
        "cannot read a.nii: Could not decompose affine"
    )
    assert calls == []


def test_without_nibabel(capsys, monkeypatch, folder, calls):
    nibabel.Nifti1Image(drawn("u1"), np.eye(4)).to_filename("a.nii")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    line = fails(capsys, "volume", "a.nii", "-o", "b.nii", "--sigma", "0.1", status=1)
    assert line == (
        "cannot read a.nii: NIfTI needs nibabel; install it with pip install '.[volume]' in a "
        "clone of the repository"
    )


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("bad\nvalue"), 2, "fastrestore: error: a.npy: bad value\n"),
        (MemoryError(), 2, "fastrestore: error: a.npy: there is not enough memory\n"),
        (KeyboardInterrupt(), 130, "fastrestore: interrupted\n"),
    ],
)
def test_errors_of_bm4d(capsys, monkeypatch, folder, error, status, message):
    def broken(*args, **options):
        raise error

    monkeypatch.setattr(fastrestore, "bm4d", broken, raising=False)
    np.save("a.npy", drawn("u1"))
    assert main(["volume", "a.npy", "-o", "b.npy", "--sigma", "0.1"]) == status
    assert capsys.readouterr() == ("", message)
    assert names(folder) == ["a.npy"]
