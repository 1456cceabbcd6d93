// Groups of cubes, in addition to bm3d_group.cuh: SLICES is the thickness of a block, and thread t
// holds coefficient (s, u, v) = (t / BLOCK**2, t / BLOCK % BLOCK, t % BLOCK).
//
// The functions of the same names there are for squares; the geometry chooses among them.
//
// A volume (depth, height, width) is a tall image of depth * height rows: `GroupShared.y` is the
// row of a corner in it.

struct CubeGeometry : Geometry {
    int along;  // from here on blocks share no noise: dz is compared with down, dy with across
    int layer;  // floats from one dz to the next
};

// Corners of the blocks, the noise in them, and where their covariances are.
__device__ __forceinline__ void cube_corners(const GroupShared& shared,
                                             const CubeGeometry& geometry, int z, int y, int x,
                                             const short* offsets, int size, const float* scale) {
    const int thread = threadIdx.x;
    EACH_BLOCK(k, size) {
        const int slice = z + offsets[3 * k], row = y + offsets[3 * k + 1];
        const int column = x + offsets[3 * k + 2];
        shared.y[k] = slice * geometry.height + row;
        shared.x[k] = column;
        const long long line = static_cast<long long>(slice) * (geometry.height - BLOCK + 1) + row;
        shared.scale[k] =
            scale == nullptr ? 1.0f : scale[line * (geometry.width - BLOCK + 1) + column];
    }
    for (int pair = thread; pair < size * size; pair += THREADS) {
        const short *a = offsets + 3 * (pair / size), *b = offsets + 3 * (pair % size);
        const int dz = b[0] - a[0];
        int dy = b[1] - a[1], dx = b[2] - a[2];
        const bool near =
            abs(dz) < geometry.down && abs(dy) < geometry.across && abs(dx) < geometry.along;
        // Turned by half, so that dz is not negative; nor the others, where their signs are alike
        dy = geometry.origin == 0 ? abs(dy) : dz < 0 ? -dy : dy;
        dx = geometry.origin == 0 ? abs(dx) : dz < 0 ? -dx : dx;
        const int place =
            abs(dz) * geometry.layer + dy * geometry.line + dx * AREA + geometry.origin;
        shared.places[pair] = near ? place : NONE;
    }
    __syncthreads();
}

// Sum of LENGTH values of each block, `apart` from each other, times a row of a matrix.
template <int SIZE, int LENGTH>
__device__ __forceinline__ void transform_axis(float* group, const float* matrix, int first,
                                               int apart, float* stage) {
    const int t = threadIdx.x;
    if (t >= AREA) return;
    float factors[LENGTH];
#pragma unroll
    for (int k = 0; k < LENGTH; ++k) factors[k] = matrix[k];
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        float sum = 0.0f;
#pragma unroll
        for (int n = 0; n < LENGTH; ++n)
            sum = fmaf(factors[n], stage[k * AREA + first + n * apart], sum);
        group[k] = sum;
    }
}

template <int SIZE> __device__ __forceinline__ void put_on_stage(const float* group, float* stage) {
    if (threadIdx.x < AREA)
#pragma unroll
        for (int k = 0; k < SIZE; ++k) stage[k * AREA + threadIdx.x] = group[k];
}

// Multiply COUNT blocks in registers by matrices on all axes.
template <int COUNT>
__device__ __forceinline__ void transform_part(float* group, const float* matrix, float* stage) {
    const int t = threadIdx.x, s = t / (BLOCK * BLOCK), row = t / BLOCK % BLOCK;
    const int column = t % BLOCK;
    put_on_stage<COUNT>(group, stage);
    __syncthreads();
    transform_axis<COUNT, BLOCK>(group, matrix + column * BLOCK, t - column, 1, stage);
    __syncthreads();
    put_on_stage<COUNT>(group, stage);
    __syncthreads();
    transform_axis<COUNT, BLOCK>(group, matrix + row * BLOCK, t - row * BLOCK, BLOCK, stage);
    if (SLICES == 1) return;
    __syncthreads();
    put_on_stage<COUNT>(group, stage);
    __syncthreads();
    transform_axis<COUNT, SLICES>(group, matrix + BLOCK * BLOCK + s * SLICES, t % (BLOCK * BLOCK),
                                  BLOCK * BLOCK, stage);
}

// Multiply the blocks in registers by matrices on all axes: `matrix` holds that of rows and columns
// (BLOCK, BLOCK) and then that of slices (SLICES, SLICES). A barrier is needed before `stage` is
// used again.
template <int SIZE>
__device__ __forceinline__ void transform_blocks(float* group, const float* matrix, float* stage,
                                                 const CubeGeometry&) {
    if constexpr (SIZE <= PART) {
        transform_part<SIZE>(group, matrix, stage);
    } else {
#pragma unroll
        for (int first = 0; first < SIZE; first += PART) {
            if (first > 0) __syncthreads();  // all have read the part before
            transform_part<PART>(group + first, matrix, stage);
        }
    }
}

// Where a voxel of this thread is in a block whose corner is the first voxel.
__device__ __forceinline__ long long cube_voxel(const CubeGeometry& geometry) {
    const int t = threadIdx.x, s = t / (BLOCK * BLOCK), row = t / BLOCK % BLOCK;
    return (static_cast<long long>(s) * geometry.height + row) * geometry.width + t % BLOCK;
}

template <int SIZE>
__device__ __forceinline__ void load_blocks(float* group, const float* volume,
                                            const CubeGeometry& geometry,
                                            const GroupShared& shared) {
    const long long mine = cube_voxel(geometry), width = geometry.width;
#pragma unroll
    for (int k = 0; k < SIZE; ++k)
        group[k] = threadIdx.x < AREA ? volume[shared.y[k] * width + shared.x[k] + mine] : 0.0f;
}

// Add the weighted blocks to the sums, and the weight to the corner of each; window (BLOCK), then
// that of slices (SLICES).
template <int SIZE>
__device__ __forceinline__ void lay_down(const float* group, float weight, const float* window,
                                         const CubeGeometry& geometry, const GroupShared& shared,
                                         Sum* numerator, Sum* weights) {
    const int t = threadIdx.x;
    const long long mine = cube_voxel(geometry), width = geometry.width;
    if (t < AREA) {
        const float factor = weight * window[BLOCK + t / (BLOCK * BLOCK)] *
                             window[t / BLOCK % BLOCK] * window[t % BLOCK];
#pragma unroll
        for (int k = 0; k < SIZE; ++k)
            atomicAdd(&numerator[shared.y[k] * width + shared.x[k] + mine],
                      as_sum(factor * group[k]));
    }
    EACH_BLOCK(k, SIZE)
    atomicAdd(&weights[shared.y[k] * width + shared.x[k]], as_sum(weight));
}
