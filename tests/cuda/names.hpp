// Kernels by name, and the names of CUDA, for any engine. An engine defines, in its namespace:
// thread_index(), block_index(), block_size(), grid_size(), shared_memory(), own_lane(),
// barrier(line, operation, given), meet(line, operation, mask, given, from), add(at, value) and
// launch(body, grid, size, shared, seed).
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "types.hpp"

namespace engine {

// Kernels by name, with the types of their arguments as Python's `struct` names them, '*' before
// that of what a pointer points to.
template <class T> std::string kind() {
    if constexpr (std::is_pointer_v<T>)
        return "*" + kind<std::remove_cv_t<std::remove_pointer_t<T>>>();
    else if constexpr (std::is_same_v<T, float>) return "f";
    else if constexpr (std::is_same_v<T, double>) return "d";
    else if constexpr (std::is_same_v<T, unsigned char>) return "B";
    else if constexpr (std::is_same_v<T, signed char>) return "b";
    else if constexpr (std::is_same_v<T, unsigned short>) return "H";
    else if constexpr (std::is_same_v<T, short>) return "h";
    else if constexpr (std::is_same_v<T, unsigned>) return "I";
    else if constexpr (std::is_same_v<T, int>) return "i";
    else if constexpr (std::is_same_v<T, unsigned long long>) return "Q";
    else if constexpr (std::is_same_v<T, long long>) return "q";
    else if constexpr (std::is_same_v<T, bool>) return "?";
    else return "#" + std::to_string(sizeof(T));
}

struct Kernel {
    const char* name;
    std::string kinds;
    void (*start)(void** arguments, dim3 grid, dim3 size, std::size_t shared, int seed);
};

inline std::vector<Kernel>& kernels() {
    static std::vector<Kernel> all;
    return all;
}

template <auto F> struct Export;
template <class... P, void (*F)(P...)> struct Export<F> {
    static inline void** arguments;
    template <std::size_t... I> static void call(std::index_sequence<I...>) {
        F(*static_cast<P*>(arguments[I])...);
    }
    static void body() { call(std::index_sequence_for<P...>{}); }
    static void start(void** given, dim3 grid, dim3 size, std::size_t shared, int seed) {
        const unsigned threads = size.x * size.y * size.z;
        if (threads == 0 || threads > MOST_THREADS) throw std::runtime_error("a block has 1 to 1024 threads");
        if (grid.x * grid.y * grid.z == 0) throw std::runtime_error("the grid is empty");
        if (shared > MOST_SHARED) throw std::runtime_error("a block has at most 227 KiB of shared memory");
        arguments = given;
        launch(body, grid, size, shared, seed);
    }
    explicit Export(const char* name) { kernels().push_back({name, ((kind<P>() + " ") + ...), start}); }
};

}  // namespace engine

// The names of CUDA --------------------------------------------------------------------------

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(engine::shared_memory())

#define threadIdx (engine::thread_index())
#define blockIdx (engine::block_index())
#define blockDim (engine::block_size())
#define gridDim (engine::grid_size())

#define __syncthreads() static_cast<void>(engine::barrier(__LINE__, 0, 0))
#define __syncthreads_count(p) engine::barrier(__LINE__, 1, p)
#define __syncthreads_and(p) engine::barrier(__LINE__, 2, p)
#define __syncthreads_or(p) engine::barrier(__LINE__, 3, p)
#define __syncwarp(...) static_cast<void>(engine::meet(__LINE__, engine::SYNC, sync_mask(__VA_ARGS__), 0, 0))
#define __ballot_sync(m, p) static_cast<unsigned>(engine::meet(__LINE__, engine::BALLOT, m, (p) != 0, 0))
#define __any_sync(m, p) (__ballot_sync(m, p) != 0)
#define __all_sync(m, p) (__ballot_sync(m, p) == (m))

constexpr unsigned sync_mask(unsigned given = ~0u) { return given; }

template <class T> T shuffle(int line, unsigned mask, T value, int from) {
    return engine::value_of<T>(engine::meet(line, engine::SHUFFLE, mask, engine::bits(value), from));
}
#define __shfl_sync(m, v, lane) shuffle(__LINE__, m, v, (lane) & 31)
#define __shfl_xor_sync(m, v, x) shuffle(__LINE__, m, v, engine::own_lane() ^ (x))
#define __shfl_down_sync(m, v, d) shuffle(__LINE__, m, v, engine::own_lane() + (d) < 32 ? engine::own_lane() + (d) : engine::own_lane())
#define __shfl_up_sync(m, v, d) shuffle(__LINE__, m, v, engine::own_lane() >= (d) ? engine::own_lane() - (d) : engine::own_lane())

template <class T, class V> T atomicAdd(T* at, V value) { return engine::add<T>(at, value); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __float_as_int(float value) { return engine::value_of<int>(engine::bits(value)); }
inline float __int_as_float(int value) { return engine::value_of<float>(engine::bits(value)); }
inline long long __float2ll_rn(float value) { return std::llrint(value); }
inline long long __double2ll_rn(double value) { return std::llrint(value); }
struct alignas(16) float4 { float x, y, z, w; };
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float __fdividef(float a, float b) { return std::fabs(b) > 0x1p126f ? 0.0f : a / b; }
template <class T> T __ldg(const T* at) { return *at; }
using std::max;
using std::min;

#define EXPORT(name) static engine::Export<name> export_##name(#name);

extern "C" const char* engine_kinds(const char* name) {
    for (const auto& kernel : engine::kernels())
        if (std::string(name) == kernel.name) return kernel.kinds.c_str();
    return nullptr;
}

// Return an empty string, or what went wrong.
extern "C" const char* engine_launch(const char* name, void** arguments, const unsigned* grid,
                                            const unsigned* size, std::size_t shared, int seed) {
    static std::string what;
    what.clear();
    try {
        for (const auto& kernel : engine::kernels())
            if (std::string(name) == kernel.name) {
                kernel.start(arguments, dim3(grid[0], grid[1], grid[2]), dim3(size[0], size[1], size[2]),
                             shared, seed);
                return what.c_str();
            }
        what = std::string("there is no kernel ") + name;
    } catch (const std::exception& error) {
        what = error.what();
    }
    return what.c_str();
}
