"""The Python blocks of README.md and of the pages in docs/ run.

A block that needs PyTorch, CuPy or spandrel has a comment ``<!-- needs torch -->`` before it.
"""

import importlib
import re
import runpy
from pathlib import Path

import pytest
from support.nets import community_network, spandrel_or_skip, torch_or_skip

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "docs/tasks", "docs/guide")
PAGES = [
    ROOT / "README.md",
    *(path for name in FOLDERS for path in sorted(ROOT.glob(f"{name}/*.md"))),
]
BLOCK = re.compile(r"(?:<!-- needs (\w+) -->\n)?```python\n(.*?)```", re.DOTALL)


def blocks(page):
    """Return the blocks of a page: what each needs, its text, its line."""
    text = page.read_text(encoding="utf-8")
    return [
        (found[1] or "", found[2], text.count("\n", 0, found.start(2)))
        for found in BLOCK.finditer(text)
    ]


CASES = [
    pytest.param(page, need, id=f"{page.stem}-{need}" if need else page.stem)
    for page in PAGES
    for need in sorted({need for need, _, _ in blocks(page)})
]


@pytest.mark.parametrize(("page", "need"), CASES)
def test_blocks_run(page, need, tmp_path, monkeypatch):
    """Run the blocks in order: those without requirements first, since others use their names."""
    if need == "torch":
        torch_or_skip()
    elif need == "spandrel":
        write_networks(tmp_path)
    elif need:
        pytest.importorskip(need)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for this_need, text, line in blocks(page):
        if this_need in ("", need):
            exec(compile("\n" * line + text, page, "exec"), names)
    if "before" in names:  # the PSNR of a page
        assert names["after"] > names["before"] + 2


def write_networks(folder):
    """Write the files of weights that the pages read."""
    spandrel_or_skip()
    from safetensors.torch import save_file

    for name in ("NAFNet", "FBCNN", "SwinIR", "FDnCNN", "LaMa"):
        suffix = "safetensors" if name == "LaMa" else "pth"
        path, tensors = folder / f"{name.lower()}.{suffix}", community_network(name).state_dict()
        save_file(tensors, path) if name == "LaMa" else torch_or_skip().save(tensors, path)


@pytest.mark.parametrize("script", sorted(ROOT.glob("docs/*/*.py")), ids=lambda p: p.stem)
def test_scripts_draw_the_figures_of_their_pages(script, tmp_path, monkeypatch):
    if "import torch" in script.read_text(encoding="utf-8"):
        torch_or_skip()
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    importlib.import_module("matplotlib.pyplot").close("all")
    page = script.with_name(f"{script.stem.replace('_', '-')}.md").read_text(encoding="utf-8")
    figures = re.findall(r"figures/(\S+\.png)", page)
    assert figures
    assert {path.name for path in tmp_path.glob("*.png")} == set(figures)


def test_every_link_to_a_file_works():
    for page in (*PAGES, *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/decisions/*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            # Pages of the gallery are made from the examples when the site is built
            source = re.sub(r"^\.\./gallery/(.+)\.rst$", r"../examples/\1.py", target)
            assert (page.parent / source).exists(), f"{page.name}: {target}"


def heading_names(page):
    """Return the names of the headings of a page, as in links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_link_to_a_heading_works():
    found = 0
    for page in (*PAGES, *sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/decisions/*.md"))):
        links = re.findall(r"\]\((?!https?:)([^)#]*)#([\w-]+)\)", page.read_text(encoding="utf-8"))
        for target, heading in links:
            found += 1
            there = page.parent / target if target else page
            assert heading in heading_names(there), f"{page.name}: {target}#{heading}"
    assert found


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
