"""Names of array types: what an array holds and which axes it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# On a GPU the following are arrays of CuPy, which has no types
Image = NDArray[np.float32]  # (M, N), or a volume (P, M, N)
Channels = NDArray[np.float32]  # (C, M, N), or (C, P, M, N)
