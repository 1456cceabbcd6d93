"""Array types, by content and axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# On a GPU these are CuPy arrays, which have no static types
Image = NDArray[np.float32]  # (M, N), or a volume (P, M, N)
Channels = NDArray[np.float32]  # (C, M, N), or (C, P, M, N)
