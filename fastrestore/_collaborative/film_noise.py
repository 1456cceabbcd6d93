"""Noise of the scenes of a video: given, or estimated from the first frames of each scene."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.masks import Mask
from fastrestore._collaborative.request import Request
from fastrestore._noise.applied import plane_noise
from fastrestore._noise.choice import Choice
from fastrestore._noise.choice_film import Film, choose_in_film, followed, has_white_noise
from fastrestore._noise.grid import block_grid
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.stabilizer import stabilizing

MOST = 9  # frames that the noise of a scene is estimated from
SOME = 3  # of them that a grid of blocks is searched for in


class Picture(NamedTuple):
    """A frame to restore, without holes, and where it is valid."""

    planes: Any  # (C, M, N); None if no pixel is valid: as if the frame before were repeated
    mask: Mask | None = None


class SceneNoise(NamedTuple):
    """Noise of a scene: that of its stabilized frames, and how it was found."""

    planes: PlaneNoise
    choice: Choice | None  # None if it was given in the units of the frames


@dataclass(slots=True)
class FilmNoise:
    """Noise of a video, scene by scene, and a record of what was estimated."""

    request: Request
    count: int  # of frames that are read before the first result
    scenes: list[SceneNoise] = field(default_factory=list)
    opening: SceneNoise | None = None  # of the last frame at the start without noise
    grid: int = 0  # side of the blocks of a compressed video, if there are some

    @classmethod
    def of(cls, request: Request, radius: int) -> FilmNoise:
        """Read no more frames than the stages do before they return the first frame."""
        stages = len(request.stages(False))
        return cls(request, min(MOST, 2 * stages * radius + 1))

    @property
    def is_estimated(self) -> bool:
        """Whether the noise depends on the frames."""
        return self.request.noise is None and isinstance(self.request.source, str)

    def is_silent(self, picture: Picture) -> bool:
        """Whether a frame at the start has no noise, as a black one, and remains as it is."""
        strength = self.request.strength
        if not self.is_estimated:
            self.opening = self.given()
        elif strength > 0 and has_white_noise(_film([picture])):
            return False
        elif strength > 0 or self.opening is None:
            self.opening = self.applied(self.estimated([picture]))
        assert self.opening is not None
        return not self.opening.planes.sigmas.any()

    def of_scene(
        self, parts: Iterator[Any], picture: Callable[[Any], Picture | None]
    ) -> tuple[SceneNoise, Iterator[Any]]:
        """Return the noise of a scene, and all its parts, of which the first have been read.

        `picture` returns the frame of a part, or None for a repetition.
        """
        if not self.is_estimated:
            if not self.scenes:
                self.scenes.append(self.given())
            return self.scenes[0], parts
        read, pictures = [], []
        for part in parts:
            read.append(part)
            frame = picture(part)
            pictures += [] if frame is None else [frame]
            if len(pictures) == self.count:
                break
        choice = self.estimated(pictures)
        if not self.scenes:
            self.grid = block_grid([interop.to_host(each.planes) for each in pictures[:SOME]])
        noisy = [scene for scene in self.scenes if scene.planes.sigmas.any()]
        if noisy:
            before = noisy[-1].choice
            assert before is not None
            choice = followed(before, choice, len(pictures))
        self.scenes.append(self.applied(choice))
        return self.scenes[-1], itertools.chain(_drained(read), parts)

    def given(self) -> SceneNoise:
        """Return noise that does not depend on the frames."""
        request = self.request
        if request.noise is not None:
            return SceneNoise(request.noise.times(request.strength), None)
        assert isinstance(request.source, NoiseSpec)
        return self.applied(Choice(request.source, "the noise was given"))

    def applied(self, choice: Choice) -> SceneNoise:
        """Stabilize noise whose level varies, because stages of videos have no map of it."""
        model, spec = stabilizing(choice.spec)
        planes = np.zeros((len(spec.sigma), 1, 1))
        noise = plane_noise(spec, planes).times(self.request.strength)
        return SceneNoise(replace(noise, model=model), choice)

    def estimated(self, pictures: list[Picture]) -> Choice:
        """Estimate the noise from some frames."""
        model = self.request.source
        assert isinstance(model, str)
        return choose_in_film(_film(pictures), model)


def _film(pictures: list[Picture]) -> Film:
    """Return frames on the host, and where they are valid."""
    for each in pictures:
        if each.mask is not None:
            each.mask.check_neighbors()
    frames = [interop.to_host(each.planes) for each in pictures]
    return Film(frames, [None if each.mask is None else each.mask.valid for each in pictures])


def _drained(parts: list[Any]) -> Iterator[Any]:
    """Yield parts, and hold those no longer that have been yielded."""
    parts.reverse()
    while parts:
        yield parts.pop()
