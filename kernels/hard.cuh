// Collaborative hard thresholding of one group, of squares or of cubes.

// With SHARPEN the coefficients that are kept are raised to the power `root` relative to the mean
// of the group (Dabov et al., "Joint image sharpening and denoising", 2007); 1 leaves them.
#ifndef SHARPEN
#define SHARPEN 0
#endif
#if SHARPEN
#define ROOT , float root
#define SHARPENED , channel == 0 ? root : 1.0f
#else
#define ROOT
#define SHARPENED
#endif

template <int SIZE, class Kind>
__device__ __forceinline__ void filter_hard(const float* image, const Kind& geometry,
                                            const float* forward, const float* inverse,
                                            const float* window, float strength, bool scaled,
                                            const GroupShared& shared, Sum* numerator,
                                            Sum* weights ROOT FACTOR_TABLE) {
    float group[SIZE], variance[SIZE], noise = 0.0f;
    load_blocks<SIZE>(group, image, geometry, shared);
    transform_blocks<SIZE>(group, forward, shared.stage, geometry);
    haar<SIZE>(group);
    group_variance<SIZE>(variance, shared, geometry, scaled);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        // The mean of the group carries no detail to threshold
        const bool kept = group[k] * group[k] >= strength * FACTOR(k) * variance[k] ||
                          (k == 0 && threadIdx.x == 0);
        group[k] = kept ? group[k] : 0.0f;
        noise += kept && threadIdx.x < AREA ? variance[k] : 0.0f;
    }
    const float weight = group_weight(SIZE_SHARE(SIZE) * noise, shared);
#if SHARPEN
    if (root != 1.0f) {                                           // one and the same in all threads
        if (threadIdx.x == 0) shared.scale[0] = fabsf(group[0]);  // all have read the scale
        __syncthreads();
        const float mean = shared.scale[0];
#pragma unroll
        for (int k = 0; k < SIZE; ++k) {
            const float size = fabsf(group[k]);
            const bool detail = size > 0.0f && mean > 0.0f && !(k == 0 && threadIdx.x == 0);
            if (detail) group[k] *= powf(size / mean, root - 1.0f);
        }
    }
#endif
    haar_back<SIZE>(group);
    transform_blocks<SIZE>(group, inverse, shared.stage, geometry);
    lay_down<SIZE>(group, weight, window, geometry, shared, numerator, weights);
}
