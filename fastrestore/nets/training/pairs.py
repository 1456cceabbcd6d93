"""Photographs with noise, restored by BM3D, for the training of `Refine`.

Every photograph is restored once for each of a number of noise draws, whole, as in later use. The
draws are stored in a folder and used again and again, which takes a few percent of the time of a
long training. BM3D of new patches in each step would take about half of it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastrestore import bm3d
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.sampling import level
from fastrestore._noise.spec import NoiseSpec
from fastrestore.nets.noise_maps import noise_maps
from fastrestore.nets.storage import read_safetensors, write_through
from fastrestore.nets.training.data import shrunk
from fastrestore.nets.training.noise import Noise, draw_noise, stripes
from fastrestore.nets.training.recipe import Recipe

VERSION = 2  # of the noise that is drawn: stored photographs of another one are replaced
PERIOD = 2000  # steps with one draw
PROFILES = {"np": 0.6, "lc": 0.2, "fast": 0.2}  # shares of the profiles of BM3D, for white noise
VARYING = ("signal-dependent", "camera")  # kinds of noise that can be estimated, if not white
ESTIMATED = 0.5  # share of other noise that is estimated from the image, as in use
# Factor by which the level of an estimate may be wrong. Worse ones are rejected: they look like
# levels that the user gives, for which the network would learn to correct too much.
DOUBTFUL = 1.25
LEAST = 0.1  # of 255: lower levels are not compared
STRIPED = 0.2  # share of the photographs to which stripes are added
# Noise of cameras that is estimated is often in JPEG files; share of these, and their quality
COMPRESSED, QUALITY = 0.7, (75, 99)

Triple = tuple[Tensor, Tensor, Tensor]  # input of the network, maps of the level, clean image


class Pairs:
    """Random patches of photographs, noisy and restored by BM3D."""

    def __init__(
        self, images: Sequence[np.ndarray], recipe: Recipe, folder: Path, device: str
    ) -> None:
        every = [shrunk(image, share) for share in recipe.shrink for image in images]
        self._images = [image for image in every if min(image.shape[1:]) >= recipe.patch]
        if not self._images:
            side = recipe.patch
            raise ValueError(f"no photograph has {side} x {side} pixels, the size of a patch")
        areas = torch.tensor([image[0].size for image in self._images], dtype=torch.float64)
        self._shares = (areas / areas.sum()).to(device)
        self._recipe, self._folder, self._device = recipe, folder / "pairs", device
        self._number, self._planes = -1, list[Tensor]()
        self._origin = origin(self._images, recipe)

    def draw(self, step: int, random: torch.Generator) -> Triple:
        """Return patches on the device, from 0 to 1, for a step of the training."""
        recipe = self._recipe
        self._open(step // PERIOD % recipe.draws)
        shape = (3, recipe.batch)
        which = torch.multinomial(self._shares, recipe.batch, replacement=True, generator=random)
        shares = torch.rand(shape, generator=random, device=self._device, dtype=torch.float64)
        places = zip(which.tolist(), *shares.tolist(), strict=True)
        patches = torch.stack([self._patch(*place) for place in places]).to(self._device)
        return split(patches.float() / 255, recipe.channels)

    def _patch(self, which: int, down: float, across: float, symmetry: float) -> Tensor:
        """Cut a patch from a photograph, and rotate and reflect it."""
        planes, side = self._planes[which], self._recipe.patch
        top, left = (
            int(share * (size - side + 1))
            for share, size in zip((down, across), planes.shape[1:], strict=True)
        )
        patch = planes[:, top : top + side, left : left + side]
        number = int(symmetry * 8)
        if number >= 4:
            patch = patch.mT if self._recipe.turned else patch
        axes = [axis for axis, flip in ((1, number % 2), (2, number // 2 % 2)) if flip]
        return patch.flip(axes)

    def _open(self, number: int) -> None:
        """Read a draw of the noise, which is made if it is not stored."""
        if number == self._number:
            return
        path = self._folder / f"{number:03}.safetensors"
        tensors, notes = read_safetensors(path) if path.is_file() else ({}, {})
        if notes.get("origin") != self._origin:  # none, or of other photographs or another recipe
            self._make(number, path)
            tensors, _ = read_safetensors(path)
        self._planes = [tensors[str(k)] for k in range(len(self._images))]
        self._number = number

    def _make(self, number: int, path: Path) -> None:
        """Draw noise for all photographs, restore them and write a file."""
        from safetensors.torch import save

        def draw(image: np.ndarray, number: int, k: int) -> NDArray[np.float16]:
            return Draw.random(self._recipe, image.shape, [number, k]).planes(image)

        planes = {
            str(k): torch.from_numpy(draw(image, number, k)) for k, image in enumerate(self._images)
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        write_through(new, save(planes, {"origin": self._origin}))
        new.replace(path)


def origin(images: Sequence[np.ndarray], recipe: Recipe) -> str:
    """Return a digest of the photographs and of what determines their noise."""
    digest = hashlib.sha256(f"{VERSION} {recipe.seed} {recipe.sigma}".encode())
    for image in images:
        digest.update(str(image.shape).encode() + np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def split(planes: Tensor, channels: int) -> Triple:
    """Return the input of the network, the maps of the level and the clean images."""
    return (
        planes[:, : 2 * channels],
        planes[:, 3 * channels :],
        planes[:, 2 * channels : 3 * channels],
    )


class Draw(NamedTuple):
    """Noise of a photograph, and how it is removed."""

    noise: Noise
    rng: np.random.Generator
    estimated: bool = False
    profile: str = "np"
    striped: bool = False

    @classmethod
    def random(cls, recipe: Recipe, shape: tuple[int, ...], numbers: list[int]) -> Draw:
        """Draw noise for a photograph (C, M, N)."""
        rng = np.random.default_rng([recipe.seed + 2**23, *numbers])  # seeds may be negative
        noise = draw_noise(rng, shape, recipe.sigma)
        profile = str(rng.choice(list(PROFILES), p=list(PROFILES.values())))
        estimated, striped = rng.uniform(size=2) < (ESTIMATED, STRIPED)
        return cls(noise, rng, bool(estimated), profile, bool(striped))

    def planes(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Add the noise to a photograph and restore it; return planes as `split` takes them."""
        clean = image.astype(np.float64)
        if self.striped:
            clean += stripes(self.rng, clean.shape)
        noisy = clean + self.noise.sample(clean, self.rng)
        noisy, basic, maps = self._estimated(noisy, clean) or (noisy, *self.restored(noisy))
        maps = np.broadcast_to(maps, (len(maps), *clean.shape[1:]))
        return np.concatenate([basic, noisy, clean, maps]).astype(np.float16)

    def _estimated(
        self, noisy: FloatArray, clean: FloatArray
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float32]] | None:
        """Restore (C, M, N) with the noise estimated, as a photograph; None if it is far off."""
        if not self.estimated or self.noise.kind not in VARYING:
            return None
        if self.noise.kind == "camera":
            noisy = photographed(noisy, self.rng)
        basic, info = filtered(noisy, noise="auto", return_info=True)
        maps = maps_of(info.noise, basic)
        found = np.sqrt(np.square(maps).mean((1, 2)))
        ratio = found / np.maximum(measured(noisy - clean), LEAST)
        near = np.all((ratio < DOUBTFUL) & (ratio * DOUBTFUL > 1))
        return (noisy, basic, maps) if near else None

    def restored(self, noisy: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Restore (C, M, N) by BM3D; return the maps of the noise level, too."""
        noise, spec = self.noise, self.noise.spec
        if noise.kind in VARYING:
            basic, info = filtered(noisy, noise=spec, return_info=True)
            return basic, maps_of(info.noise, basic)
        if noise.map is None:
            levels, sigma = spec.levels[..., None], spec.sigma[0]
        else:
            levels = noise.levels(noisy)
            sigma = levels[0]
        basic = filtered(noisy, sigma=sigma, profile=self.profile)
        return basic, noise_maps(levels, spec.spectrum)


def photographed(noisy: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Clip and round (C, M, N) to 8 bits, and compress most of them as JPEG."""
    from PIL import Image

    values = noisy.clip(0, 255).round().astype(np.uint8)
    if rng.uniform() < COMPRESSED:
        picture = Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(rng.integers(*QUALITY)), subsampling=0)
        with Image.open(file) as opened:
            read = np.asarray(opened)
        values = read[None] if read.ndim == 2 else read.transpose(2, 0, 1)
    return values.astype(np.float64)


def measured(noise: FloatArray) -> FloatArray:
    """Return the levels of noise (C, M, N) in the bands of `noise_maps`."""
    levels = noise.std((1, 2), keepdims=True)
    waves = np.fft.fft2(noise / np.maximum(levels, LEAST), norm="ortho")
    cross = np.einsum("cij,dij->cdij", waves, waves.conj()).real
    return noise_maps(levels, cross)[:, 0, 0].astype(np.float64)


def maps_of(spec: NoiseSpec, basic: NDArray[Any]) -> NDArray[np.float32]:
    """Return the maps of noise at the brightness of a restored image (C, M, N)."""
    return noise_maps(level(spec, basic, 0), spec.spectrum)


def filtered(planes: NDArray[Any], **options: Any) -> Any:
    """Restore (C, M, N) by `bm3d`, a gray image without an axis of colors."""
    options["workers"] = torch.get_num_threads()
    if len(planes) > 1:
        return bm3d(planes, channel_axis=0, **options)
    result = bm3d(planes[0], **options)
    return (result[0][None], result[1]) if isinstance(result, tuple) else result[None]
