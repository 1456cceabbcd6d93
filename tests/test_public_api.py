"""The public names are those of the stubs, and importing the package is cheap and quiet."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.nets import torch_or_skip

import fastrestore

NETWORKS = {"restore", "super_resolve", "super_resolve_video"}  # need PyTorch
HEAVY = {"numba", "llvmlite", "scipy", "pywt", "cupy", "torch", "dask", "PIL", "tifffile", "tqdm",
         "av", "nibabel", "matplotlib"}  # fmt: skip


def in_a_new_process(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout


def test_import_is_light_and_quiet():
    code = "import fastrestore, sys; print(*{name.split('.')[0] for name in sys.modules})"
    assert not HEAVY & set(in_a_new_process(code).split())


PACKAGES = [
    "fastrestore",
    *(f"fastrestore.{name}" for name in ("inverse", "nets", "plot", "report")),
]


@pytest.mark.parametrize("module", PACKAGES)
def test_public_names_are_those_of_the_stub(module):
    if module == "fastrestore.nets":
        torch_or_skip()
    package = importlib.import_module(module)
    stub = Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert dir(package) == package.__all__ == sorted(re.findall(r"import (\w+) as \1\n", stub))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'blur'"):
        _ = package.blur


def test_version_is_one():
    from importlib.metadata import version

    assert version("fastrestore") == fastrestore.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", fastrestore.__version__)


PUBLIC = [
    *(f"fastrestore{part}" for part in ("", ".inverse", ".nets", ".plot", ".report", ".metrics")),
    *(f"fastrestore.compat{part}" for part in ("", ".bm3d", ".bm4d")),
]


def public_values(module):
    """Return the public classes and functions of a package, or of the module of metrics."""
    names = getattr(module, "__all__", None) or ["psnr", "ssim", "sure"]
    values = {name: getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if not inspect.ismodule(value)}


@pytest.mark.parametrize("package", PUBLIC)
def test_examples_of_all_public_names(package):
    if package == "fastrestore.nets":
        torch_or_skip()
    if package in ("fastrestore.plot", "fastrestore.report"):
        pytest.importorskip("matplotlib").use("Agg")
    runner = doctest.DocTestRunner(verbose=False)
    for name, value in public_values(importlib.import_module(package)).items():
        own = doctest.DocTestFinder(exclude_empty=True).find(value, name, module=False, globs={})
        assert any(test.examples for test in own), f"{package}.{name} has no example"
        if name in NETWORKS and find_spec("torch") is None:
            continue
        for test in own:
            runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", sorted(set(fastrestore.__all__) - {"metrics"}))
def test_public_docstrings(name):
    text = inspect.cleandoc(getattr(fastrestore, name).__doc__)
    assert len(text) > 80
    if name == "bm3d":
        for section in ("Parameters", "Returns", "Raises", "Notes", "References", "Examples"):
            assert f"{section}\n---" in text


def test_psnr():
    assert fastrestore.metrics.psnr(np.zeros(4), np.full(4, 0.1), data_range=1) == pytest.approx(20)
    assert fastrestore.metrics.psnr([1], [1], data_range=1) == np.inf
    with pytest.raises(ValueError, match=r"image has shape \(2,\), but reference has shape \(1,\)"):
        fastrestore.metrics.psnr([1], [1, 2], data_range=1)
    with pytest.raises(ValueError, match="data_range must be a number above 0, got -1"):
        fastrestore.metrics.psnr([1], [2], data_range=-1)


def test_kernels_folder_holds_no_python():
    """A .py file there would create an importable package `kernels` and break editable installs."""
    kernels = Path(fastrestore.__file__).parents[1] / "kernels"
    if kernels.is_dir():
        assert not list(kernels.rglob("*.py"))
