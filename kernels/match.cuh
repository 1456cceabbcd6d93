// What the kernels of block matching share: distances of a few displacements, and the nearest of
// many.

#define TILE 4
#define SPARE 16  // more than wanted may be left over before they are ordered

// A distance of no block: larger than any bound, and its bits are those of +infinity.
#define NOWHERE __int_as_float(0x7f800000)

// A threshold below NOWHERE, so that a block outside the image never matches; NaN stays.
__device__ __forceinline__ float finite_bound(float bound) {
    const float largest = 3.402823466e+38f;
    return bound > largest ? largest : bound;
}

// Add the distances of TILE displacements in one column, from the first row of the window on.
__device__ __forceinline__ void match_tile(const float* window, int pitch, const float* reference,
                                           float* sums) {
    float rows[TILE][BLOCK];  // the last reference rows, row y in place y % TILE
#pragma unroll
    for (int y = 0; y < BLOCK + TILE - 1; ++y) {
        if (y < BLOCK) {
#pragma unroll
            for (int x = 0; x < BLOCK; ++x) rows[y % TILE][x] = reference[y * BLOCK + x];
        }
#pragma unroll
        for (int x = 0; x < BLOCK; ++x) {
            const float pixel = window[y * pitch + x];
#pragma unroll
            for (int tile = 0; tile < TILE; ++tile) {
                const int row = y - tile;
                if (row >= 0 && row < BLOCK) {
                    const float delta = rows[row % TILE][x] - pixel;
                    sums[tile] = fmaf(delta, delta, sums[tile]);
                }
            }
        }
    }
}

// How many of the distances and of those kept are at most a limit.
__device__ __forceinline__ int match_count(const float* distance, int size, const int* kept_bits,
                                           int kept, int limit, int lane) {
    int count = 0;
    for (int k = lane; k < size; k += WARP) count += __float_as_int(distance[k]) <= limit;
    for (int k = lane; k < kept; k += WARP) count += kept_bits[k] <= limit;
    return warp_sum(count);
}

// Keep the `want` nearest of a band and of those kept before, in order; return their number.
__device__ __forceinline__ int match_select(const float* distance, int size, int first_code,
                                            int* bits, int* code, int* kept_bits, int* kept_code,
                                            int kept, int want, int bound, int lane) {
    // The least limit that keeps enough, or one that keeps a few more: by halves
    int low = 0, high = bound;
    int count = match_count(distance, size, kept_bits, kept, high, lane);
    while (count > want + SPARE && low < high) {
        const int middle = low + (high - low) / 2;
        const int under = match_count(distance, size, kept_bits, kept, middle, lane);
        if (under < want) {
            low = middle + 1;
        } else {
            high = middle;
            count = under;
        }
    }
    // Of equal distances at the limit, the first in raster order: as many as there is room for
    int equal = want + SPARE;
    if (count > want + SPARE)
        equal =
            want - (high > 0 ? match_count(distance, size, kept_bits, kept, high - 1, lane) : 0);
    int filled = 0;
    for (int start = 0; start < kept + size; start += WARP) {
        const int k = start + lane;
        int mine = 0x7fffffff, which = 0;
        if (k < kept) {
            mine = kept_bits[k];
            which = kept_code[k];
        } else if (k < kept + size) {
            mine = __float_as_int(distance[k - kept]);
            which = first_code + k - kept;
        }
        const unsigned before = (1u << lane) - 1;
        const unsigned at_limit = __ballot_sync(ALL_LANES, mine == high);
        const bool taken = mine < high || (mine == high && __popc(at_limit & before) < equal);
        equal -= min(__popc(at_limit), equal);
        const unsigned all = __ballot_sync(ALL_LANES, taken);
        if (taken) {
            const int place = filled + __popc(all & before);
            bits[place] = mine;
            code[place] = which;
        }
        filled += __popc(all);
    }
    __syncwarp(ALL_LANES);
    // Their order: how many are nearer, or as near and before
    for (int k = lane; k < filled; k += WARP) {
        int rank = 0;
        for (int other = 0; other < filled; ++other)
            rank += bits[other] < bits[k] || (bits[other] == bits[k] && code[other] < code[k]);
        if (rank < want) {
            kept_bits[rank] = bits[k];
            kept_code[rank] = code[k];
        }
    }
    __syncwarp(ALL_LANES);
    return min(filled, want);
}
