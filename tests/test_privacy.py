"""What the page on privacy states: the package has no code that opens connections."""

import ast
from pathlib import Path

import fastrestore

PACKAGE = Path(fastrestore.__file__).parent
NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "huggingface_hub", "pooch", "requests", "smtplib",
    "telnetlib", "urllib3", "webbrowser", "xmlrpc",
}  # fmt: skip
HOST_NAME = Path("_chunked", "versions.py")  # uses `socket.gethostname`


def imported(path):
    """Return the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def opens_connections(name):
    return name.partition(".")[0] in NETWORK or name.startswith(("urllib.request", "torch.hub"))


def test_no_module_opens_connections():
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) > 300
    for path in paths:
        names = set(imported(path))
        assert not [name for name in names if opens_connections(name)], path
        if "socket" in names:
            assert path.relative_to(PACKAGE) == HOST_NAME
            assert path.read_text(encoding="utf-8").count("socket.") == 1


def test_connections_are_recognized(tmp_path):
    lines = "def f():\n    from urllib.request import urlopen\n    import requests\n"
    (tmp_path / "a.py").write_text(lines, encoding="utf-8")
    assert all(map(opens_connections, imported(tmp_path / "a.py")))
