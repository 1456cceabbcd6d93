// Collaborative hard thresholding of one group, of squares or of cubes.

template <int SIZE, class Kind>
__device__ __forceinline__ void filter_hard(const float* image, const Kind& geometry,
                                            const float* forward, const float* inverse,
                                            const float* window, float strength, bool scaled,
                                            const GroupShared& shared, Sum* numerator,
                                            Sum* weights) {
    float group[SIZE], variance[SIZE], noise = 0.0f;
    load_blocks<SIZE>(group, image, geometry, shared);
    transform_blocks<SIZE>(group, forward, shared.stage, geometry);
    haar<SIZE>(group);
    group_variance<SIZE>(variance, shared, geometry, scaled);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        // The mean of the group carries no detail to threshold
        const bool kept =
            group[k] * group[k] >= strength * variance[k] || (k == 0 && threadIdx.x == 0);
        group[k] = kept ? group[k] : 0.0f;
        noise += kept && threadIdx.x < AREA ? variance[k] : 0.0f;
    }
    const float weight = group_weight(noise, shared);
    haar_back<SIZE>(group);
    transform_blocks<SIZE>(group, inverse, shared.stage, geometry);
    lay_down<SIZE>(group, weight, window, geometry, shared, numerator, weights);
}
