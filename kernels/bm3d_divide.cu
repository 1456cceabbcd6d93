// The estimate: weighted sums of the pixels of all blocks over the sums of their weights.
//
// Step 1c and 2c of BM3D (Dabov et al. 2007, equation 12). NumPy twin: the end of `_filter`.

// Grid: (ceil(width / blockDim.x), ceil(height / blockDim.y), channels).
// numerator (channels, height, width); weights (channels, corners), of the blocks with that corner,
// which are laid down with the outer product of the window (BLOCK) with itself.
extern "C" __global__ void bm3d_divide(const Sum* numerator, const Sum* weights,
                                       const float* window, int height, int width, float* out) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const int down = height - BLOCK + 1, across = width - BLOCK + 1;
    const Sum* corner = weights + static_cast<long long>(blockIdx.z) * down * across;
    float total = 0.0f;
    for (int a = max(0, y - down + 1); a <= min(BLOCK - 1, y); ++a) {
        float line = 0.0f;
        for (int b = max(0, x - across + 1); b <= min(BLOCK - 1, x); ++b)
            line = fmaf(window[b], as_float(corner[(y - a) * across + x - b]), line);
        total = fmaf(window[a], line, total);
    }
    const long long place = (static_cast<long long>(blockIdx.z) * height + y) * width + x;
    out[place] = as_float(numerator[place]) / total;
}
