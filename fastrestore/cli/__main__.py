"""``python -m fastrestore.cli`` is the same as ``fastrestore``."""

import sys

from fastrestore.cli import main

sys.exit(main())
