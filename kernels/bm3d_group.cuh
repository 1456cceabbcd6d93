// Collaborative filtering of one group by one thread block: a thread for each coefficient.
//
// Defined when compiling: BLOCK, the side of a block; GROUP, the most blocks of a group, a power of
// two; FIXED, 1 for sums that do not depend on their order. Thread t holds coefficient (u, v) =
// (t / BLOCK, t % BLOCK) of all blocks of the group in registers, so that Haar across the group
// needs no other thread.

#ifndef PART
#define PART GROUP  // blocks that are transformed together: fewer if shared memory is too small
#endif
#define THREADS ((AREA + WARP - 1) / WARP * WARP)

#define NONE (-1)

// With FACTORS the strength has a factor for each coefficient, (levels + 1, AREA): coefficient k of
// the Haar transform is a difference of 2**__ffs(k) blocks, or for k = 0 their sum.
#ifndef FACTORS
#define FACTORS 0
#endif
#if FACTORS
#define FACTOR_TABLE , const float* factors
#define FACTORS_GIVEN , factors
#define FACTOR(k) (factors[__ffs(k) * AREA + (threadIdx.x < AREA ? threadIdx.x : 0)])
#else
#define FACTOR_TABLE
#define FACTORS_GIVEN
#define FACTOR(k) 1.0f
#endif

// Small blocks have fewer threads than a group may have blocks.
#if GROUP > THREADS
#define EACH_BLOCK(k, size) for (int k = threadIdx.x; k < (size); k += THREADS)
#else
#define EACH_BLOCK(k, size) if (const int k = threadIdx.x; k < (size))
#endif

struct Geometry {
    int height, width;        // of the image
    int down, across;         // from here on blocks share no noise
    int line;                 // floats from one row of displacements to the next
    int origin;               // where displacement (0, 0) begins, 0 if only |dx| counts
    const float* covariance;  // (displacements, AREA)
};

// Shared memory of a thread block, in this order.
struct GroupShared {
    float* stage;    // (PART, AREA): blocks on their way between threads
    int* places;     // (GROUP, GROUP): where the covariance of a pair begins, NONE if it is 0
    int* y;          // (GROUP): corners
    int* x;          // (GROUP)
    float* scale;    // (GROUP): noise of a block over that of its channel
    float* partial;  // (THREADS / WARP): sums of warps
};

__device__ __forceinline__ GroupShared group_shared(float* memory) {
    GroupShared shared;
    shared.stage = memory;
    shared.places = reinterpret_cast<int*>(shared.stage + PART * AREA);
    shared.y = shared.places + GROUP * GROUP;
    shared.x = shared.y + GROUP;
    shared.scale = reinterpret_cast<float*>(shared.x + GROUP);
    shared.partial = shared.scale + GROUP;
    return shared;
}

// Corners of the blocks, the noise in them, and where their covariances are.
__device__ __forceinline__ void group_corners(const GroupShared& shared, const Geometry& geometry,
                                              int y, int x, const OFFSET* offsets, int size,
                                              const float* scale) {
    const int thread = threadIdx.x;
    EACH_BLOCK(k, size) {
        const int row = y + offsets[2 * k], column = x + offsets[2 * k + 1];
        shared.y[k] = row;
        shared.x[k] = column;
        const int corners = geometry.width - BLOCK + 1;
        shared.scale[k] = scale == nullptr ? 1.0f : scale[row * corners + column];
    }
    __syncthreads();
    for (int pair = thread; pair < size * size; pair += THREADS) {
        const int a = pair / size, b = pair % size;
        int dy = shared.y[b] - shared.y[a], dx = shared.x[b] - shared.x[a];
        const bool near = abs(dy) < geometry.down && abs(dx) < geometry.across;
        // Turned by half, so that dy is not negative; nor dx, where left and right are alike
        dx = geometry.origin == 0 ? abs(dx) : dy < 0 ? -dx : dx;
        const int place = abs(dy) * geometry.line + dx * AREA + geometry.origin;
        shared.places[pair] = near ? place : NONE;
    }  // read after the barriers of a transform
}

// Multiply COUNT blocks in registers by matrices: `across` and `down` are rows of this thread.
template <int COUNT>
__device__ __forceinline__ void transform_part(float* group, const float* across, const float* down,
                                               float* stage) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK;
    const bool inside = t < AREA;
    if (inside)
#pragma unroll
        for (int k = 0; k < COUNT; ++k) stage[k * AREA + t] = group[k];
    __syncthreads();
    if (inside)
#pragma unroll
        for (int k = 0; k < COUNT; ++k) {
            float sum = 0.0f;
#pragma unroll
            for (int x = 0; x < BLOCK; ++x)
                sum = fmaf(across[x], stage[k * AREA + row * BLOCK + x], sum);
            group[k] = sum;
        }
    __syncthreads();
    if (inside)
#pragma unroll
        for (int k = 0; k < COUNT; ++k) stage[k * AREA + t] = group[k];
    __syncthreads();
    if (inside)
#pragma unroll
        for (int k = 0; k < COUNT; ++k) {
            float sum = 0.0f;
#pragma unroll
            for (int y = 0; y < BLOCK; ++y)
                sum = fmaf(down[y], stage[k * AREA + y * BLOCK + column], sum);
            group[k] = sum;
        }
}

// Multiply the blocks in registers by a matrix on both axes: matrix @ block @ matrix.T. A barrier
// is needed before `stage` is used again.
template <int SIZE>
__device__ __forceinline__ void transform_blocks(float* group, const float* matrix, float* stage,
                                                 const Geometry&) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK;
    float across[BLOCK], down[BLOCK];
#pragma unroll
    for (int k = 0; k < BLOCK; ++k) {
        across[k] = t < AREA ? matrix[column * BLOCK + k] : 0.0f;
        down[k] = t < AREA ? matrix[row * BLOCK + k] : 0.0f;
    }
#pragma unroll
    for (int first = 0; first < SIZE; first += PART) {
        if (first > 0) __syncthreads();  // all have read the part before
        transform_part<(SIZE < PART ? SIZE : PART)>(group + first, across, down, stage);
    }
}

// Orthonormal Haar of the registers, in place: coefficient k covers lowbit(k) blocks on each side.
template <int SIZE> __device__ __forceinline__ void haar(float* group) {
#pragma unroll
    for (int half = 1; half < SIZE; half *= 2)
#pragma unroll
        for (int first = 0; first < SIZE; first += 2 * half) {
            const float a = group[first], b = group[first + half];
            group[first] = (a + b) * 0.70710678f;
            group[first + half] = (a - b) * 0.70710678f;
        }
}

template <int SIZE> __device__ __forceinline__ void haar_back(float* group) {
#pragma unroll
    for (int half = SIZE / 2; half > 0; half /= 2)
#pragma unroll
        for (int first = 0; first < SIZE; first += 2 * half) {
            const float a = group[first], b = group[first + half];
            group[first] = (a + b) * 0.70710678f;
            group[first + half] = (a - b) * 0.70710678f;
        }
}

// Variances of the coefficients of `haar` for noise of variance 1 (Mäkinen et al. 2020): with A and
// B the means of two halves, var(A +- B) = var A + var B +- 2 cov(A, B), a sum over pairs of
// blocks.
template <int SIZE>
__device__ __forceinline__ void group_variance(float* variance, const GroupShared& shared,
                                               const Geometry& geometry, bool scaled) {
    const int t = threadIdx.x;
    const float* covariance = geometry.covariance + (t < AREA ? t : 0);
    const float own = covariance[geometry.origin];
    const float least = scaled ? 0.0f : LEAST * own;
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        const float scale = shared.scale[k];
        variance[k] = own * scale * scale;
    }
#pragma unroll
    for (int half = 1; half < SIZE; half *= 2)
#pragma unroll
        for (int first = 0; first < SIZE; first += 2 * half) {
            float sum = 0.0f;
        // Loops as short as this keep the loads of some pairs under way, and compile quickly
#pragma unroll 1
            for (int a = first; a < first + half; ++a) {
                const float scale = shared.scale[a];
#pragma unroll 8
                for (int b = first + half; b < first + 2 * half; ++b) {
                    const int place = shared.places[a * SIZE + b];
                    if (place != NONE)  // one and the same in all threads
                        sum = fmaf(scale * shared.scale[b], covariance[place], sum);
                }
            }
            const float mean = (variance[first] + variance[first + half]) * 0.5f;
            sum /= half;
            variance[first] = fmaxf(mean + sum, least);
            variance[first + half] = fmaxf(mean - sum, least);
        }
}

// Weight of a group from what noise each thread has left.
__device__ __forceinline__ float group_weight(float noise, const GroupShared& shared) {
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        noise += __shfl_xor_sync(ALL_LANES, noise, apart);
    if (threadIdx.x % WARP == 0) shared.partial[threadIdx.x / WARP] = noise;
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < THREADS / WARP; ++warp) total += shared.partial[warp];
    return 1.0f / fminf(fmaxf(total, 1.0f / HEAVIEST), 1.0f / LIGHTEST);
}

template <int SIZE>
__device__ __forceinline__ void load_blocks(float* group, const float* image,
                                            const Geometry& geometry, const GroupShared& shared) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK, width = geometry.width;
#pragma unroll
    for (int k = 0; k < SIZE; ++k)
        group[k] = t < AREA ? image[(shared.y[k] + row) * width + shared.x[k] + column] : 0.0f;
}

// Add the weighted blocks to the sums, and the weight to the corner of each.
template <int SIZE>
__device__ __forceinline__ void lay_down(const float* group, float weight, const float* window,
                                         const Geometry& geometry, const GroupShared& shared,
                                         Sum* numerator, Sum* weights) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK, width = geometry.width;
    if (t < AREA) {
        const float factor = weight * window[row] * window[column];
#pragma unroll
        for (int k = 0; k < SIZE; ++k)
            atomicAdd(&numerator[(shared.y[k] + row) * width + shared.x[k] + column],
                      as_sum(factor * group[k]));
    }
    EACH_BLOCK(k, SIZE)
    atomicAdd(&weights[shared.y[k] * (width - BLOCK + 1) + shared.x[k]], as_sum(weight));
}
