// Range of an image without its outliers: the 99th less the 1st percentile of its pixels.
//
// NumPy twin: `robust_range` of backends/host.py. One thread block selects the pixels of four
// ranks, those beside each percentile, byte by byte of keys that are ordered as the pixels are.

#define RANKS 4
#define BINS 256
#define RANGE_THREADS (RANKS * BINS)

__device__ __forceinline__ unsigned key_of(float value) {
    const unsigned bits = static_cast<unsigned>(__float_as_int(value));
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float value_of_key(unsigned key) {
    const unsigned bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    return __int_as_float(static_cast<int>(bits));
}

// Value at a fraction of the way from a to b, with the rounding of NumPy.
__device__ __forceinline__ double between(double a, double b, double fraction) {
    return fraction < 0.5 ? a + (b - a) * fraction : b - (b - a) * (1 - fraction);
}

// Grid: images; threads: RANGE_THREADS. image (images, size) without gaps; out (images).
extern "C" __global__ void __launch_bounds__(RANGE_THREADS)
    bm3d_range(const float* image, int size, float* out) {
    DYNAMIC_SHARED(unsigned, memory);
    image += static_cast<long long>(blockIdx.x) * size;
    unsigned* histogram = memory;                 // (RANKS, BINS): pixels by the next byte
    unsigned* prefix = histogram + RANKS * BINS;  // (RANKS): the bytes found so far
    unsigned* rank = prefix + RANKS;              // (RANKS): among the pixels with this prefix
    const int thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    const double low = 0.01 * (size - 1), high = 0.99 * (size - 1);
    const int below = static_cast<int>(low), above = static_cast<int>(high);
    if (thread < RANKS) {
        const int first = thread < 2 ? below : above;
        prefix[thread] = 0;
        rank[thread] = min(first + thread % 2, size - 1);
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        histogram[thread] = 0;
        __syncthreads();
        unsigned wanted[RANKS];
#pragma unroll
        for (int k = 0; k < RANKS; ++k) wanted[k] = prefix[k];
        for (int place = thread; place < size; place += RANGE_THREADS) {
            const unsigned key = key_of(image[place]);
            const unsigned start = shift == 24 ? 0 : key >> (shift + 8), byte = key >> shift & 255;
#pragma unroll
            for (int k = 0; k < RANKS; ++k)  // of equal prefixes the first counts
                if (start == wanted[k] && (k == 0 || wanted[k] != wanted[max(k, 1) - 1]))
                    atomicAdd(&histogram[k * BINS + byte], 1u);
        }
        __syncthreads();
        if (warp < RANKS) {  // a warp for a rank, BINS / WARP bins for a lane
            unsigned mine = 0;
            int counted = 0;  // whose histogram is that of this rank
#pragma unroll
            for (int k = 0; k < RANKS; ++k) mine = k == warp ? wanted[k] : mine;
#pragma unroll
            for (int k = RANKS - 1; k >= 0; --k) counted = wanted[k] == mine ? k : counted;
            const unsigned* bins = histogram + counted * BINS + lane * (BINS / WARP);
            unsigned own = 0;
            for (int k = 0; k < BINS / WARP; ++k) own += bins[k];
            unsigned before = own;  // and those of the lanes below
            for (int apart = 1; apart < WARP; apart *= 2) {
                const unsigned other = __shfl_up_sync(ALL_LANES, before, apart);
                if (lane >= apart) before += other;
            }
            before -= own;
            const unsigned left = rank[warp];
            __syncwarp(ALL_LANES);  // all have read the rank
            if (left >= before && left < before + own) {
                int bin = 0;
                while (left >= before + bins[bin]) before += bins[bin++];
                prefix[warp] = mine << 8 | static_cast<unsigned>(lane * (BINS / WARP) + bin);
                rank[warp] = left - before;
            }
        }
        __syncthreads();
    }
    if (thread == 0)
        out[blockIdx.x] = static_cast<float>(
            between(value_of_key(prefix[2]), value_of_key(prefix[3]), high - above) -
            between(value_of_key(prefix[0]), value_of_key(prefix[1]), low - below));
}
