"""`fastrestore.compat.install`: the modules under the names of the originals."""

import subprocess
import sys
import types

import pytest

from fastrestore import compat
from fastrestore.compat.installing import NAMES


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch):
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_until_the_end_of_a_block():
    with compat.install():
        import bm3d
        import bm4d.profiles
        from bm3d.profiles import BM3DStages

        assert bm3d is compat.bm3d
        assert bm4d is compat.bm4d
        assert BM3DStages is bm3d.BM3DStages
        with compat.install():
            assert sys.modules["bm3d"] is bm3d
        assert sys.modules["bm3d"] is bm3d  # the outer block ends it
    assert not set(NAMES) & set(sys.modules)


def test_until_the_end_of_the_process():
    installed = compat.install()
    assert repr(installed) == (
        "<fastrestore.compat installed as bm3d, bm3d.profiles, bm4d, bm4d.profiles>"
    )
    import bm3d

    assert bm3d is compat.bm3d


@pytest.mark.parametrize("name", NAMES)
def test_originals_that_were_imported_are_not_replaced(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    with pytest.raises(RuntimeError, match=f"{name} has been imported from another package; call"):
        compat.install()
    assert [each for each in NAMES if each in sys.modules] == [name]


def test_names_that_the_originals_export():
    with compat.install():
        names = {}
        exec("from bm3d import *\nfrom bm4d import *", names)
        assert {"bm3d", "BM3DProfile", "bm4d", "BM4DProfile"} <= set(names)
        with pytest.raises(ModuleNotFoundError):
            import bm3d.anything  # noqa: F401


def test_importing_is_light_and_silent():
    code = (
        "import sys, fastrestore.compat; fastrestore.compat.install();"
        "from bm3d import BM3DProfile, bm3d; from bm4d.profiles import BM4DProfile;"
        "print({'numba', 'scipy', 'torch', 'cupy', 'pywt'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    assert run.stderr == ""
