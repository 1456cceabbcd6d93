"""Draw time against PSNR of all profiles of `bm3d`, of networks and of peers, gray and in color.

    python bench/curve.py [--out build/curve] [--select EXPRESSION]
    python bench/curve.py --json FILE [FILE ...]

Without `--json` this first runs `pytest bench/test_curve.py` with as many threads as there are
processors, which takes about three minutes. `--select` is the `-k` of pytest, for a part of the
rows. With `--json` it draws files of pytest-benchmark (`--benchmark-json`, `--benchmark-autosave`);
of a row in several files the last one counts. Peers that are not installed are left out; BM3DCPU
needs a Python of its own, see `bm3dcpu.py`.

For both kinds it writes SVG files for light and dark pages, a PNG file, and caption and table,
which it also prints. `curve.json` has the rows in the format of pytest-benchmark. The documentation
shows the files in `docs/guide/curve`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import curve_figure

HERE = Path(__file__).resolve().parent
# What is kept of a row; the file of pytest-benchmark has much more, and the name of the computer
INFO = ("kind", "program", "version", "setting", "threads", "sigma", "level", "psnr_db",
        "processor_s", "fastrestore", "numba", "numpy", "commit")  # fmt: skip
IMAGES = {"gray": "skimage.data.camera, gray", "color": "skimage.data.astronaut, color"}


def main():
    """Measure or read, write the files, and print table and caption."""
    parser = argparse.ArgumentParser(description="time against PSNR of profiles and peers")
    parser.add_argument("--json", type=Path, nargs="+", metavar="FILE", help="draw these")
    parser.add_argument("--select", default="", metavar="EXPRESSION", help="only some of the rows")
    parser.add_argument("--out", type=Path, default=Path("build/curve"), metavar="DIR")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = merged(options.json) if options.json else measured(options.select)
    if not data["benchmarks"]:
        sys.exit("these files have no rows of bench/test_curve.py")
    text = json.dumps(data, indent=1)
    Path(options.out, "curve.json").write_text(text + "\n", encoding="utf-8")
    for kind in IMAGES:
        rows = [row for row in data["benchmarks"] if row["extra_info"]["kind"] == kind]
        if rows:
            write(kind, rows, data["machine_info"], options.out / f"curve-{kind}")


def write(kind, rows, machine, stem):
    """Write the files of a kind of image, and print caption and table."""
    text = f"{caption(kind, rows, machine)}\n\n{table(rows)}\n"
    Path(f"{stem}.txt").write_text(text, encoding="utf-8")
    paths = curve_figure.write(rows, stem)
    print(text, *paths, sep="\n", end="\n\n")


def measured(select):
    """Run the rows; return them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.json")
        command = [sys.executable, "-m", "pytest", str(HERE / "test_curve.py"), "--benchmark-only"]
        command += [f"--benchmark-json={path}", "-q", "-k", select]
        subprocess.run(command, check=True, cwd=HERE.parent)
        return merged([path])


def merged(paths):
    """Return the rows of files of pytest-benchmark, without what is not needed."""
    rows, machine = {}, {}
    for path in paths:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = {row["name"]: reduced(row) for row in data["benchmarks"]
                 if "setting" in row["extra_info"]}  # fmt: skip
        rows |= found
        if found:
            given = data["machine_info"]
            machine = {"cpu": {key: given["cpu"].get(key) for key in ("brand_raw", "count")},
                       "python_version": given["python_version"]}  # fmt: skip
    return {"machine_info": machine, "benchmarks": list(rows.values())}


def reduced(row):
    """Return name, time and description of a row."""
    stats = {key: row["stats"][key] for key in ("median", "min", "rounds")}
    info = {key: row["extra_info"][key] for key in INFO if key in row["extra_info"]}
    return {"name": row["name"], "group": row["group"], "stats": stats, "extra_info": info}


def table(rows):
    """Return the rows as a table, in the order of their times."""
    lines = ["| program | setting | ms | ms of all processors | PSNR in dB |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for row in sorted(rows, key=lambda row: row["stats"]["median"]):
        info = row["extra_info"]
        times = f"{1e3 * row['stats']['median']:.1f} | {1e3 * info['processor_s']:.1f}"
        name = f"{info['program']} {info['version']}"
        lines += [f"| {name} | {info['setting']} | {times} | {info['psnr_db']:.2f} |"]
    return "\n".join(lines)


def caption(kind, rows, machine):
    """Describe image, noise, computer, threads and versions."""
    infos = [row["extra_info"] for row in rows]
    first = infos[0]
    cpu = machine["cpu"]
    text = (
        f"{IMAGES[kind]}, 512x512, white noise of sigma {first['sigma']:g} of 255, float32; "
        f"{first['threads']} threads on {cpu['brand_raw']} ({cpu['count']} processors); "
        f"Python {machine['python_version']}, NumPy {first['numpy']}, Numba {first['numba']}. "
        "Times are medians of whole calls without the first one, of `bm3d` those of one call. "
        "PSNR is of results that are not clipped. The profiles vn and refilter are for very strong "
        "and for correlated noise. Parameters of scikit-image and OpenCV are those with the "
        "highest PSNR."
    )
    if any(info["program"] == "BM3DCPU" for info in infos):
        levels = ", ".join(f"{i['level']:g} ({i['setting']})" for i in infos if "level" in i)
        text += (
            " BM3DCPU filters a frame on one thread: its time is that of a frame while "
            f"{first['threads']} are filtered, at the noise level with its highest PSNR, {levels}."
        )
    return text


if __name__ == "__main__":
    main()
