// Block matching: the blocks most like each reference block, nearest first.
//
// Steps 1a and 2a of BM3D (Dabov et al. 2007, equations 5 and 8). NumPy twin: `bm3d_match`.
//
// One warp finds the matches of one reference, MATCH_WARPS neighbours share a window of the image.
// A lane computes the distances of TILE displacements below each other, so that a pixel that was
// loaded serves TILE distances; neighbouring lanes have neighbouring columns. The search goes down
// the window in bands of displacements, and keeps the nearest of all bands so far.

#ifndef MATCH_WARPS
#define MATCH_WARPS 4  // references of a thread block: fewer if shared memory is too small
#endif

struct MatchShared {
    float* window;     // (band + BLOCK - 1, pitch)
    float* reference;  // (MATCH_WARPS, BLOCK * BLOCK)
    float* distance;   // (MATCH_WARPS, band * across)
    int* bits;         // (MATCH_WARPS, room): candidates in raster order
    int* code;         // (MATCH_WARPS, room): their displacements, counted in raster order
    int* kept_bits;    // (MATCH_WARPS, group): the nearest of the bands so far, in order
    int* kept_code;    // (MATCH_WARPS, group)
};

// Grid: (ceil(columns / MATCH_WARPS), rows, images); threads: (WARP, MATCH_WARPS).
// image (images, height, width). A match is nearer than `match`, or than bounds (images), or than
// match_map by the corner of the reference, plus
// match_range times the square of measured (images), or null; bias (2 radius + 1)**2 is added, or
// null. offsets (images, rows, columns, group, 2) and sizes (images, rows, columns) as in
// `Matches`, zero beyond.
extern "C" __global__ void __launch_bounds__(WARP* MATCH_WARPS)
    bm3d_match(const float* image, int height, int width, const int* rows, const int* columns,
               int count, int radius, int band, int pitch, int group, float match,
               const float* bounds, const float* match_map, float match_range,
               const float* measured, const float* bias, short* offsets, short* sizes) {
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
    const int which = blockIdx.z, reference_index = (which * gridDim.y + blockIdx.y) * count + mine;
    image += static_cast<long long>(which) * height * width;
    float bound = bounds == nullptr ? match : bounds[which];
    if (match_map != nullptr) bound = match_map[y * (width - BLOCK + 1) + x];
    if (measured != nullptr) bound = fmaf(match_range * measured[which], measured[which], bound);
    bound = finite_bound(bound);
    const float* reference = shared.reference + warp * BLOCK * BLOCK;
    float* distance = shared.distance + warp * band * across;
    int* kept_bits = shared.kept_bits + warp * group;
    int* kept_code = shared.kept_code + warp * group;
    int kept = 0;

    for (int k = lane; k < BLOCK * BLOCK; k += WARP)
        shared.reference[warp * BLOCK * BLOCK + k] = image[(y + k / BLOCK) * width + x + k % BLOCK];

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
            float sums[TILE] = {};
            match_tile(shared.window + tile * pitch + x - radius - left + dx, pitch, reference,
                       sums);
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
