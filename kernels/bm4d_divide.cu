// The estimate: weighted sums of the voxels of all blocks over the sums of their weights.
//
// Section III of BM4D (Maggioni et al. 2013). NumPy twin: the end of `_filter` of bm4d.

// Grid: (ceil(width / blockDim.x), ceil(height / blockDim.y), channels * depth).
// numerator, weights (channels, depth, height, width): the weights of the blocks with that corner,
// which are laid down with the outer product of the windows: window (BLOCK) and (SLICES).
extern "C" __global__ void bm4d_divide(const Sum* numerator, const Sum* weights,
                                       const float* window, int depth, int height, int width,
                                       float* out) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const int z = blockIdx.z % depth;
    const long long plane = static_cast<long long>(height) * width;
    const long long place = blockIdx.z * plane + static_cast<long long>(y) * width + x;
    float total = 0.0f;
    for (int s = 0; s <= min(SLICES - 1, z); ++s) {
        float slice = 0.0f;
        for (int a = 0; a <= min(BLOCK - 1, y); ++a) {
            float line = 0.0f;
            for (int b = 0; b <= min(BLOCK - 1, x); ++b)
                line = fmaf(window[b], as_float(weights[place - s * plane - a * width - b]), line);
            slice = fmaf(window[a], line, slice);
        }
        total = fmaf(window[BLOCK + s], slice, total);
    }
    out[place] = as_float(numerator[place]) / total;
}
