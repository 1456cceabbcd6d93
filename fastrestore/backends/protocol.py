"""Protocol of backends: functions, and types of their arguments and results.

Images and volumes are float32 in C order. Tuples with an entry for each spatial axis have the order
(rows, columns), or (slices, rows, columns) for volumes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray, Image

if TYPE_CHECKING:
    from fastrestore._collaborative.profile import Profile
    from fastrestore.backends.replays import Replays

__all__ = ["Channels", "FloatArray", "Image"]

Which = Literal["basic", "final"]  # stage

MEASURES = 2  # of the error of a group, see `Backend.bm3d_errors`


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Parameters of one stage. Blocks are as high as wide, except for `has_sides`."""

    shape: tuple[int, ...]  # of a block
    steps: tuple[int, ...]  # between reference blocks
    radii: tuple[int, ...]  # of the search window
    # Along rows and columns, the last entries of `shape`, `steps`, `radii`, `transforms`, ..
    block: int
    step: int
    radius: int
    forward: FloatArray
    inverse: FloatArray
    window: FloatArray
    group: int  # most blocks of a group
    match: float  # threshold for the sum of squared differences of a block in the group
    match_range: float  # times the square of `measured`: added to `match`
    measured: Any  # range of the image, as an array of the backend, or None
    trails: Trails  # for videos
    transforms: tuple[FloatArray, ...]  # rows of unit norm: coefficients = transform @ samples
    inverses: tuple[FloatArray, ...]  # exact inverses of `transforms`
    windows: tuple[FloatArray, ...]  # the aggregation window is their outer product
    covariance: FloatArray  # (1 or C, D + 1, 2 E + 1, .., *shape): see `coefficient_covariance`
    variances: FloatArray  # (C,), noise of each channel
    strength: FloatArray  # (C,), squared threshold or Wiener factor, for the variances
    # Factors for `strength` (levels + 1, *shape): row 0 for the sums of all blocks of a group, row
    # l for the differences of 2**l blocks. None: all are 1.
    factors: FloatArray | None
    # For correlated noise, else None: added to the distance of a displaced block
    match_bias: NDArray[np.float32] | None = None  # 2 radius + 1 along each axis
    # With a noise map, else None; by the corner of the block
    match_map: Image | None = None  # replaces `match`
    scale: Channels | None = None  # (1 or C, ...), sigma of a block relative to its channel
    root: float = 1.0  # exponent of sharpening, 1 / alpha, for channel 0, the luminance
    size_weight: float = 0.0  # exponent of the number of blocks in the weight of a group
    # Backends with "batch": independent images, in arrays (C, images, M, N) of channels and
    # (images, M, N) of the images that blocks are matched on
    images: int = 1  # then `variances` and `strength` are (C images,), and `measured` (images,)
    bounds: NDArray[np.float32] | None = None  # (images,): replace `match`, if they differ
    # Backends with "axes": rows and columns are not treated alike, or there is time
    has_sides: bool = False


class Trails(NamedTuple):
    """Parameters to follow blocks from frame to frame in V-BM3D."""

    predict: int  # search radius in the next frame, around the nearest blocks of this one
    follow: int  # search radius in the frames after that, around extrapolated positions
    followed: int  # number of nearest blocks that are followed
    static: float  # subtracted from the distance of a block that has not moved
    match_bias: float  # `Stage.match_bias` for blocks of other frames


class Matches(NamedTuple):
    """The blocks most similar to each reference block, in order of distance, the reference first.

    Reference block [i, j] has its upper left corner at ``(corners[0][i], corners[1][j])`` and
    ``sizes[i, j]`` matches, a power of two. The displacement of match k is ``offsets[i, j, k]``,
    and unused offsets are zero. Volumes have one axis more. The arrays may be on a device, because
    only the backend reads them.

    Attributes
    ----------
    corners : tuple of arrays
        Coordinates of the reference blocks along each axis, in pixels.
    offsets : array, shape (I, J, K, 2), or (I, J, L, K, 3)
        Displacements of the matches, in pixels.
    sizes : array, shape (I, J), or (I, J, L)
        Number of matches.
    rows, columns : array
        The last two of `corners`.

    See Also
    --------
    fastrestore.BlockMatches : Matches of both stages, for the functions of the library.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm4d
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (16, 16, 8))
    >>> restored, matches = bm4d.bm4d(noisy, 0.1, blockmatches=(True, True))
    >>> isinstance(matches[0], bm4d.BlockMatchStorage)
    True
    """

    corners: tuple[NDArray[np.int64], ...]
    offsets: NDArray[np.signedinteger[Any]]
    sizes: NDArray[np.int16]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the corners."""
        return self.corners[-2]

    @property
    def columns(self) -> NDArray[np.int64]:
        """Columns of the corners."""
        return self.corners[-1]


class Gradients(NamedTuple):
    """Gradients of a sum of weighted pixels of the result of a stage."""

    images: tuple[Any, ...]  # with respect to the noisy channels, and to the pilot if any
    variances: FloatArray  # (C,), with respect to `Stage.variances`
    scale: FloatArray | None  # (C, ...), with respect to `Stage.scale` of each channel
    # With respect to the logarithms of `Stage.factors`, if there are any and the backend has the
    # capability "learning"
    factors: FloatArray | None = None


class Units(NamedTuple):
    """Conversion of an image for the stages."""

    exponent: int  # pixels are multiplied by 2**exponent, which gives data of about 1
    matrix: FloatArray  # (C, C), color transform
    least: tuple[int, ...]  # smaller images are padded to this shape
    exact: bool = False  # keep float64, for derivatives; backends with "float64" can

    def back(self) -> FloatArray:
        """Return the inverse of the matrix."""
        return _inverse(self.matrix.astype(np.float64).tobytes(), len(self.matrix)).copy()


@functools.lru_cache(32)  # it takes longer than the product for a small image
def _inverse(values: bytes, size: int) -> FloatArray:
    """Return the inverse of a matrix of float64 values."""
    return np.linalg.inv(np.frombuffer(values).reshape(size, size)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Execution:
    """Threads, progress reports and memory of a call."""

    workers: int
    # Called with shares that sum to 1
    report_progress: Callable[[float], None] = lambda share: None
    deterministic: bool = False  # sums must not depend on their order
    memory: Any = None  # buffers of the backend, reused by stages and calls


class Needs(NamedTuple):
    """What kernels depend on."""

    profile: Profile
    stages: tuple[str, ...]
    dtype: np.dtype[Any]  # of the image
    mapped: bool = False  # whether the noise varies
    ndim: int = 2  # 3 for volumes

    def has_factors(self, which: str) -> bool:
        """Whether the strength of a stage depends on the coefficient."""
        field = "threshold_factors" if which == "basic" else "wiener_factors"
        return getattr(self.profile, field) is not None


class VideoStage(Protocol):
    """One stage of V-BM3D over a window of frames that moves along a video.

    Frames are stored in slots, in any order. `slots` lists those in use, in order of time.
    """

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Store a frame: the image that blocks are matched on, and the channels to filter."""
        ...

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Match the blocks of the frames in `slots` to the references of the frame at `center`.

        Offsets are for a tall image that consists of all slots, one below the other.
        """
        ...

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of the frame ``slots[center]`` and aggregate them."""
        ...

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame and free its slot."""
        ...


class Availability(Protocol):
    """Package of a backend, which can be imported even if the backend cannot run."""

    NAME: str
    capabilities: frozenset[str]  # names that CONTRIBUTING.md lists
    # By capability: values of an image from which the backend is chosen without a request
    least_size: dict[str, int]

    def why_unavailable(self) -> str | None:
        """Return None if the backend can run, else the reason and the cure in one line."""
        ...

    def why_no_device(self, number: int) -> str | None:
        """Return None if the backend can run on its device of a number, else the reason."""
        ...


class Backend(Availability, Protocol):
    """The functions of a backend, in its module `engine`.

    `load` and `store` convert images for the stages and back. In between, images are on the device
    of the backend, and only its functions read them. Blocks are matched on one image, and all
    channels are filtered in the same groups. Functions for which the backend has no capability are
    never called.
    """

    def memory(self) -> Any:
        """Return reusable buffers for `Execution.memory`, or None."""
        ...

    def replays(self) -> Replays | None:
        """Return a place for recorded calls of one plan; None if calls cannot be recorded."""
        ...

    def warm(self, needs: Needs, execution: Execution) -> None:
        """Compile the kernels that a call needs."""
        ...

    def bm3d_memory(
        self, shape: tuple[int, int, int], maps: int, profile: Profile, execution: Execution
    ) -> int:
        """Estimate the working memory in bytes for (C, M, N), without image and result.

        The noise map has `maps` values per pixel.
        """
        ...

    def bring(self, array: Any) -> Any:
        """Return an array for `load`, on the host if the backend works there."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
        """Allocate a result, as an array of the kind of `like`."""
        ...

    def load(self, name: str, planes: Any, units: Units, execution: Execution) -> Channels:
        """Convert an image to the units, colors and least shape of the stages.

        It may overwrite an image that was loaded before with the same name.
        """
        ...

    def covariance(self, planes: Any) -> FloatArray:
        """Return the covariance (C, C) of the channels of an image that is not loaded."""
        ...

    def luminance(self, channels: Channels, weights: FloatArray, execution: Execution) -> Image:
        """Return the weighted sum of the channels."""
        ...

    def replaced(
        self,
        images: Channels,
        where: NDArray[np.bool_],
        values: Channels | float,
        execution: Execution,
    ) -> Channels:
        """Return images with other values at the pixels `where`, an array on the host."""
        ...

    def robust_range(self, image: Image, execution: Execution) -> Any:
        """Return the range from the 1st to the 99th percentile."""
        ...

    def robust_ranges(self, images: Channels, execution: Execution) -> Any:
        """Return the range of each image, from the 1st to the 99th percentile."""
        ...

    def store(
        self,
        channels: Channels,
        units: Units,
        unchanged: Unchanged | None,
        out: Any,
        execution: Execution,
    ) -> None:
        """Convert channels from `units` to `out`, and copy pixels that are `unchanged`."""
        ...

    def fetch(self, channels: Channels) -> Channels:
        """Return channels as an array of NumPy, or of CuPy if they are on a GPU."""
        ...

    def put(self, channels: Channels) -> Channels:
        """Copy an array of NumPy or CuPy to the device of the backend, unless it is there."""
        ...

    def bm3d_match(self, image: Image, stage: Stage, execution: Execution) -> Matches:
        """Group the blocks of an image, or of each of several images, see `Stage`."""
        ...

    def bm3d_filter(
        self,
        images: tuple[Channels, ...],
        matches: Matches,
        stage: Stage,
        execution: Execution,
    ) -> Channels:
        """Filter the groups of the noisy channels, and aggregate them.

        `images` are the noisy channels, which are filtered by hard thresholding, and sharpened if
        `stage.root` is not 1; or noisy channels and a pilot, for Wiener filtering.
        """
        ...

    def bm3d_backward(
        self,
        gradient: Channels,
        estimate: Channels,
        images: tuple[Channels, ...],
        matches: Matches,
        stage: Stage,
        execution: Execution,
    ) -> Gradients:
        """Propagate a gradient of the `estimate` backward through `bm3d_filter`.

        The other arguments are those of `bm3d_filter`, which returned `estimate`. The matches, and
        which coefficients pass the threshold, are held fixed. For `Gradients.factors` alone, the
        threshold is a smooth step. Stages that sharpen are not supported.
        """
        ...

    def bm3d_errors(
        self, pilot: Channels, matches: Matches, stage: Stage, execution: Execution
    ) -> FloatArray:
        """Return sums of the expected error of Wiener filtering, by the corner of a block.

        The shape is (1 + MEASURES, C, ...). The first sum is that of the weights of groups. The
        others are those of the noise that remains and of the signal that is removed, times the
        weight: means over the coefficients of a group, relative to `Stage.variances`. The pilot
        stands for the signal. Sums of channels without noise are 0.
        """
        ...

    def bm4d_match(self, image: Image, stage: Stage, execution: Execution) -> Matches:
        """Group the blocks of a volume (P, M, N).

        With "axes", also of an image, or a volume over time (T, P, M, N), if `Stage.has_sides`.
        """
        ...

    def bm4d_filter(
        self,
        images: tuple[Channels, ...],
        matches: Matches,
        stage: Stage,
        execution: Execution,
    ) -> Channels:
        """As `bm3d_filter`, for volumes."""
        ...

    def video_stage(
        self, shape: tuple[int, int, int, int], stage: Stage, execution: Execution
    ) -> VideoStage:
        """Return a stage for windows of (slots, C, M, N)."""
        ...


class Unchanged(NamedTuple):
    """Pixels without noise, which are copied from the image."""

    where: NDArray[np.bool_]  # (C, 1, ..) or (C, *spatial)
    planes: Any
