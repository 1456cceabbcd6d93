// Sums of the products of the pixels of flat patches, which give their covariance.
//
// NumPy twin: `Patches.eigenvalues` of _noise/patches.py. A thread block collects the flat patches
// among THREADS ones, and reads BATCH of them at a time into shared memory. A thread has some pairs
// of pixels. A pixel that is 1 is added to the 49, so that products are sums and the number of
// patches, too. Whole numbers of 22 bits are multiplied, and 2**18 products of them fit in 64 bits,
// so that the order does not matter.

#define PIXELS (SIDE * SIDE + 1)
#define PAIRS (PIXELS * (PIXELS + 1) / 2)
#define EACH ((PAIRS + THREADS - 1) / THREADS)  // pairs of a thread
#define BATCH 8

// Grid: thread blocks; threads: THREADS. image (.., width), whole numbers; flat (count), patches at
// every `step`-th pixel of `columns` columns. products (PAIRS): sums of the pairs a <= b, in order.
extern "C" __global__ void __launch_bounds__(THREADS)
    noise_products(const int* image, int width, int step, const unsigned char* flat, int columns,
                   int count, unsigned long long* products) {
    DYNAMIC_SHARED(int, memory);
    int* pixels = memory;                 // (BATCH, PIXELS)
    int* list = pixels + BATCH * PIXELS;  // (THREADS): corners of the flat patches
    int* counts = list + THREADS;         // (WARPS): how many a warp has found
    const int thread = threadIdx.x, lane = thread % WARP, warp = thread / WARP;
    const int place = blockIdx.x * THREADS + thread;
    int first[EACH], second[EACH];
    long long sums[EACH] = {};
    for (int k = 0; k < EACH; ++k) {
        int rest = min(thread + k * THREADS, PAIRS - 1), a = 0;
        while (rest >= PIXELS - a) rest -= PIXELS - a++;
        first[k] = a;
        second[k] = a + rest;
    }
    const bool mine = place < count && flat[place] != 0;
    const unsigned all = __ballot_sync(ALL_LANES, mine);
    if (lane == 0) counts[warp] = __popc(all);
    __syncthreads();
    int before = __popc(all & ((1u << lane) - 1)), found = 0;
    for (int k = 0; k < WARPS; ++k) {
        before += k < warp ? counts[k] : 0;
        found += counts[k];
    }
    if (mine) list[before] = place / columns * step * width + place % columns * step;
    __syncthreads();
    for (int begin = 0; begin < found; begin += BATCH) {
        for (int k = thread; k < BATCH * PIXELS; k += THREADS) {
            const int patch = begin + k / PIXELS, pixel = k % PIXELS;
            int value = 0;
            if (patch < found)
                value = pixel == PIXELS - 1
                            ? 1
                            : image[list[patch] + pixel / SIDE * width + pixel % SIDE];
            pixels[k] = value;
        }
        __syncthreads();
        for (int patch = 0; patch < BATCH; ++patch)
            for (int k = 0; k < EACH; ++k)
                sums[k] += static_cast<long long>(pixels[patch * PIXELS + first[k]]) *
                           pixels[patch * PIXELS + second[k]];
        __syncthreads();
    }
    for (int k = 0; k < EACH; ++k)
        if (thread + k * THREADS < PAIRS && found > 0)
            atomicAdd(&products[thread + k * THREADS], static_cast<unsigned long long>(sums[k]));
}
