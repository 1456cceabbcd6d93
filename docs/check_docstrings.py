"""Check the docstrings of all public names with numpydoc; exit with 1 if one fails."""

import importlib
import inspect
import sys

from numpydoc.validate import validate

SUBPACKAGES = ("compat", "compat.bm3d", "compat.bm4d", "inverse", "nets", "plot", "report")
MODULES = ("fastrestore", *(f"fastrestore.{name}" for name in SUBPACKAGES))

NOT_REQUIRED = {"ES01", "EX01", "SA01"}  # an extended summary, examples, a "See Also" section
WANTED = {"GL07", "PR03", "PR04", "PR09", "RT01", "RT02", "SA03", "YD01"}  # a few still fail
ATTRIBUTES = {"PR01"}  # dataclasses document attributes instead of parameters


def main() -> None:
    """Print the errors of each public name."""
    failed = 0
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                continue
            ignored = NOT_REQUIRED | WANTED | (ATTRIBUTES if inspect.isclass(value) else set())
            for code, message in validate(f"{module_name}.{name}")["errors"]:
                if code not in ignored:
                    failed += 1
                    print(f"{module_name}.{name}: {code} {message}", file=sys.stderr)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
