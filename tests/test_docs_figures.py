"""Figures of README.md and of the pages come from `bench/reproduce.json`, and by no other way."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "bench"))

import reproduce  # noqa: E402
from reproduce_groups import GROUPS, cells, difference, errors, shares, spread  # noqa: E402

RECORD = reproduce.read()
FIGURES = reproduce.figures(RECORD)
CODE = re.compile(r"```.*?```|`[^`\n]*`|^ {4}.*$", re.DOTALL | re.MULTILINE)
# What is measured is written with these units; lengths of videos, say, are "seconds"
TYPED = re.compile(r"\d[\d.]* (?:dB|s|ms|MiB)\b")
CELL = re.compile(r"^\|.*\b\d+\.\d\d(?![\d.])", re.MULTILINE)  # in tables, also without unit


def test_every_figure_of_a_page_is_that_of_the_record():
    used = set()
    for page in reproduce.pages():
        for key, text in reproduce.MARKED.findall(page.read_text(encoding="utf-8")):
            assert text == FIGURES[key], f"{page.name}: {key}; python bench/reproduce.py --pages"
            used.add(key)
    assert used == set(FIGURES)  # none is measured in vain


def test_cards_and_the_page_of_the_benchmarks_are_among_the_pages():
    names = {page.relative_to(ROOT).as_posix() for page in reproduce.pages()}
    cards = {page.relative_to(ROOT).as_posix() for page in ROOT.glob("fastrestore/nets/weights/*")}
    assert {name for name in cards if name.endswith(".md")} <= names
    assert {"README.md", "bench/README.md", "docs/guide/networks.md"} <= names
    assert not any("decisions" in name or name == "CHANGELOG.md" for name in names)


def test_no_figure_is_typed():
    for page in reproduce.pages():
        text = CODE.sub("", reproduce.MARKED.sub("", page.read_text(encoding="utf-8")))
        typed = TYPED.findall(text) + CELL.findall(text)
        assert not typed, f"{page.name}: {typed} need a key of bench/reproduce_groups.py"


def test_the_record_is_that_of_the_groups():
    assert set(RECORD) - {"published"} == set(GROUPS)
    for name, group in GROUPS.items():
        entry = RECORD[name]
        assert set(entry["figures"]) == set(group.figures)
        assert entry["command"] == f"python {group.command}"
        assert entry["processor"]
        assert entry["cores"] >= 1
        assert re.fullmatch(r"[0-9a-f]{7,40}", entry["commit"])
        assert (ROOT / group.command.split()[0]).is_file()


PRINTED = """
sigma 15

| image | ours dB | s | peer dB | s |
| --- | --- | --- | --- | --- |
| 01 | 1.0 | 0.5 | 3.0 | 2 |
| mean | 30 / 20: 25.125 | 0.25 | 24 | 9 |

sigma 25

| image | ours dB |
| --- | --- |
| mean | -2.0 best of all |
"""


def test_figures_are_read_from_tables():
    rows = reproduce.rows_of(PRINTED)
    assert len(rows) == 3
    assert cells("mean", "ours dB")(rows) == "25.12 / -2.00 dB"
    assert cells(("mean", "01"), 2, "{:.1f}", " s")(rows[:2]) == "0.2 / 0.5 s"
    assert difference(("mean", "ours dB"), ("mean", "peer dB"))(rows) == "1.1 dB"
    assert spread(("01", "mean"), 4)(rows[:2]) == "2.0 to 9.0 s"
    with pytest.raises(LookupError, match="peer"):
        cells(("02",), "peer dB")(rows)


def test_shares_and_errors_are_read_from_tables():
    text = """
| program | sigma | image | worst image % |
| --- | --- | --- | --- |
| fastrestore | 5 | unchanged | 6.9 |
| fastrestore | 5 | 10 % | 9.0 |
| fastrestore | 10 | unchanged | 10.25 |

| degradation | images | below |
| --- | --- | --- |
| blur | 22 | 2 |

| sigma given | mean PSNR dB |
| --- | --- |
| the map | 29.56 |
| the best single one, 20 | 28.31 |
"""
    rows = reproduce.rows_of(text)
    assert errors("worst image %")(rows[:3]) == "6.9 / 10.2 %"
    assert shares("blur", "below")(rows) == "2 of 22"
    assert GROUPS["maps"].figures["maps-one"](rows) == "28.31 dB"


def test_groups_that_cannot_run_say_why(tmp_path):
    group = GROUPS["set12-peer"]
    assert "--data DIR with Set12" in reproduce.why_not(group, None)
    assert str(tmp_path / "Set12") in reproduce.why_not(group, tmp_path)
    (tmp_path / "Set12").mkdir()
    needs_other = type(group)("bench/speed.py", {}, packages=("no_such_package",))
    assert reproduce.why_not(needs_other, None) == "no_such_package is not installed"


def test_pages_are_filled(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("It takes <!--speed-->1 s<!--/-->.\n", encoding="utf-8")
    reproduce.fill(page, {"speed": "0.1 s"})
    assert page.read_text(encoding="utf-8") == "It takes <!--speed-->0.1 s<!--/-->.\n"
