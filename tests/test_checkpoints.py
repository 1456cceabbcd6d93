"""A training whose process is killed, whose disk is full or whose files are damaged."""

import re
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from support.nets import torch_or_skip

torch = torch_or_skip()

from PIL import Image  # noqa: E402
from safetensors.torch import save  # noqa: E402
from support.commandline import fails  # noqa: E402
from support.images import scene  # noqa: E402

from fastrestore.cli import main  # noqa: E402
from fastrestore.nets import storage  # noqa: E402
from fastrestore.nets.training import state as module  # noqa: E402
from fastrestore.nets.training.recipe import Recipe  # noqa: E402
from fastrestore.nets.training.state import State  # noqa: E402

TINY = Recipe(network="unet", sizes={"widths": (8, 8), "blocks": 1}, patch=16, steps=9)
WATCHED = (module.__file__, storage.__file__, shutil.__file__)


def at_step(step):
    state = State(TINY, "cpu")
    state.step = step
    return state


def contents(folder):
    """All files with their sizes, and the step of each checkpoint."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}
    steps = {path.parent.name: path.read_text()[:11] for path in folder.rglob("state.json")}
    return tuple(sorted(files.items())), tuple(sorted(steps.items()))


def left_by_kills(start, step, work):
    """Return what a kill at any line of `save` leaves: copies made before the line runs."""
    folder, seen, copies = shutil.copytree(start, work / "running"), set(), []

    def trace(frame, event, _):
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line" and contents(folder) not in seen:
            seen.add(contents(folder))
            sys.settrace(None)
            copies.append(shutil.copytree(folder, work / str(len(copies))))
            sys.settrace(trace)
        return trace

    state, before = at_step(step), sys.gettrace()
    try:
        sys.settrace(trace)
        state.save(folder)
    finally:
        sys.settrace(before)
    assert State.load(folder, TINY, "cpu").step == step
    shutil.rmtree(folder)
    return copies


def shape(folder):
    """The checkpoints in a folder, and which are complete."""
    return frozenset((path.name, (path / "state.json").exists()) for path in folder.iterdir())


def test_two_kills_at_any_lines_leave_a_checkpoint(tmp_path):
    (tmp_path / "0").mkdir()
    at_step(1).save(tmp_path / "start")
    once = left_by_kills(tmp_path / "start", 2, tmp_path / "0")
    assert {State.load(each, TINY, "cpu").step for each in once} == {1, 2}
    different = {shape(each): each for each in once}
    assert len(different) >= 6
    for k, first in enumerate(different.values(), 1):
        before = State.load(first, TINY, "cpu").step
        (tmp_path / str(k)).mkdir()
        for twice in left_by_kills(first, 3, tmp_path / str(k)):
            assert State.load(twice, TINY, "cpu").step in (before, 3)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for k in range(2):
        Image.fromarray(scene(40, 48, seed=k).clip(0, 255).astype(np.uint8)).save(
            folder / f"{k}.png"
        )
    return folder


def words(photographs, out, *more):
    """The arguments of a small training."""
    sets = "sizes.widths=[8,8]", "sizes.blocks=1", "patch=16", "batch=2", "steps=4"
    options = [word for pair in sets for word in ("--set", pair)]
    return ["train", "unet", "--images", photographs, "--out", out, "-q", *options, *more]


LIMITED = """
import resource, sys
from fastrestore.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
@pytest.mark.parametrize(
    ("limit", "name", "more"),
    [
        (10, "out", ()),
        (1000, "out", ()),
        (5000, "checkpoint.new/mean.safetensors", ("--set", "steps=1000", "--minutes", "1e-9")),
    ],
)
def test_a_full_disk(photographs, tmp_path, limit, name, more):
    """A limit of the size of files stands for a full disk; the last checkpoint stays usable."""
    out = tmp_path / "out"
    begin = [str(word) for word in words(photographs, out, *more, "--minutes", "1e-9")]
    assert main(begin) == 0
    (out / "log.csv").unlink(missing_ok=True)
    command = [sys.executable, "-c", LIMITED, limit, *words(photographs, out, *more)]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert re.fullmatch(rf"fastrestore: error: .*{name}: File too large\n", run.stderr)
    assert [path.name for path in out.glob("checkpoint*")] == ["checkpoint"]
    assert main(begin) == 0  # there is space again


PARTS = "mean", "weights", "exp_avg", "exp_avg_sq"
FILES = ["recipe.json", "state.json", *(f"{part}.safetensors" for part in PARTS)]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "bytes", "other"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint(photographs, tmp_path, capsys, name, damage):
    out = tmp_path / "out"
    assert main([str(word) for word in words(photographs, out, "--minutes", "1e-9")]) == 0
    path = out / "checkpoint" / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
        if name == "state.json":
            return  # without this file the folder is not a checkpoint
    elif damage == "other":  # well formed, but with other contents
        other = b'{"step": 1e999}' if name.endswith("json") else save({"a": torch.zeros(3)})
        path.write_bytes(other)
    else:
        cut = data[: len(data) // 2]
        path.write_bytes({"empty": b"", "cut": cut, "bytes": b"\xff" * 99}[damage])
    message = fails(capsys, *words(photographs, out))
    assert str(path) in message
    assert f"remove {out / 'checkpoint'} to start from the beginning" in message


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("patch=1e999", "patch must be a whole number, got inf"),
        ("patch=NaN", "patch must be a whole number, got nan"),
        ("pixel=1e999", "pixel must be a number, got inf"),
        ("sigma=[0,1e999]", "sigma must be two numbers, such as [0, 75], got (0, inf)"),
        ("warm=" + "9" * 400, "warm must be a whole number, got 9999"),
        ("warm=" + "9" * 5000, "--set warm: the value is not valid: it has a number with too many"),
        ("sizes=" + "[" * 9 + "]" * 9, "it is nested more than 8 levels deep"),
        ("sizes=" + '{"a":' * 90000, "it is nested more than 8 levels deep"),
        ("seed=1e18", "seed must be between -8388608 and 8388608, got 1000000000000000000"),
        ("sizes.blocks=" + "9" * 20, "blocks must be at most 10000, got 9999"),
        (
            "sizes.widths=[9e9]",
            "sizes of unet: widths[0] must be a whole number of 1 or more, got 9000000000.0",
        ),
        ("adversary_sizes=[1]", "adversary_sizes must be sizes by name, got (1,)"),
    ],
)
def test_numbers_beyond_sense(photographs, tmp_path, capsys, pair, message):
    assert message in fails(capsys, *words(photographs, tmp_path / "out", "--set", pair))


def test_sizes_of_a_discriminator(photographs, tmp_path, capsys):
    more = "--set", "adversary=unet", "--set", "adversary_sizes.width=-1"
    message = fails(capsys, *words(photographs, tmp_path / "out", *more))
    assert message == "sizes of adversary='unet': width must be a whole number of 1 or more, got -1"


DEEP = "[" * 100_000, '{"sizes": ' * 500 + "1" + "}" * 500, "9" * 5000


@pytest.mark.parametrize("text", DEEP)
def test_a_deep_recipe(photographs, tmp_path, capsys, text):
    (tmp_path / "deep.json").write_text(text)
    message = fails(
        capsys, *words(photographs, tmp_path / "out", "--recipe", tmp_path / "deep.json")
    )
    assert f"{tmp_path / 'deep.json'} is not a recipe: it " in message


def png_of_size(width, height):
    """The beginning of a PNG file of any size."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 0, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    data = struct.pack(">I4s", 1000, b"IDAT")
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + checksum + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png_of_size(60_000, 60_000), "huge.png is too large for training"),
        (png_of_size(40, 40) + b"\0\0\0\4ABC!" + b"\0" * 8, "huge.png cannot be read: "),
        (b"", "huge.png cannot be read: "),
    ],
)
def test_photographs_that_cannot_be_read(photographs, tmp_path, capsys, data, message):
    (photographs / "huge.png").write_bytes(data)
    assert message in fails(capsys, *words(photographs, tmp_path / "out"))


def test_a_damaged_log(photographs, tmp_path, capsys):
    (tmp_path / "log.csv").write_bytes(b"step,seconds\r\n\xff\xfe\r\n")
    message = fails(capsys, *words(photographs, tmp_path))
    assert f"{tmp_path / 'log.csv'} is damaged" in message
