// Flat patches away from areas without noise: which they are, and what they are on average.
//
// NumPy twin: `Areas.flat` of _noise/patches.py. A thread looks at a patch.

// Grid: thread blocks; threads: THREADS. gradient, detail and whole (.., pitch), of which every
// `apart`-th row and column is used; left and empty (rows, columns) of noise_areas.cu. Patches are
// flat if no patch up to `reach` places away has no noise, clipping leaves more than `unclipped` of
// the variance, and the energy of the gradient is less than `most`. flat (rows, columns);
// partial (blocks, 4): patches away from areas without noise, flat ones, and the sums of `left` and
// `detail` of these.
extern "C" __global__ void __launch_bounds__(THREADS)
    noise_flat(const double* gradient, const double* detail, const unsigned char* whole, int pitch,
               int apart, const double* left, const unsigned char* empty, int rows, int columns,
               int reach, double unclipped, double most, unsigned char* flat, double* partial) {
    DYNAMIC_SHARED(double, shared);
    double sums[4] = {};
    const int place = blockIdx.x * THREADS + threadIdx.x;
    if (place < rows * columns) {
        const int i = place / columns, j = place % columns, from = (i * pitch + j) * apart;
        const bool noisy = whole[from] != 0 && !is_near(empty, rows, columns, i, j, reach);
        const bool chosen = noisy && left[place] > unclipped && gradient[from] < most;
        flat[place] = chosen;
        sums[0] = noisy;
        sums[1] = chosen;
        sums[2] = chosen ? left[place] : 0;
        sums[3] = chosen ? detail[from] : 0;
    }
    write_sums(sums, shared, partial + 4 * blockIdx.x);
}
