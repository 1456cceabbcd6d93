// Block matching: the blocks most like each reference block, nearest first.
//
// Steps 1a and 2a of BM3D (Dabov et al. 2007, equations 5 and 8). NumPy twin: `bm3d_match`.
//
// One warp finds the matches of one reference, MATCH_WARPS neighbours share a window of the image.
// A lane computes the distances of TILE displacements below each other, so that a pixel that was
// loaded serves TILE distances; neighbouring lanes have neighbouring columns. The search goes down
// the window in bands of displacements, and keeps the nearest of all bands so far.

#define MATCH_WARPS 4
#define TILE 4
#define SPARE 16  // more than wanted may be left over before they are ordered

// A distance of no block: larger than any bound, and its bits are those of +infinity.
#define NOWHERE __int_as_float(0x7f800000)

struct MatchShared {
    float* window;     // (band + BLOCK - 1, pitch)
    float* reference;  // (MATCH_WARPS, BLOCK * BLOCK)
    float* distance;   // (MATCH_WARPS, band * across)
    int* bits;         // (MATCH_WARPS, room): candidates in raster order
    int* code;         // (MATCH_WARPS, room): their displacements, counted in raster order
    int* kept_bits;    // (MATCH_WARPS, group): the nearest of the bands so far, in order
    int* kept_code;    // (MATCH_WARPS, group)
};

// Distances of TILE displacements in one column, from the first row of the window on.
__device__ __forceinline__ void match_tile(const float* window, int pitch, const float* reference,
                                           float* sums) {
    float rows[TILE][BLOCK];  // the last reference rows, row y in place y % TILE
#pragma unroll
    for (int tile = 0; tile < TILE; ++tile) sums[tile] = 0.0f;
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
        equal = want - (high > 0 ? match_count(distance, size, kept_bits, kept, high - 1, lane) : 0);
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

// Grid: (ceil(columns / MATCH_WARPS), rows); threads: (WARP, MATCH_WARPS).
// A match is nearer than `match`, or than match_map by the corner of the reference, plus
// match_range times the square of `measured`, or null; bias (2 radius + 1)**2 is added, or null.
// offsets (rows, columns, group, 2) and sizes (rows, columns) as in `Matches`, zero beyond.
extern "C" __global__ void __launch_bounds__(WARP* MATCH_WARPS)
    bm3d_match(const float* image, int height, int width, const int* rows, const int* columns,
               int count, int radius, int band, int pitch, int group, float match,
               const float* match_map, float match_range, const float* measured, const float* bias,
               short* offsets, short* sizes) {
    DYNAMIC_SHARED(float, memory);
    const int across = 2 * radius + 1, room = group + SPARE;
    MatchShared shared;
    shared.window = memory;
    shared.reference = shared.window + (band + BLOCK - 1) * pitch;
    shared.distance = shared.reference + MATCH_WARPS * BLOCK * BLOCK;
    shared.bits = reinterpret_cast<int*>(shared.distance + MATCH_WARPS * band * across);
    shared.code = shared.bits + MATCH_WARPS * room;
    shared.kept_bits = shared.code + MATCH_WARPS * room;
    shared.kept_code = shared.kept_bits + MATCH_WARPS * group;

    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * WARP + lane;
    const int first = blockIdx.x * MATCH_WARPS, mine = min(first + warp, count - 1);
    const int y = rows[blockIdx.y], x = columns[mine], left = columns[first] - radius;
    const int reference_index = blockIdx.y * count + mine;
    float bound = match_map == nullptr ? match : match_map[y * (width - BLOCK + 1) + x];
    if (measured != nullptr) bound = fmaf(match_range * measured[0], measured[0], bound);
    const float* reference = shared.reference + warp * BLOCK * BLOCK;
    float* distance = shared.distance + warp * band * across;
    int* kept_bits = shared.kept_bits + warp * group;
    int* kept_code = shared.kept_code + warp * group;
    int kept = 0;

    for (int k = lane; k < BLOCK * BLOCK; k += WARP)
        shared.reference[warp * BLOCK * BLOCK + k] =
            image[(y + k / BLOCK) * width + x + k % BLOCK];

    for (int top = -radius; top <= radius; top += band) {
        const int tall = min(band, radius + 1 - top);
        __syncthreads();  // all have done with the window before
        for (int k = thread; k < (band + BLOCK - 1) * pitch; k += WARP * MATCH_WARPS) {
            const int row = y + top + k / pitch, column = left + k % pitch;
            const bool inside = row >= 0 && row < height && column >= 0 && column < width;
            shared.window[k] = inside ? image[row * width + column] : NOWHERE;
        }
        __syncthreads();
        const int tiles = (tall + TILE - 1) / TILE;
        for (int k = lane; k < tiles * across; k += WARP) {
            const int tile = k / across * TILE, dx = k % across;
            float sums[TILE];
            match_tile(shared.window + tile * pitch + x - radius - left + dx, pitch, reference, sums);
#pragma unroll
            for (int t = 0; t < TILE; ++t) {
                const int place = (tile + t) * across + dx;
                if (tile + t >= tall) continue;
                float sum = sums[t];
                if (bias != nullptr) sum += bias[(top + radius) * across + place];
                // The reference itself leads; it is not looked for
                const bool itself = top + tile + t == 0 && dx == radius;
                distance[place] = itself || !(sum < bound) ? NOWHERE : sum;
            }
        }
        __syncwarp(ALL_LANES);
        if (group > 1 && bound > 0)
            kept = match_select(distance, tall * across, (top + radius) * across,
                                shared.bits + warp * room, shared.code + warp * room, kept_bits,
                                kept_code, kept, group - 1, __float_as_int(bound), lane);
    }

    int size = 1;  // the reference itself; then as many as Haar takes
    while (2 * size <= kept + 1) size *= 2;
    if (first + warp >= count) return;
    short* out = offsets + static_cast<long long>(reference_index) * group * 2;
    for (int k = lane; k < group; k += WARP) {
        const bool there = k > 0 && k < size;
        const int where = there ? kept_code[k - 1] : radius * across + radius;
        out[2 * k] = static_cast<short>(where / across - radius);
        out[2 * k + 1] = static_cast<short>(where % across - radius);
    }
    if (lane == 0) sizes[reference_index] = static_cast<short>(size);
}
