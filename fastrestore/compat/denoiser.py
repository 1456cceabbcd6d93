"""BM3D as a denoiser for plug-and-play packages."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np

import fastrestore
from fastrestore._arrays import validate


class Denoiser:
    """BM3D as a function of an image and a noise level, for plug-and-play packages.

    It is called as ``denoiser(x, sigma)`` by PyProximal and DeepInverse, and has the method of a
    functional of SCICO and of a function of CIL.

    Parameters
    ----------
    **options
        Arguments of `fastrestore.bm3d` other than the image and the noise, such as ``stage``,
        ``strength``, ``profile`` or ``channel_axis``.

    Attributes
    ----------
    has_eval, has_prox : bool
        For SCICO: there is a proximal operator, and no value.

    Raises
    ------
    TypeError
        If an option is not one of `fastrestore.bm3d`, or gives the image or the noise.

    See Also
    --------
    fastrestore.bm3d : Remove noise from an image.
    fastrestore.nets.BM3D : The same as a PyTorch module.
    fastrestore.inverse.pnp : Plug-and-play restoration of this library.

    Notes
    -----
    PyTorch tensors with four axes are batches (B, C, M, N), with one `sigma` or one for each image.
    Where they require gradients, the result has those of `fastrestore.nets.BM3D`. Arrays of JAX may
    be traced, as by `jax.jit`, but have no derivatives. The real and imaginary parts of complex
    arrays are denoised one by one.

    A denoiser times a number multiplies each `sigma` by it, as the product of a functional and a
    number does in SCICO.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore.compat
    >>> denoiser = fastrestore.compat.Denoiser(stage="basic")
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(denoiser(noisy, 0.1).std() < 0.03)
    True
    """

    has_eval = False
    has_prox = True

    def __init__(self, **options: Any) -> None:
        wrong = {"image", "sigma", "psd", "noise_kernel", "noise", "return_info"} & options.keys()
        if wrong:
            raise TypeError(
                f"Denoiser has no option {min(wrong)}: the image and sigma are given in each call"
            )
        unknown = options.keys() - inspect.signature(fastrestore.bm3d).parameters.keys()
        if unknown:
            raise TypeError(
                f"Denoiser has no option {min(unknown)}: its options are those of fastrestore.bm3d"
            )
        self._options = options
        self._scale = 1.0

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        scale = "" if self._scale == 1 else f" * {self._scale!r}"
        return f"Denoiser({options}){scale}"

    def __mul__(self, factor: Any) -> Denoiser:
        """Return a denoiser that multiplies sigma by a number."""
        if np.ndim(factor) or not np.isrealobj(factor) or isinstance(factor, (str, Denoiser)):
            return NotImplemented
        number = float(factor)
        if not 0 <= number < np.inf:
            raise ValueError(f"a denoiser can be multiplied by a number of 0 or more, got {factor}")
        scaled = copy.copy(self)
        scaled._scale = self._scale * number
        return scaled

    __rmul__ = __mul__

    def __call__(self, x: Any, sigma: Any) -> Any:
        """Remove noise.

        Parameters
        ----------
        x : array
            Noisy image of any array library, or a batch (B, C, M, N) of PyTorch.
        sigma : float or array
            Standard deviation of the noise.

        Returns
        -------
        array, shape of `x`
            Estimate of the clean image, of the same kind. Floats keep their type.
        """
        return self._restored(x, sigma if self._scale == 1 else sigma * self._scale)

    def _restored(self, x: Any, sigma: Any) -> Any:
        """Remove noise of a level that has been multiplied."""
        library = type(x).__module__.partition(".")[0]
        if library in ("jax", "jaxlib"):
            return self._of_jax(x, sigma)
        if library == "torch" and x.ndim == 4:
            return self._of_batch(x, sigma)
        if getattr(x, "dtype", None) in (np.complex64, np.complex128):
            return self._restored(x.real, sigma) + 1j * self._restored(x.imag, sigma)
        return fastrestore.bm3d(x, sigma, **self._options)

    def prox(self, v: Any, lam: float = 1.0, **others: Any) -> Any:
        """Remove noise, as a functional of SCICO.

        Parameters
        ----------
        v : array
            Noisy image.
        lam : float
            Standard deviation of the noise.
        **others
            Without effect, such as an initial estimate.

        Returns
        -------
        array, shape of `v`
            Estimate of the clean image.
        """
        return self(v, lam)

    def conj_prox(self, v: Any, lam: float = 1.0, **others: Any) -> Any:
        """Return what `prox` removes, scaled as for the convex conjugate in SCICO.

        Parameters
        ----------
        v : array
            Noisy image.
        lam : float
            Parameter of the conjugate, above 0; the noise of ``v / lam`` has the standard deviation
            ``1 / lam``.
        **others
            Without effect, such as an initial estimate.

        Returns
        -------
        array, shape of `v`
            ``v - lam * prox(v / lam, 1 / lam)``, by Moreau's decomposition.
        """
        if isinstance(lam, (int, float)) and not lam > 0:
            raise ValueError(f"lam must be a number above 0, got {lam}")
        return v - lam * self.prox(v / lam, 1.0 / lam, **others)

    def proximal(self, x: Any, tau: float, out: Any = None) -> Any:
        """Remove noise, as a function of CIL.

        Parameters
        ----------
        x : object with the methods ``as_array`` and ``copy``
            Noisy image, such as an `ImageData`.
        tau : float
            Standard deviation of the noise; the option ``strength`` multiplies it.
        out : object with the method ``fill``, optional
            Container of the result.

        Returns
        -------
        object
            `out`, or a copy of `x` with the result.
        """
        if not hasattr(x, "as_array"):
            raise TypeError(
                f"x must be a container of CIL, with the method as_array, got "
                f"{validate.quoted(x)}; for an array write denoiser(x, tau)"
            )
        result = x.copy() if out is None else out
        result.fill(self(x.as_array(), tau))
        return result

    def _of_jax(self, x: Any, sigma: Any) -> Any:
        """Denoise an array of JAX on the host, when the values are known."""
        import jax

        def on_host(values: Any, level: Any) -> Any:
            restored = self._restored(np.asarray(values), np.asarray(level))
            return np.asarray(restored, dtype=x.dtype)

        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(on_host, shape, x, sigma, vmap_method="sequential")

    def _of_batch(self, x: Any, sigma: Any) -> Any:
        """Denoise a batch of images, with gradients if they are asked for."""
        import torch

        differentiable = x.requires_grad or getattr(sigma, "requires_grad", False)
        if differentiable and torch.is_grad_enabled():
            return fastrestore.nets.BM3D(**self._options)(x, sigma)
        levels = sigma.detach().cpu().numpy() if hasattr(sigma, "detach") else sigma
        if np.size(levels) not in (1, len(x)):
            raise ValueError(
                f"sigma must be a number, or one for each of {len(x)} images, got an array of "
                f"shape {np.shape(levels)}"
            )
        if np.ndim(levels):
            levels = np.broadcast_to(np.reshape(levels, -1), len(x)).tolist()
        axes = {"batch_axis": 0, "channel_axis": 1}
        return fastrestore.bm3d(x.detach(), levels, **axes | self._options)
