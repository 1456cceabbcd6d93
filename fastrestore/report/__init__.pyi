"""The public names of `fastrestore.report`. This file is the only list of them."""

from .comparison import compare as compare
from .notebook import figures as figures
from .page import Page as Page
from .strengths import explore as explore
