"""BM3D from checked arguments to a result: scale, change colours, pad, run the two stages, undo.

Pixels of an image that lies on a GPU are never looked at here: what would need that is left out, or
left to the backend.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.context import Common, Job, common, measured
from fastrestore._collaborative.refilter import remains
from fastrestore._collaborative.stage import (
    Channels,
    Image,
    Noise,
    NoiseSpectrum,
    Stage,
    make_stage,
)
from fastrestore._collaborative.tiling import Layout, Tile
from fastrestore._noise.psd import split

ANY = 2**62  # bytes: any memory is enough
FAR = 256  # an image this many times its range away from 0 is moved there


def restored(
    planes: Any,
    pilot: Any,
    levels: Levels,
    job: Job,
    out: Any = None,
    kept: list[Common] | None = None,
) -> Any:
    """Restore channels (C, M, N): see to what needs no filter, scale, filter, scale back.

    The result goes to `out` if there is one. `kept` carries what calls with one noise and one shape
    share, where it does not depend on pixels.
    """
    if out is None:
        dtype = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
        out = job.engine.empty(planes.shape, dtype, planes)
    if not levels.sigmas.any():
        out[...] = planes  # nothing to remove
        return out
    if interop.on_host(planes):
        planes = np.ascontiguousarray(planes)
        if ((levels.sigmas == 0) | (planes.min((1, 2)) == planes.max((1, 2)))).all():
            out[...] = planes  # noise-free, or it had noise
            return out
        if _is_gray(planes, pilot, levels):
            one, first, level = planes[:1], None if pilot is None else pilot[:1], _first(levels)
            out[...] = restored(one, first, level, replace(job, colorspace=None))
            return out
        validate.warn_of_units(float(levels.sigmas.max()), planes, job.data_range)
        base, extent = planes.min(), float(planes.max()) - float(planes.min())
        if abs(float(base)) > FAR * max(extent, float(levels.sigmas.max())):
            # float32 would lose digits; differences are exact in the image's own type
            first = None if pilot is None else pilot - base.astype(np.float64)
            out[...] = restored(planes - base, first, levels, job) + base.astype(np.float64)
            return out
        kept = None  # the units depend on the range
    job.engine.warm(job.profile, job.stages(pilot is not None), planes.dtype, job.run)
    shared = kept[0] if kept else common(planes, levels, job)
    if kept is not None and not kept and job.colorspace != "pca":
        kept.append(shared)
    _in_tiles(planes, pilot, shared, job, out)
    return out


def _is_gray(planes: NDArray[Any], pilot: NDArray[Any] | None, levels: Levels) -> bool:
    """Whether this is a gray picture stored in colour: its noise is the same in all channels."""
    if len(planes) == 1 or np.ptp(levels.sigmas) > 0:
        return False
    images = [image for image in (planes, pilot, levels.map, levels.power) if image is not None]
    if any((image[1:, 0] != image[:1, 0]).any() for image in images):
        return False  # the first row tells most colour images
    return all((image[1:] == image[:1]).all() for image in images)


def _first(levels: Levels) -> Levels:
    """Return the noise of the first channel."""
    return Levels(
        levels.sigmas[:1],
        None if levels.map is None else levels.map[:1],
        None if levels.power is None else levels.power[:1],
    )


def _in_tiles(planes: Any, pilot: Any, shared: Common, job: Job, out: Any) -> None:
    """Restore an image in tiles as large as memory allows, smaller ones if it does not."""
    memory, piloted = job.run.memory, pilot is not None
    cutting = Cutting.of(planes.shape, shared.maps(), job, piloted)
    while True:
        side = cutting.side()
        tiles = list(cutting.layout.tiles(planes.shape[1:], side))
        try:
            shared = measured(shared, planes, job)
            for tile in tiles:
                _denoise(planes, pilot, shared, job.part(1 / len(tiles)), tile, out)
                if memory is not None and len(tiles) > 1:
                    memory.forget()  # the maps of this tile
            return
        except MemoryError:
            cutting = replace(cutting, limit=cutting.cost_of(side) / 2)
            if memory is not None:
                memory.clear()


@dataclass(frozen=True, slots=True)
class Cutting:
    """How an image (C, M, N) is cut so that a tile takes no more memory than a limit."""

    shape: tuple[int, ...]
    maps: int
    layout: Layout
    limit: float
    job: Job

    @classmethod
    def of(cls, shape: tuple[int, ...], maps: int, job: Job, piloted: bool) -> Cutting:
        """Return that of a job."""
        layout = Layout.of(job.profile, job.stages(piloted))
        return cls(shape, maps, layout, ANY if job.max_memory is None else job.max_memory, job)

    def cost_of(self, side: int) -> int:
        """Return the memory that a tile takes."""
        return self._cost(*(min(side, size) for size in self.shape[1:]))

    def _cost(self, height: int, width: int) -> int:
        shape = (self.shape[0], height, width)
        return self.job.engine.bm3d_memory(shape, self.maps, self.job.profile, self.job.run)

    def side(self) -> int:
        """Return the side of the tiles, that of the image if one is enough.

        Raises
        ------
        MemoryError
            If the smallest tile takes more than the limit.
        """
        rows, columns = self.shape[1:]
        side = self.layout.side((rows, columns), self.limit, self._cost)
        whole, one = max(rows, columns), bool(self.job.profile.residual)
        if side and not (one and side < whole):
            return side
        least = whole if one else min(self.layout.least(), whole)
        asked = "the free memory"
        if self.limit == self.job.max_memory:
            asked = f"max_memory={self.limit:g} bytes"
        part = "the image" if least == whole else f"a tile of {least}x{least}, the smallest,"
        reason = ""
        if one:
            name = self.job.profile.name
            reason = f" (profile {name!r} judges frequencies of the whole image: no tiles)"
        raise MemoryError(
            f"{asked} is too little: restoring {part} takes {self.cost_of(least)} bytes{reason}"
        )


def _denoise(planes: Any, pilot: Any, shared: Common, job: Job, tile: Tile, out: Any) -> None:
    """Change colours, run the stages, change colours back."""
    profile, engine, space = job.profile, job.engine, shared.space
    read, write = (slice(None), *tile.read), (slice(None), *tile.write)
    steps = len(job.stages(pilot is not None)) * 2 * (2 if profile.residual else 1)
    job = job.part(1 / steps)

    def loaded(name: str, image: Any) -> Channels:
        exponent = -shared.exponent
        return engine.load(name, image[read], exponent, space.matrix, shared.least, job.run)

    guide = None
    if job.guide is not None:
        image = job.guide.image[None][read]
        guide = engine.load("guide", image, 0, np.eye(1), shared.least, job.run)[0]
    passes = _Passes(
        noisy=loaded("noisy", planes),
        guide=guide,
        shared=shared.part(tile),
        job=job,
    )
    estimate = passes.twice("basic", None) if pilot is None else loaded("pilot", pilot)
    if job.stage == "final":
        estimate = passes.twice("final", estimate)
    if tile.write != tile.read:
        estimate = estimate[(slice(None), *tile.inner)]
    exact = shared.exact
    if exact is not None and exact.shape[1:] != (1, 1) and tile.write != tile.read:
        exact = exact[write]
    back = np.linalg.inv(space.matrix).astype(np.float64)
    engine.store(estimate, shared.exponent, back, exact, planes[write], out[write], job.run)


@dataclass(frozen=True, slots=True, eq=False)
class _Passes:
    """The transformed channels of an image, and how to run a stage over them."""

    noisy: Channels
    guide: Image | None  # what blocks are matched on instead
    shared: Common
    job: Job

    def twice(self, which: Literal["basic", "final"], pilot: Channels | None) -> Channels:
        """Run a stage, and again over what it should not have taken away."""
        profile, data_range = self.job.profile, self.shared.data_range
        numbers = self.shared.stage(profile, which)
        estimate = self._once(self.noisy, pilot, numbers)
        if not profile.residual:
            return estimate
        engine = self.job.engine
        first = engine.fetch(estimate)
        rest, noise = self._rest(engine.fetch(self.noisy) - first)
        rest += first
        stronger = profile.replace(
            threshold=profile.threshold_residual, wiener=profile.wiener_residual
        )
        numbers = make_stage(stronger, which, noise, data_range)
        return self._once(engine.put(rest), estimate if which == "final" else None, numbers)

    def _once(self, noisy: Channels, pilot: Channels | None, numbers: Stage) -> Channels:
        """Run a stage."""
        engine, matched = self.job.engine, self.guide
        if matched is None:
            seen = noisy if pilot is None else pilot
            matched = engine.luminance(seen, self.shared.space.weights, self.job.run)
        matches = engine.bm3d_match(matched, numbers, self.job.run)
        if numbers.root != 1:
            return engine.bm3d_sharpened(noisy, matches, numbers, self.job.run)
        if pilot is None:
            return engine.bm3d_basic(noisy, matches, numbers, self.job.run)
        return engine.bm3d_final(noisy, pilot, matches, numbers, self.job.run)

    def _rest(self, residual: Channels) -> tuple[Channels, Noise]:
        """Return what noise does not explain of a residual, and the noise in that."""
        white, known, space = np.ones((1, 1, 1)), self.shared.noise, self.shared.space
        shapes = white if known.spectrum is None else known.spectrum.channels
        rest, powers = np.empty_like(residual), []
        for c, sigma in enumerate(known.sigmas):
            power = shapes[min(c, len(shapes) - 1)] * sigma**2
            threshold = self.job.profile.residual
            rest[c], left = remains(residual[c], power, threshold, self.job.run.workers)
            powers.append(left)
        sigmas, spectra = split(np.array(powers))
        sigma, spectrum = known.sigma, np.ones((1, 1))
        if self.guide is None:
            sigma = space.luminance_sigma(sigmas)
            spectrum = space.luminance_spectrum(spectra, sigmas)
        return rest, Noise(sigma, sigmas, None, NoiseSpectrum(spectrum, spectra))
