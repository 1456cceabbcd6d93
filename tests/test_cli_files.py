"""The command line: where results go, and errors of files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.commandline import (
    NOISE8,
    NOISE16,
    denoise,
    fails,
    keep_images,
    names,
    png,
    read,
    write,
)

from fastrestore._arrays import replacement
from fastrestore._io import files
from fastrestore.cli import main


@pytest.fixture(autouse=True)
def identity(monkeypatch):
    """Replace bm3d by the identity, so that a file has to come back as it was."""
    return keep_images(monkeypatch)


# Inputs that cannot be read


@pytest.mark.parametrize("command", ["info", "denoise"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", "{}: no such file"),
        ("folder", "{} contains no images, volumes or videos (.png, .tif, .tiff, .jpg, "),
        ("a.gif", "{}: unknown extension '.gif'; use one of .png, .tif, .tiff, .jpg"),
        ("noext", "{}: unknown extension ''"),
    ],
)
def test_missing_input(capsys, tmp_path, identity, command, name, message):
    (tmp_path / "folder").mkdir()
    png(tmp_path / "a.gif")
    png(tmp_path / "noext")
    good, bad = png(tmp_path / "good.png"), tmp_path / name
    tail = ["-o", tmp_path / "out", "--sigma", "0.1"] if command == "denoise" else []
    if command == "info":
        if name == "folder":
            message = (
                "{} is a directory; `fastrestore {}` describes it, and `fastrestore info {}/*` its"
            )
        assert fails(capsys, command, bad).startswith(message.format(bad, bad, bad))
        return
    assert fails(capsys, command, bad, *tail).startswith(message.format(bad, bad))
    assert identity == []
    assert not (tmp_path / "out").exists()
    assert main([command, *map(str, (good, bad, *tail))]) == (
        2 if "none" in name or "fold" in name else 1
    )


def test_input_without_permission(capsys, monkeypatch, tmp_path):
    def refused(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    path = png(tmp_path / "a.png")
    monkeypatch.setattr(Path, "open", refused)
    assert fails(capsys, "info", path) == f"cannot read {path}: Permission denied"


def test_name_that_is_too_long(capsys, tmp_path):
    path = tmp_path / ("a" * 300 + ".png")
    assert "File name too long" in fails(capsys, "info", path)


# Where results go


def test_one_file(capsys, tmp_path):
    denoise(capsys, png(tmp_path / "a.png"), "-o", tmp_path / "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


def test_relative_names(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    png("a.png")
    denoise(capsys, "a.png", "-o", "b.png")
    assert names(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_directory(capsys, tmp_path, there, count):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    inputs = [png(tmp_path / name) for name in ("a.png", "b.png")[:count]]
    # One input needs the separator, or the directory, to distinguish a directory from a file.
    denoise(capsys, *inputs, "-o", out if there or count > 1 else f"{out}{os.sep}")
    assert names(out) == ["a.png", "b.png"][:count]


def test_directory_within_directories(capsys, tmp_path):
    inputs = [png(tmp_path / name) for name in ("a.png", "b.png")]
    denoise(capsys, *inputs, "-o", tmp_path / "x" / "y")
    assert names(tmp_path / "x" / "y") == ["a.png", "b.png"]


def test_overwrite(capsys, tmp_path):
    source, target = png(tmp_path / "a.png"), png(tmp_path / "b.png", 255 - NOISE8)
    denoise(capsys, source, "-o", target, "--overwrite")
    np.testing.assert_array_equal(read(target), NOISE8)


def test_overwrite_of_the_input_itself(capsys, tmp_path):
    source = png(tmp_path / "a.png")
    before = source.read_bytes()
    argv = ["denoise", source, "-o", source, "--sigma", "0.1", "--overwrite"]
    line = fails(capsys, *argv)
    assert "a.png is both input and output; choose another name" in line
    assert "add --in-place" in line
    assert source.read_bytes() == before
    denoise(capsys, source, "-o", source, "--overwrite", "--in-place")
    np.testing.assert_array_equal(read(source), NOISE8)
    assert names(tmp_path) == ["a.png"]


def test_originals_in_a_folder_are_kept(capsys, tmp_path):
    files = [png(tmp_path / name) for name in ("a.png", "b.png")]
    before = [path.read_bytes() for path in files]
    argv = ["denoise", tmp_path, "-o", tmp_path, "--sigma", "0.1"]
    assert "both input and output" in fails(capsys, *argv, "--overwrite")
    assert "add --overwrite, too" in fails(capsys, *argv, "--in-place")
    assert [path.read_bytes() for path in files] == before


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_link_is_followed(capsys, tmp_path):
    source, target = png(tmp_path / "a.png"), png(tmp_path / "b.png", 255 - NOISE8)
    link = tmp_path / "link.png"
    link.symlink_to(target)
    denoise(capsys, source, "-o", link, "--overwrite")
    assert link.is_symlink()
    np.testing.assert_array_equal(read(target), NOISE8)


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["a.png"], "b.png", "b.png exists already; add --overwrite to replace it"),
        (["a.png"], "a.png", "a.png exists already; add --overwrite to replace it"),
        (["a.png"], ".", "a.png exists already; add --overwrite to replace it"),
        (["sub/a.png", "sub/c.png", "b.png"], ".", "b.png exists already; add --overwrite"),
        (["a.png"], "no/b.png", "no/b.png: there is no directory no; create it first"),
        (["a.png"], "b.gif", "b.gif: unknown extension '.gif'; use one of .png, .tif, .tiff"),
        (["a.png"], "b.jp2", "b.jp2: JPEG 2000 is only read; write .tif or .png"),
        (["a.png"], "", "the name after -o is empty; write a file or a directory"),
        (["a.png"], "full", "full/a.png is a directory; specify a file name"),
        (["a.png", "b.png"], "x.png", "x.png: several inputs need a directory; write x.png/"),
        (["a.png", "b.png"], "text", "text: several inputs need a directory; write text/"),
        (["a.png"], "text/", "cannot create directory text: File exists"),
        (["a.png", "sub/a.png"], "x", "a.png and sub/a.png would both be written to x/a.png"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the names are written with slashes")
def test_invalid_outputs(capsys, monkeypatch, tmp_path, identity, inputs, output, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full" / "a.png").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "text").write_text("text")
    for name in ("a.png", "b.png", "sub/a.png", "sub/c.png"):
        png(tmp_path / name)
    before = names(tmp_path)
    line = fails(capsys, "denoise", *inputs, "-o", output, "--sigma", "0.1")
    assert line.startswith(message)
    assert identity == []
    assert names(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_file_is_not_replaced(capsys, tmp_path, identity):
    # A pipe of our own, not a device: run by root, a fault here would replace the device.
    pipe, link = tmp_path / "pipe.png", tmp_path / "b.png"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    source = png(tmp_path / "a.png")
    for target in (pipe, link):
        argv = ["denoise", source, "-o", target, "--sigma", "0.1", "--overwrite"]
        assert fails(capsys, *argv) == f"{target} is not a regular file"
    assert pipe.is_fifo()
    assert identity == []


def test_directory_without_permission(capsys, monkeypatch, tmp_path, identity):
    source = png(tmp_path / "a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    line = fails(capsys, "denoise", source, "-o", tmp_path / "b.png", "--sigma", "0.1")
    assert line == f"{tmp_path / 'b.png'}: the directory {tmp_path} is not writable"
    assert identity == []


# Writing


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_permissions_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path / "a.png", NOISE8)
    finally:
        os.umask(before)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o664])
@pytest.mark.parametrize("name", ["b.png", "b.npy", "b.mkv", "b.nii"])
def test_overwrite_keeps_permissions(capsys, tmp_path, name, mode):
    """Also while the file is written, nobody else can read it."""
    target, seen = tmp_path / name, []
    target.write_bytes(b"private")
    target.chmod(mode)
    new = replacement.Replacement(target)
    seen.append(new.temporary.stat().st_mode & 0o777)
    new.temporary.write_bytes(b"new")
    new.commit()
    assert seen == [0o600]
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == mode
    if name == "b.png":
        denoise(capsys, png(tmp_path / "a.png"), "-o", target, "--overwrite")
        assert target.stat().st_mode & 0o777 == mode
    new = replacement.Replacement(tmp_path / "other")
    assert new.temporary.stat().st_mode & 0o777 == 0o666 & ~umask()
    new.discard()
    assert names(tmp_path) == sorted({"a.png", name} if name == "b.png" else {name})


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.skipif(not hasattr(os, "chown"), reason="POSIX permissions")
def test_another_group_gets_no_permissions_of_the_old_one(monkeypatch, tmp_path):
    def refused(*args):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    old = tmp_path / "a"
    old.write_bytes(b"")
    old.chmod(0o660)
    state = os.stat_result([*old.stat()[:5], old.stat().st_gid + 1, *old.stat()[6:10]])
    monkeypatch.setattr(os, "chown", refused)
    (tmp_path / "b").write_bytes(b"")
    replacement._copy_access(state, tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("aim", ["elsewhere/new.png", "new.png", "link.png"])
def test_dangling_link_does_not_create_its_target(capsys, tmp_path, identity, words, aim):
    source, link = png(tmp_path / "a.png"), tmp_path / "link.png"
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(aim)
    line = fails(capsys, "denoise", source, "-o", link, "--sigma", "0.1", *words)
    assert line == (
        f"{link} is a symbolic link to {aim}, which does not exist; remove the link, or choose "
        "another output"
    )
    assert identity == []
    assert names(tmp_path) == ["a.png", "elsewhere", "link.png"]
    assert names(tmp_path / "elsewhere") == []
    with pytest.raises(files.FileError, match="is a symbolic link to"):
        write(link, NOISE8)  # as one of many numbered images


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    ("step", "error", "status"),
    [
        ("os.fsync", OSError(errno.ENOSPC, "No space left on device"), 1),
        ("os.fsync", KeyboardInterrupt(), 130),
        ("pathlib.Path.replace", PermissionError(errno.EACCES, "Permission denied"), 1),
        ("fastrestore._io.oiio._prepared", MemoryError(), 1),
        ("fastrestore._io.oiio._prepared", ValueError("no such type"), 1),
    ],
)
def test_failed_write_leaves_no_file(capsys, monkeypatch, tmp_path, overwrite, step, error, status):
    def broken(*args, **options):
        raise error

    source, target = png(tmp_path / "a.png"), tmp_path / "b.tif"
    if overwrite:
        write(target, NOISE16)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(step, broken)
    argv = ["denoise", source, "-o", target, "--sigma", "0.1", "--overwrite"]
    if status == 130:
        assert main([str(word) for word in argv]) == 130
    else:
        reason = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
        assert fails(capsys, *argv, status=1) == f"cannot write {target}: {reason}"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_full_disk(tmp_path):
    pytest.importorskip("resource")
    source, target = png(tmp_path / "a.png"), tmp_path / "b.png"
    code = (
        "import resource, sys\n"
        "from fastrestore.cli import main\n"
        "sys.dont_write_bytecode = True\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "denoise", source, "-o", target, "--sigma", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"fastrestore: error: cannot write {target}: its temporary copy")
    assert run.stderr.endswith("is the disk full?\n")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_files_after_a_broken_one_are_restored(capsys, tmp_path, jobs):
    good, bad = png(tmp_path / "a.png"), tmp_path / "b.png"
    bad.write_bytes(good.read_bytes()[:200])
    files = map(str, (bad, good, png(tmp_path / "c.png")))
    argv = ["denoise", *files, "-o", str(tmp_path / "out"), "--sigma", "0.1", "--jobs", jobs]
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert sorted(line.split()[0] for line in out.splitlines()) == [
        str(good),
        str(tmp_path / "c.png"),
    ]
    assert err.splitlines() == [
        f"fastrestore: error: cannot read {bad}: it is truncated",
        "3 files: 2 restored, 1 failed",
    ]
    assert names(tmp_path / "out") == ["a.png", "c.png"]
