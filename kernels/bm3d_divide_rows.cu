// The estimate, from sums whose rows are still transformed, see rows.cuh.
//
// Step 1c and 2c of BM3D (Dabov et al. 2007, equation 12). NumPy twin: the end of `_filter`.

#define TILE WARP

// Shared memory: (TILE + BLOCK - 1, TILE + 1) weights, summed across, and (TILE, TILE + 1) pixels.

// Passed by value, so that the kernels read it from constant memory.
struct Matrix {
    float at[BLOCK][BLOCK];
};
struct Window {
    float at[BLOCK];
};

#define SPAN 4  // adjacent pixels of a thread, which share coefficients: TILE / SPAN warps

__device__ __forceinline__ void load_sums(float (&values)[BLOCK], const Sum* sums) {
#if FIXED
#pragma unroll
    for (int v = 0; v < BLOCK; ++v) values[v] = as_float(sums[v]);
#else
#pragma unroll
    for (int v = 0; v < BLOCK; v += 4) {
        const float4 four = *reinterpret_cast<const float4*>(sums + v);
        values[v] = four.x;
        values[v + 1] = four.y;
        values[v + 2] = four.z;
        values[v + 3] = four.w;
    }
#endif
}

// Grid: (ceil(width / TILE), ceil(height / TILE), channels); threads: (WARP, TILE / SPAN).
// numerator (channels, corners across, pitch, BLOCK), weights (channels, corners across, pitch), of
// which rows [first, first + height) are divided; `back` is the inverse transform of rows, times
// the window; out (channels, height, width).
extern "C" __global__ void __launch_bounds__(WARP* TILE / SPAN)
    bm3d_divide_rows(const Sum* numerator, const Sum* weights, int first, int height, int pitch,
                     int width, const Matrix back, const Window window, float* out) {
    DYNAMIC_SHARED(float, memory);
    float (*lines)[TILE + 1] = reinterpret_cast<float (*)[TILE + 1]>(memory);
    float (*tile)[TILE + 1] = lines + TILE + BLOCK - 1;
    const int down = height - BLOCK + 1, across = width - BLOCK + 1;
    const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    const int column = threadIdx.y * SPAN;  // of the tile
    const long long plane = static_cast<long long>(blockIdx.z) * across;
    // Neighbors along a column are adjacent in memory: lanes are rows
    for (int y = threadIdx.x; y < TILE + BLOCK - 1; y += WARP) {
        const int row = top + y - (BLOCK - 1);
        float sums[SPAN] = {};
#pragma unroll
        for (int k = 0; k < SPAN + BLOCK - 1; ++k) {
            const int x = left + column + k - (BLOCK - 1);
            if (row >= 0 && row < down && x >= 0 && x < across) {
                const float value = as_float(weights[(plane + x) * pitch + first + row]);
#pragma unroll
                for (int n = 0; n < SPAN; ++n)
                    if (const int b = n + BLOCK - 1 - k; b >= 0 && b < BLOCK)
                        sums[n] = fmaf(window.at[b], value, sums[n]);
            }
        }
#pragma unroll
        for (int n = 0; n < SPAN; ++n) lines[y][column + n] = sums[n];
    }
    const int row = top + threadIdx.x;
    float sums[SPAN] = {};
#pragma unroll
    for (int k = 0; k < SPAN + BLOCK - 1; ++k) {
        const int x = left + column + k - (BLOCK - 1);
        if (row < height && x >= 0 && x < across) {
            float values[BLOCK];
            load_sums(values, numerator + ((plane + x) * pitch + first + row) * BLOCK);
#pragma unroll
            for (int n = 0; n < SPAN; ++n)
                if (const int a = n + BLOCK - 1 - k; a >= 0 && a < BLOCK)
#pragma unroll
                    for (int v = 0; v < BLOCK; ++v)
                        sums[n] = fmaf(back.at[a][v], values[v], sums[n]);
        }
    }
#pragma unroll
    for (int n = 0; n < SPAN; ++n) tile[threadIdx.x][column + n] = sums[n];
    __syncthreads();
    const int x = threadIdx.x;
    for (int y = threadIdx.y; y < TILE && top + y < height && left + x < width; y += blockDim.y) {
        float total = 0.0f;
#pragma unroll
        for (int a = 0; a < BLOCK; ++a)
            total = fmaf(window.at[a], lines[y + BLOCK - 1 - a][x], total);
        const long long place = (static_cast<long long>(blockIdx.z) * height + top + y) * width;
        out[place + left + x] = tile[y][x] / total;
    }
}
