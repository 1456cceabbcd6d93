"""Forward operators: blur, missing pixels, decimation, or any linear operator.

A forward operator A maps an image (M, N) to data. The iterations use two of its methods:
``apply(x)``, which is A x, and ``proximal(v, data, weight)``, the minimizer over x of
``|A x - data|**2 + weight |x - v|**2``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop, resources, validate
from fastrestore.inverse.boundary import KINDS, Periodic, conjugate_gradients
from fastrestore.inverse.point_spread import check_psf, transfer_function

MOST_FACTOR = 10_000
BYTES = 200  # of memory for each pixel of the large image
ADJOINT_TOLERANCE = 0.1  # relative; projectors of tomography are not exact


class Forward:
    """A linear operator given by a pair of functions.

    For operators that have no class here, such as the projections of tomography. Its data terms are
    minimized by conjugate gradients.

    Parameters
    ----------
    apply : callable, or scipy.sparse.linalg.LinearOperator
        ``apply(image)`` returns data of any shape. A LinearOperator, such as those of PyLops,
        replaces both functions; it operates on flattened arrays.
    adjoint : callable, optional
        ``adjoint(data)`` returns an image. Required unless `apply` is a LinearOperator.
    shape : (int, int)
        Shape of the image.

    Raises
    ------
    TypeError
        If neither a pair of functions nor a LinearOperator is given.
    ValueError
        If the operator is not one for images of this shape.

    See Also
    --------
    pnp : Restore an image from data of the operator.
    Blur : Convolution.
    Mask : Missing pixels.
    Decimation : Convolution and subsampling.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> means = inverse.Forward(
    ...     lambda image: image.reshape(4, 2, 8).mean(1),
    ...     lambda data: np.repeat(data, 2, 0) / 2,
    ...     shape=(8, 8),
    ... )
    >>> means.apply(np.ones((8, 8))).shape
    (4, 8)
    """

    def __init__(
        self,
        apply: Any,
        adjoint: Callable[[Any], Any] | None = None,
        *,
        shape: tuple[int, int],
    ) -> None:
        height, width = self.shape = validate.shape("shape", shape, 2)
        if hasattr(apply, "matvec") and hasattr(apply, "rmatvec"):
            operator = apply
            if operator.shape[1] != height * width:
                raise ValueError(
                    f"the operator takes {operator.shape[1]} numbers, but an image of shape "
                    f"{self.shape} has {height * width}"
                )
            self._apply: Callable[[Any], Any] = lambda x: operator.matvec(x.reshape(-1))
            self._adjoint: Callable[[Any], Any] = lambda y: operator.rmatvec(y.reshape(-1))
        elif callable(apply) and callable(adjoint):
            self._apply, self._adjoint = apply, adjoint
        else:
            raise TypeError(
                "a forward operator needs two functions, apply and adjoint, or one "
                f"LinearOperator; got {validate.quoted(apply)} and {validate.quoted(adjoint)}"
            )

    def apply(self, image: Any) -> Any:
        """Return the data of an image."""
        return self._apply(image)

    def adjoint(self, data: Any) -> Any:
        """Apply the transposed operator to data."""
        image = self._adjoint(data)
        if image.size != self.shape[0] * self.shape[1]:
            raise ValueError(
                f"adjoint returns shape {image.shape}, but the image has shape {self.shape}"
            )
        return image.reshape(self.shape)

    def prepare(self, data: Any) -> Any:
        """Adapt the data to the model."""
        return data

    def proximal(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data and stay close to an image, by conjugate gradients."""
        residual = data.reshape(self.apply(image).shape) - self.apply(image)
        return image + conjugate_gradients(
            lambda x: self.adjoint(self.apply(x)) + weight * x,
            lambda r: r,
            self.adjoint(residual),
            0 * image,
        )

    def initial_estimate(self, data: Any) -> Any:
        """Return the adjoint of the data, scaled to fit them."""
        back = self.adjoint(data)
        again = self.apply(back)
        power = float((again * again).sum())
        return back * (float((again * data.reshape(again.shape)).sum()) / power if power else 0.0)

    def check(self, data: Any) -> None:
        """Raise if the data have a wrong shape, or `adjoint` is not the adjoint of `apply`.

        The adjoint is tested with one random image.
        """
        rng, namespace = np.random.default_rng(0), interop.namespace(data)
        image = namespace.asarray(rng.standard_normal(self.shape))
        result = self.apply(image)
        if data.size != result.size:
            raise ValueError(
                f"data has shape {data.shape}, but the operator returns shape {result.shape}"
            )
        power, back = float((result * result).sum()), float((image * self.adjoint(result)).sum())
        if not abs(power - back) <= ADJOINT_TOLERANCE * power:
            raise ValueError(
                "adjoint is not the adjoint of apply: for a random image x and y = apply(x), "
                f"<apply(x), y> is {power:.6g} and <x, adjoint(y)> is {back:.6g}"
            )


class Blur(Forward):
    """Convolution with a point spread function.

    The data have the shape of the image.

    Parameters
    ----------
    psf : array, shape (m, n)
        Values of 0 or more with sum 1. The origin is the pixel ``(m // 2, n // 2)``.
    boundary : {"reflect", "periodic", "taper"}
        As for `fastrestore.deblur`.

    Raises
    ------
    ValueError
        If `boundary` is unknown; for an image, if `psf` is not valid or is larger than it.

    See Also
    --------
    pnp : Restore an image from data of the operator.
    Decimation : A blur followed by subsampling.
    fastrestore.deblur : Remove a blur in one call.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> impulse = np.zeros((5, 5))
    >>> impulse[2, 2] = 9
    >>> blurred = inverse.Blur(np.full((3, 3), 1 / 9)).apply(impulse)
    >>> round(float(blurred[1, 1]), 6)
    1.0
    """

    def __init__(self, psf: Any, boundary: str = "reflect") -> None:
        self._psf, self._kind = psf, KINDS[validate.choice("boundary", boundary, KINDS)]
        self._border: Periodic | None = None

    def check(self, data: Any) -> None:
        """Raise if the data are not an image, or the PSF is invalid for it."""
        self.border(data)

    def border(self, data: Any) -> Periodic:
        """Return the boundary of images of this shape."""
        check_two_axes(data)
        if self._border is None or self._border.shape != data.shape:
            self._border = self._kind(check_psf(self._psf, data.shape), data.shape)
        return self._border

    def prepare(self, data: Any) -> Any:
        """Adapt the border of the data to the model."""
        return self.border(data).prepare(data)

    def apply(self, image: Any) -> Any:
        """Convolve with the PSF."""
        return self.border(image).blur(image)

    def adjoint(self, data: Any) -> Any:
        """Correlate with the PSF."""
        return self.border(data).adjoint(data)

    def proximal(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data and stay close to an image, by Fourier transforms."""
        return image + self.border(image).solve(data - self.apply(image), weight)

    def initial_estimate(self, data: Any) -> Any:
        """Return the blurred image."""
        return data.copy()


class Decimation(Forward):
    """Convolution, followed by subsampling: every `factor`-th pixel, from the first, is kept.

    The data have 1 / `factor` of the rows and columns of the image.

    Parameters
    ----------
    psf : array, shape (m, n)
        As for `Blur`, in pixels of the large image.
    factor : int
        Subsampling factor along each axis, 1 to 10000.
    boundary : {"periodic", "reflect"}
        Boundary of the large image, as for `fastrestore.deblur`.

    Raises
    ------
    TypeError, ValueError
        If `factor` is not a whole number from 1 to 10000, or `boundary` is unknown.

    See Also
    --------
    pnp : Restore an image from data of the operator.
    Blur : The convolution alone.
    fastrestore.super_resolve : Increase the resolution in one call.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> inverse.Decimation(np.full((3, 3), 1 / 9), 2).apply(np.ones((12, 16))).shape
    (6, 8)
    """

    def __init__(self, psf: Any, factor: int, boundary: str = "periodic") -> None:
        self._psf = psf
        self.factor = validate.integer("factor", factor, least=1, most=MOST_FACTOR)
        self._kind = KINDS[validate.choice("boundary", boundary, ("periodic", "reflect"))]
        self._border: Periodic | None = None

    def check(self, data: Any) -> None:
        """Raise if the data are not an image, or the PSF is invalid for it."""
        self._border_of_large(data)

    def _border_of_large(self, data: Any) -> Periodic:
        """Return the boundary of the large image that belongs to a small one."""
        check_two_axes(data)
        return self._prepare((self.factor * data.shape[0], self.factor * data.shape[1]))

    def _prepare(self, shape: tuple[int, int]) -> Periodic:
        """Return the boundary of large images of this shape."""
        if self._border is None or self._border.shape != shape:
            psf, factor = check_psf(self._psf, shape), self.factor
            resources.check_memory(BYTES * shape[0] * shape[1], "factor", factor)
            self._border = self._kind(psf, shape)
            values = abs(transfer_function(psf, shape)) ** 2
            rows, columns = (n // factor for n in shape)
            power = values.reshape(factor, rows, factor, columns).mean((0, 2))
            self._power = interop.DeviceCopies(power)
        return self._border

    def apply(self, image: Any) -> Any:
        """Convolve with the PSF and subsample."""
        check_two_axes(image)
        if any(n % self.factor for n in image.shape):
            raise ValueError(
                f"the image has shape {image.shape}, which is not a multiple of "
                f"factor={self.factor}"
            )
        return self._prepare(image.shape).blur(image)[:: self.factor, :: self.factor]

    def adjoint(self, data: Any) -> Any:
        """Insert zeros between pixels and correlate with the PSF."""
        border = self._border_of_large(data)
        spread = interop.namespace(data).zeros(border.shape)
        spread[:: self.factor, :: self.factor] = data
        return border.adjoint(spread)

    def proximal(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data and stay close to an image, by Fourier transforms.

        After Zhao et al., "Fast single image super-resolution using a new analytical solution for
        l2-l2 problems", IEEE Trans. Image Process. 25(8), 2016: A A^T is a convolution of small
        images, whose transfer function is the mean of the aliases of ``|V|**2``. With a mirrored
        border this holds approximately, and preconditions conjugate gradients.
        """
        fft = interop.namespace(image).fft
        residual = data - self.apply(image)
        power = self._power.like(image) + weight

        def invert(small: Any) -> Any:
            return fft.ifft2(fft.fft2(small) / power).real

        if self._kind is Periodic:
            return image + self.adjoint(invert(residual))
        solution = conjugate_gradients(
            lambda small: self.apply(self.adjoint(small)) + weight * small,
            invert, residual, 0 * residual,
        )  # fmt: skip
        return image + self.adjoint(solution)

    def initial_estimate(self, data: Any) -> Any:
        """Interpolate linearly between the pixels of the data."""
        self.check(data)
        rows, columns = (np.arange(self.factor * n) / self.factor for n in data.shape)
        places = interop.namespace(data).asarray(
            np.stack(np.meshgrid(rows, columns, indexing="ij"))
        )
        mode = "grid-wrap" if self._kind is Periodic else "nearest"
        return interop.ndimage(data).map_coordinates(data, places, order=1, mode=mode)


def check_two_axes(data: Any) -> None:
    """Raise unless the data are an image without channels."""
    if data.ndim != 2:
        raise ValueError(
            f"data must have two axes (rows, columns), got shape {data.shape}; restore channels "
            "one at a time, as deblur, inpaint and super_resolve do"
        )
