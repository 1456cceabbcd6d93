"""The help texts of the commands that restore files."""

from __future__ import annotations

import argparse

import pytest

from fastrestore.cli import commands, options

RESTORING = [
    "denoise", "restore", "deblur", "inpaint", "sharpen", "upscale", "streaks", "demosaic", "burst",
    "video", "volume",
]  # fmt: skip


@pytest.fixture(scope="module")
def parsers():
    return commands.parsers(commands.full_parser())


@pytest.mark.parametrize("name", RESTORING)
def test_order(parsers, name):
    """Usage, main options, groups in one order, examples."""
    lines = parsers[name].format_help().splitlines()
    assert lines[0].startswith(f"usage: fastrestore {name} ")
    assert lines[0].endswith("[options] IN [IN ...]")
    titles = [line[:-1] for line in lines if line.endswith(":") and line[0] != " "]
    groups = [title for title in titles if title in options.GROUPS]
    assert groups == [title for title in options.GROUPS if title in groups]
    assert {"many files", "reports", "speed and memory"} <= set(groups)
    assert titles[1] == "options"
    assert titles.index("examples") == titles.index("speed and memory") + 1


@pytest.mark.parametrize("name", RESTORING)
def test_required_options_are_in_the_usage(parsers, name):
    parser = parsers[name]
    for action in parser._actions:
        if action.option_strings and action.required:
            assert action.option_strings[0] in parser.format_usage()


@pytest.mark.parametrize("name", RESTORING)
def test_defaults_are_shown(parsers, name):
    """Of all options with a value that have one."""
    for action in parsers[name]._actions:
        if not action.option_strings or action.help == argparse.SUPPRESS or action.nargs == 0:
            continue
        assert action.help
        if action.default is not None and action.default != argparse.SUPPRESS:
            value = action.default
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            assert f"default: {shown}" in action.help, action.option_strings


@pytest.mark.parametrize("command", ["denoise", "video", "upscale"])
def test_defaults_of_encoders(parsers, command):
    """As they are used."""
    from fastrestore._io import codecs

    text = " ".join(parsers[command].format_help().split()).replace("- ", "-")
    names: dict[str, list[str]] = {}
    for extension, container in codecs.CONTAINERS.items():
        names.setdefault(container.codec, []).append(extension)
    for codec, (*first, last) in names.items():
        extensions = f"{', '.join(first)} and {last}" if first else last
        assert f"{codec} for {extensions}" in text
    for codec in ("libx264", "libvpx-vp9"):
        assert f"{codecs._CRF[codec]} for {codec}" in text
