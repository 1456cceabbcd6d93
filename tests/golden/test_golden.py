"""Compare results with the record: exactly on the recording platform, approximately elsewhere."""

import ast
from pathlib import Path

import numpy as np
import pytest
from calls import CALLS, MODULES, NETS
from fingerprint import digest, fingerprint, platform_key, same
from record import kept, result_of
from support.nets import torch_or_skip

import fastrestore

KEPT = kept()
HERE = platform_key()
LIBRARIES = set(HERE) - {"torch"}  # what calls without networks depend on
NOT_CALLED = {
    "BackendUnavailableError": "an exception",
    "BlockMatches": "has no computation of its own",
    "NoiseSpec": "has no computation of its own",
    "estimate_noise": "its estimate may become better; test_choice.py says how good it is",
    "estimate_sigma": "its estimate may become better; test_noise.py says how good it is",
    "show_backends": "prints what this computer has",
}


def is_exact(name):
    """Whether bits can be compared here."""
    keys = HERE if name in NETS else LIBRARIES
    return all(HERE[key] == KEPT["platform"].get(key) for key in keys)


@pytest.mark.parametrize("name", CALLS)
def test_results_equal_the_record(name):
    if name in NETS:
        torch_or_skip()
    wanted = KEPT["calls"][name]
    result = result_of(name)
    assert same(wanted["prints"], fingerprint(result))
    if is_exact(name):
        assert digest(result) == wanted["hash"]


def test_record_lists_exactly_these_calls():
    assert set(KEPT["calls"]) == set(CALLS), "run python tests/golden/record.py"


def test_fingerprints_detect_differences():
    """Both detect a change of 0.1 % of the range in one part; the hash detects the last bit."""
    result = result_of("bm3d fast")
    print_, hash_ = fingerprint(result), digest(result)
    moved, turned = result.copy(), result.copy()
    moved[:8] += 1e-3 * np.ptp(result)
    turned[0, 0] = np.nextafter(turned[0, 0], 1e3)
    assert not same(print_, fingerprint(moved))
    assert same(print_, fingerprint(turned))
    assert not same(print_, fingerprint(result.astype(np.float32)))
    assert not same(print_, fingerprint(result.T))
    assert len({hash_, digest(moved), digest(turned), digest(result.T)}) == 4
    assert digest(result.copy()) == hash_


def test_every_public_function_is_called():
    public = {name for name in fastrestore.__all__ if callable(getattr(fastrestore, name))}
    assert public - named_in_calls() == set(NOT_CALLED)


def named_in_calls():
    """Names after ``fastrestore.`` in the modules of calls."""
    trees = [ast.parse(Path(module.__file__).read_text()) for module in MODULES]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "fastrestore"
    }
