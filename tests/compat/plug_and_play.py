"""Print PSNR and time of plug-and-play ADMM of PyProximal with BM3D, after 40 iterations.

    python tests/compat/plug_and_play.py             # fastrestore.compat.bm3d
    python tests/compat/plug_and_play.py --original  # the package bm3d, which must be installed

As in PyProximal's tutorial: 60 % of the frequencies of a phantom, hard thresholding alone.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pylops
import pyproximal
from skimage.data import shepp_logan_phantom
from skimage.transform import resize

import fastrestore.compat

SIDE, ITERATIONS, LEVEL, SHARE = 200, 40, 0.05, 0.6


def main() -> None:
    """Restore the phantom."""
    if "--original" not in sys.argv:
        fastrestore.compat.install()
    import bm3d

    pylops.config.set_ndarray_multiplication(False)  # arrays are flat, as in the tutorial

    clean = resize(shepp_logan_phantom(), (SIDE, SIDE), anti_aliasing=True)
    count = clean.size
    kept = np.sort(np.random.default_rng(0).permutation(count)[: round(SHARE * count)])
    sampling = pylops.Restriction(count, kept, dtype=np.complex128)
    operator = sampling * pylops.signalprocessing.FFT2D(dims=clean.shape)
    data = operator * clean.ravel()
    spent = []

    def denoise(image, tau):
        start = time.perf_counter()
        result = bm3d.bm3d(
            np.real(image),
            sigma_psd=LEVEL * tau,
            stage_arg=bm3d.BM3DStages.HARD_THRESHOLDING,
        )
        spent.append(time.perf_counter() - start)
        return result

    if "--original" not in sys.argv:
        denoise(clean, 1.0)  # compile
        spent.clear()
    fit = pyproximal.proximal.L2(Op=operator, b=data, niter=50, warm=True)
    restored = pyproximal.optimization.pnp.PlugAndPlay(
        fit,
        denoise,
        clean.shape,
        solver=pyproximal.optimization.primal.ADMM,
        tau=1.0,
        x0=np.zeros(count, dtype=np.complex128),
        niter=ITERATIONS,
    )[0]
    error = np.real(restored).reshape(clean.shape) - clean
    psnr = -10 * np.log10(np.mean(error**2))
    print(f"{bm3d.__name__}: {psnr:.2f} dB, {sum(spent):.2f} s in {len(spent)} calls")


if __name__ == "__main__":
    main()
