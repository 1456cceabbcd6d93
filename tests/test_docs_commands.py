"""The command lines of README.md and of the pages in docs/ are accepted."""

import re
import shlex

import pytest
from test_docs import PAGES

from fastrestore.cli import commands, noise, reports
from fastrestore.cli.errors import CommandError

INDENTED = re.compile(r"^ {4}(?:\$ )?fastrestore (.+)$", re.MULTILINE)
INLINE = re.compile(r"`fastrestore ([^`]+)`")
NOT_RUN = {"FILE", "COMMAND", "--help"}  # placeholders, and what exits


def lines_of(path):
    """Return the command lines of a page, without the name of the program."""
    text = path.read_text(encoding="utf-8")
    blocks = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found = INDENTED.findall(blocks)
    for line in INLINE.findall(blocks):
        words = line.split()
        if words[0] in commands.COMMANDS and not (NOT_RUN & set(words) or "|" in line):
            file = ["in.png"] if words[1:] and words[1].startswith("-") else []  # left out in text
            found.append(" ".join([*words, *file]))
    return found


def accept(line):
    """Parse a command line, and check what depends on the options alone."""
    words = shlex.split(line.partition(" >")[0])
    if words[0] not in commands.COMMANDS:  # a file or folder without a command
        assert len(words) == 1
        assert not words[0].startswith("-")
        return
    args = commands.parse(commands.parser_of(words[0]), words)
    if "report" in args:
        reports.check(args)
    if {"sigma", "noise"} <= set(vars(args)) and not str(args.noise).endswith(".npz"):
        noise.check(args)


LINES = sorted({(path.name, line) for path in PAGES for line in lines_of(path)})


def test_pages_have_command_lines():
    assert len(LINES) > 60


@pytest.mark.parametrize(("page", "line"), LINES)
def test_the_command_line_of_a_page_is_accepted(page, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if line not in commands.COMMANDS:  # a command is also named without files
        accept(line)


@pytest.mark.parametrize("line", ["denoise a.png --report a.html", "burst a.png --noise camera"])
def test_a_wrong_command_line_is_found(line):
    with pytest.raises(CommandError):
        accept(line)
