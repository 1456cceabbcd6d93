"""What was done to an image: blurred, cut into, made smaller, or anything linear.

A forward operator A maps an image (M, N) to data. For the algorithms each has two operations:
``apply(x)``, which is A x, and ``near(v, data, weight)``, the minimiser of
``|A x - data|**2 + weight |x - v|**2``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore.inverse import point_spread
from fastrestore.inverse.boundary import KINDS, Periodic, conjugate_gradients

BOUNDARIES = tuple(KINDS)
ADJOINT = 0.1  # how far off an adjoint may be: projectors of tomography are not exact


class Forward:
    """Any linear operator, by a pair of functions.

    Parameters
    ----------
    apply : callable, or scipy.sparse.linalg.LinearOperator
        ``apply(image)`` gives data of any shape. A LinearOperator, such as those of PyLops, has
        both functions, on flat arrays.
    adjoint : callable, optional
        ``adjoint(data)`` gives an image.
    shape : (int, int)
        That of the image.

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
        self.shape = _shape(shape)
        if hasattr(apply, "matvec") and hasattr(apply, "rmatvec"):
            operator = apply
            if operator.shape[1] != self.shape[0] * self.shape[1]:
                raise ValueError(
                    f"the operator takes {operator.shape[1]} numbers, an image of shape "
                    f"{self.shape} has {self.shape[0] * self.shape[1]}"
                )
            self._apply: Callable[[Any], Any] = lambda x: operator.matvec(x.reshape(-1))
            self._adjoint: Callable[[Any], Any] = lambda y: operator.rmatvec(y.reshape(-1))
        elif callable(apply) and callable(adjoint):
            self._apply, self._adjoint = apply, adjoint
        else:
            raise TypeError(
                "a forward operator needs two functions, apply and adjoint, or one "
                f"LinearOperator; got {apply!r:.60} and {adjoint!r:.60}"
            )

    def apply(self, image: Any) -> Any:
        """What becomes of an image."""
        return self._apply(image)

    def adjoint(self, data: Any) -> Any:
        """The transposed operator."""
        image = self._adjoint(data)
        if image.size != self.shape[0] * self.shape[1]:
            raise ValueError(f"adjoint gives shape {image.shape}, the image has {self.shape}")
        return image.reshape(self.shape)

    def brought(self, data: Any) -> Any:
        """Data as the model has them."""
        return data

    def near(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data, and stay near an image: by conjugate gradients."""
        rest = data.reshape(self.apply(image).shape) - self.apply(image)
        return image + conjugate_gradients(
            lambda x: self.adjoint(self.apply(x)) + weight * x,
            lambda r: r,
            self.adjoint(rest),
            0 * image,
        )

    def start(self, data: Any, _: float) -> Any:
        """A first image: the adjoint, scaled to fit."""
        back = self.adjoint(data)
        again = self.apply(back)
        power = float((again * again).sum())
        return back * (float((again * data.reshape(again.shape)).sum()) / power if power else 0.0)

    def check(self, data: Any) -> None:
        """Refuse data of another shape than the operator gives, and what is no adjoint of it."""
        rng, namespace = np.random.default_rng(0), interop.namespace(data)
        image = namespace.asarray(rng.standard_normal(self.shape))
        seen = self.apply(image)
        if data.size != seen.size:
            raise ValueError(f"data has shape {data.shape}, the operator gives {seen.shape}")
        power, back = float((seen * seen).sum()), float((image * self.adjoint(seen)).sum())
        if not abs(power - back) <= ADJOINT * power:
            raise ValueError(
                "adjoint is not the adjoint of apply: for a random image x and y = apply(x), "
                f"<apply(x), y> is {power:.6g} and <x, adjoint(y)> is {back:.6g}"
            )


class Blur(Forward):
    """Convolution with a point spread function.

    Parameters
    ----------
    psf : array, shape (m, n)
        Of 0 or more, with sum 1; the pixel ``(m // 2, n // 2)`` stays where it is.
    boundary : {"reflect", "periodic", "taper"}
        As for `fastrestore.deblur`.
    """

    def __init__(self, psf: Any, boundary: str = "reflect") -> None:
        self._given, self._kind = psf, KINDS[_boundary(boundary, BOUNDARIES)]
        self._border: Periodic | None = None

    def check(self, data: Any) -> None:
        """Refuse a PSF that is none for this image."""
        two_axes(data)
        if self._border is None or self._border.shape != data.shape:
            self._border = self._kind(point_spread.checked(self._given, data.shape), data.shape)

    def border(self, data: Any) -> Periodic:
        """What lies beyond the border of an image of this shape."""
        self.check(data)
        assert self._border is not None
        return self._border

    def brought(self, data: Any) -> Any:
        """Data whose border is as the model has it."""
        return self.border(data).brought(data)

    def apply(self, image: Any) -> Any:
        """Blur."""
        return self.border(image).blurred(image)

    def adjoint(self, data: Any) -> Any:
        """Correlate."""
        return self.border(data).adjoint(data)

    def near(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data, and stay near an image: by Fourier transforms."""
        return image + self.border(image).solved(data - self.apply(image), weight)

    def start(self, data: Any, _: float) -> Any:
        """A first image: the blurred one."""
        return data.copy()


class Mask(Forward):
    """Pixels that are missing.

    Parameters
    ----------
    mask : array of bool, shape (M, N)
        True where a pixel is missing.
    """

    def __init__(self, mask: Any) -> None:
        self._mask = missing(mask)
        self._there: Any = None

    def known(self, image: Any) -> Any:
        """1 where a pixel is known, where the image is."""
        if self._there is None:
            self._there = interop.namespace(image).asarray(~self._mask, dtype=np.float64)
        return self._there

    def brought(self, data: Any) -> Any:
        """What is missing is 0, were it NaN."""
        self.check(data)
        namespace = interop.namespace(data)
        return namespace.where(namespace.asarray(self._mask), 0, data)

    def check(self, data: Any) -> None:
        """Refuse a mask of another shape."""
        two_axes(data)
        if self._mask.shape != data.shape:
            raise ValueError(f"mask has shape {self._mask.shape}, the image {data.shape}")

    def apply(self, image: Any) -> Any:
        """Set what is missing to 0."""
        return self.known(image) * image

    def adjoint(self, data: Any) -> Any:
        """The same: each pixel by itself."""
        return self.apply(data)

    def near(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data, and stay near an image: pixel by pixel."""
        known = self.known(image)
        return image + known * (data - image) / (1 + weight)

    def start(self, data: Any, _: float) -> Any:
        """A first image: what is missing comes from the nearest known pixel."""
        return nearest(data, self._mask)


class Decimation(Forward):
    """Convolution, of which every `factor`-th pixel is kept, the first one first.

    Parameters
    ----------
    psf : array, shape (m, n)
        As for `Blur`, in pixels of the large image.
    factor : int
        How many pixels of the large image lie between two of the small one.
    boundary : {"periodic", "reflect"}
        As for `fastrestore.deblur`: what lies beyond the border of the large image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> inverse.Decimation(np.full((3, 3), 1 / 9), 2).apply(np.ones((12, 16))).shape
    (6, 8)
    """

    def __init__(self, psf: Any, factor: int, boundary: str = "periodic") -> None:
        if isinstance(factor, bool) or not isinstance(factor, (int, np.integer)) or factor < 1:
            raise ValueError(f"factor must be a whole number of 1 or more, got {factor!r}")
        self._given, self.factor = psf, int(factor)
        self._kind = KINDS[_boundary(boundary, ("periodic", "reflect"))]
        self._border: Periodic | None = None
        self._power: Any = None

    def check(self, data: Any) -> None:
        """Refuse a PSF that is none for this image."""
        two_axes(data)
        self._prepare((self.factor * data.shape[0], self.factor * data.shape[1]))

    def _prepare(self, shape: tuple[int, int]) -> Periodic:
        """What the blur is on a large image of this shape."""
        if self._border is None or self._border.shape != shape:
            psf, factor = point_spread.checked(self._given, shape), self.factor
            self._border = self._kind(psf, shape)
            values = abs(point_spread.transfer(psf, shape)) ** 2
            rows, columns = (n // factor for n in shape)
            self._power = values.reshape(factor, rows, factor, columns).mean((0, 2))
        return self._border

    def apply(self, image: Any) -> Any:
        """Blur, and leave pixels out."""
        two_axes(image)
        if any(n % self.factor for n in image.shape):
            raise ValueError(
                f"the image has shape {image.shape}, which is no multiple of factor={self.factor}"
            )
        return self._prepare(image.shape).blurred(image)[:: self.factor, :: self.factor]

    def adjoint(self, data: Any) -> Any:
        """Put zeros between pixels, and correlate."""
        self.check(data)
        border = self._border
        assert border is not None
        spread = interop.namespace(data).zeros(border.shape)
        spread[:: self.factor, :: self.factor] = data
        return border.adjoint(spread)

    def near(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data, and stay near an image: by Fourier transforms.

        After Zhao et al., "Fast single image super-resolution using a new analytical solution for
        l2-l2 problems", IEEE Trans. Image Process. 25(8), 2016: A A^T is a convolution of small
        images, whose transfer function is the mean of the aliases of ``|V|**2``. With a mirrored
        border it is nearly that, and conjugate gradients do the rest.
        """
        fft = interop.namespace(image).fft
        rest = data - self.apply(image)
        power = interop.namespace(image).asarray(self._power) + weight

        def inverted(small: Any) -> Any:
            return fft.ifft2(fft.fft2(small) / power).real

        if self._kind is Periodic:
            return image + self.adjoint(inverted(rest))
        solved = conjugate_gradients(
            lambda small: self.apply(self.adjoint(small)) + weight * small,
            inverted, rest, 0 * rest,
        )  # fmt: skip
        return image + self.adjoint(solved)

    def start(self, data: Any, _: float) -> Any:
        """A first image: interpolated, pixels staying where they are."""
        self.check(data)
        if interop.on_host(data):
            from scipy import ndimage
        else:
            from cupyx.scipy import ndimage
        rows, columns = (np.arange(self.factor * n) / self.factor for n in data.shape)
        places = interop.namespace(data).asarray(
            np.stack(np.meshgrid(rows, columns, indexing="ij"))
        )
        mode = "grid-wrap" if self._kind is Periodic else "nearest"
        return ndimage.map_coordinates(data, places, order=1, mode=mode)


def two_axes(data: Any) -> None:
    """Refuse colours, and flat data."""
    if data.ndim != 2:
        raise ValueError(
            f"data must have two axes (rows, columns), got shape {data.shape}; restore colours one "
            "by one, as deblur, inpaint and super_resolve do"
        )


def _boundary(boundary: Any, known: tuple[str, ...]) -> str:
    """Check what lies beyond the border."""
    if boundary not in known:
        raise ValueError(f"boundary must be one of {', '.join(map(repr, known))}, got {boundary!r}")
    return str(boundary)


def missing(mask: Any) -> Any:
    """Check a mask, and return it on the host."""
    values = np.asarray(interop.to_host(mask))
    if values.dtype != np.bool_:
        if values.dtype.kind not in "iu" or not np.isin(values, (0, 1, 255)).all():
            raise TypeError(
                "mask must be an array of bool, True where a pixel is missing, got "
                f"{values.dtype}; mask > 0 makes one"
            )
        values = values > 0
    if values.ndim != 2:
        raise ValueError(f"mask must have two axes (rows, columns), got shape {values.shape}")
    if values.all():
        raise ValueError("mask says that all pixels are missing")
    return values


def nearest(data: Any, mask: Any) -> Any:
    """Fill what is missing with the nearest pixel that is not."""
    if not mask.any():
        return data.copy()
    from scipy import ndimage

    places = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    return data[places[0], places[1]]


def _shape(shape: Any) -> tuple[int, int]:
    """Check the shape of an image."""
    sizes = tuple(shape)
    if len(sizes) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
        raise ValueError(f"shape must be two numbers above 0, got {shape!r}")
    return int(sizes[0]), int(sizes[1])
