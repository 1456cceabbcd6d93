// Lines of equal pixels, and straight lines, in patches beside areas without noise: as in drawings.
//
// NumPy twin: `Areas.lines` of _noise/patches.py. A thread looks at a patch.

#define ROUNDED 2  // largest difference of sums that are equal but for rounding to whole numbers

__device__ __forceinline__ bool is_equal(int a, int b) {
    const int difference = a - b;
    return difference <= ROUNDED && difference >= -ROUNDED;
}

// Grid: thread blocks; threads: THREADS. image (.., width), whole numbers, with a patch at every
// `step`-th pixel; gradient and whole (.., pitch), of which every `apart`-th row and column is
// used; empty (rows, columns). Patches are looked at if no patch up to `reach` places away has no
// noise, and the energy of the gradient is less than `most`. partial (blocks, 5): their number, the
// sum of the shares of their middle row and column that have equal pixels, how often the center is
// on a line with its neighbors; and of patches with a share of equal neighbors below `solid`, the
// sum of these shares to the power of SIDE / 2, and of those of the middle row and column.
extern "C" __global__ void __launch_bounds__(THREADS)
    noise_lines(const int* image, int width, int step, const double* gradient,
                const unsigned char* whole, int pitch, int apart, const unsigned char* empty,
                int rows, int columns, int reach, double most, double solid, double* partial) {
    DYNAMIC_SHARED(double, shared);
    double sums[5] = {};
    const int place = blockIdx.x * THREADS + threadIdx.x;
    const int i = place / columns, j = place % columns, from = (i * pitch + j) * apart;
    if (place < rows * columns && whole[from] != 0 && gradient[from] < most &&
        !is_near(empty, rows, columns, i, j, reach)) {
        const int* patch = image + static_cast<long long>(i) * step * width + j * step;
        int equal = 0;
        bool row = true, column = true;
        for (int y = 0; y < SIDE; ++y)
            for (int x = 0; x < SIDE; ++x) {
                const int* pixel = patch + y * width + x;
                if (x + 1 < SIDE) {
                    const bool same = is_equal(pixel[1], pixel[0]);
                    equal += same;
                    row = row && (same || y != SIDE / 2);
                }
                if (y + 1 < SIDE) {
                    const bool same = is_equal(pixel[width], pixel[0]);
                    equal += same;
                    column = column && (same || x != SIDE / 2);
                }
            }
        const int* center = patch + SIDE / 2 * (width + 1);
        const double lines = (row + column) / 2.0, share = equal / (2.0 * SIDE * (SIDE - 1));
        sums[0] = 1;
        sums[1] = lines;
        sums[2] = is_equal(center[-1] + center[1], 2 * center[0]) +
                  is_equal(center[-width] + center[width], 2 * center[0]);
        sums[3] = share < solid ? share * share * share * sqrt(share) : 0;
        sums[4] = share < solid ? lines : 0;
    }
    write_sums(sums, shared, partial + 5 * blockIdx.x);
}
