"""The version, the draft of a recipe for conda-forge, and the check of archives for a release."""

import re
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import fastrestore

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"openimageio": "py-openimageio"}  # where conda-forge has another name
sys.path.insert(0, str(ROOT / "tests" / "release"))


def recipe():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "conda/recipe.yaml").read_text(encoding="utf-8"))


def conda_requirement(requirement):
    name, bound = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    name = CONDA_NAMES.get(name.lower(), name.lower())
    return f"{name} {bound}"


def test_recipe_has_the_dependencies_of_the_project():
    requirements = recipe()["requirements"]
    python, *packages = requirements["run"]
    assert python == "python >=${{ python_min }}"
    assert packages == [conda_requirement(each) for each in PROJECT["dependencies"]]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert requirements["host"][2:] == [conda_requirement(each) for each in build["requires"]]


def test_recipe_has_the_metadata_of_the_project():
    found = recipe()
    assert f">={found['context']['python_min']}" == PROJECT["requires-python"]
    assert found["about"]["summary"] == PROJECT["description"]
    assert found["about"]["license"] == PROJECT["license"]
    ((name, target),) = PROJECT["scripts"].items()
    assert found["build"]["python"]["entry_points"] == [f"{name} = {target}"]


def test_one_version_everywhere():
    version = fastrestore.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\S+)\]( - \d{4}-\d\d-\d\d)?$", changes, re.MULTILINE)
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert recipe()["context"]["version"] == version.partition(".dev")[0]
    if ".dev" in version:
        assert newest.groups() == ("Unreleased", None)
    else:
        assert newest[1] == cited[1] == version
        assert newest[2]


def archive(folder, names):
    with zipfile.ZipFile(folder / "a-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, data in names.items():
            wheel.writestr(name, data)
    with tarfile.open(folder / "a-0.1.0.tar.gz", "w:gz"):
        pass
    return folder


def test_faults_of_archives_are_found(tmp_path, capsys):
    import contents

    info = "a-0.1.0.dist-info"
    names = {
        f"{info}/METADATA": "Version: 9.9\nLicense-Expression: MIT\n",
        f"{info}/licenses/LICENSE": "none",
        "tests/test_bm3d.py": "",
        "fastrestore/photo.png": "",
    }
    with pytest.raises(SystemExit) as stopped:
        contents.main(archive(tmp_path, names))
    assert stopped.value.code
    printed = capsys.readouterr().out
    for fault in ("outside of the folders: tests/test_bm3d.py", "data: fastrestore/photo.png",
                  "missing: fastrestore/kernels/bm3d_final.cu", "the license differs",
                  "no license expression", "the wheel 9.9", "missing: LICENSE"):  # fmt: skip
        assert fault in printed


@pytest.mark.parametrize(
    ("address", "link", "found"),
    [
        ("", "docs/tour.md", 0),
        ("Project-URL: Repository, https://example.org\n", "docs/tour.md", 1),
        ("Project-URL: Repository, https://example.org\n", "https://example.org/tour", 0),
    ],
)
def test_relative_links_are_faults_once_there_is_an_address(address, link, found, capsys):
    import contents

    text = f"Name: a\n{address}\n[tour]({link}), [below](#below)\n"
    assert len(contents.link_faults(Parser().parsestr(text))) == found
    assert ("not for PyPI yet: 1 relative" in capsys.readouterr().out) == (not address)
