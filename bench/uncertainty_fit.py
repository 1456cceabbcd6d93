"""Fit the constants of `info.std` to photographs, and print them.

    python bench/uncertainty_fit.py --images DIR --list FILE [--count 90]

FILE lists photographs of BSDS500, relative to DIR, that are in no test set. Each gets some of 13
kinds of noise: white noise of 10 to 60, and the kernels of `correlated.py`. The loss is that of the
quantile of 95 % and of the likelihood, and squares of deviations from 95 % by kind of noise in
deciles of the true brightness and of the true standard deviation of 7x7 pixels, and of images. A
share of 94.6 % is sought, because photographs that were not fitted have more extreme ones.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from correlated import VARIANCE
from photographs import gray
from uncertainty import classes, deviation, with_noise

import fastrestore
from fastrestore._collaborative import uncertainty

KINDS = ("10", "15", "20", "25", "30", "40", "50", "60", "g1", "g2", "g3", "g4", "b2")
SAMPLES, MOST = 8000, 700_000  # pixels of a result, and of all
SHARE, QUANTILE, SOFTNESS, SLACK = 5, 0.946, 0.07, 0.002
LIKELIHOOD, SQUARES, POOLED, EACH = 0.3, 30.0, 10.0, 0.1  # weights
OUTLIER = 12.5  # limit of a squared error, relative to twice the variance


def main():
    """Print the table of features, and the constants."""
    parser = argparse.ArgumentParser(description="constants of the map of uncertainty")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--list", type=Path, required=True, metavar="FILE")
    parser.add_argument("--count", type=int, default=90)
    options = parser.parse_args()
    names = np.random.default_rng(123).permutation(options.list.read_text("utf-8").split())
    data, weights = gathered([options.images / name for name in names[: options.count]])
    keep = np.random.default_rng(1).permutation(len(data["error"]))[:MOST]
    data = {name: values[..., keep] for name, values in data.items()}
    usual = usual_values(data["quantities"])
    for name, each in zip(uncertainty.FEATURES, usual, strict=True):
        print(f'"{name}": Feature({", ".join(f"{float(value):g}" for value in each)}),')
    constants = fitted(data, design(data["quantities"], usual), weights)
    print(", ".join(f"{each:.3f}" for each in constants))


def gathered(paths):
    """Return quantities (4, pixels) relative to the noise, and errors and classes of pixels."""
    kept, rng = [], np.random.default_rng(0)
    inner = uncertainty.features

    def recording(quantities, noise):
        kept[:] = [each[0] / noise[0] for each in quantities]
        return inner(quantities, noise)

    uncertainty.features = recording
    rows, order = [], []
    for k, path in enumerate(paths):
        clean = gray(path)
        local = deviation(clean)
        while len(order) < SHARE:
            order += list(rng.permutation(len(KINDS)))
        for kind in order[:SHARE]:
            noisy, arguments = with_noise(clean, KINDS[kind], 1000 * k + kind)
            restored = fastrestore.bm3d(
                noisy, **arguments, return_info=True, uncertainty=True, backend="numba"
            )[0]
            level = float(KINDS[kind]) if "sigma" in arguments else 255 * VARIANCE**0.5
            where = rng.choice(clean.size, SAMPLES, replace=False)
            maps = (*kept, (restored - clean) / level, clean, local)
            place = np.full((2, SAMPLES), [[kind], [k * len(KINDS) + kind]])
            rows.append(np.vstack([*(each.ravel()[where] for each in maps), place]))
        order = order[SHARE:]
    every = np.concatenate(rows, 1)
    kind = every[7].astype(int)
    cells = [(kind, 1.0), (every[8].astype(int), EACH)]
    for values in every[5:7]:
        decile = classes([values])[0].astype(int)
        cells += [(decile * len(KINDS) + kind, 1.0), (decile, POOLED)]
    places, weights = zip(*cells, strict=True)
    return {"quantities": every[:4], "error": every[4], "cells": np.array(places)}, weights


def usual_values(quantities):
    """Return the fields of `Feature` of each quantity."""
    rows = []
    for old, values in zip(uncertainty.FEATURES.values(), quantities, strict=True):
        logarithm = np.log(np.maximum(values, 0) + old.least)
        mean, spread = np.round([logarithm.mean(), logarithm.std()], 2)
        low, high = np.quantile((logarithm - mean) / spread, [0.0003, 0.9997])
        rows.append((old.least, mean, spread, np.floor(10 * low) / 10, np.ceil(10 * high) / 10))
    return rows


def design(quantities, usual):
    """Return the terms of the polynomial, (pixels, 15)."""
    found = []
    for (least, mean, spread, low, high), values in zip(usual, quantities, strict=True):
        logarithm = np.log(np.maximum(values, 0) + least)
        found.append(np.clip((logarithm - mean) / spread, low, high))
    pairs = itertools.combinations_with_replacement(found, 2)
    return np.stack([np.ones(len(found[0])), *found, *(a * b for a, b in pairs)], 1)


def fitted(data, terms, weights):
    """Return the constants with the least loss."""
    terms, error, cells = (
        torch.tensor(each, dtype=torch.float32)
        for each in (terms, np.abs(data["error"]), data["cells"])
    )
    half = (error / 2 + 1e-5).log()
    constants = torch.zeros(terms.shape[1])
    constants[0] = float(half[:100_000].quantile(0.95))
    constants.requires_grad_()
    groups = [(each.long(), torch.bincount(each.long()).float()) for each in cells]
    descent = torch.optim.LBFGS(
        [constants], max_iter=150, line_search_fn="strong_wolfe", history_size=20
    )

    def loss():
        descent.zero_grad()
        level = terms @ constants
        beyond = half - level
        total = torch.where(beyond > 0, QUANTILE * beyond, (QUANTILE - 1) * beyond).mean()
        relative = (error.square() * (-2 * level).exp() / 2).clamp(max=OUTLIER)
        total = total + LIKELIHOOD * (level + relative).mean()
        inside = torch.sigmoid(-beyond / SOFTNESS)
        for (places, counts), weight in zip(groups, weights, strict=True):
            sums = torch.zeros(len(counts)).index_add(0, places, inside)
            off = ((sums / counts.clamp(min=1) - QUANTILE).abs() - SLACK).relu()
            total = total + SQUARES * weight * off[counts > 0].square().mean()
        total.backward()
        return total

    descent.step(loss)
    return constants.detach().numpy()


if __name__ == "__main__":
    main()
