// Transform the rows of all blocks of an image: the first half of the transform of each block.
//
// Step 1b of BM3D (Dabov et al. 2007), for all groups at once: blocks with the same rows share it.
// NumPy twin: the product with `stage.forward` from the right in `_filter`.

#define TILE WARP

// Shared memory: TILE rows of the image. Their odd pitch puts them in different banks.

struct Matrix {
    float at[BLOCK][BLOCK];
};

// Grid: (ceil(corners across / TILE), ceil(height / TILE), channels); threads: (WARP, 8).
// image (channels, height, width); out (channels, corners across, pitch, BLOCK), of which rows
// [first, first + height) are written: rows of a block are adjacent.
extern "C" __global__ void __launch_bounds__(256)
    bm3d_rows(const float* image, int first, int height, int pitch, int width, const Matrix matrix,
              float* out) {
    DYNAMIC_SHARED(float, memory);
    float (*tile)[TILE + BLOCK - 1] = reinterpret_cast<float (*)[TILE + BLOCK - 1]>(memory);
    const int across = width - BLOCK + 1, left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    const float* plane = image + static_cast<long long>(blockIdx.z) * height * width;
    for (int y = threadIdx.y; y < TILE; y += blockDim.y)
        for (int x = threadIdx.x; x < TILE + BLOCK - 1; x += WARP)
            if (top + y < height && left + x < width)
                tile[y][x] = plane[static_cast<long long>(top + y) * width + left + x];
    __syncthreads();
    const int y = top + threadIdx.x;
    if (y >= height) return;
    for (int x = threadIdx.y; x < TILE && left + x < across; x += blockDim.y) {
        float given[BLOCK];
#pragma unroll
        for (int k = 0; k < BLOCK; ++k) given[k] = tile[threadIdx.x][x + k];
        const long long place =
            (static_cast<long long>(blockIdx.z) * across + left + x) * pitch + first + y;
        float4* four = reinterpret_cast<float4*>(out + place * BLOCK);
#pragma unroll
        for (int part = 0; part < BLOCK / 4; ++part) {
            float sums[4];
#pragma unroll
            for (int v = 0; v < 4; ++v) {
                sums[v] = 0.0f;
#pragma unroll
                for (int k = 0; k < BLOCK; ++k)
                    sums[v] = fmaf(matrix.at[4 * part + v][k], given[k], sums[v]);
            }
            four[part] = make_float4(sums[0], sums[1], sums[2], sums[3]);
        }
    }
}
