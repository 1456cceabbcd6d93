"""Progress reports: whole steps, each once, up to the total."""

import numpy as np
import pytest

from fastrestore._arrays.progress import reporting


def reports(shares):
    """Return what a callable receives for these shares of a call."""
    seen = []
    with reporting(lambda done, total: seen.append((done, total)), "name") as report_progress:
        for share in shares:
            report_progress(share)
    assert {total for _, total in seen} <= {100}
    return [done for done, _ in seen]


def test_shares_are_summed():
    assert reports([0.25, 0.5, 0.25]) == [25, 75, 100]


@pytest.mark.parametrize("count", [3, 7, 1000, 12345])
def test_equal_shares_reach_the_total(count):
    """In spite of rounding; no step is reported twice."""
    steps = reports([1 / count] * count)
    assert steps[-1] == 100
    assert steps == sorted(set(steps))
    assert len(steps) == min(count, 100)


def test_small_shares_are_reported_in_whole_steps():
    assert reports([0.004] * 4) == [1]
    assert reports([]) == reports([0.0]) == []


def test_progress_is_limited_to_the_total():
    assert reports([0.9, 0.9, 0.9]) == [90, 100]


def test_no_progress(capsys):
    for progress in (False, np.False_):
        with reporting(progress, "name") as report_progress:
            report_progress(0.5)
    assert capsys.readouterr() == ("", "")


def test_a_bar(monkeypatch):
    tqdm = pytest.importorskip("tqdm")
    seen = []

    class Bar(tqdm.tqdm):
        def update(self, n=1):
            super().update(n)
            seen.append((self.desc, self.n, self.total))

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    with reporting(np.True_, "burst") as report_progress:
        report_progress(0.4)
        report_progress(0.6)
    assert seen == [("burst", 40, 100), ("burst", 100, 100)]


def test_other_values_raise():
    for value in (1, "bar", None):
        message = f"progress must be True, False or a callable, got {value!r}"
        with pytest.raises(TypeError, match=message), reporting(value, "name"):
            pass


def test_errors_of_the_callable_pass():
    def report(done, total):
        raise KeyError(done)

    with pytest.raises(KeyError, match="50"), reporting(report, "name") as report_progress:
        report_progress(0.5)
