// Gradients of collaborative Wiener filtering of all groups.
//
// Steps 2b and 2c of BM3D (Dabov et al. 2007, equations 9, 11 and 12), in reverse order. NumPy
// twin: `wiener_backward` in `bm3d_backward`.

// Gradients of a group: of the noisy image and the pilot, and by the return value that of the
// strength, times the strength.
template <int SIZE>
__device__ __forceinline__ float backward_wiener(const float* image, const float* guide,
                                                 const Given& given, const Geometry& geometry,
                                                 const GroupShared& shared, Sum* gradient,
                                                 Sum* guided, Sum* levels) {
    const BackwardShared own = backward_shared(shared);
    float group[SIZE], pilot[SIZE], passed[SIZE], variance[SIZE], noise = 0.0f, power = 0.0f;
    load_blocks<SIZE>(pilot, guide, geometry, shared);
    transform_group<SIZE>(pilot, given.forward, geometry, shared);
    load_blocks<SIZE>(group, image, geometry, shared);
    __syncthreads();  // all have read the stage
    transform_group<SIZE>(group, given.forward, geometry, shared);
    float dot = -load_passed<SIZE>(passed, given, geometry, shared);
    __syncthreads();  // all have read the stage
    transform_group<SIZE>(passed, given.inverse, geometry, shared);
    group_variance<SIZE>(variance, shared, geometry, MAP);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        // The mean of the group passes, so that an added constant does
        const float limit = k == 0 && threadIdx.x == 0 ? 0.0f : strength_of(given, k) * variance[k];
        const float energy = fminf(fmaxf(pilot[k] * pilot[k], TINY), HUGE_ENERGY);
        const float gain = energy / (energy + limit);
        noise += threadIdx.x < AREA ? variance[k] * gain * gain : 0.0f;
        dot = fmaf(gain * group[k], passed[k], dot);
    }
    noise = group_sum(noise, 0, own);
    const Weight weight = weight_backward(noise, SIZE_SHARE(SIZE), group_sum(dot, 1, own));
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        const float strength = k == 0 && threadIdx.x == 0 ? 0.0f : strength_of(given, k);
        const float energy = fminf(fmaxf(pilot[k] * pilot[k], TINY), HUGE_ENERGY);
        const float inverse = 1.0f / (energy + strength * variance[k]), gain = energy * inverse;
        const float by_gain =
            fmaf(weight.value * group[k], passed[k], 2.0f * weight.by_noise * variance[k] * gain);
        group[k] = weight.value * gain * passed[k];
        // In this order: where there is no noise, the inverse of the energy can be huge
        const float removed = strength * variance[k] * inverse;  // 1 - gain
        pilot[k] = 2.0f * (pilot[k] * inverse) * removed * by_gain;
        power -= threadIdx.x < AREA ? gain * removed * by_gain : 0.0f;
        const float by_variance =
            weight.by_noise * gain * gain - strength * inverse * gain * by_gain;
        variance[k] = threadIdx.x < AREA && variance[k] > 0.0f ? by_variance : 0.0f;
    }
    power = group_sum(power, 2, own);
    add_gradient<SIZE>(group, given, geometry, shared, gradient);
    __syncthreads();  // all have read the stage
    add_gradient<SIZE>(pilot, given, geometry, shared, guided);
    if (MAP) variance_backward<SIZE>(variance, 1.0f, geometry, shared, own, levels);
    return power;
}

// As `bm3d_basic_backward`, with the pilot (channels, height, width) and its gradient `guided`;
// strength is mu**2 times the variance. powers (channels, rows, columns): the gradient of the
// strength times the strength, of each group.
extern "C" __global__ void __launch_bounds__(THREADS, 1)
    bm3d_final_backward(const float* noisy, const float* pilot, const float* estimate,
                        const float* passed, int height, int width, const int* rows,
                        const int* columns, const OFFSET* offsets, const short* sizes,
                        const float* forward, const float* adjoint, const float* inverse,
                        const float* window, const float* covariance, int down, int across,
                        int line, int origin, int apart, const float* strength,
                        const float* factors, const float* scale, int scale_apart, Sum* gradient,
                        Sum* levels, Sum* guided, float* powers) {
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
    float power = 0.0f;

#define CASE(SIZE)                                                                               \
    if (SIZE <= GROUP && size == SIZE)                                                           \
        power = backward_wiener<(SIZE <= GROUP ? SIZE : 1)>(noisy + plane, pilot + plane, given, \
                                                            geometry, shared, gradient + plane,  \
                                                            guided + plane, own_levels);
    CASE(1)
    CASE(2)
    CASE(4)
    CASE(8)
    CASE(16)
    CASE(32)
    CASE(64)
#undef CASE
    if (threadIdx.x == 0)
        powers[(static_cast<long long>(channel) * gridDim.y + blockIdx.y) * gridDim.x +
               blockIdx.x] = power;
}
