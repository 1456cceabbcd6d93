"""Write hashes.json, the record of the results of all golden calls.

``python tests/golden/record.py`` is run before a change that must keep results, or after one that
changes them on purpose; the difference of the file then shows which. It needs PyTorch.
"""

import json
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import fingerprint
from calls import CALLS, NETS

import fastrestore

PATH = Path(__file__).with_name("hashes.json")


def result_of(name):
    """Make a golden call."""
    with fastrestore.use_backend("numba"), one_thread(name in NETS):
        return CALLS[name]()


@contextmanager
def one_thread(wanted):
    """Let PyTorch sum in one order, however many processors there are."""
    if not wanted:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def entry(result):
    """What is kept of a result."""
    return {"hash": fingerprint.digest(result), "prints": fingerprint.fingerprint(result)}


def kept():
    """What was recorded."""
    return json.loads(PATH.read_text())


def text(found):
    """One line a call, so that differences can be read."""
    rows = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in found.items()]
    key = json.dumps(fingerprint.platform_key())
    return f'{{"platform": {key},\n"calls": {{\n' + ",\n".join(rows) + "\n}}\n"


def main():
    warnings.simplefilter("error")
    found = {}
    for name in CALLS:
        found[name] = entry(result_of(name))
        print(found[name]["hash"], name)
    PATH.write_text(text(found))


if __name__ == "__main__":
    sys.exit(main())
