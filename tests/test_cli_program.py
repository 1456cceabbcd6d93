"""The command line: files without a command, words that are no command, and the help text."""

import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from support.commandline import NOISE16, fails, noisy, png, works, write

from fastrestore import NoiseSpec
from fastrestore.cli import commands, main


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pasted(out):
    """Return the commands that are printed."""
    lines = [line for line in out.splitlines() if line.startswith("    ")]
    assert all(line.startswith("    fastrestore ") for line in lines)
    return [shlex.split(line)[1:] for line in lines]


def test_a_file_is_described(capsys, folder):
    png(folder / "my photo.png", noisy().astype(np.uint8))
    out = works(capsys, "my photo.png")
    assert out.startswith("my photo.png: 48 x 40, uint8, min ")
    assert "  noise     white noise, sigma " in out
    found = pasted(out)
    assert ["restore", "my photo.png"] in found
    for words in found:  # all of them are commands with known options
        args = commands.parser_of(words[0]).parse_args(words)
        assert args.inputs == ["my photo.png"]
    assert main([*found[0], "--quiet"]) == 0
    assert (folder / "my photo-restored.png").exists()


def test_values_without_noise_estimates(capsys, folder):
    write(folder / "a.npy", np.full((20, 20), np.nan))
    assert "  noise  " not in works(capsys, "a.npy")
    write(folder / "b.npy", np.ones((2, 2)))
    assert "  noise     no noise found\n" in works(capsys, "b.npy")


def test_stacks_volumes_and_arrays(capsys, folder):
    values = np.stack([NOISE16] * 3)
    tifffile.imwrite(folder / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
    assert ["restore", "z.tif", "--as", "volume"] in pasted(works(capsys, "z.tif"))
    np.save("c.npy", values)
    found = pasted(works(capsys, "c.npy"))
    assert found == [
        ["denoise", "c.npy", "--channel-axis", "-1"],
        ["volume", "c.npy"],
    ]
    np.save("t.npy", values[None])
    out = works(capsys, "t.npy")
    assert out.startswith("t.npy: an array of 1 x 3 x 24 x 17\n")
    assert pasted(out) == [["volume", "t.npy", "--axes", "ZCYX"]]


def test_files_of_this_package(capsys, folder):
    NoiseSpec.white(3.0).save("spec.npz")
    assert pasted(works(capsys, "spec.npz")) == [["denoise", "photo.png", "--noise", "spec.npz"]]
    (folder / "net.pth").write_bytes(b"")
    assert ["upscale", "photo.png", "--model", "net.pth"] in pasted(works(capsys, "net.pth"))


def test_a_directory_is_counted(capsys, folder):
    (folder / "d" / "sub").mkdir(parents=True)
    for name in ("a.png", "b.PNG", "c.jpg", "film.mp4", "v.nii.gz", "notes.txt", ".hidden.png"):
        (folder / "d" / name).touch()
    out = works(capsys, "d")
    assert out.splitlines()[:6] == [
        "d: a directory of 6 files",
        "  images    2 PNG, 1 JPEG",
        "  videos    1 .mp4",
        "  volumes   1 NIfTI",
        "  others    1 .txt",
        "  and       1 directory",
    ]
    assert ["restore", "d", "--recursive", "-o", "d-restored"] in pasted(out)
    (folder / "e").mkdir()
    assert works(capsys, "e") == "e: a directory of 0 files\n\n"


def test_options_of_other_commands(capsys):
    assert fails(capsys, "denoise", "a.png", "--model", "x") == (
        "unrecognized arguments: --model x; --model is an option of `fastrestore upscale`, "
        "`fastrestore inpaint`, `fastrestore info` (see `fastrestore denoise --help`)"
    )
    line = fails(capsys, "denoise", "a.png", "--strenth", "2")
    assert "; did you mean --strength? (see" in line


def test_names_with_dashes(capsys, folder):
    png(folder / "-dash.png")
    png(folder / "a.png")
    for words in (["-dash.png"], ["a.png", "-dash.png"]):
        line = fails(capsys, "denoise", *words)
        assert line == "-dash.png is taken for an option; write ./-dash.png for the file"
    assert main(["denoise", "./-dash.png", "--sigma", "0", "-q"]) == 0
    assert main(["denoise", "--sigma", "0", "-q", "--overwrite", "--", "-dash.png"]) == 0


def test_several_files(capsys, folder):
    png(folder / "a.png")
    (folder / "text.png").write_text("text")
    (folder / "b.txt").touch()
    status = main(["a.png", "text.png", "b.txt", "."])
    out, err = capsys.readouterr()
    assert status == 1
    first, second = err.splitlines()
    assert first.startswith("fastrestore: error: cannot read text.png: ")
    assert second.startswith("fastrestore: error: b.txt: files with the extension '.txt' are not")
    assert out.startswith("a.png: 24 x 17, uint8")
    assert "\n\n.: a directory of 3 files\n" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["denois", "a.png"], "'denois' is neither a command nor a file; did you mean "
                              "`fastrestore denoise`? (see `fastrestore --help`)"),
        (["Upscale"], "'Upscale' is neither a command nor a file; did you mean "
                      "`fastrestore upscale`? (see `fastrestore --help`)"),
        (["qqq"], "'qqq' is neither a command nor a file (see `fastrestore --help`)"),
        ([""], "'' is neither a command nor a file (see `fastrestore --help`)"),
        (["none.png"], "none.png: no such file"),
        (["a.png", "d/none"], "d/none: no such file"),
        (["a.png", "-o", "b c.png"],
         "-o needs a command, such as `fastrestore restore a.png -o 'b c.png'`"),
        (["--"], "'--' is neither a command nor a file (see `fastrestore --help`)"),
        (["denoise", "a.png", "--overwrit", "--sigma", "0"], "unrecognized arguments: --overwrit; "
         "did you mean --overwrite? (see `fastrestore denoise --help`)"),
        (["upscale", "a.png", "--sigma=3"],
         "unrecognized arguments: --sigma=3; --sigma is an option of `fastrestore restore`, "
         "`fastrestore denoise`, `fastrestore video` (see `fastrestore upscale --help`)"),
        (["formats", "a.png"], "unrecognized arguments: a.png (see `fastrestore formats --help`)"),
        (["--fast", "a.png"], "unrecognized arguments: --fast (see `fastrestore --help`)"),
    ],
)  # fmt: skip
def test_wrong_words(capsys, folder, argv, message):
    png(folder / "a.png")
    assert fails(capsys, *argv) == message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_is_not_read(capsys, folder):
    os.mkfifo(folder / "pipe.png")
    assert fails(capsys, "pipe.png") == "pipe.png is not a regular file"


def test_names_that_start_with_a_hyphen(capsys, folder):
    png(folder / "-a.png")
    assert ["restore", str(folder / "-a.png")] in pasted(works(capsys, "--", "-a.png"))


def test_help_shows_examples_and_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("usage: fastrestore ")
    assert lines.index("Examples:") < 6
    assert max(map(len, lines)) < 80
    for name, summary in commands.COMMANDS.items():
        assert any(line.split() == [name, *summary.split()] for line in lines)


def test_examples_of_the_help_are_valid():
    for line in commands.EXAMPLES.splitlines():
        words = shlex.split(line.strip().split("  ")[0])[1:]
        if words[0] in commands.COMMANDS:
            assert commands.parser_of(words[0]).parse_args(words).command == words[0]


def test_help_is_fast_because_it_imports_little():
    """The time of a process depends on the computer; what it imports does not."""
    code = "import sys; from fastrestore.cli import main\ntry: main(['--help'])\n"
    code += "except SystemExit: print(len(sys.modules), 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, has_numpy = run.stdout.splitlines()[-1].split()
    assert int(count) < 200
    assert has_numpy == "False"


def test_output_that_nobody_reads(folder):
    png(folder / "a.png")
    for words, first in (("a.png", "a.png: "), ("man", ".TH "), ("completion bash", "#")):
        text = f"{sys.executable} -m fastrestore {words} <&- | head -1"
        run = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
        assert run.stdout.startswith(first)
        assert run.stderr == ""
