"""The generator of damaged files."""

from __future__ import annotations

import pytest
from support.damage import KINDS, damaged, truncations

DATA = bytes(range(256)) * 8 + b"'shape': (12, 34)"


def test_damage_is_repeatable_and_never_nothing():
    for seed in range(300):
        assert damaged(DATA, seed) == damaged(DATA, seed) != DATA


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\0"])
def test_short_files(data):
    for seed in range(200):
        assert damaged(data, seed) != data or not data


def test_every_kind_gives_many_results():
    for kind in range(len(KINDS)):
        results = {damaged(DATA, kind + len(KINDS) * k) for k in range(50)}
        assert len(results) > 20


def test_truncations():
    cuts = [len(cut) for cut in truncations(bytes(1000))]
    assert cuts == list(range(0, 1000, 20))
    assert all(bytes(range(200)).startswith(cut) for cut in truncations(bytes(range(200)), 7))
