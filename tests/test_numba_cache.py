"""The cache of compiled kernels: its folder, damaged files, full disks and code without sources."""

import compileall
import os
import pickle
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastrestore
from fastrestore._collaborative.profile import CORRELATED, PROFILES
from fastrestore.backends.numba import _disk
from fastrestore.cli import cache

CALL = """
import numpy as np, fastrestore
image = np.add.outer(np.arange(20.0), np.arange(20.0) ** 2)
print(fastrestore.bm3d(image, 5.0).sum())
"""


def child(code, **variables):
    environment = {**os.environ, "NUMBA_CACHE_DIR": "", **variables}
    command = [sys.executable, "-P", "-W", "error", "-c", code]  # nothing from this folder
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return folder, child(CALL, FASTRESTORE_NUMBA_CACHE=str(folder))


def test_compiled_kernels_are_reused(filled):
    folder, result = filled
    kept = {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}
    assert len(kept) > 4
    assert child(CALL, FASTRESTORE_NUMBA_CACHE=str(folder)) == result
    assert kept == {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}


def test_loading_kernels_imports_nothing_of_the_compiler(filled):
    code = CALL + "import sys; print([x for x in MODULES if x in sys.modules])"
    modules = ["scipy.linalg", "numba.np.arrayobj", "numba.np.arraymath"]
    code = code.replace("MODULES", repr(modules))
    printed = child(code, FASTRESTORE_NUMBA_CACHE=str(filled[0]))
    assert printed == filled[1] + "[]\n"


def test_the_folder_is_named_after_the_sources(filled):
    import numba

    (folder,) = filled[0].iterdir()
    assert folder.name.startswith(f"{fastrestore.__version__}-numba{numba.__version__}-")


def test_info_and_clear(filled, tmp_path):
    shutil.copytree(filled[0], tmp_path / "new")
    code = CALL + (
        "from fastrestore.backends.numba import cache\n"
        "from fastrestore.cli.cache import warm\n"
        "print(cache.info()['files'] > 4, cache.info()['bytes'] > 1000, cache.clear() > 4,"
        " cache.info()['files'], warm(['lc']) > 0, cache.info()['path'].parent)"
    )
    out = child(code, FASTRESTORE_NUMBA_CACHE=str(tmp_path / "new"))
    assert out.splitlines()[1] == f"True True True 0 True {tmp_path / 'new'}"


def test_warm_compiles_what_a_profile_needs(filled, tmp_path):
    shutil.copytree(filled[0], tmp_path / "new")  # those of "np"
    code = (
        "import numpy as np\n"
        "from fastrestore import bm3d\n"
        "from fastrestore.backends.numba import cache\n"
        "counts = [cache.info()['files']]\n"
        "from fastrestore.cli.cache import warm\n"
        "warm(['fast'])\n"
        "counts.append(cache.info()['files'])\n"
        "for image in (np.eye(20), np.eye(20)[..., None] * [1, 2, 3]):\n"
        "    axis = -1 if image.ndim == 3 else None\n"
        "    bm3d(image, 0.1, profile='fast', channel_axis=axis)\n"
        "counts.append(cache.info()['files'])\n"
        "print(counts[0] < counts[1] == counts[2])"
    )
    assert child(code, FASTRESTORE_NUMBA_CACHE=str(tmp_path / "new")) == "True\n"


def test_warm_calls_the_function_of_each_profile(monkeypatch):
    called = []

    def record(function):
        return lambda *_, profile=None, **options: called.append((function, profile))

    for function in ("bm3d", "vbm3d", "denoise_burst", "bm4d"):
        monkeypatch.setattr(cache, function, record(function))
    cache.warm(list(PROFILES))
    images = [PROFILES[name] for name in PROFILES if name not in ("video", "volume")]
    expected = [("bm3d", profile) for profile in [*images, CORRELATED]]
    expected += [(function, None) for function in ("vbm3d", "denoise_burst", "bm4d", "bm4d")]
    assert sorted(called, key=repr) == sorted(expected, key=repr)


INFO = """
from fastrestore.backends.numba import cache
print(cache.info()['path'], cache.info()['files'], cache.clear())
"""


@pytest.mark.parametrize(("variable", "code"), [("0", CALL + INFO), ("off", INFO)])
def test_the_cache_can_be_switched_off(filled, variable, code, tmp_path):
    out = child(code, FASTRESTORE_NUMBA_CACHE=variable, XDG_CACHE_HOME=str(tmp_path))
    assert out == filled[1] * (CALL in code) + "None 0 0\n"
    assert not list(tmp_path.iterdir())


def test_a_home_that_cannot_be_written(filled, tmp_path):
    """A file has the name of the folder, so that even root cannot create it."""
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    out = child(CALL, FASTRESTORE_NUMBA_CACHE=str(obstacle / "cache"))
    assert out == filled[1]


def test_numbas_own_variable_is_respected(filled, tmp_path):
    out = child(CALL, NUMBA_CACHE_DIR=str(tmp_path), FASTRESTORE_NUMBA_CACHE="")
    assert out == filled[1]
    assert list(tmp_path.glob("*-numba*/*.nbc"))


def test_configuration_of_numba_is_unchanged():
    code = (
        "import numba; before = numba.config.CACHE_DIR"
        + CALL
        + ("print(numba.config.CACHE_DIR == before)")
    )
    assert child(code).splitlines()[-1] == "True"


def damages(data):
    """Damaged versions of a file."""
    draw = random.Random(0)
    for size in (0, 1, _disk.LENGTH, _disk.LENGTH + _disk.DIGEST, len(data) // 2, len(data) - 1):
        yield data[:size]
    yield data + b"more"
    yield bytes(len(data))
    yield b"\xff" * len(data)
    places = [*range(_disk.LENGTH + _disk.DIGEST + 2), *draw.sample(range(len(data)), 400)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << draw.randrange(8)
        yield bytes(flipped)


def test_every_damage_is_noticed(filled):
    file = max(filled[0].rglob("*.nbc"), key=lambda path: path.stat().st_size)
    data = file.read_bytes()
    copy = file.with_name("copy.nbc")
    copy.write_bytes(data)
    with pytest.raises(ValueError, match="its checksum is wrong"):
        _disk.read(copy)  # the file of another kernel
    count = 0
    for damaged in damages(data):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"its (length|checksum) is wrong"):
            _disk.read(file)
        count += 1
    copy.unlink()
    file.write_bytes(data)
    assert _disk.read(file) == data[_disk.LENGTH + _disk.DIGEST :]
    assert count > 400


def test_damaged_kernels_are_replaced(filled, tmp_path):
    """All kernels are damaged in one of four ways; the call gives the same result."""
    home = tmp_path / "cache"
    shutil.copytree(filled[0], home)
    files = sorted(home.rglob("*.nbc"))
    contents = [file.read_bytes() for file in files]
    for k, (file, data) in enumerate(zip(files, contents, strict=True)):
        kinds = data[:999], b"", data[:500] + bytes(99) + data[599:], contents[k - 1]
        file.write_bytes(kinds[k % len(kinds)])
    assert child(CALL + PROBLEMS, FASTRESTORE_NUMBA_CACHE=str(home)) == filled[1] + "[]\n"
    for file in files:
        _disk.read(file)
    files[0].write_bytes(b"")
    code = "from fastrestore.cli import main; main(['cache', 'info'])"
    lines = child(code, FASTRESTORE_NUMBA_CACHE=str(home)).splitlines()
    assert lines[-2:] == [
        f"{files[0].name} is damaged: its length is wrong",
        "damaged kernels are compiled again and replaced when they are used",
    ]


PROBLEMS = """
from fastrestore.backends.numba import cache
print(cache.info()["problems"])
"""

SMALL = """
from fastrestore.backends.numba._jit import kernel
@kernel
def twice(x):
    return 2 * x
print(twice(21))
"""


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(5), pickle.dumps((1, 2, 3))])
def test_content_that_cannot_be_loaded(content, tmp_path):
    """The checksum is right, but a version of Numba wrote something else."""
    home = {"FASTRESTORE_NUMBA_CACHE": str(tmp_path)}
    assert child(SMALL, **home) == "42\n"
    (file,) = tmp_path.rglob("*.nbc")
    good = file.read_bytes()
    _disk.write(file, content)
    assert child(SMALL, **home) == "42\n"
    assert len(file.read_bytes()) == len(good)


def test_a_folder_in_the_place_of_a_kernel(tmp_path):
    home = {"FASTRESTORE_NUMBA_CACHE": str(tmp_path)}
    child(SMALL, **home)
    (file,) = tmp_path.rglob("*.nbc")
    file.unlink()
    (file / "inside").mkdir(parents=True)
    out = child(SMALL + PROBLEMS, **home)
    assert out == f"42\n['{file.name} is damaged: Is a directory', '{REPLACED}']\n"


REPLACED = "damaged kernels are compiled again and replaced when they are used"
FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
NOT_STORED = "kernels cannot be stored, and each process compiles its own: "


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
def test_a_full_disk(filled, tmp_path):
    """A limit of the size of files stands for a full disk."""
    expected = f"['{NOT_STORED}File too large']\n"
    home = tmp_path / "cache"
    out = child(FULL + SMALL + PROBLEMS, FASTRESTORE_NUMBA_CACHE=str(home))
    assert out == "42\n" + expected
    assert not any(path.is_file() for path in home.rglob("*"))
    out = child(FULL + CALL + PROBLEMS, FASTRESTORE_NUMBA_CACHE=str(filled[0]))
    assert out == filled[1] + expected


def test_info_of_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    out = child(SMALL + PROBLEMS, FASTRESTORE_NUMBA_CACHE=str(tmp_path / "file" / "cache"))
    assert out == f"42\n['{NOT_STORED}Not a directory']\n"


def packed(kind, folder):
    """Make a copy of the package without source files; return what to put on the path."""
    package = Path(fastrestore.__file__).parent
    copied = shutil.copytree(
        package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__", "weights")
    )
    if kind == "bytecode":
        compileall.compile_dir(copied, legacy=True, quiet=1)
        for path in copied.rglob("*.py"):
            path.unlink()
        return folder
    with zipfile.ZipFile(folder / "archive", "w") as archive:
        for path in copied.rglob("*.py*"):
            archive.write(path, path.relative_to(folder))
    shutil.rmtree(copied)
    return folder / "archive"


@pytest.mark.parametrize("kind", ["bytecode", "archive"])
def test_code_without_sources(kind, tmp_path):
    path, home = packed(kind, tmp_path / "code"), tmp_path / "cache"
    code = (
        "import fastrestore, numpy as np, fastrestore.backends.numba.engine as e\n"
        + SMALL
        + (
            "assert fastrestore.bm3d(np.eye(9), 0.1, backend='numpy').shape == (9, 9)\n"
            "print(e.__file__)\n"
        )
    )
    variables = {"FASTRESTORE_NUMBA_CACHE": str(home), "PYTHONPATH": str(path)}
    out = child(code, **variables).splitlines()
    assert out[0] == "42"
    assert out[1].startswith(str(path))
    (file,) = home.rglob("*.nbc")
    before = file.stat().st_mtime_ns
    assert child(code, **variables).splitlines() == out
    assert file.stat().st_mtime_ns == before
