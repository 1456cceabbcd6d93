// An image scaled to values from -1 to 1, and rounded to whole numbers, for the estimation of
// noise.
//
// NumPy twin: `_sigma` of _noise/estimate.py, `Clipping.of`, `is_bitmap`. Each thread scales some
// pixels.

// Grid: thread blocks; threads: THREADS. image (size), scaled in place; known (size): others become
// 0; rounded (size). counts (3): pixels that are `least`, that are `greatest`, and between them.
extern "C" __global__ void __launch_bounds__(THREADS)
    noise_scale(double* image, const unsigned char* known, long long size, double mean,
                double scale, double least, double greatest, int* rounded,
                unsigned long long* counts) {
    int found[3] = {};
    for (long long k = static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x; k < size;
         k += static_cast<long long>(gridDim.x) * THREADS) {
        const double value = image[k];
        const bool valid = known[k] != 0;
        const double scaled = valid ? (value - mean) / scale : 0;
        image[k] = scaled;
        rounded[k] = static_cast<int>(rint(scaled * LEVELS));
        found[0] += valid && value == least;
        found[1] += valid && value == greatest;
        found[2] += valid && value > least && value < greatest;
    }
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        const int sum = warp_sum(found[k]);
        if (threadIdx.x % WARP == 0) atomicAdd(&counts[k], static_cast<unsigned long long>(sum));
    }
}
