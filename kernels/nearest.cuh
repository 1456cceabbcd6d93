// The nearest of many distances, if most of them are far from it.

#define FEW 4  // parts beyond those wanted whose least distance may be within the limit

// The bits of a float that is not negative are ordered as the float is.
__device__ __forceinline__ int bits_of(float value) {
    return __float_as_int(value);
}

// A limit, at most `high`, that at least `want` of the distances keep, and few more. Each lane has
// two parts of the distances: as many parts as are wanted have their least within the limit.
__device__ __forceinline__ int nearest_limit(const float* distance, int size, int want, int high,
                                             int lane) {
    float even = NOWHERE, odd = NOWHERE;
#pragma unroll 4
    for (int k = lane; k < size; k += 2 * WARP) {
        even = fminf(even, distance[k]);
        if (k + WARP < size) odd = fminf(odd, distance[k + WARP]);
    }
    const int least[2] = {bits_of(even), bits_of(odd)};
    int low = 0, middle = high;
    while (true) {
        const int count = __popc(__ballot_sync(ALL_LANES, least[0] <= middle)) +
                          __popc(__ballot_sync(ALL_LANES, least[1] <= middle));
        if (count < want && middle < high) {
            low = middle + 1;
        } else {
            high = middle;
            if (count <= want + FEW) return high;
        }
        if (low >= high) return high;
        middle = low + (high - low) / 2;
    }
}

// Append the distances within a limit, with their codes; return how many there are, which may be
// more than there is room for.
__device__ __forceinline__ int nearest_gather(const float* distance, int size, int first_code,
                                              int limit, unsigned long long* keys, int filled,
                                              int room, int lane) {
    const unsigned before = (1u << lane) - 1;
    for (int start = lane; start - lane < size; start += WARP * WARP) {
        unsigned mine = 0;  // those within the limit, one of WARP each
        for (int some = 0; some < WARP && start + some * WARP - lane < size; some += 8) {
            const float* at = distance + start + some * WARP;
            const int left = size - (start + some * WARP);
            unsigned close = 0;
            if (left + lane >= 8 * WARP) {  // the same in all lanes
#pragma unroll
                for (int k = 0; k < 8; ++k)
                    if (bits_of(at[k * WARP]) <= limit) close |= 1u << k;
            } else {
#pragma unroll
                for (int k = 0; k < 8; ++k)
                    if (k * WARP < left && bits_of(at[k * WARP]) <= limit) close |= 1u << k;
            }
            mine |= close << some;
        }
        unsigned lanes = __ballot_sync(ALL_LANES, mine != 0);
        while (lanes != 0) {
            const int to = filled + __popc(lanes & before);
            if (mine != 0 && to < room) {
                const int place = start + (__ffs(mine) - 1) * WARP;
                keys[to] = static_cast<unsigned long long>(bits_of(distance[place])) << 32 |
                           static_cast<unsigned>(first_code + place);
            }
            mine &= mine - 1;
            filled += __popc(lanes);
            lanes = __ballot_sync(ALL_LANES, mine != 0);
        }
    }
    return filled;
}

// Write the `want` least of some keys in order, as distances and codes. They are all different.
template <int OWN>
__device__ __forceinline__ void nearest_order(const unsigned long long* keys, int filled, int want,
                                              int* kept_bits, int* kept_code, int lane) {
    for (int first = lane; first - lane < filled; first += OWN * WARP) {
        unsigned long long own[OWN];
        int rank[OWN] = {};
#pragma unroll
        for (int k = 0; k < OWN; ++k)
            own[k] = first + k * WARP < filled ? keys[first + k * WARP] : ~0ull;
#pragma unroll 4
        for (int other = 0; other < filled; ++other) {
            const unsigned long long key = keys[other];
#pragma unroll
            for (int k = 0; k < OWN; ++k) rank[k] += key < own[k];
        }
#pragma unroll
        for (int k = 0; k < OWN; ++k)
            if (rank[k] < want && own[k] != ~0ull) {
                kept_bits[rank[k]] = static_cast<int>(own[k] >> 32);
                kept_code[rank[k]] = static_cast<int>(own[k]);
            }
    }
}

// Keep the `want` nearest of a band below a bound, and of those kept before, in order; return their
// number. There is room for `room` keys, and so for what `match_select` needs. Lanes are to be
// synchronized before they read what is kept.
__device__ __forceinline__ int nearest(const float* distance, int size, int first_code,
                                       unsigned long long* keys, int room, int* kept_bits,
                                       int* kept_code, int kept, int want, int bound, int lane) {
    int high = bound - 1;
    if (kept == want) high = min(high, kept_bits[want - 1]);
    const int limit = nearest_limit(distance, size, want, high, lane);
    for (int k = lane; k < kept; k += WARP)
        keys[k] = static_cast<unsigned long long>(kept_bits[k]) << 32 |
                  static_cast<unsigned>(kept_code[k]);
    const int filled = nearest_gather(distance, size, first_code, limit, keys, kept, room, lane);
    __syncwarp(ALL_LANES);
    if (filled > room)  // many are equal
        return match_select(distance, size, first_code, reinterpret_cast<int*>(keys),
                            reinterpret_cast<int*>(keys) + room, kept_bits, kept_code, kept, want,
                            high, lane);
    if (filled > WARP)
        nearest_order<2>(keys, filled, want, kept_bits, kept_code, lane);
    else
        nearest_order<1>(keys, filled, want, kept_bits, kept_code, lane);
    return min(filled, want);
}
