// Collaborative filtering of one group by one warp, on blocks whose rows are transformed.
//
// Defined when compiling: BLOCK, the side of a block, 8; GROUP, the most blocks of a group, from 4
// to 32; FIXED, 1 for sums that do not depend on their order; MAP, 1 if the noise varies;
// SYMMETRIC, 1 if the rows of the transform are.
//
// bm3d_rows.cu transforms the rows of all blocks of an image, once for each corner instead of once
// for each block of a group. What is left of a transform is along columns: lane (part, v) of a warp
// holds coefficients (., v) of the blocks [part * count, (part + 1) * count) of its group, so that
// neither this nor most of Haar needs another lane. The filtered blocks are added while their rows
// are still transformed; bm3d_divide_rows.cu transforms the sums.
//
// Haar is not normalized: sums and differences of l levels are 2**(l / 2) times the orthonormal
// coefficients, their variances are 2**l times as large.

#define PARTS (WARP / BLOCK)
#define EACH (GROUP / PARTS)  // blocks of a part
#define WARPS 2               // groups of a thread block
// Thread blocks of a multiprocessor, for which there are enough registers
#if EACH <= 4
#define FEWEST_BLOCKS 8
#elif SYMMETRIC && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 860 && __CUDA_ARCH__ < 1200
#define FEWEST_BLOCKS 6
#else
#define FEWEST_BLOCKS 4
#endif
// With FACTORS the strength has a factor for each coefficient, (levels + 1, BLOCK, BLOCK), columns
// first.
#ifndef FACTORS
#define FACTORS 0
#endif
#if FACTORS
#define FACTOR_TABLE , const float* __restrict__ factors
#else
#define FACTOR_TABLE
#endif
#define MOST_COUNTED 64  // displacements whose pairs are counted, see `list_pairs`

// Passed by value, so that the kernels read it from constant memory.
struct Matrix {
    float at[BLOCK][BLOCK];
};

struct Geometry {
    int down, across;   // from here on blocks share no noise
    int line;           // floats from one row of displacements to the next
    int origin;         // where displacement (0, 0) begins, 0 if only |dx| counts
    int displacements;  // in the table
    const float4*
        covariance;  // (displacements, BLOCK, BLOCK), columns first, from that of this lane
};

// One pair of blocks, or all pairs with the same displacement.
struct Pair {
    unsigned place;  // of their covariance, in units of 4 floats
    float weight;    // 0 if they share no noise
};

// Shared memory of a warp, in this order.
struct WarpShared {
    Pair* inner;   // (PARTS, INNER_PAIRS): pairs within the parts
    Pair* fine;    // (2, EACH**2): of the first part and the second, and of the last two
    Pair* coarse;  // (4 * EACH**2): of the first two parts and the last two
    int* counts;   // (MOST_COUNTED)
};
#define INNER_PAIRS (EACH * (EACH - 1) / 2)
#define ALL_PAIRS (GROUP * (GROUP - 1) / 2)

// What a lane has to know of its group.
struct Member {
    int lane, part, column;  // column v of coefficients
    int size, count;         // blocks of the group, and of each part
    // Of block `lane` of the group
    int y, x, position;
    float scale;  // its noise over that of its channel
};

__device__ __forceinline__ WarpShared warp_shared(float* memory) {
    WarpShared shared;
    shared.inner = reinterpret_cast<Pair*>(memory + threadIdx.y * (2 * ALL_PAIRS + MOST_COUNTED));
    shared.fine = shared.inner + PARTS * INNER_PAIRS;
    shared.coarse = shared.fine + 2 * EACH * EACH;
    shared.counts = reinterpret_cast<int*>(shared.inner + ALL_PAIRS);
    return shared;
}

// Where the covariances of a lane begin. Through a shuffle to itself, because the compiler
// otherwise adds up the parts of the address again, in 64 bits, for each pair of blocks.
__device__ __forceinline__ const float4* own_covariance(const float* table) {
    const float* own = table + threadIdx.x % BLOCK * BLOCK;
    return reinterpret_cast<const float4*>(
        __shfl_sync(ALL_LANES, reinterpret_cast<unsigned long long>(own), threadIdx.x));
}

// Lanes beyond the size of the group repeat its first block; they add nothing to the sums.
__device__ __forceinline__ Member member(int y, int x, const OFFSET* offsets, int size, int height,
                                         const float* scale, int across) {
    Member own;
    own.lane = threadIdx.x;
    own.part = threadIdx.x / BLOCK;
    own.column = threadIdx.x % BLOCK;
    own.size = size;
    own.count = max(size / PARTS, 1);
    const int k = own.lane < size ? own.lane : 0;
    own.y = y + offsets[2 * k];
    own.x = x + offsets[2 * k + 1];
    own.position = own.x * height + own.y;
#if MAP
    own.scale = scale[static_cast<long long>(own.y) * across + own.x];
#else
    own.scale = 1.0f;
#endif
    return own;
}

// Block r of this part, as the number of a lane.
__device__ __forceinline__ int block_of(const Member& own, int r) {
    return (own.part * own.count + r) % WARP;
}

// Where block r of this part is: its rows are BLOCK * BLOCK adjacent floats.
__device__ __forceinline__ long long place_of(const Member& own, int r) {
    const int position = __shfl_sync(ALL_LANES, own.position, block_of(own, r));
    return static_cast<long long>(position) * BLOCK + own.column;
}

__device__ __forceinline__ void load_blocks(float (&group)[EACH][BLOCK], const float* rows,
                                            const Member& own) {
#pragma unroll
    for (int r = 0; r < EACH; ++r) {
        const float* block = rows + place_of(own, r);
#pragma unroll
        for (int i = 0; i < BLOCK; ++i) group[r][i] = block[i * BLOCK];
    }
}

// Transform columns, forward and back. With SYMMETRIC even rows of `forward` are symmetric and odd
// rows antisymmetric, as those of the DCT are, which halves the products.
__device__ __forceinline__ void multiply(float (&column)[BLOCK], const Matrix& forward) {
    float out[BLOCK];
#if SYMMETRIC
#pragma unroll
    for (int i = 0; i < BLOCK / 2; ++i) {
        const float a = column[i], b = column[BLOCK - 1 - i];
        column[i] = a + b;
        column[BLOCK - 1 - i] = a - b;
    }
#endif
#pragma unroll
    for (int u = 0; u < BLOCK; ++u) {
        out[u] = 0.0f;
#pragma unroll
        for (int i = 0; i < (SYMMETRIC ? BLOCK / 2 : BLOCK); ++i)
            out[u] = fmaf(forward.at[u][i], column[SYMMETRIC && u % 2 ? BLOCK - 1 - i : i], out[u]);
    }
#pragma unroll
    for (int u = 0; u < BLOCK; ++u) column[u] = out[u];
}

__device__ __forceinline__ void multiply_back(float (&column)[BLOCK], const Matrix& back) {
    float out[BLOCK];
#pragma unroll
    for (int i = 0; i < (SYMMETRIC ? BLOCK / 2 : BLOCK); ++i) {
        float even = 0.0f, odd = 0.0f;
#pragma unroll
        for (int u = 0; u < BLOCK; u += 2) even = fmaf(back.at[i][u], column[u], even);
#pragma unroll
        for (int u = 1; u < BLOCK; u += 2) odd = fmaf(back.at[i][u], column[u], odd);
        out[i] = even + odd;
        if (SYMMETRIC) out[BLOCK - 1 - i] = even - odd;
    }
#pragma unroll
    for (int i = 0; i < BLOCK; ++i) column[i] = out[i];
}

// Haar across the blocks, the finest level first. Coefficient r of a part covers the lowest set bit
// of r blocks on each side. Coefficient 0 goes on across the parts: that of an odd part is the
// difference of two parts, that of part 2 of two pairs of parts, and that of part 0 the sum.
__device__ __forceinline__ void haar(float (&group)[EACH][BLOCK], const Member& own) {
#pragma unroll
    for (int half = 1; half < EACH; half *= 2)
        if (half < own.count)
#pragma unroll
            for (int first = 0; first < EACH; first += 2 * half)
#pragma unroll
                for (int u = 0; u < BLOCK; ++u) {
                    const float a = group[first][u], b = group[first + half][u];
                    group[first][u] = a + b;
                    group[first + half][u] = a - b;
                }
#pragma unroll
    for (int apart = 1; apart < PARTS; apart *= 2)
        if (apart < own.size) {
            const bool whole = own.part % apart == 0;
            const float sign = own.part & apart ? -1.0f : 1.0f;
#pragma unroll
            for (int u = 0; u < BLOCK; ++u) {
                const float other = __shfl_xor_sync(ALL_LANES, group[0][u], apart * BLOCK);
                group[0][u] = whole ? fmaf(sign, group[0][u], other) : group[0][u];
            }
        }
}

// The blocks from coefficients that are divided by 2**l.
__device__ __forceinline__ void haar_back(float (&group)[EACH][BLOCK], const Member& own) {
#pragma unroll
    for (int apart = PARTS / 2; apart > 0; apart /= 2)
        if (apart < own.size) {
            const bool whole = own.part % apart == 0;
            const float sign = own.part & apart ? -1.0f : 1.0f;
#pragma unroll
            for (int u = 0; u < BLOCK; ++u) {
                const float other = __shfl_xor_sync(ALL_LANES, group[0][u], apart * BLOCK);
                group[0][u] = whole ? fmaf(sign, group[0][u], other) : group[0][u];
            }
        }
#pragma unroll
    for (int half = EACH / 2; half > 0; half /= 2)
        if (half < own.count)
#pragma unroll
            for (int first = 0; first < EACH; first += 2 * half)
#pragma unroll
                for (int u = 0; u < BLOCK; ++u) {
                    const float a = group[first][u], b = group[first + half][u];
                    group[first][u] = a + b;
                    group[first + half][u] = a - b;
                }
}

// 2**-l of coefficient r of this part.
__device__ __forceinline__ float share(const Member& own, int r) {
    if (r > 0) return 0.5f / (r & -r);
    const int blocks = own.part == 0 ? own.size : own.part == 2 ? PARTS * own.count : 2 * own.count;
    return __int_as_float((128 - __ffs(blocks)) << 23);  // the exponent
}

#if FACTORS
// Level of coefficient r of this part, a difference of 2**level blocks; 0 for the sum.
__device__ __forceinline__ int level_of(const Member& own, int r) {
    if (r > 0) return __ffs(r);
    const int blocks = own.part == 0 ? 1 : own.part == 2 ? PARTS * own.count : 2 * own.count;
    return __ffs(blocks) - 1;
}
#define FACTOR(r, u) (factors[(level_of(own, r) * BLOCK + own.column) * BLOCK + (u)])
#else
#define FACTOR(r, u) 1.0f
#endif

// Weight of a group from what noise each lane has left.
__device__ __forceinline__ float group_weight(float noise) {
#pragma unroll
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        noise += __shfl_xor_sync(ALL_LANES, noise, apart);
    return __fdividef(1.0f, fminf(fmaxf(noise, 1.0f / HEAVIEST), 1.0f / LIGHTEST));
}

// Transform the columns back, add the blocks to the sums, and the weight to the corner of each.
__device__ __forceinline__ void lay_down(float (&group)[EACH][BLOCK], const Matrix& back,
                                         float weight, const Member& own, Sum* numerator,
                                         Sum* weights) {
#pragma unroll
    for (int r = 0; r < EACH; ++r) {
        multiply_back(group[r], back);
        Sum* block = numerator + place_of(own, r);
        if (r < own.count && own.part < own.size)
#pragma unroll
            for (int i = 0; i < BLOCK; ++i) atomicAdd(&block[i * BLOCK], as_sum(group[r][i]));
    }
    if (own.lane < own.size) atomicAdd(&weights[own.position], as_sum(weight));
}
