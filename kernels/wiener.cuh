// Collaborative Wiener filtering of one group, of squares or of cubes.

template <int SIZE, class Kind>
__device__ __forceinline__ void filter_wiener(const float* image, const float* pilot,
                                              const Kind& geometry, const float* forward,
                                              const float* inverse, const float* window,
                                              float strength, bool scaled,
                                              const GroupShared& shared, Sum* numerator,
                                              Sum* weights FACTOR_TABLE) {
    // Gains first: the group itself is loaded when pilot and variances are no longer needed
    float gain[SIZE], group[SIZE], noise = 0.0f;
    load_blocks<SIZE>(gain, pilot, geometry, shared);
    transform_blocks<SIZE>(gain, forward, shared.stage, geometry);
    haar<SIZE>(gain);
    group_variance<SIZE>(group, shared, geometry, scaled);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        const float energy = fminf(fmaxf(gain[k] * gain[k], TINY), HUGE_ENERGY);
        // The mean of the group passes, so that an added constant does
        const float mean = k == 0 && threadIdx.x == 0 ? 0.0f : strength * FACTOR(k) * group[k];
        gain[k] = energy / (energy + mean);
        noise += threadIdx.x < AREA ? group[k] * gain[k] * gain[k] : 0.0f;
    }
    const float weight = group_weight(SIZE_SHARE(SIZE) * noise, shared);
    load_blocks<SIZE>(group, image, geometry, shared);
    transform_blocks<SIZE>(group, forward, shared.stage, geometry);
    haar<SIZE>(group);
#pragma unroll
    for (int k = 0; k < SIZE; ++k) group[k] *= gain[k];
    haar_back<SIZE>(group);
    __syncthreads();  // all have read the stage
    transform_blocks<SIZE>(group, inverse, shared.stage, geometry);
    lay_down<SIZE>(group, weight, window, geometry, shared, numerator, weights);
}
