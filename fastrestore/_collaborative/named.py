"""The named profiles: what differs from "np"."""

from __future__ import annotations

from typing import Any

NAMED: dict[str, dict[str, Any]] = {
    "np": {},
    "refilter": {"residual": 1.35, "match_correlation_final": 0.5},
    "iterative": {"iterations": 4},
    "fast": {
        "step_basic": 8,
        "radius_basic": 5,
        "group_basic": 8,
        "step_final": 6,  # less than a block: without overlap 0.3 dB are lost
        "radius_final": 5,
        "group_final": 8,
    },
    "lc": {
        "step_basic": 6,
        "radius_basic": 12,
        "step_final": 5,
        "radius_final": 12,
        "group_final": 16,
    },
    # At the knee of the curve of time and PSNR of 24 combinations of steps, radii and sizes of
    # groups, on photographs of BSDS500 that are in no test set, gray and in color, sigma 15 to 50
    "balanced": {
        "step_basic": 5,
        "radius_basic": 12,
        "step_final": 4,
        "radius_final": 12,
        "group_final": 16,
    },
    "high": {"step_basic": 2, "step_final": 2},
    "video": {
        "step_basic": 6,
        "radius_basic": 7,
        "match_basic": 1000.0,
        "step_final": 5,
        "radius_final": 7,
        "group_final": 16,
        "match_final": 1000.0,
        "match_noise_final": 0.5,
        "wiener": 0.6,
    },
    "volume": {
        "block_basic": 4,
        "step_basic": 2,
        "radius_basic": 7,
        "match_basic": 700.0,
        "match_noise_basic": 2.5,
        "slices_final": 5,
        "block_final": 5,
        "radius_final": 7,
        "match_final": 300.0,
        "match_noise_final": 0.1,
    },
    "vn": {
        "step_basic": 4,
        "group_basic": 32,
        "match_basic": 25000.0,
        "block_final": 11,
        "step_final": 6,
        "match_final": 3500.0,
    },
    # Segments of a signal, which is an image of one row. Transforms were selected on drawings of
    # `bench/axes.py` with other seeds, and on the signals of Donoho and Johnstone in PyWavelets.
    "signal": {
        "block_basic": (64,),
        "step_basic": (24,),
        "radius_basic": (64,),
        "transform_basic": "bior1.3",
        "block_final": (64,),
        "step_final": (24,),
        "radius_final": (64,),
        "transform_final": "bior2.4",
    },
    # Blocks of a volume over time: (time, slices, rows, columns). Matching thresholds were selected
    # on drawings of `bench/axes.py` with other seeds.
    "time": {
        "block_basic": (2, 4, 4, 4),
        "step_basic": (1, 3, 3, 3),
        "radius_basic": (1, 5, 5, 5),
        "match_basic": 1000.0,
        "match_noise_basic": 2.5,
        "block_final": (2, 4, 4, 4),
        "step_final": (1, 3, 3, 3),
        "radius_final": (1, 5, 5, 5),
        "match_final": 800.0,
        "match_noise_final": 0.3,
    },
}
