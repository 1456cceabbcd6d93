"""``python -m fastrestore`` is the same as ``fastrestore``."""

import sys

from fastrestore.cli import main

if __name__ == "__main__":
    sys.exit(main())
