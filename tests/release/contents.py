"""Check the contents of the wheel and of the source archive in a folder."""

import re
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What neither may contain: photographs, films, arrays, and what an editor or a test leaves
DATA = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz", ".mp4", ".avi", ".nii", ".mat",
        ".h5", ".pyc", ".log")  # fmt: skip
FIGURES = {"bench/figure.png", "docs/guide/uncertainty.png"}  # drawn by bench/
WHEEL_ROOTS = {"fastrestore"}
SOURCE_ROOTS = {
    "fastrestore", "kernels", "tests", "docs", "bench", "conda", ".ci", ".gitignore", "PKG-INFO",
    "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md",
    "pyproject.toml",
}  # fmt: skip
RELATIVE = re.compile(r"\]\((?!https?:|#)([^)]+)\)")  # links that work in the repository only
WEIGHTS = 16_000_000  # bytes; the weights of networks are most of it


def faults(names: set[str], roots: set[str], required: set[str]) -> list[str]:
    """Return a line for each name that an archive lacks, or should not have."""
    outside = {name for name in names if name.split("/")[0] not in roots}
    data = {name for name in names if name.endswith(DATA)} - FIGURES
    return [
        *(f"outside of the folders: {name}" for name in sorted(outside)),
        *(f"data: {name}" for name in sorted(data)),
        *(f"missing: {name}" for name in sorted(required - names)),
    ]


def package_files() -> set[str]:
    """Return the files that a wheel must contain."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fastrestore").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".nbi", ".nbc")
    }
    kernels = {f"fastrestore/kernels/{path.name}" for path in (ROOT / "kernels").glob("*.cu*")}
    return package | kernels


def check_wheel(path: Path) -> list[str]:
    """Return the faults of a wheel."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
        license_file = metadata.replace("METADATA", "licenses/LICENSE")
        same = archive.read(license_file) == (ROOT / "LICENSE").read_bytes()
    info = metadata.split("/")[0]
    found = faults(names, WHEEL_ROOTS | {info}, package_files())
    found += [] if same else ["the license differs"]
    found += [] if fields["License-Expression"] == "BSD-3-Clause" else ["no license expression"]
    found += [] if path.stat().st_size < WEIGHTS else [f"{path.stat().st_size} bytes"]
    return found + version_faults(fields["Version"]) + link_faults(fields)


def check_source(path: Path) -> list[str]:
    """Return the faults of a source archive."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    package = {re.sub("^fastrestore/kernels/", "kernels/", name) for name in package_files()}
    return faults(names, SOURCE_ROOTS, package | {"LICENSE", "README.md", "tests/conftest.py"})


def link_faults(metadata: Message) -> list[str]:
    """Return a line if README.md has relative links, which do not work on PyPI.

    They can be absolute only when the project has an address; before, a line is printed.
    """
    links = RELATIVE.findall(str(metadata.get_payload()))
    line = f"{len(links)} relative links in README.md, such as {links[0]}" if links else ""
    if not links or any("Repository" in url for url in metadata.get_all("Project-URL", [])):
        return [line] if links else []
    print(f"not for PyPI yet: {line}; pyproject.toml has no Repository in project.urls")
    return []


def version_faults(version: str) -> list[str]:
    """Return a line for each file that states another version."""
    text = {name: (ROOT / name).read_text("utf-8") for name in ("CHANGELOG.md", "CITATION.cff")}
    stated = {
        "CHANGELOG.md": re.search(
            r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", text["CHANGELOG.md"], re.M
        ),
        "CITATION.cff": re.search(r"^version: (\S+)$", text["CITATION.cff"], re.M),
    }
    return [
        f"{name} has version {match and match[1]}, the wheel {version}"
        for name, match in stated.items()
        if not match or match[1] != version
    ]


def main(folder: Path) -> None:
    """Print the faults of the archives in a folder; exit with 1 if there are any."""
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    found = {wheel: check_wheel(wheel), source: check_source(source)}
    for path, lines in found.items():
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {len(lines)} faults")
        print(*(f"  {line}\n" for line in lines), sep="", end="")
    sys.exit(any(found.values()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
