// Collaborative hard thresholding of all groups of cubes, and the sums of their aggregation.
//
// Section III of BM4D (Maggioni et al. 2013). NumPy twin: `bm4d_basic`.

// Grid: (columns, rows, channels * slices) of references; threads: THREADS.
// noisy (channels, depth, height, width); slices (layers), rows, columns, offsets (slices, rows,
// columns, GROUP, 3), sizes as in `CubeMatches`; forward, inverse (BLOCK, BLOCK) and (SLICES,
// SLICES); window (BLOCK) and (SLICES); covariance (1 or channels, displacements, AREA), whose
// channels are `apart` floats apart; strength (channels): lambda**2 times the variance; scale (1 or
// channels, corners), whose channels are `scale_apart` apart, or null. numerator, weights
// (channels, depth, height, width), the weights by corner.
extern "C" __global__ void __launch_bounds__(THREADS)
    bm4d_basic(const float* noisy, int depth, int height, int width, const int* slices, int layers,
               const int* rows, const int* columns, const short* offsets, const short* sizes,
               const float* forward, const float* inverse, const float* window,
               const float* covariance, int down, int across, int along, int layer, int line,
               int origin, int apart, const float* strength, const float* scale, int scale_apart,
               Sum* numerator, Sum* weights) {
    DYNAMIC_SHARED(float, memory);
    const GroupShared shared = group_shared(memory);
    const int channel = blockIdx.z / layers, slice = blockIdx.z % layers;
    const long long reference =
        (static_cast<long long>(slice) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const long long volume = static_cast<long long>(depth) * height * width;
    const CubeGeometry geometry = {{height, width, down, across, line, origin,
                                    covariance + static_cast<long long>(channel) * apart},
                                   along,
                                   layer};
    const float* levels =
        scale == nullptr ? nullptr : scale + static_cast<long long>(channel) * scale_apart;
    const int size = sizes[reference];
    cube_corners(shared, geometry, slices[slice], rows[blockIdx.y], columns[blockIdx.x],
                 offsets + reference * GROUP * 3, size, levels);

#define CASE(SIZE)                                                                               \
    if (SIZE <= GROUP && size == SIZE)                                                           \
        filter_hard<(SIZE <= GROUP ? SIZE : 1)>(                                                 \
            noisy + channel * volume, geometry, forward, inverse, window, strength[channel],     \
            scale != nullptr, shared, numerator + channel * volume, weights + channel * volume);
    CASE(1) CASE(2) CASE(4) CASE(8) CASE(16) CASE(32) CASE(64)
#undef CASE
}
