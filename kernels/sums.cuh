// Sums of weighted pixels, and what all kernels for filtering share.
//
// Defined when compiling: FIXED, 1 for sums that do not depend on their order; perhaps SIZE_WEIGHT,
// the exponent of the number of blocks in the weight of a group.

#ifndef SLICES
#define SLICES 1  // thickness of a block: more in volumes, see bm4d_group.cuh
#endif
#ifndef OFFSET
#define OFFSET short  // of the blocks of a group: int in films, see vbm3d_match.cu
#endif
#define AREA (SLICES * BLOCK * BLOCK)

// Variances of coefficients keep above this share of that of one block; weights within bounds.
#define LEAST 3.0517578125e-05f
#define LIGHTEST 9.5367431640625e-07f
#define HEAVIEST 256.0f
#define TINY 1.17549435e-38f
#define HUGE_ENERGY 4e37f  // a square of a coefficient that overflows, below what divisions allow

// Factor for the remaining noise in the weight of a group of `size` blocks.
#ifdef SIZE_WEIGHT
#define SIZE_SHARE(size)                                                                    \
    exp2f(static_cast<float>(SIZE_WEIGHT) * static_cast<float>(__ffs(GROUP) - __ffs(size)))
#else
#define SIZE_SHARE(size) 1.0f
#endif

#if FIXED
// Multiples of 2**-34: their sums are exact. Two's complement, because the atomic is unsigned.
typedef unsigned long long Sum;
#define QUANTA 17179869184.0f
__device__ __forceinline__ Sum as_sum(float value) {
    return static_cast<Sum>(__float2ll_rn(value * QUANTA));
}
#else
typedef float Sum;
__device__ __forceinline__ Sum as_sum(float value) {
    return value;
}
#endif

// A sum as a number; FIXED sums are two's complement.
__device__ __forceinline__ float as_float(Sum sum) {
#if FIXED
    return static_cast<float>(static_cast<long long>(sum)) * (1.0f / QUANTA);
#else
    return sum;
#endif
}
