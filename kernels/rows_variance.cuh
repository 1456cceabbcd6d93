// Variances of the coefficients of a group that a warp filters, in addition to rows.cuh.

// Covariance of blocks a and b, twice: it is in the variance of a sum twice.
__device__ __forceinline__ Pair pair_of(const Member& own, const Geometry& geometry, int a, int b,
                                        bool exists) {
    const int dy = __shfl_sync(ALL_LANES, own.y, b) - __shfl_sync(ALL_LANES, own.y, a);
    int dx = __shfl_sync(ALL_LANES, own.x, b) - __shfl_sync(ALL_LANES, own.x, a);
    const bool near = exists && abs(dy) < geometry.down && abs(dx) < geometry.across;
    // Turned by half, so that dy is not negative; nor dx, where left and right are alike
    dx = geometry.origin == 0 ? abs(dx) : dy < 0 ? -dx : dx;
    const unsigned place = (abs(dy) * geometry.line + dx * AREA + geometry.origin) / 4u;
    float weight = 2.0f;
#if MAP
    weight *= __shfl_sync(ALL_LANES, own.scale, a) * __shfl_sync(ALL_LANES, own.scale, b);
#endif
    return {near ? place : 0, near ? weight : 0.0f};
}

// List pairs within the parts, the finest level first: EACH / 2 * half pairs for each level.
__device__ __forceinline__ void list_inner_pairs(Pair* pairs, const Geometry& geometry,
                                                 const Member& own) {
    int level = 0, number = own.lane;
#pragma unroll
    for (int k = 0; (1 << k) < EACH; ++k)
        if (level == k && number >= EACH / 2 << k) {
            number -= EACH / 2 << k;
            level = k + 1;
        }
    const int half = 1 << level, node = (number >> 2 * level) * 2 * half;
    const int a = node + ((number >> level) & (half - 1)), b = node + half + (number & (half - 1));
#pragma unroll 1
    for (int part = 0; part < PARTS; ++part) {
        const int first = part * own.count;
        const Pair pair =
            pair_of(own, geometry, (first + a) % WARP, (first + b) % WARP, b < own.count);
        if (own.lane < INNER_PAIRS) pairs[part * INNER_PAIRS + own.lane] = pair;
    }
}

// List the pairs of blocks [first, first + 2**level) with as many next ones that share noise, and
// return their number. Without a map, pairs with the same displacement are one entry.
__device__ __forceinline__ int list_pairs(Pair* pairs, int* counts, const Geometry& geometry,
                                          const Member& own, int first, int level) {
    const int half = 1 << level;
    const unsigned before = (1u << own.lane) - 1;
    const bool counted = !MAP && geometry.displacements <= MOST_COUNTED;
    int length = 0;
    if (counted)
        for (int k = own.lane; k < MOST_COUNTED; k += WARP) counts[k] = 0;
    __syncwarp(ALL_LANES);
#pragma unroll 1
    for (int start = 0; start < half * half; start += WARP) {
        const int number = start + own.lane;
        const int a = first + ((number >> level) & (half - 1));
        const int b = first + half + (number & (half - 1));
        const Pair pair = pair_of(own, geometry, a, b, number < half * half);
        const bool near = pair.weight != 0.0f;
        if (counted) {
            if (near) atomicAdd(&counts[pair.place / (AREA / 4)], 1);
        } else {
            const unsigned all = __ballot_sync(ALL_LANES, near);
            if (near) pairs[length + __popc(all & before)] = pair;
            length += __popc(all);
        }
    }
    __syncwarp(ALL_LANES);
    if (counted)
        for (int k = own.lane; k < MOST_COUNTED; k += WARP) {
            const int count = counts[k];
            const unsigned all = __ballot_sync(ALL_LANES, count > 0);
            if (count > 0) pairs[length + __popc(all & before)] = {k * (AREA / 4u), 2.0f * count};
            length += __popc(all);
        }
    return length;
}

// Lengths of the lists of pairs.
struct Lengths {
    int fine;  // of the list of this part
    int most;  // of both fine lists
    int coarse;
};

__device__ __forceinline__ Lengths list_all_pairs(const WarpShared& shared,
                                                  const Geometry& geometry, const Member& own) {
    if (EACH > 1) list_inner_pairs(shared.inner, geometry, own);
    const int level = __ffs(own.count) - 1;
    int first = 0, second = 0, coarse = 0;
#pragma unroll 1
    for (int node = 0; node < min(own.size, PARTS) - 1; ++node) {
        Pair* pairs = node < 2 ? shared.fine + node * EACH * EACH : shared.coarse;
        coarse = list_pairs(pairs, shared.counts, geometry, own, node == 1 ? 2 * own.count : 0,
                            level + node / 2);
        first = node == 0 ? coarse : first;
        second = node == 1 ? coarse : second;
    }
    __syncwarp(ALL_LANES);
    return {own.part < 2 ? first : second, max(first, second), coarse};
}

// Variances are computed for so many coefficients of a column at a time, to save registers.
#define CHUNK 4

// Add the covariances of a pair.
__device__ __forceinline__ void add_pair(float (&sum)[CHUNK], const Pair& pair,
                                         const Geometry& geometry, int begin) {
    const float4 four = __ldg(&geometry.covariance[pair.place + begin / 4u]);
    sum[0] = fmaf(pair.weight, four.x, sum[0]);
    sum[1] = fmaf(pair.weight, four.y, sum[1]);
    sum[2] = fmaf(pair.weight, four.z, sum[2]);
    sum[3] = fmaf(pair.weight, four.w, sum[3]);
}

// Add a list that `shares` parts go through together, each from a `start` of its own.
__device__ __forceinline__ void add_list(float (&sum)[CHUNK], const Pair* pairs, int length,
                                         int most, int start, int shares, const Geometry& geometry,
                                         int begin) {
#pragma unroll
    for (int u = 0; u < CHUNK; ++u) sum[u] = 0.0f;
#pragma unroll 2
    for (int k = start; k - start < most; k += shares) {
        Pair pair = {0, 0.0f};
        if (k < length) pair = pairs[k];
        add_pair(sum, pair, geometry, begin);
    }
#pragma unroll
    for (int apart = 1; apart < shares; apart *= 2)
#pragma unroll
        for (int u = 0; u < CHUNK; ++u) sum[u] += __shfl_xor_sync(ALL_LANES, sum[u], apart * BLOCK);
}

// Variances of the coefficients of `haar` for noise of variance 1 (Mäkinen et al. 2020): with A and
// B the sums of two halves, var(A +- B) = var A + var B +- 2 cov(A, B), a sum over pairs of blocks.
// Those of coefficients [begin, begin + CHUNK) of the column.
__device__ __forceinline__ void group_variance(float (&variance)[EACH][CHUNK],
                                               const WarpShared& shared, const Lengths& lengths,
                                               const Geometry& geometry, const Member& own,
                                               int begin) {
    float sum[CHUNK];
    const float4 four = __ldg(&geometry.covariance[(geometry.origin + begin) / 4u]);
    float least[CHUNK] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int r = 0; r < EACH; ++r) {
        float squared = 1.0f;
#if MAP
        squared = __shfl_sync(ALL_LANES, own.scale, block_of(own, r));
        squared *= squared;
#endif
#pragma unroll
        for (int u = 0; u < CHUNK; ++u) variance[r][u] = squared * least[u];
    }
#pragma unroll
    for (int u = 0; u < CHUNK; ++u) least[u] *= MAP ? 0.0f : LEAST;
    // Within the parts
    const Pair* pairs = shared.inner + own.part * INNER_PAIRS;
#pragma unroll
    for (int half = 1; half < EACH; half *= 2)
        if (half < own.count) {
#pragma unroll
            for (int u = 0; u < CHUNK; ++u) least[u] += least[u];
#pragma unroll
            for (int first = 0; first < EACH; first += 2 * half) {
                float both[CHUNK];
#pragma unroll
                for (int u = 0; u < CHUNK; ++u)
                    sum[u] = both[u] = variance[first][u] + variance[first + half][u];
#pragma unroll
                for (int k = 0; k < half * half; ++k)
                    add_pair(sum, pairs[EACH / 2 * (half - 1) + first / 2 * half + k], geometry,
                             begin);
#pragma unroll
                for (int u = 0; u < CHUNK; ++u) {
                    variance[first][u] = fmaxf(sum[u], least[u]);
                    variance[first + half][u] = fmaxf(fmaf(2.0f, both[u], -sum[u]), least[u]);
                }
            }
        }
    // Across the parts
#pragma unroll
    for (int apart = 1; apart < PARTS; apart *= 2)
        if (apart < own.size) {
            if (apart == 1)
                add_list(sum, shared.fine + own.part / 2 * EACH * EACH, lengths.fine, lengths.most,
                         own.part % 2, 2, geometry, begin);
            else
                add_list(sum, shared.coarse, lengths.coarse, lengths.coarse, own.part, PARTS,
                         geometry, begin);
            const bool whole = own.part % apart == 0;
            const float sign = own.part & apart ? -1.0f : 1.0f;
#pragma unroll
            for (int u = 0; u < CHUNK; ++u) {
                least[u] += least[u];
                float both = variance[0][u];
                both += __shfl_xor_sync(ALL_LANES, both, apart * BLOCK);
                both = fmaxf(fmaf(sign, sum[u], both), least[u]);
                variance[0][u] = whole ? both : variance[0][u];
            }
        }
}
