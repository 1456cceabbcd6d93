// What the kernels share. BLOCK, the side of a block in pixels, is defined when compiling.

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(T, name)                                           \
    extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[]; \
    T* name = reinterpret_cast<T*>(dynamic_shared_bytes)
#endif

#define WARP 32
#define ALL_LANES 0xffffffffu

// Sum over the lanes of a warp, in every lane.
__device__ __forceinline__ int warp_sum(int value) {
    for (int apart = WARP / 2; apart > 0; apart /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, apart);
    return value;
}
