"""Print constraints for pip that select the oldest supported dependencies."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
    name, lower = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    print(f"{name}=={lower if '.' in lower else lower + '.0'}.*")
