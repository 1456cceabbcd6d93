// Linear combinations of the channels of an image, between arrays of any type and layout: into the
// stages, in float32, scaled by a power of two and with mirrored borders, and out of them again.
//
// NumPy twins: `load` and `store` of backends/host.py.
//
// Defined when compiling: FROM and TO, the types of pixels; WIDE, the one to compute in; ORIGINAL,
// the type of the image whose pixels may be kept.

// Place in an image of this size that is mirrored without end, the edge pixel coming twice.
__device__ __forceinline__ int mirrored(int place, int size) {
    place %= 2 * size;
    return place < size ? place : 2 * size - 1 - place;
}

__device__ __forceinline__ WIDE scaled(WIDE value, int exponent) {
    return static_cast<WIDE>(ldexp(value, exponent));
}

// Grid: (ceil(width / blockDim.x), ceil(height / blockDim.y), channels of the result).
// from (channels, from_height, from_width) and to (..., height, width) have these strides, counted
// in pixels. to = 2**after matrix @ (2**before from), matrix (channels of the result, channels), or
// null for each channel by itself; sums are those of numbers of about 1, whatever the units. Where
// exact[channel * exact_channel + pixel * exact_pixel] is not 0 the pixel of `original` stays;
// exact may be null.
extern "C" __global__ void bm3d_mix(const FROM* from, int channels, int from_height, int from_width,
                                    long long from_channel, long long from_row,
                                    long long from_column, TO* to, int height, int width,
                                    long long to_channel, long long to_row, long long to_column,
                                    const float* matrix, int before, int after,
                                    const unsigned char* exact, int exact_channel, int exact_pixel,
                                    const ORIGINAL* original, long long original_channel,
                                    long long original_row, long long original_column) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    const int channel = blockIdx.z;
    if (x >= width || y >= height) return;
    TO* out = to + channel * to_channel + y * to_row + x * to_column;
    const long long pixel = static_cast<long long>(y) * width + x;
    if (exact != nullptr &&
        exact[channel * static_cast<long long>(exact_channel) + pixel * exact_pixel]) {
        *out = static_cast<TO>(
            original[channel * original_channel + y * original_row + x * original_column]);
        return;
    }
    const FROM* place =
        from + mirrored(y, from_height) * from_row + mirrored(x, from_width) * from_column;
    WIDE sum;
    if (matrix == nullptr) {
        sum = scaled(place[channel * from_channel], before);
    } else {
        sum = 0;
        for (int k = 0; k < channels; ++k)
            sum += static_cast<WIDE>(matrix[channel * channels + k]) *
                   scaled(place[k * from_channel], before);
    }
    *out = static_cast<TO>(scaled(sum, after));
}
