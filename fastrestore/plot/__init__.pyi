"""The public names of `fastrestore.plot`. This file is the only list of them."""

from .comparison import compare as compare
