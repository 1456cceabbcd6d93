"""``python -m fastrestore.cli`` does what ``fastrestore`` does."""

import sys

from fastrestore.cli import main

sys.exit(main())
