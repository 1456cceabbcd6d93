"""The contract of a backend: its functions, and what they get and return.

Images and volumes are C-ordered float32. A tuple with an entry for each spatial axis has the order
(rows, columns), or (slices, rows, columns) for volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray, Image

if TYPE_CHECKING:
    from fastrestore._collaborative.profile import Profile

__all__ = ["Channels", "FloatArray", "Image"]

Which = Literal["basic", "final"]  # stage

# The variance of a group coefficient is at least this share of that of its blocks: differences of
# blocks that share nearly all their noise, in float32.
LEAST = 2.0**-15

# Weights of groups stay within these bounds, also where a map has noise that differs by factors of
# thousands or is 0: sums of weighted pixels have a fixed resolution and a limit. Noise of one level
# comes nowhere near them.
LIGHTEST, HEAVIEST = 2.0**-20, 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One stage with all its numbers. Rows and columns of a block are equal."""

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
    match: float  # a block belongs to the group if its sum of squared differences is less
    match_range: float  # times the square of `measured`, added to that
    measured: Any  # range of the image, where only the backend can read it, else None
    trails: Trails  # of video
    transforms: tuple[FloatArray, ...]  # rows of unit norm: coefficients = transform @ samples
    inverses: tuple[FloatArray, ...]  # exact inverses of `transforms`
    windows: tuple[FloatArray, ...]  # the aggregation window is their outer product
    covariance: FloatArray  # (1 or C, D + 1, 2 E + 1, .., *shape): see `coefficient_covariance`
    variances: FloatArray  # (C,), of the noise of each channel
    strength: FloatArray  # (C,), squared threshold or Wiener factor: multiplies the variances
    # Of correlated noise, else None: added to the distance of a displaced block
    match_bias: NDArray[np.float32] | None = None  # 2 radius + 1 along each axis
    # With a noise map, else None. Both by the corner of the block:
    match_map: Image | None = None  # in place of `match`
    scale: Channels | None = None  # (1 or C, ...), sigma of a block over that of its channel
    root: float = 1.0  # of sharpening, 1 / alpha: of channel 0, the luminance


class Trails(NamedTuple):
    """How V-BM3D follows blocks from frame to frame."""

    predict: int  # search radius in the next frame, around the nearest blocks of this one
    follow: int  # search radius in the frames after that, around extrapolated positions
    followed: int  # how many nearest blocks are followed
    static: float  # subtracted from the distance of a block that has not moved
    match_bias: float  # added to the distance of blocks of other frames, as `Stage.match_bias`


class Matches(NamedTuple):
    """The blocks most similar to each reference block, nearest first, the reference itself leading.

    The reference block [i, j] has its upper left corner at ``(corners[0][i], corners[1][j])`` and
    ``sizes[i, j]`` matches, a power of two; match k lies ``offsets[i, j, k]`` pixels from it, and
    offsets beyond are zero. Channels have one axis more. A backend may keep the arrays elsewhere
    than on the host: only this backend reads them.
    """

    corners: tuple[NDArray[np.int64], ...]
    offsets: NDArray[np.int16] | NDArray[np.int32]
    sizes: NDArray[np.int16]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the corners."""
        return self.corners[-2]

    @property
    def columns(self) -> NDArray[np.int64]:
        """Columns of the corners."""
        return self.corners[-1]


class Units(NamedTuple):
    """How an image is converted for the stages."""

    exponent: int  # pixels are multiplied by 2**exponent: data of about 1
    matrix: FloatArray  # (C, C), of colors
    least: tuple[int, ...]  # smaller images are mirrored to this shape

    def back(self) -> FloatArray:
        """Return the inverse of the matrix."""
        return np.linalg.inv(self.matrix).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Execution:
    """How to run: threads, progress, and what a backend keeps."""

    workers: int
    report_progress: Callable[[float], None] = lambda share: None  # gets shares that add up to 1
    deterministic: bool = False  # equal sums in any order, where that is not so anyway
    memory: Any = None  # the backend's own, kept from stage to stage and from call to call


class VideoStage(Protocol):
    """One stage of V-BM3D over a window of frames that moves along a video.

    Frames are in slots, in any order; `slots` lists those in use, in order of time.
    """

    def put(self, slot: int, matched: Image, noisy: Channels, pilot: Channels | None) -> None:
        """Store a frame: the image that blocks are matched on, and the channels to filter."""
        ...

    def matches(self, slots: Sequence[int], center: int) -> Matches:
        """Match the blocks of the frames in `slots` to the references of the frame at `center`.

        Offsets are those in a tall image, in which the slots are below each other.
        """
        ...

    def filter(self, slots: Sequence[int], center: int) -> None:
        """Filter the groups of the frame ``slots[center]`` and aggregate them."""
        ...

    def take(self, slot: int) -> Channels:
        """Return the estimate of a frame and free its slot."""
        ...


class Availability(Protocol):
    """The package of a backend, which can be imported whether the backend can run or not."""

    NAME: str
    capabilities: frozenset[str]  # of "image", "sharpen", "volume", "video"

    def why_unavailable(self) -> str | None:
        """Return None, or the reason and the cure in one line."""
        ...


class Backend(Availability, Protocol):
    """The functions of a backend, in its module `engine`.

    Images go in by `load` and out by `store`; in between they are where the backend works, and
    only its functions read them. Blocks are matched on one image and filtered in every channel, in
    the same groups. Functions beyond its `capabilities` are never called.
    """

    def memory(self) -> Any:
        """Return what `Execution.memory` holds: buffers to reuse, or None."""
        ...

    def warm(
        self, profile: Profile, stages: tuple[str, ...], dtype: np.dtype[Any], execution: Execution
    ) -> None:
        """Prepare the stages of images of a type."""
        ...

    def bm3d_memory(
        self, shape: tuple[int, int, int], maps: int, profile: Profile, execution: Execution
    ) -> int:
        """Estimate how many bytes restoring (C, M, N) takes, beside image and result.

        The noise map takes `maps` numbers a pixel.
        """
        ...

    def bring(self, array: Any) -> Any:
        """Return an array that `load` takes: on the host for a backend that works there."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
        """Return memory for a result, of the kind of the array `like`."""
        ...

    def load(self, name: str, planes: Any, units: Units, execution: Execution) -> Channels:
        """Convert an image to the units, colors and least shape of the stages.

        It replaces the image that was loaded before by the same name.
        """
        ...

    def luminance(self, channels: Channels, weights: FloatArray, execution: Execution) -> Image:
        """Return the weighted sum of the channels."""
        ...

    def robust_range(self, image: Image, execution: Execution) -> Any:
        """Return the range from the 1st to the 99th percentile."""
        ...

    def store(
        self,
        channels: Channels,
        units: Units,
        unchanged: Unchanged | None,
        out: Any,
        execution: Execution,
    ) -> None:
        """Convert channels back from `units` into `out`, and copy what is `unchanged`."""
        ...

    def fetch(self, channels: Channels) -> Channels:
        """Return channels as a NumPy array."""
        ...

    def put(self, channels: Channels) -> Channels:
        """Return channels that were fetched to where the backend works."""
        ...

    def bm3d_match(self, image: Image, stage: Stage, execution: Execution) -> Matches:
        """Group the blocks of an image."""
        ...

    def bm3d_basic(
        self, noisy: Channels, matches: Matches, stage: Stage, execution: Execution
    ) -> Channels:
        """Filter by hard thresholding and aggregate; with a root, sharpen."""
        ...

    def bm3d_final(
        self,
        noisy: Channels,
        pilot: Channels,
        matches: Matches,
        stage: Stage,
        execution: Execution,
    ) -> Channels:
        """Filter by Wiener gains and aggregate."""
        ...

    def bm4d_match(self, image: Image, stage: Stage, execution: Execution) -> Matches:
        """Group the blocks of a volume (P, M, N)."""
        ...

    def bm4d_basic(
        self, noisy: Channels, matches: Matches, stage: Stage, execution: Execution
    ) -> Channels:
        """As `bm3d_basic`, for volumes."""
        ...

    def bm4d_final(
        self,
        noisy: Channels,
        pilot: Channels,
        matches: Matches,
        stage: Stage,
        execution: Execution,
    ) -> Channels:
        """As `bm3d_final`, for volumes."""
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
