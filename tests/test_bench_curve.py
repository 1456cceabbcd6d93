"""Files and figures of `bench/curve.py`, from rows as pytest-benchmark saves them."""

import itertools
import json
from pathlib import Path

import pytest

PROFILES = {"fast": (0.017, 29.4), "lc": (0.050, 29.8), "balanced": (0.055, 29.84),
            "np": (0.15, 29.96), "vn": (0.11, 29.9), "refilter": (0.4, 29.96)}  # fmt: skip
PEERS = {("bm3d", "np"): (7.0, 29.9), ("BM3DCPU", "step 8, range 9"): (0.016, 29.1),
         ("opencv-python-headless", "NlMeans"): (0.055, 29.82),
         ("scikit-image", "nl_means"): (0.056, 29.81)}  # fmt: skip


@pytest.fixture(scope="module")
def curve():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "bench")
        import curve

        return curve


def row(program, setting, seconds, psnr):
    info = {"kind": "gray", "program": program, "setting": setting, "version": "1.2", "threads": 2,
            "sigma": 25.0, "psnr_db": psnr, "processor_s": 2 * seconds, "numpy": "2.4",
            "numba": "0.68", "fastrestore": "0.1", "usable_cpus": 2}  # fmt: skip
    if program == "BM3DCPU":
        info["level"] = 34.0
    stats = {"median": seconds, "min": seconds, "rounds": 3, "data": [seconds] * 3}
    return {"name": f"test_curve[{program}-{setting}]", "group": "curve", "stats": stats,
            "extra_info": info, "params": {}}  # fmt: skip


def saved(path, rows):
    machine = {"node": "secret", "cpu": {"brand_raw": "A CPU", "count": 2, "flags": ["avx"]},
               "python_version": "3.11"}  # fmt: skip
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": rows}))
    return path


def rows():
    own = [row("fastrestore", name, *found) for name, found in PROFILES.items()]
    return own + [row(*key, *found) for key, found in PEERS.items()]


def test_files_from_saved_rows(curve, tmp_path, monkeypatch, capsys):
    other = {"name": "test_bm3d[512]", "group": "np", "stats": {}, "extra_info": {"psnr_db": 3}}
    first = saved(tmp_path / "first.json", [*rows(), other])
    again = saved(tmp_path / "again.json", [row("fastrestore", "np", 0.14, 29.97)])
    argv = ["curve.py", "--json", str(first), str(again), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", argv)
    curve.main()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["curve-gray-dark.svg", "curve-gray-light.svg", "curve-gray.png",
                     "curve-gray.txt", "curve.json"]  # fmt: skip
    text = (tmp_path / "out" / "curve-gray.txt").read_text()
    assert text in capsys.readouterr().out
    assert "sigma 25 of 255, float32; 2 threads on A CPU (2 processors); Python 3.11" in text
    assert "at the noise level with its highest PSNR, 34 (step 8, range 9)" in text
    assert "| fastrestore 1.2 | np | 140.0 | 280.0 | 29.97 |" in text
    assert text.count("| fastrestore") == len(PROFILES)
    svg = (tmp_path / "out" / "curve-gray-dark.svg").read_text()
    assert all(f">{name}<" in svg for name in [*PROFILES, "OpenCV NlMeans", "nl_means"])
    kept = (tmp_path / "out" / "curve.json").read_text()
    assert "secret" not in kept
    argv[2:4] = [str(tmp_path / "out" / "curve.json")]
    curve.main()  # reads what it wrote
    assert (tmp_path / "out" / "curve.json").read_text() == kept
    assert (tmp_path / "out" / "curve-gray-dark.svg").read_text() == svg


def test_files_without_rows_of_the_curve(curve, tmp_path, monkeypatch):
    path = saved(tmp_path / "first.json", [])
    monkeypatch.setattr("sys.argv", ["curve.py", "--json", str(path), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="these files have no rows of"):
        curve.main()


def test_labels_do_not_overlap(curve):
    figure = curve.curve_figure.draw(rows(), "light")
    axes = figure.axes[0]
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in [*axes.texts, axes.get_legend()]]
    assert len(boxes) == len(PROFILES) + len(PEERS) + 1
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
