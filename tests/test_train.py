"""Training on the CPU: steps, checkpoints, validation, files."""

import csv
import dataclasses
import re
import shutil
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from PIL import Image  # noqa: E402
from support.images import scene  # noqa: E402

from fastrestore import nets  # noqa: E402
from fastrestore.cli import main  # noqa: E402
from fastrestore.cli.train import EPILOG  # noqa: E402
from fastrestore.nets.training.data import Patches, Sampling, photographs, split  # noqa: E402
from fastrestore.nets.training.loop import Session, deferred_interrupt, train  # noqa: E402
from fastrestore.nets.training.recipe import CHOICES, Recipe  # noqa: E402
from fastrestore.nets.training.state import State, checkpoint  # noqa: E402

TINY = Recipe(
    network="unet", sizes={"widths": (8, 8), "blocks": 1}, patch=16, batch=4, steps=20, rate=3e-3,
    warm=2, average=0.9,
)  # fmt: skip


def ignore(*_):
    """Ignore a report of progress."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four drawn photographs, one of them in a folder in the folder."""
    where = tmp_path_factory.mktemp("photographs")
    (where / "more").mkdir()
    for k, name in enumerate(("a.png", "b.png", "more/c.png", "d.png")):
        planes = [scene(50 + 6 * k, 60, seed=k + c) for c in range(3)]
        Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8)).save(where / name)
    (where / "notes.txt").write_text("no photograph")
    return where


def images(folder, channels=1):
    return split(photographs(folder, channels))


def test_training_lowers_the_loss_and_the_network_denoises(folder, tmp_path):
    reports = []
    recipe = replace(TINY, steps=60, sigma=(25, 25), rate=1e-2)
    path = train(
        recipe,
        *images(folder),
        Session(tmp_path, validate_every=20),
        lambda *each: reports.append(each),
    )
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [20, 40, 60]
    assert float(rows[-1]["psnr_25"]) > float(rows[0]["psnr_25"]) + 0.3
    assert reports[-1][:2] == (60, 60)
    net = nets.load(path)
    assert net.sigmas == pytest.approx((25 / 255, 25 / 255))
    crops = np.asarray(Image.open(tmp_path / "crops.png"))
    assert crops.shape[1] == 3 * crops.shape[0] / len(images(folder)[1])


def weights(folder, out, recipe=TINY, sessions=1):
    """Train in several sessions and return the weights."""
    for k in range(sessions):
        session = Session(out, minutes=1e-9 if k < sessions - 1 else None, validate_every=1000)
        path = train(recipe, *images(folder), session, ignore)
        assert (path is None) == (k < sessions - 1)
    return nets.load(path).state_dict()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_is_bitwise_the_same(folder, tmp_path, precision):
    recipe = replace(TINY, steps=8, precision=precision)
    whole = weights(folder, tmp_path / "whole", recipe)
    parts = weights(folder, tmp_path / "parts", recipe, sessions=4)
    other = weights(folder, tmp_path / "other", replace(recipe, seed=1))
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    assert not all(torch.equal(other[name], whole[name]) for name in whole)


@pytest.mark.parametrize("kill", ["while writing", "between"])
def test_a_kill_leaves_a_checkpoint(folder, tmp_path, kill):
    recipe = replace(TINY, steps=4)
    whole = weights(folder, tmp_path / "whole", recipe)
    out = tmp_path / "killed"
    session = Session(out, minutes=1e-9)
    assert train(recipe, *images(folder), session, ignore) is None
    if kill == "while writing":  # the next one is begun
        (out / "checkpoint.new").mkdir()
        (out / "checkpoint.new" / "weights.safetensors").write_bytes(b"half")
    else:  # the old one is moved away, the new one not in its place yet
        (out / "checkpoint").rename(out / "checkpoint.old")
        shutil.copytree(out / "checkpoint.old", out / "checkpoint.new")
    again = weights(folder, out, recipe)
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    assert sorted(path.name for path in out.glob("checkpoint*")) == ["checkpoint"]


@pytest.fixture
def interruptible():
    """Handle Ctrl-C as in a terminal; processes in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_waits_for_a_checkpoint(folder, tmp_path):
    whole = weights(folder, tmp_path / "whole", replace(TINY, steps=6))

    def stop(step, *_):
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    session = Session(tmp_path / "out", save_every=1e9)
    with pytest.raises(KeyboardInterrupt, match=r"step 3 of 6 is saved in .*out; run the same"):
        train(replace(TINY, steps=6), *images(folder), session, stop)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = weights(folder, tmp_path / "out", replace(TINY, steps=6))
    assert all(torch.equal(again[name], whole[name]) for name in whole)


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_does_not_wait():
    with deferred_interrupt() as stopped:
        signal.raise_signal(signal.SIGINT)
        assert stopped
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_log_repeats_no_rows(folder, tmp_path):
    """Steps after the last checkpoint are repeated after a kill, and logged once."""
    recipe, log = replace(TINY, steps=6), tmp_path / "log.csv"
    train(recipe, *images(folder), Session(tmp_path, minutes=1e-9, validate_every=1), ignore)
    once = log.read_text()
    log.write_text(once + once.splitlines()[1].replace("1,", "2,", 1) + "\r\n2,cut")
    train(recipe, *images(folder), Session(tmp_path, validate_every=1), ignore)
    rows = list(csv.DictReader(log.read_text().splitlines()))
    assert [row["step"] for row in rows] == list("123456")
    assert log.read_text().startswith(once.splitlines()[0])


def test_files_of_a_checkpoint_are_small(tmp_path):
    state = State(Recipe(channels=3), "cpu")
    state.save(tmp_path)
    assert max(path.stat().st_size for path in checkpoint(tmp_path).iterdir()) < 16 * 2**20


SIZES = {
    "dncnn": {"layers": 4, "width": 8},
    "dncnn with batch norm": {"layers": 4, "width": 8, "batch_norm": True},
    "ffdnet": {"layers": 4, "width": 8},
    "unet": TINY.sizes,
    "unet without sigma": {**TINY.sizes, "takes_sigma": False},
}


@pytest.mark.parametrize("name", SIZES)
def test_every_network_learns(folder, tmp_path, name):
    recipe = replace(TINY, network=name.split()[0], sizes=SIZES[name], channels=3)
    path = train(recipe, *images(folder, 3), Session(tmp_path), ignore)
    assert nets.load(path).channels == 3
    assert path.name == f"{name.split()[0]}-color.safetensors"


def test_patches_are_parts_of_photographs():
    image = np.arange(40 * 50, dtype=np.int64).reshape(1, 40, 50) % 251
    patches = Patches([image.astype(np.uint8)], Sampling(16), "cpu")
    drawn = patches.draw(200, torch.Generator().manual_seed(0))
    places = {
        (image[0, y : y + 16, x : x + 16] / np.float32(255)).astype(np.float32).tobytes()
        for y in range(25)
        for x in range(35)
    }
    kinds = set()
    for patch in drawn[:, 0].numpy():
        turned = [
            (flip, np.ascontiguousarray(np.rot90(each, k)).tobytes())
            for flip, each in ((0, patch), (1, patch.T))
            for k in range(4)
        ]
        found = [n for n, (_, bytes_) in enumerate(turned) if bytes_ in places]
        assert found
        kinds.add(found[0])
    assert len(kinds) == 8  # all turns and mirrors
    mirrored = Patches([image.astype(np.uint8)], Sampling(16, turned=False), "cpu")
    random = torch.Generator().manual_seed(0)
    for patch in mirrored.draw(50, random)[:, 0].numpy():
        ways = (patch, patch[::-1], patch[:, ::-1], patch[::-1, ::-1])
        assert any(np.ascontiguousarray(way).tobytes() in places for way in ways)


def test_shrunk_photographs(folder):
    images = photographs(folder, 3)
    patches = Patches(images, Sampling(16, (1.0, 0.5)), "cpu")
    assert patches.draw(5, torch.Generator().manual_seed(0)).shape == (5, 3, 16, 16)
    with pytest.raises(ValueError, match="no photograph has 64 x 64 pixels"):
        Patches(images[:1], Sampling(64), "cpu")


def command(folder, out, *more):
    return main(["train", "unet", "--images", str(folder), "--out", str(out), "-q",
                 "--set", "sizes.widths=[8,8]", "--set", "sizes.blocks=1", "--set", "patch=16",
                 "--set", "batch=2", "--set", "steps=20", *more])  # fmt: skip


def test_the_command(folder, tmp_path, capsys):
    only = tmp_path / "only.txt"
    only.write_text("a.png\nmore/c.png\n")
    assert command(folder, tmp_path / "out", "--only", str(only), "--device", "cpu") == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"unet-gray.safetensors", "log.csv", "crops.png", "checkpoint"}
    recipe = tmp_path / "recipe.json"
    recipe.write_text((tmp_path / "out" / "checkpoint" / "recipe.json").read_text())
    more = ["--recipe", str(recipe), "--only", str(only), "--device", "cpu", "-q"]
    base = ["train", "unet", "--images", str(folder)]
    assert main([*base, "--out", str(tmp_path / "again"), *more]) == 0
    first, second = (
        (tmp_path / name / "unet-gray.safetensors").read_bytes() for name in ("out", "again")
    )
    assert first == second
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "stepz=3"], "a recipe has no stepz; it has adversarial, adversary"),
        (["--set", "steps"], "--set steps is not NAME=VALUE"),
        (["--set", "patch=13"], "patch must be a multiple of 8, 16 or more, got 13"),
        (["--set", "sizes.depth=3"], "unet has no sizes depth; it has widths, blocks, takes_sigma"),
        (["--set", "sizes.blocks=0"], "sizes of unet: blocks must be a whole number of 1 or more"),
        (["--set", "steps=abc"], "steps must be a whole number, got 'abc'"),
        (["--set", "steps=2.5"], "steps must be a whole number, got 2.5"),
        (["--set", "rate=fast"], "rate must be a number, got 'fast'"),
        (["--set", "turned=1"], "turned must be true or false, got 1"),
        (["--set", "sigma=25"], "sigma must be two numbers, such as [0, 75], got 25"),
        (["--set", "shrink=0.5"], "shrink must be numbers, such as [1, 0.5], got 0.5"),
        (["--set", "sizes=3"], "sizes must be sizes by name, got 3"),
        (["--set", "steps.a=3"], "--set steps.a=3: only sizes and adversary_sizes have parts"),
        (
            ["--set", "adversary=unet", "--set", "adversary_sizes.depth=3"],
            "adversary='unet' has no sizes depth; it has width",
        ),
        (["--films", "none"], "--films none is not a directory"),
        (["--films", "."], "--films . is for vsrgan, not for unet"),
        (["--set", "patch=128"], "no photograph has 128 x 128 pixels"),
        (["--minutes", "-1"], "--minutes must be above 0, got -1"),
        (["--threads", "0"], "--threads must be 1 or more, got 0"),
        (["--device", "gpu"], "--device gpu is not a device; write cpu, cuda or cuda:1"),
        (["--recipe", "none.json"], "none.json cannot be read"),
        (["--only", "none.txt"], "--only none.txt: no such file"),
    ],
)
def test_bad_arguments(folder, tmp_path, capsys, more, message):
    assert command(folder, tmp_path / "out", *more) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--perceptual none.h5: no such file"),
        (["--set", "perceptual=0"], "none.h5 would not be used: --set perceptual=0 has perceptual"),
        (["--recipe", "recipe.json"], "none.h5 would not be used: --recipe recipe.json has percep"),
        (["--perceptual", "here.h5"], "needs h5py: pip install h5py"),
    ],
)
def test_errors_of_the_feature_file(folder, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "recipe.json").write_text(TINY.text())
    (tmp_path / "here.h5").write_bytes(b"none")
    assert command(folder, tmp_path / "out", "--perceptual", "none.h5", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_features_are_compared(folder, tmp_path, monkeypatch):
    from fastrestore.nets.training import perceptual

    (tmp_path / "file.h5").write_bytes(b"none")
    monkeypatch.setattr(perceptual.Perceptual, "read", lambda path: perceptual.Perceptual())
    more = ["--set", "patch=32", "--set", "steps=2", "--perceptual", str(tmp_path / "file.h5")]
    assert command(folder, tmp_path / "out", *more) == 0
    assert "perceptual" in (tmp_path / "out" / "log.csv").read_text().splitlines()[0]


def test_the_help_names_all_numbers():
    names = set(re.findall(r"\w+", EPILOG))
    fields = {field.name for field in dataclasses.fields(Recipe)}
    assert fields <= names
    assert set().union(*CHOICES.values()) <= names | {""}


def test_bad_folders_and_recipes(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert command(tmp_path / "empty", tmp_path / "out") == 2
    assert "holds no photographs" in capsys.readouterr().err
    assert command(tmp_path / "none", tmp_path / "out") == 2
    assert "is not a directory" in capsys.readouterr().err
    (tmp_path / "empty" / "broken.png").write_bytes(b"none")
    assert command(tmp_path / "empty", tmp_path / "out") == 2
    assert "broken.png cannot be read" in capsys.readouterr().err
    (tmp_path / "recipe.json").write_text("[1]")
    assert command(folder, tmp_path / "out", "--recipe", str(tmp_path / "recipe.json")) == 2
    assert "recipe.json is not a recipe: it contains a list" in capsys.readouterr().err
    assert command(folder, tmp_path / "out") == 0
    assert command(folder, tmp_path / "out", "--set", "seed=4") == 2
    message = capsys.readouterr().err
    assert "has a checkpoint of another recipe: seed is 0 there and 4 here; choose" in message
    only = tmp_path / "only.txt"
    only.write_text("none.png\n")
    assert command(folder, tmp_path / "out", "--only", str(only)) == 2
    assert "none.png cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_loss_that_explodes(folder, tmp_path):
    recipe = replace(TINY, loss="l2", rate=0.99, warm=0)
    state = State(recipe, "cpu")
    with torch.no_grad():
        state.net.m_head.weight.fill_(torch.inf)
    state.save(tmp_path)
    with pytest.raises(FloatingPointError, match="the loss of step 1 is nan; try a smaller rate"):
        train(recipe, *images(folder), Session(tmp_path), ignore)
