"""Invalid pixels in the stages.

Invalid pixels are first replaced by means of valid ones nearby, so that blocks at the border of a
hole have no edge there. Blocks with a pixel far from valid ones match only blocks with the same
such pixels. For Wiener filtering, the basic estimate replaces the means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import Channels, Image
from fastrestore.backends import host
from fastrestore.backends.protocol import Backend, Execution, Units

if TYPE_CHECKING:
    from fastrestore._collaborative.request import Request

# Instead of pixels far from valid ones, in the image that blocks are matched on, whose values are
# about 1. Sums of squared differences are infinite neither in float32 nor in float64.
ELSEWHERE = 2.0**50


def checked_mask(name: str, values: Any, request: Request) -> Mask | None:
    """Validate the values of an image; return its mask, with outliers as invalid pixels."""
    mask, planes = request.mask, request.geometry.planes
    if not interop.on_host(values):
        return mask
    valid = None if mask is None else mask.like(values.shape, planes)
    validate.check_finite(name, values, valid, outliers.MASK)
    inside = outliers.plausible(name, values, request.known_sigma(), outliers.MASK, valid)
    if inside is None:
        return mask
    every = planes(inside) if mask is None else planes(inside) & mask.valid
    return Mask(np.ascontiguousarray(every))


class Holes(NamedTuple):
    """Invalid pixels of a tile."""

    far: NDArray[np.bool_] | None  # (*spatial), not to be matched with others
    invalid: NDArray[np.bool_] | None  # (1 or C, *spatial), to be replaced by the pilot

    @classmethod
    def of(cls, mask: Mask, units: Units, read: tuple[slice, ...] | None = None) -> Self:
        """Return the invalid pixels of an image or of a tile."""
        far, invalid = mask.far, mask.invalid
        if read is not None:
            far, invalid = None if far is None else far[read[1:]], invalid[read]
        if far is not None:
            far = host.padded(far[None], units.least)[0]
        if len(invalid) > 1 and np.count_nonzero(units.matrix) > len(units.matrix):
            return cls(far, None)  # the channels of a pixel are mixed, and some are valid
        return cls(far, host.padded(invalid, units.least))

    def matched(self, image: Image, backend: Backend, execution: Execution) -> Image:
        """Return the image that blocks are matched on."""
        if self.far is None:
            return image
        return backend.replaced(image, self.far, ELSEWHERE, execution)

    def residual(self, residual: Any, threshold: float) -> tuple[Any, float]:
        """Return a residual without invalid pixels, and the threshold for its power."""
        if self.invalid is None:
            return residual, threshold
        invalid = interop.place_like(self.invalid, residual)
        rest = interop.namespace(residual).where(invalid, np.float32(0), residual)
        return rest, threshold * (~self.invalid).mean()

    def filtered(
        self, noisy: Channels, pilot: Channels | None, backend: Backend, execution: Execution
    ) -> Channels:
        """Return the channels that are filtered."""
        if self.invalid is None or pilot is None:
            return noisy
        return backend.replaced(noisy, self.invalid, pilot, execution)
