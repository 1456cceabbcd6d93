"""Texts for methods sections, of every kind of call, and the papers they cite."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from skimage.data import camera
from support.nets import torch_or_skip

import fastrestore
from fastrestore import NoiseSpec, PoissonGaussian, Profile, Rician, bm3d, bm4d, denoise, vbm3d
from fastrestore._algorithms.papers import PAPERS

ROOT = Path(__file__).parents[1]
CLEAN = camera()[180:228, 200:248].astype(np.float64)
NOISY = CLEAN + np.random.default_rng(0).normal(0, 10, CLEAN.shape)
LEVELS = np.linspace(5, 20, 48)[:, None]  # a map


def text_of(call, image, *args, **options):
    """Return the paragraph and the references of a call, with their numbers checked."""
    info = call(image, *args, return_info=True, **options)[1]
    return checked(info.methods_text())


def checked(text):
    paragraph, references = text.rstrip("\n").split("\n\n")
    numbers = [
        int(n) for found in re.findall(r"\[([\d, ]+)\]", paragraph) for n in found.split(",")
    ]
    listed = [int(line[1 : line.index("]")]) for line in references.splitlines()]
    assert listed == list(range(1, len(listed) + 1)) == sorted(set(numbers))
    assert list(dict.fromkeys(numbers)) == listed  # in the order in which they are cited
    return paragraph, references


def test_a_given_level():
    paragraph, references = text_of(bm3d, NOISY, 12.5, backend="numba")
    assert paragraph == (
        "Noise was removed by BM3D [1] with exact variances of group coefficients [2], as "
        f"implemented in fastrestore {fastrestore.__version__} [3] (profile np, the default "
        "parameters, backend numba). The noise was specified as white Gaussian noise with a "
        "standard deviation of 12.5, in the units of the image."
    )
    assert [line.split(",")[0] for line in references.splitlines()] == [
        "[1] K. Dabov", "[2] Y. Mäkinen", "[3] The fastrestore developers",
    ]  # fmt: skip


def test_an_estimated_level_has_the_value_and_the_paper():
    info = bm3d(NOISY, noise="white", return_info=True)[1]
    paragraph, references = checked(info.methods_text())
    assert "The noise was estimated from the image [4] as white Gaussian noise" in paragraph
    assert f"standard deviation of {info.sigma:.4g}, in the units" in paragraph
    assert "[4] X. Liu" in references


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sigma": LEVELS}, "with a map of its standard deviation, from 5 to 20"),
        (
            {"psd": fastrestore.psd_from_kernel(np.full((1, 4), 5.0), (48, 48))},
            "correlated noise of a given power spectrum with a standard deviation of 10,",
        ),
        (
            {"noise_kernel": np.full((1, 4), 5.0)},
            "correlated noise of a given power spectrum with a standard deviation of 10,",
        ),
        (
            {"noise_kernel": np.full((1, 4), 5.0), "sigma": LEVELS},
            "correlated noise of a given power spectrum with a map of its standard deviation, "
            "from 5 to 20",
        ),
        ({"noise": NoiseSpec.white(7.0)}, "as white Gaussian noise with a standard deviation of 7"),
        (
            {"noise": NoiseSpec([10.0], [[0.0, 255.0]], [[4.0, 12.0]], np.ones((1, 1, 1, 1)))},
            "depends on the brightness, from 4 to 12, with a root mean square of 10",
        ),
        ({"noise": PoissonGaussian(2, 3, 10)}, "gain of 2, read-out noise with a standard "
         "deviation of 3 and a black level of 10"),
        ({"noise": Rician(9.0)}, "Rician noise with a standard deviation of 9"),
        ({"sigma": 10, "strength": 1.3}, "The noise level was multiplied by 1.3."),
        ({"sigma": 10, "stage": "basic"}, "hard thresholding only"),
        ({"sigma": 10, "profile": "fast"}, "(profile fast, backend"),
        ({"sigma": 10, "profile": Profile.named("np").replace(step_final=4)},
         "Profile.named('np').replace(step_final=4)"),
        ({"sigma": 10, "uncertainty": True}, "standard deviation of the remaining error"),
        ({"sigma": 0}, "No noise was assumed, and nothing was removed."),
        ({"sigma": 10, "strength": 0}, "No noise was assumed, and nothing was removed."),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_kind_of_noise_and_option(options, expected):
    assert expected in text_of(bm3d, NOISY, **options)[0]


def test_distributions_have_the_papers_of_their_transforms():
    counts = text_of(bm3d, NOISY, noise=PoissonGaussian(2))[1]
    assert "M. Mäkitalo" in counts
    assert "L. Azzari, A. Foi" in counts
    assert "MR imaging" in text_of(bm3d, NOISY, noise=Rician(9.0))[1]


def test_estimated_counts():
    counts = np.random.default_rng(0).poisson(np.add.outer(np.arange(96.0), np.arange(96.0)) / 8)
    info = bm3d(counts, return_info=True)[1]
    assert info.noise.distribution is not None
    paragraph, references = checked(info.methods_text())
    gain = info.noise.distribution.gain
    assert f"from the image [4] as Poisson-Gaussian noise with a gain of {gain:.4g}," in paragraph
    assert "[4] A. Foi, M. Trimeche" in references


def test_a_model_of_the_caller_is_named():
    class Halved:
        def forward(self, values):
            return np.asarray(values, np.float64) / 10

        def inverse(self, stabilized):
            return stabilized * 10

        def extent(self, data_range):
            return data_range / 10

    assert "a model of its distribution (Halved)" in text_of(bm3d, NOISY, noise=Halved())[0]


def test_estimated_noise_of_a_camera_is_compared_with_what_was_removed():
    grain = np.cumsum(np.random.default_rng(1).normal(0, 3, (96, 100)), axis=1)
    grain = grain[:, 4:] - grain[:, :-4]
    image = camera()[100:196, 180:276] + grain
    info = bm3d(image, noise="camera", return_info=True)[1]
    assert info.correlated
    paragraph, references = checked(info.methods_text())
    assert "estimated from the image as correlated noise" in paragraph
    assert f"relative variance is {info.residual.level:.2f}" in paragraph
    assert "The noise clinic" in references


def test_iterations_and_filtered_residuals():
    options = {"noise_kernel": np.full((1, 4), 5.0)}
    paragraph, references = text_of(bm3d, NOISY, profile="iterative", **options)
    assert "4 iterations of half-quadratic splitting followed [4, 5]." in paragraph
    assert "D. Geman" in references
    assert (
        "Residuals were filtered again [2]."
        in text_of(bm3d, NOISY, profile="refilter", **options)[0]
    )
    assert "splitting" not in text_of(bm3d, NOISY, 10, profile="iterative")[0]  # of white noise


def test_channels():
    color = np.stack([NOISY, NOISY.T, 255 - NOISY], -1)
    paragraph = text_of(bm3d, color, [10, 11, 12], channel_axis=-1)[0]
    assert "standard deviation of 10, 11 and 12 in the channels" in paragraph


def test_videos_and_volumes():
    frames = np.stack([NOISY[:32, :32], NOISY[1:33, :32], NOISY[2:34, :32], NOISY[3:35, :32]])
    paragraph, references = text_of(vbm3d, frames, 10)
    assert paragraph.startswith("Noise was removed by V-BM3D [1]")
    assert "EUSIPCO" in references
    paragraph, references = text_of(bm4d, frames, noise=Rician(10.0))
    assert paragraph.startswith("Noise was removed by BM4D [1]")
    assert "M. Maggioni" in references
    assert "(profile volume," in paragraph


def test_the_blocks_of_a_compressed_video():
    info = vbm3d(np.stack([NOISY, NOISY + 1]), 10, return_info=True)[1]
    assert "blocks of compression of 8x8 pixels" in replace(info, grid=8).methods_text()
    assert "compression" not in info.methods_text()


def test_sharpening():
    paragraph, references = text_of(fastrestore.sharpen, NOISY, 10, 1.5)
    assert "the sharpening variant of BM3D [1, 2]" in paragraph
    assert "(alpha 1.5," in paragraph
    assert "Joint image sharpening" in references


def test_tuning():
    info = denoise(NOISY[:32, :32], 10, tune=True, return_info=True)[1]
    paragraph, references = checked(info.methods_text())
    assert f"factor of {info.strength:g} for the noise level were selected" in paragraph
    assert f"from {len(info.trials)} choices" in paragraph
    assert "Monte-Carlo SURE" in references


def test_hybrid():
    torch_or_skip()
    info = denoise(NOISY, 10, method="hybrid", return_info=True)[1]
    assert info.refined
    paragraph, references = checked(info.methods_text())
    assert "A convolutional network corrected the result [4]." in paragraph
    assert "Fast, nonlocal and neural" in references
    assert "network" not in replace(info, refined=False).methods_text()


def words(title):
    """Return a title without case, hyphens and spaces."""
    return re.sub(r"[\W_]+", "", title).lower()


def cited_in_docstrings():
    """Return the titles in the lists of references of the package."""
    pattern = re.compile(r'^ *\.\. \[\d+\] [^"]*?"([^"]+)"', re.MULTILINE)
    return {
        " ".join(title.split()): path.name
        for path in sorted(ROOT.glob("fastrestore/**/*.py"))
        for title in pattern.findall(path.read_text(encoding="utf-8"))
    }


def references_of_citation_file():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    return yaml.safe_load(text)["references"]


def test_the_citation_file_has_every_paper_of_a_docstring():
    known = [words(each["title"]) for each in references_of_citation_file()]
    cited = cited_in_docstrings()
    assert len(cited) > 25
    missing = {
        title: name
        for title, name in cited.items()
        if not any(each.startswith(words(title)) for each in known)
    }
    assert not missing


def test_papers_of_the_texts_are_in_the_citation_file():
    known = {words(each["title"]): each for each in references_of_citation_file()}
    for text in PAPERS.values():
        entry = known[words(re.search('"([^"]+)"', text)[1])]
        found = re.search(r"doi:(\S+)\.$", text)
        assert entry.get("doi") == (found and found[1])
        assert f" {entry['year']}" in text
        assert [each["family-names"] for each in entry["authors"]] == [
            re.sub(r"^([^ ]+\. )+", "", name)
            for name in text.split(' "')[0].rstrip(",").split(", ")
        ]
