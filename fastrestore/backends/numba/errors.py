"""Expected error of Wiener filtering on the CPU: compiled kernels for bands, on threads."""

from __future__ import annotations

import threading

import numpy as np

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.numba import _backward_groups, _errors, _merge
from fastrestore.backends.numba._match import narrow
from fastrestore.backends.numba.backward import Call, Part, tables_of
from fastrestore.backends.protocol import MEASURES, Execution, Matches, Stage

__all__ = ["bm3d_errors"]


def bm3d_errors(
    pilot: Channels, matches: Matches, stage: Stage, execution: Execution
) -> FloatArray:
    """See `fastrestore.backends.protocol.Backend`."""
    call = Call((pilot, pilot), narrow(matches), stage, execution, tables_of(stage))
    kernel = _errors.errors_kernel(stage.block, call.kinds[2])
    channels, height, width = pilot.shape
    corners = width - stage.block + 1, height - stage.block + 1
    total, lock = np.zeros((1 + MEASURES, channels, *corners)), threading.Lock()

    def work(part: Part) -> None:
        c = part[0]
        if stage.variances[c] == 0:
            return  # there is no error
        y, x, groups = call.place(part)
        blocks = call.lifted(pilot[c], y, x, stage.forward.T)
        sums = np.zeros((1 + MEASURES, len(x), len(y)))
        kernel(
            blocks, groups, call.tables[c], call.scale(c, y, x),
            np.float32(1 / stage.variances[c]), sums,
            _backward_groups.scratch(stage.block, stage.group),
        )  # fmt: skip
        with lock:  # sums are exact: the order of parts does not matter
            for k in range(1 + MEASURES):
                _merge.merge(total[k, c], sums[k], x.start, y.start, len(y))

    call.run(work)
    return total.transpose(0, 1, 3, 2)
