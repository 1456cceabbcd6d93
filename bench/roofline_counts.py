"""The least work of each stage: operations and bytes of `bm3d`, np, 512x512, both passes.

They are counted from the algorithm, not from the code, so that they stay the same when it changes.
A group has 16 blocks in the basic stage and 32 in the final one, for each of R references.
"""

from typing import NamedTuple

import numpy as np

R = 170**2  # references
GROUPS = (16, 32)
BLOCK = 8
AREA = BLOCK**2  # coefficients of a block
PIXELS = 512**2
DISPLACEMENTS = 39**2
BLOCKS = R * sum(GROUPS)

# Squared differences are summed over the rows and then over the columns of blocks. For each row of
# references, displacement and column of pixels, 8 differences are squared and added. 5 of the 8
# rows are shared with the next references, which leaves 3 of both, 3.8 additions of sums of rows,
# and 2.3 of sums of columns for the one block that begins in every third column.
SUMS = 2 * 170 * DISPLACEMENTS * 512
NEW_ROWS = 3
ADDITIONS = 2 * NEW_ROWS + 3.8 + 2.3

# A distance is stored, read and compared once. The keys of a group are compared with each other.
DISTANCES = 2 * R * DISPLACEMENTS
RANKING = R * sum((size - 1) ** 2 for size in GROUPS)

# One half of the transform is shared by all blocks at a position. The other half takes 8x8x8
# products; the pilot has one, too. Blocks are transformed there and back.
HALF = BLOCK**3
TRANSFORMED = R * (2 * GROUPS[0] + 3 * GROUPS[1])
POSITIONS = 3 * PIXELS  # of the shared halves: the image in both stages, and the pilot

# Haar transform: size - 1 sums and differences, there and back, and of the pilot
HAAR = R * AREA * (2 * 2 * (GROUPS[0] - 1) + 3 * 2 * (GROUPS[1] - 1))
# Hard thresholding takes 4 operations, Wiener filtering 6 and a division
SHRINKAGE = R * AREA * (4 * GROUPS[0] + 6 * GROUPS[1])
DIVISIONS = R * AREA * GROUPS[1]


class Work(NamedTuple):
    """Work of a stage by resource, see `roofline_rates.Rates`."""

    fma: float = 0.0
    mixed: float = 0.0
    division: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    memory: float = 0.0

    def bounds(self, rates):
        """Least milliseconds by resource; arithmetic units take one operation after another."""
        spent = [1e3 * work / rate for work, rate in zip(self, rates, strict=True)]
        return {
            "arithmetic": sum(spent[:3]),
            **dict(zip(("L1", "L2", "memory"), spent[3:], strict=True)),
        }


def counted(sharing):
    """Count the work of the stages; `sharing` is the number of pairs of blocks that overlap."""
    return {
        # Both pixels of a difference are read, and the sums of rows are kept in registers
        "distances": Work(mixed=ADDITIONS * SUMS, l1=2 * 4 * NEW_ROWS * SUMS),
        "selection": Work(mixed=DISTANCES + 2 * RANKING, l1=2 * 4 * DISTANCES),
        # Every block is read and written
        "transforms": Work(fma=HALF * TRANSFORMED + AREA * POSITIONS, l2=4 * AREA * TRANSFORMED),
        # Only pairs that overlap share noise
        "variance": Work(mixed=AREA * sharing, l1=4 * AREA * sharing),
        # The group, the pilot and the variances are read, and the group is written
        "shrinkage": Work(
            mixed=HAAR + SHRINKAGE,
            division=DIVISIONS,
            l1=4 * AREA * R * (3 * GROUPS[0] + 4 * GROUPS[1]),
        ),
        # A pixel is rounded by two additions and added to a sum in float64, which counts as two
        "aggregation": Work(mixed=4 * AREA * BLOCKS, l2=2 * 8 * AREA * BLOCKS),
        # Image, channels, range, sums and result are read and written once: 10 floats a pixel
        "conversion": Work(memory=10 * 4 * PIXELS),
    }


def sharing(matches):
    """Count the pairs of blocks of the groups that overlap."""
    sizes = matches.sizes.reshape(-1)
    offsets = matches.offsets.reshape(len(sizes), -1, 2).astype(np.int32)
    total = 0
    for size in np.unique(sizes):
        shifts = offsets[sizes == size, :size]
        for k in range(size):
            apart = np.abs(shifts[:, k + 1 :] - shifts[:, k : k + 1]).max(-1)
            total += int((apart < BLOCK).sum())
    return total
