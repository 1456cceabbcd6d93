// Gradients of collaborative hard thresholding of all groups.
//
// Steps 1b and 1c of BM3D (Dabov et al. 2007, equations 6, 10 and 12), in reverse order. NumPy
// twin: `hard_backward` in `bm3d_backward`.

template <int SIZE>
__device__ __forceinline__ void backward_hard(const float* image, const Given& given,
                                              const Geometry& geometry, const GroupShared& shared,
                                              Sum* gradient, Sum* levels) {
    const BackwardShared own = backward_shared(shared);
    float group[SIZE], passed[SIZE], variance[SIZE], noise = 0.0f;
    load_blocks<SIZE>(group, image, geometry, shared);
    transform_group<SIZE>(group, given.forward, geometry, shared);
    float dot = -load_passed<SIZE>(passed, given, geometry, shared);
    __syncthreads();  // all have read the stage
    transform_group<SIZE>(passed, given.inverse, geometry, shared);
    group_variance<SIZE>(variance, shared, geometry, MAP);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        // The mean of the group carries no detail to threshold
        const bool kept =
            threadIdx.x < AREA && (group[k] * group[k] >= strength_of(given, k) * variance[k] ||
                                   (k == 0 && threadIdx.x == 0));
        passed[k] = kept ? passed[k] : 0.0f;
        dot = fmaf(group[k], passed[k], dot);
        noise += kept ? variance[k] : 0.0f;
        variance[k] = kept && variance[k] > 0.0f ? 1.0f : 0.0f;
    }
    noise = group_sum(noise, 0, own);
    const Weight weight = weight_backward(noise, SIZE_SHARE(SIZE), group_sum(dot, 1, own));
#pragma unroll
    for (int k = 0; k < SIZE; ++k) passed[k] *= weight.value;
    add_gradient<SIZE>(passed, given, geometry, shared, gradient);
    if (MAP) variance_backward<SIZE>(variance, weight.by_noise, geometry, shared, own, levels);
}

// Grid: (columns, rows, channels) of references; threads: THREADS.
// noisy, estimate, passed, the gradient of the numerator, (channels, height, width); offsets (rows,
// columns, GROUP, 2), sizes as in `Matches`; forward, adjoint, inverse, window: see `Given`;
// covariance (1 or channels, displacements, AREA), whose channels are `apart` floats apart;
// strength (channels): lambda**2 times the variance; factors as in `Given`; scale (1 or channels,
// corners), whose channels are `scale_apart` apart, or null. gradient (channels, height, width) of
// noisy; levels (channels, corners), of the scale, or null.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    bm3d_basic_backward(const float* noisy, const float* estimate, const float* passed, int height,
                        int width, const int* rows, const int* columns, const OFFSET* offsets,
                        const short* sizes, const float* forward, const float* adjoint,
                        const float* inverse, const float* window, const float* covariance,
                        int down, int across, int line, int origin, int apart,
                        const float* strength, const float* factors, const float* scale,
                        int scale_apart, Sum* gradient, Sum* levels) {
    DYNAMIC_SHARED(float, memory);
    const GroupShared shared = group_shared(memory);
    const int channel = blockIdx.z, reference = blockIdx.y * gridDim.x + blockIdx.x;
    const long long plane = static_cast<long long>(height) * width * channel;
    const long long corners = static_cast<long long>(height - BLOCK + 1) * (width - BLOCK + 1);
    const Geometry geometry = {height,
                               width,
                               down,
                               across,
                               line,
                               origin,
                               covariance + static_cast<long long>(channel) * apart};
    const Given given = {passed + plane, estimate + plane, forward,           adjoint,
                         inverse,        window,           strength[channel], factors};
    const int size = sizes[reference];
    group_corners(shared, geometry, rows[blockIdx.y], columns[blockIdx.x],
                  offsets + static_cast<long long>(reference) * GROUP * 2, size,
                  MAP ? scale + static_cast<long long>(channel) * scale_apart : nullptr);
    Sum* own_levels = MAP ? levels + channel * corners : nullptr;

#define CASE(SIZE)                                                                        \
    if (SIZE <= GROUP && size == SIZE)                                                    \
        backward_hard<(SIZE <= GROUP ? SIZE : 1)>(noisy + plane, given, geometry, shared, \
                                                  gradient + plane, own_levels);
    CASE(1) CASE(2) CASE(4) CASE(8) CASE(16) CASE(32) CASE(64)
#undef CASE
}
