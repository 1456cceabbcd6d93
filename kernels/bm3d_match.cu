// Block matching: the blocks most like each reference block, nearest first.
//
// Steps 1a and 2a of BM3D (Dabov et al. 2007, equations 5 and 8). NumPy twin: `bm3d_match`.
//
// A thread block finds the matches of DOWN by ALONG references, which overlap. A lane has TILE
// displacements below each other, and goes along all references: it sums squared differences in
// columns, STEP rows at a time, and the columns, STEP at a time; sums of a block are added from
// those. Nothing is subtracted, so that sums of integers are exact in any order. Then each warp
// selects the nearest blocks of some references. The search goes down the window in bands of
// displacements.
//
// Defined when compiling: BLOCK; STEP, the pixels between references; RADIUS of the search; DOWN
// and ALONG; PITCH, the width of the window in memory, for which lanes use different banks; SIZE,
// the distances of a reference in memory; MATCH_WARPS.

#define HEIGHT (STEP * (DOWN - 1) + BLOCK)  // of the references together
#define WIDTH (STEP * (ALONG - 1) + BLOCK)
#define WHOLE ((BLOCK - 1) / STEP)   // strips of STEP rows or columns in a block, without the last,
#define REST (BLOCK - WHOLE * STEP)  // which has as many
#define REFERENCES (DOWN * ALONG)
#define LANES (WARP * MATCH_WARPS)
#define ACROSS (2 * RADIUS + 1)  // displacements

struct MatchShared {
    unsigned long long* keys;  // (MATCH_WARPS, room): candidates
    float* window;             // (band + HEIGHT - 1, PITCH)
    float* reference;          // (HEIGHT, WIDTH)
    float* distance;           // (REFERENCES, SIZE)
    int* kept_bits;            // (REFERENCES, group): the nearest of the bands so far, in order
    int* kept_code;            // (REFERENCES, group): displacements, counted in raster order
    int* kept;                 // (REFERENCES): how many there are
};

// References of a thread block along an axis: the first, and how many. The last of all may be
// nearer to the one before it than STEP, and then has thread blocks of its own.
struct Share {
    int first, count;
};

__device__ __forceinline__ Share share(const int* corners, int count, int each, int number) {
    const int regular =
        count > 1 && corners[count - 1] - corners[count - 2] != STEP ? count - 1 : count;
    const int first = number * each;
    return first < regular ? Share{first, min(each, regular - first)} : Share{regular, 1};
}

// Sums of the squared differences in BLOCK rows of a column, for each reference and displacement.
__device__ __forceinline__ void column_sums(const float* window, const float* reference,
                                            float (&sums)[TILE][DOWN]) {
    float rows[TILE] = {};  // the last reference rows, row y in place y % TILE
    float strip[TILE] = {}, past[TILE][WHOLE + 1] = {};  // past[k]: the last k + 1 strips
#pragma unroll
    for (int y = 0; y < HEIGHT + TILE - 1; ++y) {
        if (y < HEIGHT) rows[y % TILE] = reference[y * WIDTH];
        const float pixel = window[y * PITCH];
#pragma unroll
        for (int tile = 0; tile < TILE; ++tile) {
            const int row = y - tile, number = row / STEP, within = row % STEP;
            if (row < 0 || row >= HEIGHT) continue;
            const float delta = rows[row % TILE] - pixel;
            strip[tile] = within == 0 ? delta * delta : fmaf(delta, delta, strip[tile]);
            if (within == REST - 1 && number >= WHOLE)
                sums[tile][number - WHOLE] =
                    WHOLE == 0 ? strip[tile] : past[tile][max(WHOLE, 1) - 1] + strip[tile];
            if (within == STEP - 1) {
#pragma unroll
                for (int k = WHOLE; k > 0; --k) past[tile][k] = past[tile][k - 1] + strip[tile];
                past[tile][0] = strip[tile];
            }
        }
    }
}

// Write the distances of TILE displacements of `count` references along, and all of them down.
// `distance` is that of the first displacement; `left` displacements are in the band.
__device__ __forceinline__ void distances(const float* window, const float* reference, int count,
                                          float* distance, int left) {
    float strip[TILE][DOWN], past[WHOLE + 1][TILE][DOWN] = {};
#pragma unroll 1
    for (int number = 0; number < count + WHOLE; ++number) {
#pragma unroll
        for (int within = 0; within < STEP; ++within) {
            if (within >= REST && number == count + WHOLE - 1) break;
            float sums[TILE][DOWN];
            column_sums(window + within, reference + within, sums);
#pragma unroll
            for (int tile = 0; tile < TILE; ++tile)
#pragma unroll
                for (int down = 0; down < DOWN; ++down) {
                    float& sum = strip[tile][down];
                    sum = within == 0 ? sums[tile][down] : sum + sums[tile][down];
                    if (within != REST - 1 || number < WHOLE || tile >= left) continue;
                    const float all = WHOLE == 0 ? sum : past[max(WHOLE, 1) - 1][tile][down] + sum;
                    // What is no number is nowhere
                    distance[down * ALONG * SIZE + tile * ACROSS] = fminf(all, NOWHERE);
                }
        }
        window += STEP;
        reference += STEP;
        if (number >= WHOLE) distance += SIZE;
#pragma unroll
        for (int tile = 0; tile < TILE; ++tile)
#pragma unroll
            for (int down = 0; down < DOWN; ++down) {
#pragma unroll
                for (int k = WHOLE; k > 0; --k)
                    past[k][tile][down] = past[k - 1][tile][down] + strip[tile][down];
                past[0][tile][down] = strip[tile][down];
            }
    }
}

// Grid: thread blocks along the columns of references, along their rows, and images; threads:
// (WARP, MATCH_WARPS). image (images, height, width). A match is nearer than `match`, or than
// bounds (images), or than match_map by the corner of the reference, plus match_range times the
// square of measured (images), or null; bias (ACROSS, ACROSS) is added, or null.
// offsets (images, rows, columns, group, 2) and sizes (images, rows, columns) as in `Matches`, zero
// beyond.
extern "C" __global__ void __launch_bounds__(LANES, 1)
    bm3d_match(const float* image, int height, int width, const int* rows, int down,
               const int* columns, int along, int band, int group, int room, float match,
               const float* bounds, const float* match_map, float match_range,
               const float* measured, const float* bias, short* offsets, short* sizes) {
    DYNAMIC_SHARED(unsigned long long, memory);
    MatchShared shared;
    shared.keys = memory;
    shared.window = reinterpret_cast<float*>(memory + MATCH_WARPS * room);
    shared.reference = shared.window + (band + HEIGHT - 1) * PITCH;
    shared.distance = shared.reference + HEIGHT * WIDTH;
    shared.kept_bits = reinterpret_cast<int*>(shared.distance + REFERENCES * SIZE);
    shared.kept_code = shared.kept_bits + REFERENCES * group;
    shared.kept = shared.kept_code + REFERENCES * group;

    const int lane = threadIdx.x, warp = threadIdx.y, thread = warp * WARP + lane;
    const Share below = share(rows, down, DOWN, blockIdx.y);
    const Share beside = share(columns, along, ALONG, blockIdx.x);
    const int y = rows[below.first], x = columns[beside.first];
    image += static_cast<long long>(blockIdx.z) * height * width;
    // Lanes side by side: WARP displacements, and of the rest `packed` in each of some rows
    const int full = ACROSS / WARP * WARP, rest = ACROSS - full;
    const int packed = rest == 0 ? 0 : rest <= 4 ? 4 : rest <= 8 ? 8 : rest <= 16 ? 16 : WARP;

    for (int k = thread; k < HEIGHT * WIDTH; k += LANES) {
        const int row = min(y + k / WIDTH, height - 1), column = min(x + k % WIDTH, width - 1);
        shared.reference[k] = image[row * width + column];
    }
    for (int k = thread; k < REFERENCES; k += LANES) shared.kept[k] = 0;
    for (int top = -RADIUS; top <= RADIUS; top += band) {
        const int tall = min(band, RADIUS + 1 - top);
        for (int k = thread; k < (band + HEIGHT - 1) * PITCH; k += LANES) {
            const int row = y + top + k / PITCH, column = x - RADIUS + k % PITCH;
            const bool inside = row >= 0 && row < height && column >= 0 && column < width;
            shared.window[k] = inside ? image[row * width + column] : NOWHERE;
        }
        __syncthreads();
        const int tiles = (tall + TILE - 1) / TILE;
        for (int k = thread; k < tiles * (full + packed); k += LANES) {
            const int other = k - tiles * full;
            const int tile = (other < 0 ? k / max(full, 1) : other / max(packed, 1)) * TILE;
            const int dx = other < 0 ? k % max(full, 1) : full + other % max(packed, 1);
            if (dx >= ACROSS) continue;
            distances(shared.window + tile * PITCH + dx, shared.reference, beside.count,
                      shared.distance + tile * ACROSS + dx, tall - tile);
        }
        __syncthreads();  // all distances are there, and the window is free
        for (int own = warp; own < REFERENCES && group > 1; own += MATCH_WARPS) {
            const int i = own / ALONG, j = own % ALONG;
            if (i >= below.count || j >= beside.count) continue;
            const int corner =
                rows[below.first + i] * (width - BLOCK + 1) + columns[beside.first + j];
            float bound = bounds == nullptr ? match : bounds[blockIdx.z];
            if (match_map != nullptr) bound = match_map[corner];
            if (measured != nullptr)
                bound = fmaf(match_range * measured[blockIdx.z], measured[blockIdx.z], bound);
            bound = finite_bound(bound);
            if (!(bound > 0)) continue;
            float* distance = shared.distance + own * SIZE;
            const int first_code = (top + RADIUS) * ACROSS;
            if (bias != nullptr)
                for (int k = lane; k < tall * ACROSS; k += WARP)
                    distance[k] += bias[first_code + k];
            // The reference itself leads; it is not looked for
            if (lane == 0 && top <= 0 && -top < tall) distance[-top * ACROSS + RADIUS] = NOWHERE;
            __syncwarp(ALL_LANES);
            const int kept =
                nearest(distance, tall * ACROSS, first_code, shared.keys + warp * room, room,
                        shared.kept_bits + own * group, shared.kept_code + own * group,
                        shared.kept[own], group - 1, __float_as_int(bound), lane);
            if (lane == 0) shared.kept[own] = kept;
            __syncwarp(ALL_LANES);
        }
    }

    for (int own = warp; own < REFERENCES; own += MATCH_WARPS) {
        const int i = own / ALONG, j = own % ALONG;
        if (i >= below.count || j >= beside.count) continue;
        int matched = 1;  // the reference itself; then as many as Haar takes
        while (2 * matched <= shared.kept[own] + 1) matched *= 2;
        const long long place =
            (static_cast<long long>(blockIdx.z) * down + below.first + i) * along + beside.first +
            j;
        short* out = offsets + place * group * 2;
        for (int k = lane; k < group; k += WARP) {
            const bool there = k > 0 && k < matched;
            const int where =
                there ? shared.kept_code[own * group + k - 1] : RADIUS * ACROSS + RADIUS;
            out[2 * k] = static_cast<short>(where / ACROSS - RADIUS);
            out[2 * k + 1] = static_cast<short>(where % ACROSS - RADIUS);
        }
        if (lane == 0) sizes[place] = static_cast<short>(matched);
    }
}
