// Block matching in volumes: the blocks most like each reference block, nearest first.
//
// Section III of BM4D (Maggioni et al. 2013). NumPy twin: `bm4d_match`.
//
// As `bm3d_match`: one warp finds the matches of one reference, MATCH_WARPS neighbours share a
// window of SLICES slices. The search goes through displacements slice by slice and band by band.
// Defined when compiling: BLOCK, the side of a block; SLICES, its thickness.

#ifndef MATCH_WARPS
#define MATCH_WARPS 4  // references of a thread block: fewer if shared memory is too small
#endif
#define VOXELS (SLICES * BLOCK * BLOCK)

struct CubeMatchShared {
    float* window;     // (SLICES, band + BLOCK - 1, pitch)
    float* reference;  // (MATCH_WARPS, VOXELS)
    float* distance;   // (MATCH_WARPS, band * across)
    int* bits;         // (MATCH_WARPS, room): candidates in raster order
    int* code;         // (MATCH_WARPS, room): their displacements, counted in raster order
    int* kept_bits;    // (MATCH_WARPS, group): the nearest of the bands so far, in order
    int* kept_code;    // (MATCH_WARPS, group)
};

// Grid: (ceil(columns / MATCH_WARPS), rows, slices); threads: (WARP, MATCH_WARPS).
// A match is nearer than `match`, or than match_map by the corner of the reference; bias (2 reach +
// 1, 2 radius + 1, 2 radius + 1) is added, or null. reach is the radius across slices.
// offsets (slices, rows, columns, group, 3) and sizes as in `CubeMatches`, zero beyond.
extern "C" __global__ void __launch_bounds__(WARP* MATCH_WARPS, 6)
    bm4d_match(const float* volume, int depth, int height, int width, const int* slices,
               const int* rows, const int* columns, int count, int reach, int radius, int band,
               int pitch, int group, float match, const float* match_map, const float* bias,
               short* offsets, short* sizes) {
    DYNAMIC_SHARED(float, memory);
    const int across = 2 * radius + 1, room = group + SPARE;
    const int layer = (band + BLOCK - 1) * pitch;
    CubeMatchShared shared;
    shared.window = memory;
    shared.reference = shared.window + SLICES * layer;
    shared.distance = shared.reference + MATCH_WARPS * VOXELS;
    shared.bits = reinterpret_cast<int*>(shared.distance + MATCH_WARPS * band * across);
    shared.code = shared.bits + MATCH_WARPS * room;
    shared.kept_bits = shared.code + MATCH_WARPS * room;
    shared.kept_code = shared.kept_bits + MATCH_WARPS * group;

    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * WARP + lane;
    const int first = blockIdx.x * MATCH_WARPS, mine = min(first + warp, count - 1);
    const int z = slices[blockIdx.z], y = rows[blockIdx.y], x = columns[mine];
    const int left = columns[first] - radius;
    const long long plane = static_cast<long long>(height) * width;
    const long long reference_index =
        (static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * count + mine;
    float bound = match;
    if (match_map != nullptr) {
        const long long line = static_cast<long long>(z) * (height - BLOCK + 1) + y;
        bound = match_map[line * (width - BLOCK + 1) + x];
    }
    bound = finite_bound(bound);
    const float* reference = shared.reference + warp * VOXELS;
    float* distance = shared.distance + warp * band * across;
    int* kept_bits = shared.kept_bits + warp * group;
    int* kept_code = shared.kept_code + warp * group;
    int kept = 0;

    for (int k = lane; k < VOXELS; k += WARP) {
        const int row = k / BLOCK % BLOCK, column = k % BLOCK;
        shared.reference[warp * VOXELS + k] =
            volume[(z + k / (BLOCK * BLOCK)) * plane + (y + row) * width + x + column];
    }

    const int deepest = min(reach, depth - SLICES - z);
    for (int dz = max(-reach, -z); dz <= deepest; ++dz)
        for (int top = -radius; top <= radius; top += band) {
            const int tall = min(band, radius + 1 - top);
            const int first_code = ((dz + reach) * across + top + radius) * across;
            __syncthreads();  // all have done with the window before
#pragma unroll 1
            for (int s = 0; s < SLICES; ++s) {
                const float* slice = volume + (z + dz + s) * plane;
                for (int k = thread; k < layer; k += WARP * MATCH_WARPS) {
                    const int row = y + top + k / pitch, column = left + k % pitch;
                    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
                    shared.window[s * layer + k] = inside ? slice[row * width + column] : NOWHERE;
                }
            }
            __syncthreads();
            const int tiles = (tall + TILE - 1) / TILE;
            for (int k = lane; k < tiles * across; k += WARP) {
                const int tile = k / across * TILE, dx = k % across;
                const float* begin = shared.window + tile * pitch + x - radius - left + dx;
                float sums[TILE] = {};
#pragma unroll 1
                for (int s = 0; s < SLICES; ++s)
                    match_tile(begin + s * layer, pitch, reference + s * BLOCK * BLOCK, sums);
#pragma unroll
                for (int t = 0; t < TILE; ++t) {
                    const int place = (tile + t) * across + dx;
                    if (tile + t >= tall) continue;
                    float sum = sums[t];
                    if (bias != nullptr) sum += bias[first_code + place];
                    // The reference itself leads; it is not looked for
                    const bool itself = dz == 0 && top + tile + t == 0 && dx == radius;
                    distance[place] = itself || !(sum < bound) ? NOWHERE : sum;
                }
            }
            __syncwarp(ALL_LANES);
            if (group > 1 && bound > 0)
                kept = match_select(distance, tall * across, first_code, shared.bits + warp * room,
                                    shared.code + warp * room, kept_bits, kept_code, kept,
                                    group - 1, __float_as_int(bound), lane);
        }

    int size = 1;  // the reference itself; then as many as Haar takes
    while (2 * size <= kept + 1) size *= 2;
    if (first + warp >= count) return;
    short* out = offsets + reference_index * group * 3;
    for (int k = lane; k < group; k += WARP) {
        const bool there = k > 0 && k < size;
        const int where = there ? kept_code[k - 1] : (reach * across + radius) * across + radius;
        out[3 * k] = static_cast<short>(where / (across * across) - reach);
        out[3 * k + 1] = static_cast<short>(where / across % across - radius);
        out[3 * k + 2] = static_cast<short>(where % across - radius);
    }
    if (lane == 0) sizes[reference_index] = static_cast<short>(size);
}
