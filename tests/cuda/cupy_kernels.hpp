// The names of CUDA that CuPy's own kernels use beside those of names.hpp, and CuPy's headers.
//
// Threads of the engine of fibers run one at a time, so that plain reads and writes are atomic.
#pragma once

#include <cassert>
#include <cmath>
#include <math.h>

#include "engine.hpp"

#define __host__
#define __noinline__
#define __align__(bytes) alignas(bytes)
#define __shared__ static  // a launch runs one block after another

inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline double __longlong_as_double(long long bits) { return engine::value_of<double>(engine::bits(bits)); }
inline long long __double_as_longlong(double value) { return engine::value_of<long long>(engine::bits(value)); }

template <class T> T atomicExch(T* at, T value) {
    const T before = *at;
    *at = value;
    return before;
}
template <class T> T atomicCAS(T* at, T expected, T value) {
    return *at == expected ? atomicExch(at, value) : *at;
}

#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>

#define __CUDACC_VER_MAJOR__ 13  // else CuPy defines the type of cuda_fp16.h by itself
#include <cupy/float16.cuh>
#undef __CUDACC_VER_MAJOR__
