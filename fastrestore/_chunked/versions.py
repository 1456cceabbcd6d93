"""Versions of the package: workers need that of the process that builds a graph."""

from __future__ import annotations

import socket
import sys

import fastrestore

# Evaluated by workers that may lack the package: a function of the package cannot be sent to them,
# and they would wait for tasks forever
_VERSION = "__import__('fastrestore').__version__"

_verified: set[tuple[str, frozenset[str]]] = set()  # clients and their workers


def own() -> str:
    """Return the version of this process."""
    return fastrestore.__version__


def check(version: str) -> None:
    """Raise if a graph was built by another version, whose results may differ."""
    if version != own():
        raise RuntimeError(
            f"fastrestore {own()} on this worker, {socket.gethostname()}, and the graph is of "
            f"fastrestore {version}; install the same version on all workers"
        )


def check_workers() -> None:
    """Raise if workers of the cluster in use lack the package, or have another version."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return
    try:
        client = distributed.default_client()
    except ValueError:  # there is none
        return
    if client.asynchronous or client.status != "running":  # such as one that found no scheduler
        return
    known = client.id, frozenset(client.nthreads())
    if known in _verified:
        return
    answers = client.run(eval, _VERSION, on_error="return")
    wrong = {address: answer for address, answer in answers.items() if answer != own()}
    if not wrong:
        _verified.add(known)
        return
    address, answer = next(iter(wrong.items()))
    found = answer if isinstance(answer, str) else f"none ({answer})"
    raise RuntimeError(
        f"{len(wrong)} of {len(answers)} workers lack fastrestore {own()}: {address} has {found}; "
        "install the same version on all workers"
    )
