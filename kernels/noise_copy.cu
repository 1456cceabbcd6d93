// Pixels of an image for the estimation of its noise, in float64, with their sum and range.
//
// NumPy twin: `_sigma` and `_sampled` of _noise/estimate.py. Each thread copies some pixels. Rows
// and columns are those of a table, which may take squares out of a large image; at -1 a pixel is
// invalid.
//
// Defined when compiling: FROM, the type of the image.

// Grid: thread blocks; threads: THREADS. image, with `down` and `across` values from row to row and
// column to column; rows (height), columns (width); valid, of `pitch` columns, or null; out and
// known (height, width), or null. partial (blocks, 5): sum, number, least and greatest of the valid
// pixels, and how many are not finite.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
    noise_copy(const FROM* image, long long down, long long across, const int* rows,
               const int* columns, int height, int width, const unsigned char* valid, int pitch,
               double* out, unsigned char* known, double* partial) {
    DYNAMIC_SHARED(double, shared);
    const double infinity = static_cast<double>(__int_as_float(0x7f800000));
    double sums[3] = {}, least = infinity, greatest = -infinity;
    const long long size = static_cast<long long>(height) * width;
    const int thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    for (long long k = static_cast<long long>(blockIdx.x) * THREADS + thread; k < size;
         k += static_cast<long long>(gridDim.x) * THREADS) {
        const int y = rows[k / width], x = columns[k % width];
        const bool inside = y >= 0 && x >= 0 &&
                            (valid == nullptr || valid[static_cast<long long>(y) * pitch + x] != 0);
        const double value = inside ? static_cast<double>(image[y * down + x * across]) : 0;
        if (out != nullptr) {
            out[k] = value;
            known[k] = inside;
        }
        if (!inside) continue;
        const bool finite = value - value == 0;
        sums[0] += finite ? value : 0;
        sums[1] += 1;
        sums[2] += !finite;
        if (finite) {
            least = min(least, value);
            greatest = max(greatest, value);
        }
    }
    double* place = partial + blockIdx.x * 5;
    for (int apart = WARP / 2; apart > 0; apart /= 2) {
        least = min(least, __shfl_xor_sync(ALL_LANES, least, apart));
        greatest = max(greatest, __shfl_xor_sync(ALL_LANES, greatest, apart));
    }
    double* ends = shared + 3 * WARPS;
    if (lane == 0) {
        ends[warp] = least;
        ends[WARPS + warp] = greatest;
    }
    write_sums(sums, shared, place);
    if (thread == 0) {
        for (int k = 1; k < WARPS; ++k) {
            least = min(least, ends[k]);
            greatest = max(greatest, ends[WARPS + k]);
        }
        place[3] = least;
        place[4] = greatest;
    }
}
