"""The command line: completion in shells, and the manual page."""

import argparse
import itertools
import re
import shutil
import subprocess
import sys

import pytest
from support.commandline import fails, works

from fastrestore.cli import commands, completion

BASH = shutil.which("bash")
GROFF = shutil.which("groff")


def completed(folder, *words):
    """Return what bash proposes for the last of some words."""
    (folder / "completion.bash").write_text(completion.script("bash"))
    quoted = " ".join(f"'{word}'" for word in ("fastrestore", *words))
    code = (
        "source ./completion.bash\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}\n"
        '_shtab_fastrestore 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    run = subprocess.run([BASH, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["den"], {"denoise"}),
        (["co"], {"compare", "completion"}),
        (["denoise", "ph"], {"photo.png", "photos"}),
        (["denoise", "photo.png", "-o", "ph"], {"photo.png", "photos"}),
        (["denoise", "photo.png", "--sigma-s"], {"--sigma-scale"}),
        (["denoise", "photo.png", "--method", "h"], {"hybrid"}),
        (["deblur", "photo.png", "--psf", "p"], {"photo.png", "photos", "psf.npy"}),
        (["compare", "photo.png", "ps"], {"psf.npy"}),
        (["train", "refine", "--images", "p"], {"photos"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_bash(tmp_path, words, expected):
    for name in ("photo.png", "psf.npy"):
        (tmp_path / name).touch()
    (tmp_path / "photos").mkdir()
    assert completed(tmp_path, *words) == expected


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts_have_all_commands(capsys, shell):
    out = works(capsys, "completion", shell)
    assert set(commands.COMMANDS) <= set(re.findall(r"\w+", out))
    assert "sigma-scale" in out


def test_the_shell_of_the_user(capsys, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert works(capsys, "completion") == completion.script("fish")
    monkeypatch.setenv("SHELL", "/bin/sh")
    message = "SHELL is '/bin/sh'; write one of bash, zsh, fish, tcsh, powershell"
    assert fails(capsys, "completion") == message
    monkeypatch.delenv("SHELL")
    assert fails(capsys, "completion").startswith("SHELL is not set; ")


def test_without_shtab(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "pip install shtab" in fails(capsys, "completion", "bash")


def test_the_manual_page_has_every_option(capsys):
    page = works(capsys, "man").replace("\\-", "-")
    assert "SUPPRESS" not in page
    for name, parser in commands.parsers(commands.full_parser()).items():
        section = page.partition(f'.SH "FASTRESTORE {name.upper()}"\n')[2].partition("\n.SH")[0]
        assert f".B fastrestore {name}\n" in section
        shown = [each for each in parser._actions if each.help != argparse.SUPPRESS]
        for option in itertools.chain(*(each.option_strings for each in shown)):
            assert f"\\fB{option}\\fR" in section, option
        assert argparse.SUPPRESS not in section
        for line in (parser.epilog or "").split("\n"):
            plain = line.replace("\\", "\\e").replace("`", "\\(ga").replace("'", "\\(aq")
            assert plain in section


def test_no_line_is_taken_for_a_request_of_troff(capsys):
    requests = {"TH", "SH", "SS", "TP", "PP", "B", "br", "nf", "fi"}
    for line in works(capsys, "man").splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line[1:].split()[0] in requests


@pytest.mark.skipif(GROFF is None, reason="needs groff")
def test_groff_has_no_warning(capsys):
    page = works(capsys, "man")
    run = subprocess.run([GROFF, "-man", "-ww", "-Tascii"], input=page, capture_output=True,
                         text=True, check=True)  # fmt: skip
    assert run.stderr == ""
    assert "--sigma 25 --sigma-scale 8bit" in run.stdout
