// What the kernels of noise estimation share. Their twins are in fastrestore/_noise: patches.py,
// clipping.py and level.py.

#define SIDE 7  // of a patch
#define THREADS 256
#define WARPS (THREADS / WARP)
#define LEVELS 4194304.0  // an image from -1 to 1 is rounded to whole numbers of up to 22 bits

// Sums of COUNT values over a thread block, written to `out`.
template <int COUNT>
__device__ __forceinline__ void write_sums(double (&mine)[COUNT], double* shared, double* out) {
    const int thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
#pragma unroll
    for (int k = 0; k < COUNT; ++k) {
        for (int apart = WARP / 2; apart > 0; apart /= 2)
            mine[k] += __shfl_xor_sync(ALL_LANES, mine[k], apart);
        if (lane == 0) shared[k * WARPS + warp] = mine[k];
    }
    __syncthreads();
    if (thread < COUNT) {
        double sum = 0;
        for (int k = 0; k < WARPS; ++k) sum += shared[thread * WARPS + k];
        out[thread] = sum;
    }
}

// Whether a patch at most `reach` places away is in an area without noise.
__device__ __forceinline__ bool is_near(const unsigned char* empty, int rows, int columns, int i,
                                        int j, int reach) {
    for (int y = max(i - reach, 0); y <= min(i + reach, rows - 1); ++y)
        for (int x = max(j - reach, 0); x <= min(j + reach, columns - 1); ++x)
            if (empty[y * columns + x]) return true;
    return false;
}
