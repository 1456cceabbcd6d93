// Gradients of the collaborative filtering of one group, in addition to bm3d_group.cuh.
//
// The specification is backends/numpy/backward.py. Thread t holds coefficient t of all blocks, as
// in the kernels that filter. Gradients of the coefficients are transformed like blocks: by the
// transposed inverse on the way in, by the transposed forward transform on the way out.
//
// Defined when compiling: MAP, 1 if the noise varies.

#define SUMS 3  // over a group
#define LANE (threadIdx.x % WARP)
#define OWN_WARP (threadIdx.x / WARP)

// Shared memory of a thread block after that of `GroupShared`, in this order.
struct BackwardShared {
    float* sums;    // (SUMS, THREADS / WARP): of warps
    float* levels;  // (THREADS / WARP, GROUP): gradients of the noise in the blocks, if it varies
};

__device__ __forceinline__ BackwardShared backward_shared(const GroupShared& shared) {
    BackwardShared own;
    own.sums = shared.partial + THREADS / WARP;
    own.levels = own.sums + SUMS * THREADS / WARP;
    return own;
}

// What the gradients of a group are computed from, besides its images.
struct Given {
    const float* passed;    // (height, width): gradient of the numerator of the estimate
    const float* estimate;  // (height, width)
    const float* forward;   // (BLOCK, BLOCK)
    const float* adjoint;   // (BLOCK, BLOCK): forward, transposed
    const float* inverse;   // (BLOCK, BLOCK): transposed
    const float* window;    // (BLOCK)
    float strength;         // lambda**2 or mu**2, times the variance
    const float* factors;   // (levels + 1, AREA): of the strength, or null
};

// Strength for coefficient k of the Haar transform, a difference of 2**__ffs(k) blocks.
__device__ __forceinline__ float strength_of(const Given& given, int k) {
    if (given.factors == nullptr || threadIdx.x >= AREA) return given.strength;
    return given.strength * given.factors[__ffs(k) * AREA + threadIdx.x];
}

__device__ __forceinline__ float lanes_sum(float value) {
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, apart);
    return value;
}

// Sum over the threads, in every thread. Each sum of a group has a `number` of its own.
__device__ __forceinline__ float group_sum(float value, int number, const BackwardShared& own) {
    float* sums = own.sums + number * (THREADS / WARP);
    value = lanes_sum(value);
    if (LANE == 0) sums[OWN_WARP] = value;
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < THREADS / WARP; ++warp) total += sums[warp];
    return total;
}

// Load the gradient of the numerator, times the window. Return the part of this thread in that of
// the denominator, -passed * estimate, with the opposite sign.
template <int SIZE>
__device__ __forceinline__ float load_passed(float* group, const Given& given,
                                             const Geometry& geometry, const GroupShared& shared) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK;
    const float factor = t < AREA ? given.window[row] * given.window[column] : 0.0f;
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        const int place = (shared.y[k] + row) * geometry.width + shared.x[k] + column;
        group[k] = t < AREA ? factor * given.passed[place] : 0.0f;
        if (t < AREA) sum = fmaf(group[k], given.estimate[place], sum);
    }
    return sum;
}

template <int SIZE>
__device__ __forceinline__ void transform_group(float* group, const float* matrix,
                                                const Geometry& geometry,
                                                const GroupShared& shared) {
    transform_blocks<SIZE>(group, matrix, shared.stage, geometry);
    haar<SIZE>(group);
}

// Transform the gradient of the coefficients back, and add it to that of the image.
template <int SIZE>
__device__ __forceinline__ void add_gradient(float* group, const Given& given,
                                             const Geometry& geometry, const GroupShared& shared,
                                             Sum* gradient) {
    const int t = threadIdx.x, row = t / BLOCK, column = t % BLOCK, width = geometry.width;
    haar_back<SIZE>(group);
    transform_blocks<SIZE>(group, given.adjoint, shared.stage, geometry);
    if (t < AREA)
#pragma unroll
        for (int k = 0; k < SIZE; ++k)
            atomicAdd(&gradient[(shared.y[k] + row) * width + shared.x[k] + column],
                      as_sum(group[k]));
}

// Weight of a group with this remaining noise variance, which has the factor `share` in it, and the
// gradient of that variance, from the gradient of the weight. It is 0 if the weight is at one of
// its limits.
struct Weight {
    float value, by_noise;
};

__device__ __forceinline__ Weight weight_backward(float noise, float share, float by_weight) {
    noise *= share;
    const float weight = 1.0f / fminf(fmaxf(noise, 1.0f / HEAVIEST), 1.0f / LIGHTEST);
    const bool inside = noise > 1.0f / HEAVIEST && noise < 1.0f / LIGHTEST;
    return {weight, inside ? share * (-weight * weight * by_weight) : 0.0f};
}

// Propagate gradients `by_variance` backward through `group_variance`, and add them, times
// `factor`, to those of the noise by corner. Those of a sum and a difference are the gradients of
// the variances of both halves, and of the covariances of pairs; overwrites `by_variance`.
template <int SIZE>
__device__ __forceinline__ void variance_backward(float* by_variance, float factor,
                                                  const Geometry& geometry,
                                                  const GroupShared& shared,
                                                  const BackwardShared& own, Sum* levels) {
    const int t = threadIdx.x;
    const float* covariance = geometry.covariance + (t < AREA ? t : 0);
    const float single = 2.0f * covariance[geometry.origin];
    float* sums = own.levels + OWN_WARP * GROUP;
    if (LANE == 0)
        for (int k = 0; k < SIZE; ++k) sums[k] = 0.0f;
#pragma unroll
    for (int half = SIZE / 2; half > 0; half /= 2)
#pragma unroll
        for (int first = 0; first < SIZE; first += 2 * half) {
            const float left = by_variance[first], right = by_variance[first + half];
            const float pair = (left - right) / half;
            by_variance[first] = by_variance[first + half] = (left + right) * 0.5f;
#pragma unroll 1
            for (int a = first; a < first + 2 * half; ++a) {
                const int other = a < first + half ? first + half : first;
                float sum = 0.0f;
#pragma unroll 8
                for (int b = other; b < other + half; ++b) {
                    const int place = shared.places[a * SIZE + b];
                    if (place != NONE)  // one and the same in all threads
                        sum = fmaf(shared.scale[b], covariance[place], sum);
                }
                sum = lanes_sum(pair * sum);
                if (LANE == 0) sums[a] += sum;
            }
        }
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        const float sum = lanes_sum(single * shared.scale[k] * by_variance[k]);
        if (LANE == 0) sums[k] += sum;
    }
    __syncthreads();
    EACH_BLOCK(k, SIZE) {
        float total = 0.0f;
        for (int warp = 0; warp < THREADS / WARP; ++warp) total += own.levels[warp * GROUP + k];
        atomicAdd(&levels[shared.y[k] * (geometry.width - BLOCK + 1) + shared.x[k]],
                  as_sum(factor * total));
    }
}
