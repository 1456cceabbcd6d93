// Patches in areas without noise, and the share of the variance of noise that clipping leaves.
//
// NumPy twin: `Patches.areas` of _noise/patches.py and `Clipping.left`. A thread looks at a patch.

#define ENTRIES 901  // of the tables of clipped noise

// Share of the variance that is left at a distance from an end, in standard deviations: as
// numpy.interp finds it.
__device__ __forceinline__ double left_at(double distance, const double* means,
                                          const double* shares) {
    if (distance > 1e300) return 1;  // nothing is clipped at this end
    if (!(distance < means[ENTRIES - 1])) return shares[ENTRIES - 1];
    if (distance <= means[0]) return shares[0];
    int below = 0, above = ENTRIES - 1;
    while (above - below > 1) {
        const int middle = (below + above) / 2;
        if (means[middle] <= distance) {
            below = middle;
        } else {
            above = middle;
        }
    }
    const double slope = (shares[above] - shares[below]) / (means[above] - means[below]);
    return slope * (distance - means[below]) + shares[below];
}

// Grid: thread blocks; threads: THREADS. detail, whole (.., pitch) and means (4, size), of which
// every `apart`-th row and column is used. low and high: the values at which the image is
// clipped, infinite if it is not; sigma: of the noise, 0 if nothing is clipped; tables (2,
// ENTRIES): means and shares. A patch has no noise if its detail is at most `constant`, or a share
// `noiseless` of the variance that is left. left and empty (rows, columns); partial (blocks, 2):
// patches without noise, and others.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    noise_areas(const double* detail, const double* means, const unsigned char* whole, int size,
                int pitch, int apart, int rows, int columns, double low, double high, double sigma,
                const double* tables, double constant, double noiseless, double* left,
                unsigned char* empty, double* partial) {
    DYNAMIC_SHARED(double, shared);
    double sums[2] = {};
    const int place = blockIdx.x * THREADS + threadIdx.x;
    if (place < rows * columns) {
        const int from = place / columns * apart * pitch + place % columns * apart;
        double share = 0;
        for (int k = 0; k < 4 && sigma > 0; ++k) {
            const double mean = means[k * size + from];
            share += left_at((mean - low) / sigma, tables, tables + ENTRIES) *
                     left_at((high - mean) / sigma, tables, tables + ENTRIES);
        }
        share = sigma > 0 ? share / 4 : 1;
        const bool all = whole[from] != 0;
        const bool none = all && detail[from] <= max(constant, noiseless * share);
        left[place] = share;
        empty[place] = none;
        sums[0] = none;
        sums[1] = all && !none;
    }
    write_sums(sums, shared, partial + 2 * blockIdx.x);
}
