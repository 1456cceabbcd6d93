// Energies of the patches of an image: of their gradients, and of their second differences.
//
// NumPy twin: `Patches.of` of _noise/patches.py, with sums in the same order. A thread measures a
// patch.

// Sum over the pixels of a patch: of the rows of each column, and then of the columns.
template <class Value> __device__ __forceinline__ double box(int height, int width, Value value) {
    double sum = 0;
    for (int x = 0; x < width; ++x) {
        double column = value(0, x);
        for (int y = 1; y < height; ++y) column += value(y, x);
        sum = x == 0 ? column : sum + column;
    }
    return sum;
}

__device__ __forceinline__ double square(double value) {
    return value * value;
}

// Grid: thread blocks; threads: THREADS. image and known (.., width); a patch begins at every
// `step`-th row and column. gradient, detail and whole (rows, columns); means (4, rows, columns).
extern "C" __global__ void __launch_bounds__(THREADS)
    noise_patches(const double* image, const unsigned char* known, int width, int step, int rows,
                  int columns, double* gradient, double* detail, double* means,
                  unsigned char* whole) {
    const int count = rows * columns, place = blockIdx.x * THREADS + threadIdx.x;
    if (place >= count) return;
    const long long corner =
        static_cast<long long>(place / columns * step) * width + place % columns * step;
    const double* patch = image + corner;
    const int w = width;
    const double slopes =
        box(SIDE, SIDE - 2,
            [&](int y, int x) { return square((patch[y * w + x + 2] - patch[y * w + x]) / 2); }) +
        box(SIDE - 2, SIDE,
            [&](int y, int x) { return square((patch[(y + 2) * w + x] - patch[y * w + x]) / 2); });
    const double bends = box(SIDE, SIDE - 2,
                             [&](int y, int x) {
                                 const double* p = patch + y * w + x;
                                 return square(p[2] - 2 * p[1] + p[0]);
                             }) +
                         box(SIDE - 2, SIDE, [&](int y, int x) {
                             const double* p = patch + y * w + x;
                             return square(p[2 * w] - 2 * p[w] + p[0]);
                         });
    gradient[place] = slopes;
    detail[place] = bends / (2 * SIDE * (SIDE - 2) * 6);  // 6: variance of a second difference
    const int half = SIDE / 2 + 1, far = SIDE / 2;
    for (int k = 0; k < 4; ++k) {
        const double* quarter = patch + k / 2 * far * w + k % 2 * far;
        means[k * count + place] =
            box(half, half, [&](int y, int x) { return quarter[y * w + x]; }) / (half * half);
    }
    bool all = true;
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x) all = all && known[corner + y * w + x] != 0;
    whole[place] = all;
}
