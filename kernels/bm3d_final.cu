// Collaborative Wiener filtering of all groups, and the sums of their aggregation.
//
// Steps 2b and 2c of BM3D (Dabov et al. 2007, equations 9, 11 and 12). NumPy twin: `bm3d_final`.

// As `bm3d_basic`, with the pilot (channels, images, height, width); strength is mu**2 times the
// variance.
extern "C" __global__ void __launch_bounds__(THREADS)
    bm3d_final(const float* noisy, const float* pilot, int images, int height, int width,
               const int* rows, const int* columns, const OFFSET* offsets, const short* sizes,
               const float* forward, const float* inverse, const float* window,
               const float* covariance, int down, int across, int line, int origin, int apart,
               const float* strength, const float* scale, int scale_apart, Sum* numerator,
               Sum* weights FACTOR_TABLE) {
    DYNAMIC_SHARED(float, memory);
    const GroupShared shared = group_shared(memory);
    const int layer = blockIdx.z, channel = layer / images;
    const int reference = (layer % images * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const long long plane = static_cast<long long>(height) * width;
    const long long corners = static_cast<long long>(height - BLOCK + 1) * (width - BLOCK + 1);
    const float* variances = covariance + static_cast<long long>(channel) * apart;
    const Geometry geometry = {height, width, down, across, line, origin, variances};
    const float* levels =
        scale == nullptr ? nullptr : scale + static_cast<long long>(channel) * scale_apart;
    const int size = sizes[reference];
    group_corners(shared, geometry, rows[blockIdx.y], columns[blockIdx.x],
                  offsets + static_cast<long long>(reference) * GROUP * 2, size, levels);

#define CASE(SIZE)                                                                            \
    if (SIZE <= GROUP && size == SIZE)                                                        \
        filter_wiener<(SIZE <= GROUP ? SIZE : 1)>(                                            \
            noisy + layer * plane, pilot + layer * plane, geometry, forward, inverse, window, \
            strength[layer], scale != nullptr, shared, numerator + layer * plane,             \
            weights + layer * corners FACTORS_GIVEN);
    CASE(1) CASE(2) CASE(4) CASE(8) CASE(16) CASE(32) CASE(64)
#undef CASE
}
