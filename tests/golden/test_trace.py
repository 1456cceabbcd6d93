"""The path from a public function to its first kernel is short."""

import sys

import pytest
from inputs import GRAY, SIGMA
from tracer import ONE, PATHS, counts, is_named, main, module_of, traced

import fastrestore

# Most functions on the stack, and modules entered. The first kernel of a video is the search, in
# the filtering of a frame
LIMITS = {"bm3d": (8, 18), "bm4d": (10, 19), "vbm3d": (11, 26)}


@pytest.mark.parametrize("name", PATHS)
def test_path_to_first_kernel_is_short(name):
    path = traced(PATHS[name])
    found = counts(path)
    assert path.stack[-1].co_name in (name, "checked")  # by the keywords that it lacks
    assert module_of(path.stack[0]).startswith("backends")
    depth, modules = LIMITS[name]
    assert 1 < found.depth <= depth
    assert 1 < found.modules <= modules
    assert counts(path, is_named).functions <= found.functions


def test_indirect_call_has_longer_path():
    direct = counts(traced(PATHS["bm3d"]))
    around = counts(traced(lambda: fastrestore.denoise(GRAY, SIGMA, method="bm3d", **ONE)))
    assert around.depth > direct.depth
    assert around.functions > direct.functions


def test_tracing_a_call_without_kernels_raises():
    before = sys.getprofile()
    with pytest.raises(RuntimeError, match="no kernel was called"):
        traced(lambda: fastrestore.bm3d(GRAY, 0, **ONE))
    assert sys.getprofile() is before


def test_tracing_does_not_change_results():
    """Tracing removes its hooks."""
    before = PATHS["bm3d"]()
    traced(PATHS["bm3d"])
    assert (PATHS["bm3d"]() == before).all()


def test_report(capsys):
    main()
    assert capsys.readouterr().out.count("depth") == 2 * len(PATHS)
