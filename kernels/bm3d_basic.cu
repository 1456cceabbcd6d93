// Collaborative hard thresholding of all groups, and the sums of their aggregation.
//
// Steps 1b and 1c of BM3D (Dabov et al. 2007, equations 6, 10 and 12). NumPy twin: `bm3d_basic`.

// Grid: (columns, rows, channels * images) of references; threads: THREADS.
// noisy (channels, images, height, width); offsets (images, rows, columns, GROUP, 2), sizes as in
// `Matches`;
// forward, inverse (BLOCK, BLOCK); window (BLOCK); covariance (1 or channels, displacements, AREA),
// whose channels are `apart` floats apart; strength (channels, images): lambda**2 times the
// variance;
// scale (1 or channels, corners), whose channels are `scale_apart` apart, or null.
// numerator (channels, images, height, width), weights (channels, images, corners).
// With SHARPEN, coefficients of the first channel are raised to the power `root`, see hard.cuh.
// With FACTORS the strength has `factors`, see bm3d_group.cuh.
extern "C" __global__ void __launch_bounds__(THREADS)
    bm3d_basic(const float* noisy, int images, int height, int width, const int* rows,
               const int* columns, const OFFSET* offsets, const short* sizes, const float* forward,
               const float* inverse, const float* window, const float* covariance, int down,
               int across, int line, int origin, int apart, const float* strength,
               const float* scale, int scale_apart, Sum* numerator,
               Sum* weights ROOT FACTOR_TABLE) {
    DYNAMIC_SHARED(float, memory);
    const GroupShared shared = group_shared(memory);
    const int layer = blockIdx.z, channel = layer / images;
    const int reference = (layer % images * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const long long plane = static_cast<long long>(height) * width;
    const long long corners = static_cast<long long>(height - BLOCK + 1) * (width - BLOCK + 1);
    const float* variances = covariance + static_cast<long long>(channel) * apart;
    const Geometry geometry = {height, width, down, across, line, origin, variances};
    const float* image = noisy + layer * plane;
    const float* levels =
        scale == nullptr ? nullptr : scale + static_cast<long long>(channel) * scale_apart;
    const int size = sizes[reference];
    group_corners(shared, geometry, rows[blockIdx.y], columns[blockIdx.x],
                  offsets + static_cast<long long>(reference) * GROUP * 2, size, levels);

#define CASE(SIZE)                                                                                \
    if (SIZE <= GROUP && size == SIZE)                                                            \
        filter_hard<(SIZE <= GROUP ? SIZE : 1)>(                                                  \
            image, geometry, forward, inverse, window, strength[layer], scale != nullptr, shared, \
            numerator + layer * plane, weights + layer * corners SHARPENED FACTORS_GIVEN);
    CASE(1) CASE(2) CASE(4) CASE(8) CASE(16) CASE(32) CASE(64)
#undef CASE
}
