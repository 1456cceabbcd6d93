"""Estimates of the noise of videos from several frames, and grids of blocks."""

import io

import numpy as np
import pytest
from support.clips import SMALL
from support.images import scene

from fastrestore import NoiseSpec, PoissonGaussian, estimate_sigma, vbm3d
from fastrestore._noise.choice import Choice
from fastrestore._noise.choice_film import Film, choose_in_film, followed
from fastrestore._noise.grid import block_grid

RNG = np.random.default_rng(0)
TEXTURE = 12 * RNG.standard_normal((96, 112)) + scene(96, 112)  # that looks like white noise
RADIUS = {"radius": 1, "profile": SMALL, "return_info": True}


def film(frames):
    """Return a video of one channel without masks."""
    return Film([frame[None] for frame in frames], [None] * len(frames))


def level(frames, model="white"):
    """Estimate the level of a video of one channel."""
    return float(choose_in_film(film(frames), model).spec.sigma[0])


def noisy(clean, sigma, seed=1):
    """Add white noise."""
    return clean + sigma * np.random.default_rng(seed).standard_normal(clean.shape)


STILL = np.stack([TEXTURE] * 6)


@pytest.mark.parametrize("model", ["white", "auto"])
def test_texture_that_does_not_move_is_no_noise(model):
    frames = noisy(STILL, 5)
    assert estimate_sigma(frames[0]) > 10
    assert abs(level(frames, model) - 5) < 0.4
    half = frames.copy()  # one half moves
    half[:, :40] = noisy(np.stack([np.roll(TEXTURE, 9 * k, 1)[:40] for k in range(6)]), 5)
    assert abs(level(half, model) - 5) < 0.5


def test_copied_parts_of_frames_do_not_decide():
    """A codec copies parts of the frame before; their differences lack the noise."""
    frames = noisy(np.stack([scene(96, 112)] * 6), 8)
    for k in range(1, 6):
        frames[k, 20:] = frames[k - 1, 20:]
    assert abs(level(frames) - 8) < 0.8
    rounded = np.round(frames)
    assert abs(level(rounded) - 8) < 0.8


def test_noise_that_changes_slowly_in_time_is_not_underestimated():
    """Differences of neighbors lack what both have."""
    frames = noisy(np.stack([scene(96, 112)] * 6), 8)
    for k in range(1, 6):
        frames[k] = 0.5 * frames[k] + 0.5 * frames[k - 1]
    assert level(frames) > 0.9 * float(np.median([estimate_sigma(f) for f in frames]))


def test_rounded_frames_of_weak_noise_are_independent():
    frames = np.round(noisy(STILL, 1.0)).astype(np.uint8)
    assert abs(level(frames) - np.sqrt(1 + 1 / 12)) < 0.15


def test_constant_frames_do_not_decide():
    frames = noisy(np.stack([scene(96, 112)] * 4), 8)
    with_black = np.concatenate([frames[:2], np.zeros((3, 96, 112)), frames[2:]])
    assert level(with_black) == level(frames)
    assert level(np.zeros((2, 20, 24))) == 0


def test_clipped_noise_of_differences():
    clean = np.stack([np.clip(1.6 * scene(96, 112) - 100, 0, 255)] * 5)
    frames = np.clip(noisy(clean, 20), 0, 255)
    assert abs(level(frames) - 20) < 1.5


def test_counts():
    clean = np.stack([np.roll(scene(96, 112), 2 * k, 1) for k in range(5)]) * 3
    counts = (100 + 2.2 * np.random.default_rng(0).poisson(clean / 2.2)).round().astype(np.uint16)
    result, info = vbm3d(counts, **RADIUS)
    told = vbm3d(counts, noise=PoissonGaussian(2.2, 0, 100), radius=1, profile=SMALL)
    assert isinstance(info.noise.distribution, PoissonGaussian)
    errors = [np.mean((each - 100 - clean) ** 2) for each in (result, told)]
    assert 10 * np.log10(errors[0] / errors[1]) < 0.3


def test_scenes_have_noise_of_their_own():
    first = noisy(np.stack([scene(64, 64)] * 4), 5)
    second = noisy(np.stack([255 - scene(64, 64)[::-1, ::-1]] * 4), 25)
    options = {"radius": 1, "profile": SMALL}
    both = vbm3d(np.concatenate([first, second]), **options)
    for part, result in ((first, both[:4]), (second, both[4:])):
        np.testing.assert_array_equal(result, vbm3d(part, **options))
    stream = vbm3d(iter(np.concatenate([first, second])), **options)
    np.testing.assert_array_equal(np.stack(list(stream)), both)


def test_levels_of_scenes_of_one_source_are_averaged():
    old, new = Choice(NoiseSpec.white(10.0), "old"), Choice(NoiseSpec.white(12.0), "new")
    few, many = (followed(old, new, count).spec.sigma[0] for count in (1, 9))
    assert 10 < few < many < 12
    assert followed(old, Choice(NoiseSpec.white(30.0), "new"), 1).spec.sigma[0] == 30
    assert followed(old, Choice(NoiseSpec.white(0.0), "new"), 1).spec.sigma[0] == 0


def test_a_scene_without_noise_remains_as_it_is():
    frames = noisy(np.stack([scene(64, 64)] * 3), 10)
    title = np.zeros((4, 64, 64))
    title[:, 20:40, 10:50] = 200
    given = np.concatenate([frames, title, frames])
    result = vbm3d(given, radius=1, profile=SMALL)
    np.testing.assert_array_equal(result[3:7], title)
    np.testing.assert_array_equal(result[:3], vbm3d(frames, radius=1, profile=SMALL))


def test_a_stream_reads_no_further_ahead():
    frames, taken = noisy(np.stack([scene(32, 40)] * 30), 10), []

    def camera():
        for number, frame in enumerate(frames):
            taken.append(number)
            yield frame

    for number, _ in enumerate(vbm3d(camera(), radius=2, profile=SMALL)):
        assert len(taken) <= number + 4 * 2 + 2


def test_grid_of_blocks():
    image = pytest.importorskip("PIL.Image")
    clean = scene(160, 176)
    frames = np.clip(noisy(np.stack([clean] * 3), 6), 0, 255).astype(np.uint8)
    assert block_grid(list(frames[:, None])) == 0
    compressed = []
    for frame in frames:
        file = io.BytesIO()
        image.fromarray(frame).save(file, "JPEG", quality=40)
        compressed.append(np.asarray(image.open(file)))
    assert block_grid([frame[None] for frame in compressed]) == 8
    assert vbm3d(np.stack(compressed), **RADIUS)[1].grid == 8
    assert vbm3d(frames, **RADIUS)[1].grid == 0
    steps = np.kron(RNG.normal(0, 6, (10, 11)), np.ones((16, 16)))
    assert block_grid([(frame + steps)[None] for frame in frames]) == 16
    assert block_grid([np.zeros((1, 8, 8))]) == 0
