// Collaborative hard thresholding of all groups, and the sums of their aggregation, by rows.cuh.
//
// Steps 1b and 1c of BM3D (Dabov et al. 2007, equations 6, 10 and 12). NumPy twin: `bm3d_basic`.

// Grid: (ceil(columns / WARPS), rows, channels * images) of references; threads: (WARP, WARPS).
// noisy (channels, images, corners across, height, BLOCK), see bm3d_rows.cu; offsets (images, rows,
// columns, GROUP, 2), sizes as in `Matches`; forward, and the inverse times the window, of columns;
// covariance (1 or channels, displacements, BLOCK, BLOCK), columns first, whose channels are
// `apart` floats apart; strength (channels, images): lambda**2 times the variance; scale (1 or
// channels, corners), whose channels are `scale_apart` apart, if MAP. numerator (channels, images,
// corners across, height, BLOCK), weights (channels, images, corners across, height).
extern "C" __global__ void __launch_bounds__(WARPS* WARP, FEWEST_BLOCKS)
    bm3d_basic_rows(const float* noisy, int images, int height, int width, const int* rows,
                    const int* columns, int references, const OFFSET* offsets, const short* sizes,
                    const Matrix forward, const Matrix back, const float* covariance, int down,
                    int across, int line, int origin, int apart, int displacements,
                    const float* strength, const float* scale, int scale_apart, Sum* numerator,
                    Sum* weights FACTOR_TABLE) {
    DYNAMIC_SHARED(float, memory);
    const int number = blockIdx.x * WARPS + threadIdx.y;
    if (number >= references) return;  // a whole warp
    const int layer = blockIdx.z, channel = layer / images, corners = width - BLOCK + 1;
    const int reference = (layer % images * gridDim.y + blockIdx.y) * references + number;
    const long long plane = static_cast<long long>(layer) * corners * height;
    const Geometry geometry = {down,   across,        line,
                               origin, displacements, own_covariance(covariance + channel * apart)};
    const Member own = member(
        rows[blockIdx.y], columns[number], offsets + static_cast<long long>(reference) * GROUP * 2,
        sizes[reference], height, scale + static_cast<long long>(channel) * scale_apart, corners);
    float group[EACH][BLOCK], noise = 0.0f;
    load_blocks(group, noisy + plane * BLOCK, own);
    const WarpShared shared = warp_shared(memory);
    const Lengths lengths = list_all_pairs(shared, geometry, own);
#pragma unroll
    for (int r = 0; r < EACH; ++r) multiply(group[r], forward);
    haar(group, own);
    const float least = strength[layer];
#pragma unroll
    for (int begin = 0; begin < BLOCK; begin += CHUNK) {
        float variance[EACH][CHUNK];
        group_variance(variance, shared, lengths, geometry, own, begin);
#pragma unroll
        for (int r = 0; r < EACH; ++r) {
            float left = 0.0f;
#pragma unroll
            for (int u = 0; u < CHUNK; ++u) {
                float& value = group[r][begin + u];
                // The mean of the group carries no detail to threshold
                const bool kept = value * value >= least * FACTOR(r, begin + u) * variance[r][u] ||
                                  (r == 0 && begin + u == 0 && own.lane == 0);
                value = kept ? value : 0.0f;
                left += kept ? variance[r][u] : 0.0f;
            }
            noise += r < own.count && own.part < own.size ? share(own, r) * left : 0.0f;
        }
    }
    const float weight = group_weight(SIZE_SHARE(own.size) * noise);
#pragma unroll
    for (int r = 0; r < EACH; ++r)
#pragma unroll
        for (int u = 0; u < BLOCK; ++u) group[r][u] *= weight * share(own, r);
    haar_back(group, own);
    lay_down(group, back, weight, own, numerator + plane * BLOCK, weights + plane);
}
