// Block matching in films: the blocks of several frames most like each reference, nearest first.
//
// Section 2 of V-BM3D (Dabov et al. 2007, "Video denoising by sparse 3D transform-domain
// collaborative filtering"). NumPy twin: `VideoStage.matches`.
//
// One warp finds the matches of one reference; warps share nothing. The search goes through the
// frame itself, those after it and those before it, window by window and band by band. A candidate
// is a key, its distance above and where it is below, so that equal distances are in order of
// frame, row and column. Lane k knows the k-th best block of the frame before, the trail. Defined
// when compiling: BLOCK, the side of a block.

#ifndef MATCH_WARPS
#define MATCH_WARPS 4  // references of a thread block: fewer if shared memory is too small
#endif

typedef long long Key;
#define BITS 12  // of a row or a column in a key, counted from MIDDLE
#define MIDDLE (1 << (BITS - 1))
#define FARTHEST (MIDDLE - 64)  // a trail leads no farther
#define NO_KEY (static_cast<Key>(0x7f800000) << 32)

struct VideoShared {
    Key* near;         // (room): candidates, in no order
    Key* ordered;      // (group): the nearest of them
    float* window;     // (band + BLOCK - 1, pitch)
    float* reference;  // (BLOCK, BLOCK)
    float* distance;   // (band, pitch - BLOCK + 1), of which the first 2 reach + 1 columns are used
};

// What a lane knows of its block of the trail.
struct Trail {
    Key key;
    int parent;              // the window in which it was found
    int y, x;                // the middle of its window in the next frame
    int origin_y, origin_x;  // the block that led to the window
};

__device__ __forceinline__ int row_of(Key key, int y) {
    return y + (static_cast<int>(key >> BITS) & (2 * MIDDLE - 1)) - MIDDLE;
}

__device__ __forceinline__ int column_of(Key key, int x) {
    return x + (static_cast<int>(key) & (2 * MIDDLE - 1)) - MIDDLE;
}

// Keep the `want` nearest, in order; return their number.
__device__ __forceinline__ int keep_nearest(const VideoShared& shared, int filled, int want,
                                            int lane) {
    __syncwarp(ALL_LANES);  // all candidates are there
    for (int k = lane; k < filled; k += WARP) {
        const Key mine = shared.near[k];
        int rank = 0;
        for (int other = 0; other < filled; ++other) rank += shared.near[other] < mine;
        if (rank < want) shared.ordered[rank] = mine;
    }
    __syncwarp(ALL_LANES);
    const int kept = min(filled, want);
    for (int k = lane; k < kept; k += WARP) shared.near[k] = shared.ordered[k];
    return kept;
}

// Put a key among the best, in order; the worst drops out.
__device__ __forceinline__ void insert(Trail& mine, Key key, int window, int lane) {
    const int place = __popc(__ballot_sync(ALL_LANES, mine.key < key));
    const Key before = __shfl_up_sync(ALL_LANES, mine.key, 1);
    const int parent = __shfl_up_sync(ALL_LANES, mine.parent, 1);
    if (lane > place) {
        mine.key = before;
        mine.parent = parent;
    } else if (lane == place) {
        mine.key = key;
        mine.parent = window;
    }
}

__device__ __forceinline__ Key warp_least(Key value) {
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        value = min(value, __shfl_xor_sync(ALL_LANES, value, apart));
    return value;
}

// Set the windows of a frame around where the trail leads; return how many there are. No motion is
// known yet beside the frame of the reference; after that it goes on as it came.
__device__ __forceinline__ int follow_trail(Trail& mine, int y, int x, int bottom, int right,
                                            bool beside, int trails, int lane) {
    const bool there = lane < trails && mine.key < NO_KEY;
    const int row = row_of(mine.key, y), column = column_of(mine.key, x);
    const int from = there ? mine.parent : 0;
    const int from_y = __shfl_sync(ALL_LANES, mine.origin_y, from);
    const int from_x = __shfl_sync(ALL_LANES, mine.origin_x, from);
    const int lead_y = beside ? row : 2 * row - from_y,
              lead_x = beside ? column : 2 * column - from_x;
    mine.y = min(max(max(0, y - FARTHEST), lead_y), min(bottom, y + FARTHEST));
    mine.x = min(max(max(0, x - FARTHEST), lead_x), min(right, x + FARTHEST));
    mine.origin_y = row;
    mine.origin_x = column;
    return __popc(__ballot_sync(ALL_LANES, there));
}

// Grid: (ceil(columns / MATCH_WARPS), rows); threads: (WARP, MATCH_WARPS).
// frames: a tall image of `width` columns in which the frame of slot k begins at row k * apart;
// slots (frames), in order of time, the references in slots[centre]. radius, predict and follow:
// how far the frame itself, those beside it and the others are searched; `widest` is the largest. A
// match is nearer than `match`; `still` nearer in another frame at the same place; bias (2 radius +
// 1)**2 is added in the frame itself, or null, and bias_apart in the others. offsets (rows,
// columns, group, 2) in the tall image and sizes as in `Matches`, zero beyond.
extern "C" __global__ void __launch_bounds__(WARP* MATCH_WARPS, BLOCK <= 8 ? 5 : 4)
    vbm3d_match(const float* frames, int height, int width, int apart, const int* slots, int count,
                int centre, const int* rows, const int* columns, int across, int radius,
                int predict, int follow, int widest, int trails, int band, int group, float match,
                float still, const float* bias, float bias_apart, int* offsets, short* sizes) {
    DYNAMIC_SHARED(Key, memory);
    const int lane = threadIdx.x, which = blockIdx.x * MATCH_WARPS + threadIdx.y;
    const int room = group + 2 * WARP, wide = 2 * widest + 1, pitch = wide + BLOCK - 1;
    const int floats = (band + BLOCK - 1) * pitch + BLOCK * BLOCK + band * wide;
    VideoShared shared;
    shared.near = memory + threadIdx.y * (room + group);
    shared.ordered = shared.near + room;
    shared.window =
        reinterpret_cast<float*>(memory + MATCH_WARPS * (room + group)) + threadIdx.y * floats;
    shared.reference = shared.window + (band + BLOCK - 1) * pitch;
    shared.distance = shared.reference + BLOCK * BLOCK;
    if (which >= across) return;

    const int y = rows[blockIdx.y], x = columns[which], want = group - 1;
    const int bottom = height - BLOCK, right = width - BLOCK;
    const long long plane = static_cast<long long>(apart) * width;
    const float* own = frames + slots[centre] * plane + static_cast<long long>(y) * width + x;
    for (int k = lane; k < BLOCK * BLOCK; k += WARP)
        shared.reference[k] = own[k / BLOCK * width + k % BLOCK];

    // The reference leads its own trail, before any equal block
    const Key here = (static_cast<Key>(centre) << 2 * BITS) | (MIDDLE << BITS) | MIDDLE;
    Trail mine = {NO_KEY, 0, y, x, y, x};
    if (lane == 0) mine.key = here - (static_cast<Key>(1) << 40);
    Key start = NO_KEY;  // the trail in the frame itself
    Key limit = static_cast<Key>(__float_as_int(match)) << 32;
    int filled = 0, windows = 1;
    for (int turn = 0; turn < count && want > 0 && match > 0; ++turn) {
        const int frame = turn < count - centre ? centre + turn : count - 1 - turn;
        const bool beside = abs(frame - centre) == 1;
        const int reach = turn == 0 ? radius : beside ? predict : follow;
        const int side = 2 * reach + 1;
        if (turn == 1) start = mine.key;
        if (frame == centre - 1) mine.key = start;
        if (turn > 0) {
            windows = follow_trail(mine, y, x, bottom, right, beside, trails, lane);
            mine.key = NO_KEY;
        }
        const float* image = frames + slots[frame] * plane;
        for (int window = 0; window < windows; ++window) {
            const int top = __shfl_sync(ALL_LANES, mine.y, window) - reach;
            const int left = __shfl_sync(ALL_LANES, mine.x, window) - reach;
            for (int first = 0; first < side; first += band) {
                const int tall = min(band, side - first);
                const int line = side + BLOCK - 1;
                // All have done with the window and the distances before: they have met since
                for (int k = lane; k < (tall + BLOCK - 1) * line; k += WARP) {
                    const int row = top + first + k / line, column = left + k % line;
                    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
                    shared.window[k / line * pitch + k % line] =
                        inside ? image[static_cast<long long>(row) * width + column] : NOWHERE;
                }
                __syncwarp(ALL_LANES);
                const int tiles = (tall + TILE - 1) / TILE;
                for (int k = lane; k < tiles * side; k += WARP) {
                    const int tile = k / side * TILE, dx = k % side;
                    float sums[TILE] = {};
                    match_tile(shared.window + tile * pitch + dx, pitch, shared.reference, sums);
#pragma unroll
                    for (int t = 0; t < TILE; ++t)
                        if (tile + t < tall) shared.distance[(tile + t) * side + dx] = sums[t];
                }
                __syncwarp(ALL_LANES);
                Key best = NO_KEY;  // for the trail, of this lane
                for (int from = 0; from < tall * side; from += WARP) {
                    const int k = from + lane, at = first + k / side;
                    const int row = top + at, column = left + k % side;
                    float found = k < tall * side ? shared.distance[k] : NOWHERE;
                    for (int other = 0; other < window; ++other) {
                        const int v = __shfl_sync(ALL_LANES, mine.y, other);
                        const int u = __shfl_sync(ALL_LANES, mine.x, other);
                        if (abs(row - v) <= reach && abs(column - u) <= reach) found = NOWHERE;
                    }
                    const bool same = row == y && column == x;
                    if (turn == 0) {
                        if (bias != nullptr && k < tall * side) found += bias[at * side + k % side];
                        if (same) found = NOWHERE;  // the reference itself is not looked for
                    } else {
                        found += bias_apart;
                        if (same) found = fmaxf(0.0f, found - still);
                    }
                    if (k < tall * side) shared.distance[k] = found;
                    const int code =
                        (frame << 2 * BITS) | ((row - y + MIDDLE) << BITS) | (column - x + MIDDLE);
                    const Key key = (static_cast<Key>(__float_as_int(found)) << 32) | code;
                    best = min(best, key);
                    const bool taken = key < limit;
                    const unsigned all = __ballot_sync(ALL_LANES, taken);
                    if (filled + __popc(all) > room) {
                        filled = keep_nearest(shared, filled, want, lane);
                        limit = shared.ordered[want - 1];
                    }
                    if (taken) shared.near[filled + __popc(all & ((1u << lane) - 1))] = key;
                    filled += __popc(all);
                }
                // The best of this band that are better than the trail so far, one by one
                for (int n = 0; n < trails; ++n) {
                    const Key least = warp_least(best);
                    if (least >= __shfl_sync(ALL_LANES, mine.key, trails - 1)) break;
                    insert(mine, least, window, lane);
                    best = NO_KEY;
                    for (int k = lane; k < tall * side && n + 1 < trails; k += WARP) {
                        const int code = (frame << 2 * BITS) |
                                         ((top + first + k / side - y + MIDDLE) << BITS) |
                                         (left + k % side - x + MIDDLE);
                        const Key key =
                            (static_cast<Key>(__float_as_int(shared.distance[k])) << 32) | code;
                        if (key > least) best = min(best, key);
                    }
                }
            }
        }
    }
    filled = keep_nearest(shared, filled, want, lane);

    int size = 1;  // the reference itself; then as many as Haar takes
    while (2 * size <= filled + 1) size *= 2;
    const long long reference = static_cast<long long>(blockIdx.y) * across + which;
    int* out = offsets + reference * group * 2;
    for (int k = lane; k < group; k += WARP) {
        const bool there = k > 0 && k < size;
        const Key key = there ? shared.ordered[k - 1] : here;
        const int frame = static_cast<int>(key >> 2 * BITS) & 255;
        out[2 * k] = (slots[frame] - slots[centre]) * apart + row_of(key, y) - y;
        out[2 * k + 1] = column_of(key, x) - x;
    }
    if (lane == 0) sizes[reference] = static_cast<short>(size);
}
