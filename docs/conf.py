"""Settings of Sphinx: ``sphinx-build -W docs build/docs``."""

import contextlib
import importlib
import os
import runpy
import sys
from importlib.util import find_spec
from inspect import ismodule
from pathlib import Path

import fastrestore

project = "fastrestore"
author = "The fastrestore developers"
copyright = author
release = version = fastrestore.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary",
              "sphinx_gallery.gen_gallery"]  # fmt: skip
exclude_patterns = ["build", "templates", "examples"]
templates_path = ["templates"]
html_static_path, html_css_files = ["static"], ["site.css"]
html_theme = "pydata_sphinx_theme"
html_title = f"fastrestore {version}"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False,
                      "header_links_before_dropdown": 9,  # all, in one line of 1280 pixels
                      "navbar_persistent": ["search-button"]}  # fmt: skip
default_role = "autolink"
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections describe the types
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = False

sys.path.insert(0, str(Path(__file__).parent))  # for thumbnails.py
# Examples run on the CPU, and PyLops fails with a CuPy that lacks a library of CUDA
os.environ.setdefault("CUPY_PYLOPS", "0")
NEED_TORCH = "" if find_spec("torch") else "|unrolled_deblurring|estimated_risk"
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "nested_sections": False,  # the theme has no name for the toggles of nested ones
    "filename_pattern": r"/(?!gpu\.py)\w+\.py$",  # that of GPUs is shown, not run
    "ignore_pattern": f"__init__{NEED_TORCH}",
    "image_scrapers": ("thumbnails.scrape",),
    "min_reported_time": 30,
    "capture_repr": (),  # only what is printed
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
    "abort_on_example_error": True,
}

INDEX = """API reference
=============

.. toctree::

{names}
"""

PAGE = """{title}
{line}

.. automodule:: {title}

.. currentmodule:: {title}

.. autosummary::
   :toctree: generated

{names}
"""


SUBPACKAGES = ("compat", "compat.bm3d", "compat.bm4d", "inverse", "nets", "plot", "report")


def write_api_pages() -> None:
    """Write a page for each public package, from the names that it exports, and their index."""
    folder = Path(__file__).with_name("api")
    folder.mkdir(exist_ok=True)
    packages = ["fastrestore"]
    packages += [f"fastrestore.{name}" for name in SUBPACKAGES]
    if not find_spec("torch"):
        packages.remove("fastrestore.nets")  # its classes are modules of PyTorch
    for title in packages:
        package = importlib.import_module(title)
        names = [name for name in package.__all__ if not ismodule(getattr(package, name))]
        if title == "fastrestore":
            names += ["metrics.psnr", "metrics.ssim", "metrics.sure"]
        write(folder / f"{title}.rst", PAGE, names, title=title, line="=" * len(title))
    write(folder / "index.rst", INDEX, packages)


def write(path: Path, template: str, names: list[str], **fields: str) -> None:
    """Write a page with a list of names."""
    lines = "\n".join(f"   {name}" for name in names)
    path.write_text(template.format(names=lines, **fields), encoding="utf-8")


FIGURES = ("tasks", "guide")  # folders with scripts that draw figures


def draw_figures(folder: Path) -> None:
    """Run the scripts of a folder in the folder of their figures; keep what they print."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    for script in sorted(folder.glob("*.py")):
        printed = figures / f"{script.stem}.txt"
        with (
            printed.open("w", encoding="utf-8") as file,
            contextlib.chdir(figures),
            contextlib.redirect_stdout(file),
        ):
            runpy.run_path(str(script))
            plt.close("all")  # else they become figures of the first example of the gallery


write_api_pages()
for name in FIGURES:
    draw_figures(Path(__file__).with_name(name))
if not find_spec("torch"):
    suppress_warnings = ["myst.xref_missing"]  # pages of the gallery that need it
