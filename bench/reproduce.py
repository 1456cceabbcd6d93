"""Print the figures of README.md and of the documentation, group by group.

    python bench/reproduce.py --list
    python bench/reproduce.py [GROUP ...] [--data DIR] [--write]

DIR holds the folders of test sets, such as Set12, and is named in what is printed. Each group runs
one command of bench/ and takes figures from the tables that it prints. A group whose folder or peer
is missing is skipped, with a line that says so. With `--write`, figures, processor and commit go to
`bench/reproduce.json`, and from there into the pages, where a figure stands between two comments:

    <!--set12-->32.41 / 30.01 / 26.77 dB<!--/-->

`--pages` only copies the figures of the file into the pages. Times are for a computer that does
nothing else: they are groups of their own, whose names end in "-time".
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from reproduce_groups import GROUPS

import fastrestore

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "bench/reproduce.json"
MARKED = re.compile(r"<!--([\w-]+)-->([^<>]*)<!--/-->")


def main():
    """Run the groups, print their figures, and write them if asked to."""
    options = arguments()
    if options.list:
        print(*(f"{name:18} {group.command}" for name, group in GROUPS.items()), sep="\n")
        return
    for name in [] if options.pages else options.groups or GROUPS:
        reason = why_not(GROUPS[name], options.data)
        if reason:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        entry = measured(name, GROUPS[name], options.data)
        if options.write:
            write(name, entry)
    if options.write or options.pages:
        for page in pages():
            fill(page, figures(read()))


def arguments():
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description="print the figures of the documentation")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="by default all")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of test sets")
    parser.add_argument("--list", action="store_true", help="print groups and their commands")
    parser.add_argument("--write", action="store_true", help="write the file and the pages")
    parser.add_argument("--pages", action="store_true", help="write the pages from the file")
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"there is no group {min(unknown)!r}; --list prints all")
    return options


def why_not(group, data):
    """Return why a group cannot run, or an empty string."""
    for needed in group.needs:
        if data is None or not (data / needed).exists():
            return f"there is no {data / needed if data else f'--data DIR with {needed}'}"
    for package in group.packages:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return ""


def measured(name, group, data):
    """Run the command of a group; print and return its figures."""
    shown = f"python {group.command}"
    print(f"{name}: {shown.replace('DIR', str(data))}", flush=True)
    command = [sys.executable, *shlex.split(group.command.replace("DIR", str(data)))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found = {key: figure(rows_of(run.stdout)) for key, figure in group.figures.items()}
    print(*(f"  {key:24} {value}" for key, value in found.items()), sep="\n", flush=True)
    return {"command": shown, "figures": found, "measured by": "bench/reproduce.py", **origin()}


def origin():
    """Return processor, versions and commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "python": platform.python_version(),
        "fastrestore": fastrestore.__version__,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
    }


def processor():
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


def rows_of(text):
    """Return the rows of the tables in a text: the heads of the columns, and the cells."""
    rows, heads = [], []
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            heads = []
        elif re.match(r"\| *:?-{3}", after):
            heads = cells
        elif heads and not re.match(r"\| *:?-{3}", line):
            rows.append((heads, cells))
    return rows


def read():
    """Return the groups of the file."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def write(name, entry):
    """Write the entry of a group; other groups, measured meanwhile, stay."""
    text = json.dumps(read() | {name: entry}, indent=1, sort_keys=True) + "\n"
    RECORD.write_text(text, encoding="utf-8")


def figures(record):
    """Return all figures by key."""
    return {key: text for entry in record.values() for key, text in entry["figures"].items()}


def pages():
    """Return the pages whose figures are measured: not decisions, which record what once was."""
    places = (
        "*.md",
        "bench/README.md",
        "docs/*.md",
        "docs/*/*.md",
        "fastrestore/nets/weights/*.md",
    )
    found = {path for place in places for path in ROOT.glob(place)}
    history = {ROOT / "CHANGELOG.md", *ROOT.glob("docs/decisions/*.md")}
    return sorted(found - history)


def fill(page, known):
    """Write the figures into a page."""
    text = page.read_text(encoding="utf-8")
    new = MARKED.sub(lambda found: f"<!--{found[1]}-->{known[found[1]]}<!--/-->", text)
    if new != text:
        page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
