"""Settings of Sphinx: ``sphinx-build -W docs build/docs``."""

import importlib
from importlib.util import find_spec
from pathlib import Path

import fastrestore

project = "fastrestore"
author = "The fastrestore developers"
copyright = author
release = version = fastrestore.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["build"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
default_role = "autolink"
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections describe the types
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = False

PAGE = """{title}
{line}

.. automodule:: {module}

.. currentmodule:: {module}

.. autosummary::
   :toctree: generated

{names}
"""


def write_api_pages() -> None:
    """Write a page for each public module, from the names that it exports."""
    folder = Path(__file__).with_name("api")
    folder.mkdir(exist_ok=True)
    for name in ("fastrestore", "fastrestore.inverse", "fastrestore.nets"):
        if name == "fastrestore.nets" and not find_spec("torch"):
            continue  # its classes are modules of PyTorch
        module = importlib.import_module(name)
        names = [
            each for each in module.__all__ if callable(getattr(module, each)) or each == "metrics"
        ]
        names = ["metrics.psnr" if each == "metrics" else each for each in names]
        text = PAGE.format(
            title=name,
            line="=" * len(name),
            module=name,
            names="\n".join(f"   {each}" for each in names),
        )
        (folder / f"{name}.rst").write_text(text, encoding="utf-8")


write_api_pages()
