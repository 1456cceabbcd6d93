"""Selection of backends: order, explicit requests, and messages about unavailable ones."""

import threading

import numpy as np
import pytest
from support.images import noisy, scene

import fastrestore
from fastrestore import BackendUnavailableError, bm3d, denoise, use_backend
from fastrestore.backends import numba as numba_package
from fastrestore.backends import select as select_module
from fastrestore.backends.select import VARIABLE, select, why_unavailable


@pytest.fixture(autouse=True)
def computer(request):
    """Without CuPy, except for tests that ask for the fixture `cupy`."""
    if "cupy" not in request.fixturenames:
        request.getfixturevalue("without_cupy")


@pytest.fixture(autouse=True)
def _asked_again():
    """Clear the cached availability of backends after each test."""
    yield
    select_module.why_unavailable.cache_clear()


@pytest.mark.parametrize(
    ("argument", "block", "variable", "expected"),
    [
        (None, None, None, "numba"),
        (None, None, "numpy", "numpy"),
        (None, "numpy", None, "numpy"),
        ("numpy", None, None, "numpy"),
        (None, "numpy", "numba", "numpy"),
        ("numpy", "numba", "numba", "numpy"),
        ("numba", "numpy", "numpy", "numba"),
        ("auto", "numpy", "numpy", "numba"),
        (None, "auto", "numpy", "numba"),
        (None, None, "auto", "numba"),
        (None, None, "", "numba"),
    ],
)
def test_order_of_selection(monkeypatch, argument, block, variable, expected):
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    if block is None:
        assert expected == select(argument).NAME
    else:
        with use_backend(block):
            assert expected == select(argument).NAME


def test_use_backend_blocks_nest():
    with use_backend("numpy"):
        with use_backend("numba"):
            assert select().NAME == "numba"
        assert select().NAME == "numpy"
    with pytest.raises(KeyError), use_backend("numpy"):
        raise KeyError
    assert select().NAME == "numba"


def test_use_backend_affects_its_thread_only():
    seen = []
    with use_backend("numpy"):
        thread = threading.Thread(target=lambda: seen.append(select().NAME))
        thread.start()
        thread.join()
    assert seen == ["numba"]


def test_use_backend_as_a_decorator():
    @use_backend("numpy")
    def name():
        return select().NAME

    assert name() == "numpy"


def test_the_selected_backend_is_called(monkeypatch):
    image = noisy(scene(20, 20), 10)
    calls = []
    numpy_backend = select("numpy")
    real = numpy_backend.bm3d_match
    monkeypatch.setattr(
        numpy_backend, "bm3d_match", lambda *arguments: calls.append(1) or real(*arguments)
    )
    bm3d(image, 10)
    assert not calls
    with use_backend("numpy"):
        bm3d(image, 10)
    assert len(calls) == 2


@pytest.mark.parametrize("source", ["argument", "block", "variable"])
def test_explicit_request_for_unavailable_backend_raises(monkeypatch, source):
    image = noisy(scene(12, 12), 5)
    if source == "argument":
        with pytest.raises(
            BackendUnavailableError, match=r"backend='cupy' cannot run here: .*CUDA"
        ):
            bm3d(image, 5, backend="cupy")
    elif source == "block":
        message = r"use_backend\('cupy'\) cannot run here"
        with pytest.raises(BackendUnavailableError, match=message), use_backend("cupy"):
            pass
    else:
        monkeypatch.setenv(VARIABLE, "cupy")
        with pytest.raises(BackendUnavailableError, match=r"FASTRESTORE_BACKEND='cupy' cannot"):
            bm3d(image, 5)


@pytest.mark.parametrize("source", ["argument", "block", "variable"])
def test_an_unknown_name_raises(monkeypatch, source):
    message = r"'gpu'\)?: there is no such backend; use one of 'auto', 'cupy', 'numba', 'numpy'"
    if source == "argument":
        with pytest.raises(ValueError, match="backend=" + message):
            select("gpu")
    elif source == "block":
        with pytest.raises(ValueError, match=r"use_backend\(" + message), use_backend("gpu"):
            pass
    else:
        monkeypatch.setenv(VARIABLE, "gpu")
        with pytest.raises(ValueError, match=VARIABLE + "=" + message):
            select()


def test_automatic_choice_skips_unavailable_backends(monkeypatch):
    monkeypatch.setattr(numba_package, "why_unavailable", lambda: "broken")
    select_module.why_unavailable.cache_clear()
    assert select().NAME == "numpy"
    with pytest.raises(BackendUnavailableError, match="broken"):
        select("numba")


@pytest.mark.parametrize("module", ["unimportable_backend", "support.readonly_backend"])
def test_a_backend_whose_check_fails(monkeypatch, capsys, module):
    def fail():
        raise RuntimeError("no driver")

    monkeypatch.setattr("support.readonly_backend.why_unavailable", fail)
    monkeypatch.setattr(select_module, "MODULES", {"mine": module, **select_module.MODULES})
    select_module._package.cache_clear()
    with pytest.raises(BackendUnavailableError, match="backend='mine' cannot run here: the check"):
        select("mine")
    assert select().NAME == "numba"
    fastrestore.show_backends()
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("mine   unavailable: the check of this backend failed: ")
    assert "no driver" in line or "No module named" in line


def test_numba_is_unavailable_with_jit_disabled(monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    select_module.why_unavailable.cache_clear()
    assert "NUMBA_DISABLE_JIT is set" in select_module.why_unavailable("numba")
    assert select().NAME == "numpy"


def test_numba_is_unavailable_if_its_import_fails(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "numba", None)
    select_module.why_unavailable.cache_clear()
    assert "importing numba failed" in select_module.why_unavailable("numba")


def test_automatic_choice_prefers_the_gpu(cupy, monkeypatch, capsys):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert why_unavailable("cupy") is None
    assert select().NAME == "cupy"
    fastrestore.show_backends()
    lines = ["cupy   available (automatic choice)", "numba  available", "numpy  available"]
    assert capsys.readouterr().out.splitlines()[:3] == lines


def test_show_backends(capsys):
    fastrestore.show_backends()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cupy   unavailable: ")
    assert "CuPy" in lines[0]
    assert lines[1:3] == ["numba  available (automatic choice)", "numpy  available"]


def test_selection_is_logged_and_not_printed(caplog, capfd):
    with caplog.at_level("DEBUG", logger="fastrestore"):
        bm3d(noisy(scene(12, 12), 5), 5)
    assert "backend numba chosen" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_results_keep_the_type_of_the_input():
    image = noisy(scene(20, 20), 10).astype("f4")
    for name in ("numpy", "numba"):
        result = bm3d(image, 10, backend=name)
        assert isinstance(result, np.ndarray)
        assert result.dtype == np.float32


def test_show_backends_names_the_requested_backend(monkeypatch, capsys):
    monkeypatch.setenv("FASTRESTORE_BACKEND", "numpy")
    fastrestore.show_backends()
    assert "calls use numpy, by FASTRESTORE_BACKEND='numpy'" in capsys.readouterr().out


def test_devices_of_backends_without_a_gpu(without_cupy):
    image = noisy(scene(20, 22), 20)
    for name, message in (
        ("numba:0", "backend='numba:0' cannot run here: backend 'numba' runs on the CPU"),
        ("cupy:0", "backend='cupy:0' cannot run here: CuPy is not installed"),
    ):
        with pytest.raises(BackendUnavailableError, match=message):
            bm3d(image, 20, backend=name)
    for name in ("cupy:", "cupy:x", "cupy:-1", "gpu:0"):
        with pytest.raises(ValueError, match=f"backend='{name}': there is no such backend"):
            bm3d(image, 20, backend=name)
    with pytest.raises(BackendUnavailableError, match="use_backend"), use_backend("cupy:0"):
        pass


def test_device_of_denoise(without_cupy):
    image = noisy(scene(20, 22), 20)
    expected = denoise(image, 20)
    np.testing.assert_array_equal(denoise(image, 20, device="cpu"), expected)
    plain = denoise(image, 20, device="cpu", backend="numpy", return_info=True)[1]
    assert plain.backend == "numpy"
    with pytest.raises(ValueError, match="device='cpu' and backend='cupy' disagree; leave one out"):
        denoise(image, 20, device="cpu", backend="cupy")
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:1', got 'mps'"):
        denoise(image, 20, device="mps")
    with pytest.raises(BackendUnavailableError, match="CuPy is not installed"):
        denoise(image, 20, device="cuda:0")
