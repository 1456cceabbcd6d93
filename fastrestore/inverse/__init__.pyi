"""The public names of `fastrestore.inverse`. This file is the only list of them."""

from .iterations import DivergenceError as DivergenceError
from .iterations import Result as Result
from .missing import Mask as Mask
from .operators import Blur as Blur
from .operators import Decimation as Decimation
from .operators import Forward as Forward
from .plug_and_play import pnp as pnp
