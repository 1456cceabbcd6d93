// Runs CUDA kernels on the CPU: one fiber for each thread of a block, blocks one after another.
//
// A kernel's source is compiled as it is behind the names below. Every barrier, vote and shuffle is
// a meeting of the threads that its mask names; what cannot end, or ends by luck, is an error that
// names block, thread and line. Threads run in an order that the caller chooses, forward, backward,
// shuffled, or with warps that run ahead of others, and shared memory is full of NaN when a block
// starts, so that what depends on either shows.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include <algorithm>
#include <immintrin.h>

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

// Save the registers that a function keeps on this stack, its top in `from`; go on with another.
extern "C" void engine_switch(void** from, void* to);
#if defined(__x86_64__)
asm(R"(
    .text
engine_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
#else
#error "fibers are written for x86-64"
#endif

namespace engine {

constexpr unsigned WARP = 32, MOST_THREADS = 1024, MOST_SHARED = 227 * 1024;
constexpr std::size_t STACK = 64 * 1024;

enum class Meeting { none, barrier, warp };

struct Thread {
    void* top = nullptr;  // of its stack, while it does not run
    std::vector<char> stack;
    uint3 index;
    unsigned linear;
    bool done = false;
    // What it waits for
    Meeting meeting = Meeting::none;
    int line = 0, operation = 0;
    unsigned mask = 0;
    std::uint64_t given = 0, taken = 0;
    int lane_wanted = 0;
};

struct State {
    std::vector<Thread> threads;
    void* scheduler = nullptr;
    Thread* now = nullptr;
    uint3 block;
    dim3 grid, size;
    char* shared = nullptr;
    void (*body)() = nullptr;
    std::string error;
};

inline State state;

[[noreturn]] inline void fail(const Thread& thread, int line, const std::string& what) {
    char text[256];
    std::snprintf(text, sizeof text, "block (%u, %u, %u), thread (%u, %u, %u), line %d: ",
                  state.block.x, state.block.y, state.block.z, thread.index.x, thread.index.y,
                  thread.index.z, line);
    state.error = text + what;
    Thread* now = state.now;
    if (now != nullptr) {  // on a fiber: leave it for good
        now->done = true;
        engine_switch(&now->top, state.scheduler);
    }
    throw std::runtime_error(state.error);
}

inline void wait() { engine_switch(&state.now->top, state.scheduler); }

inline void begin() {
    state.body();
    state.now->done = true;
    engine_switch(&state.now->top, state.scheduler);
}

// Barrier ------------------------------------------------------------------------------------

inline int barrier(int line, int operation, int given) {
    Thread& own = *state.now;
    own.meeting = Meeting::barrier;
    own.line = line;
    own.operation = operation;
    own.given = given != 0;
    wait();
    return static_cast<int>(own.taken);
}

// Let the threads of a block go on if all of them are at one barrier.
inline bool release_barrier() {
    std::uint64_t count = 0;
    const Thread* first = nullptr;
    for (const Thread& thread : state.threads) {
        if (thread.done) continue;
        if (thread.meeting != Meeting::barrier) return false;
        if (first == nullptr) first = &thread;
        if (thread.line != first->line || thread.operation != first->operation)
            fail(thread, thread.line, "a barrier meets that of line " + std::to_string(first->line));
        count += thread.given;
    }
    if (first == nullptr) return false;
    for (const Thread& thread : state.threads)
        if (thread.done) fail(thread, first->line, "has ended while others wait at a barrier");
    const std::uint64_t all = state.threads.size();
    for (Thread& thread : state.threads) {
        thread.taken = thread.operation == 1 ? count : thread.operation == 2 ? count == all : count > 0;
        thread.meeting = Meeting::none;
    }
    return true;
}

// Warps --------------------------------------------------------------------------------------

enum Operation { SYNC, BALLOT, SHUFFLE };

inline std::uint64_t meet(int line, Operation operation, unsigned mask, std::uint64_t given, int from) {
    Thread& own = *state.now;
    if (!(mask >> (own.linear % WARP) & 1)) fail(own, line, "is not in the mask it gives");
    own.meeting = Meeting::warp;
    own.line = line;
    own.operation = operation;
    own.mask = mask;
    own.given = given;
    own.lane_wanted = from;
    wait();
    return own.taken;
}

// Let lanes of a warp go on whose whole mask is at one place.
inline bool release_warp(unsigned first) {
    const unsigned end = std::min<unsigned>(first + WARP, state.threads.size());
    for (unsigned k = first; k < end; ++k) {
        Thread& own = state.threads[k];
        if (own.done || own.meeting != Meeting::warp) continue;
        std::uint64_t ballot = 0;
        bool complete = true;
        for (unsigned lane = 0; lane < WARP && complete; ++lane) {
            if (!(own.mask >> lane & 1)) continue;
            // A mask may name lanes that the last warp does not have
            if (first + lane >= end) continue;
            const Thread& other = state.threads[first + lane];
            if (other.done) fail(other, own.line, "has ended, but is in the mask of a warp function");
            complete = other.meeting == Meeting::warp && other.line == own.line &&
                       other.operation == own.operation && other.mask == own.mask;
            if (complete && other.given) ballot |= 1ull << lane;
        }
        if (!complete) continue;
        const unsigned mask = own.mask;
        for (unsigned lane = 0; lane < WARP && first + lane < end; ++lane) {
            if (!(mask >> lane & 1)) continue;
            Thread& each = state.threads[first + lane];
            each.taken = ballot;
            if (each.operation == SHUFFLE) {
                const int from = each.lane_wanted;
                const bool there = from >= 0 && first + from < end && (mask >> from & 1);
                each.taken = there ? state.threads[first + from].given : ~0ull;  // NaN
            }
        }
        for (unsigned lane = 0; lane < WARP && first + lane < end; ++lane)
            if (mask >> lane & 1) state.threads[first + lane].meeting = Meeting::none;
        return true;
    }
    return false;
}

// A block ------------------------------------------------------------------------------------

inline void run_block(std::mt19937& random, int seed) {
    const unsigned count = state.threads.size();
    std::vector<unsigned> order(count);
    for (unsigned k = 0; k < count; ++k) {
        Thread& thread = state.threads[k];
        order[k] = seed == 1 ? count - 1 - k : k;
        thread.linear = k;
        thread.index = {k % state.size.x, k / state.size.x % state.size.y,
                        k / (state.size.x * state.size.y)};
        thread.done = false;
        thread.meeting = Meeting::none;
        thread.stack.resize(STACK);
        // As if `begin` had been called: six registers, and where to return to
        auto end = reinterpret_cast<std::uintptr_t>(thread.stack.data() + STACK) & ~std::uintptr_t(15);
        void** top = reinterpret_cast<void**>(end) - 8;
        std::fill(top, top + 8, nullptr);
        top[6] = reinterpret_cast<void*>(begin);
        thread.top = top;
    }
    // From seed 3 on some warps run ahead, as far as they can, while the others rest
    std::uint32_t resting = seed > 2 ? random() | random() : 0;
    for (;;) {
        if (seed > 1) std::shuffle(order.begin(), order.end(), random);
        bool moved = false, left = false, rested = false;
        for (unsigned k : order) {
            Thread& thread = state.threads[k];
            if (thread.done) continue;
            left = true;
            if (thread.meeting != Meeting::none) continue;
            if (resting >> (k / WARP % 32) & 1) {
                rested = true;
                continue;
            }
            moved = true;
            state.now = &thread;
            engine_switch(&state.scheduler, thread.top);
            state.now = nullptr;
            if (!state.error.empty()) throw std::runtime_error(state.error);
        }
        if (!left) return;
        for (unsigned first = 0; first < count; first += WARP)
            while (release_warp(first)) moved = true;
        if (release_barrier()) moved = true;
        if (!moved && rested) {  // those awake wait for those that rest
            resting = random() & random();
            continue;
        }
        if (!moved)
            for (const Thread& thread : state.threads)
                if (!thread.done) fail(thread, thread.line, "waits for ever");
    }
}

inline void launch(void (*body)(), dim3 grid, dim3 size, std::size_t shared, int seed) {
    const unsigned threads = size.x * size.y * size.z;
    if (threads == 0 || threads > MOST_THREADS) throw std::runtime_error("a block has 1 to 1024 threads");
    if (grid.x * grid.y * grid.z == 0) throw std::runtime_error("the grid is empty");
    if (shared > MOST_SHARED) throw std::runtime_error("a block has at most 227 KiB of shared memory");
    state.threads.resize(threads);
    state.grid = grid;
    state.size = size;
    state.body = body;
    state.error.clear();
    state.now = nullptr;
    const unsigned control = _mm_getcsr();
    _mm_setcsr(control | 0x8040);  // subnormal numbers are zero, as CuPy compiles
    std::mt19937 random(seed);
    const unsigned blocks = grid.x * grid.y * grid.z;
    std::vector<unsigned> order(blocks);
    for (unsigned k = 0; k < blocks; ++k) order[k] = seed == 1 ? blocks - 1 - k : k;
    if (seed > 1) std::shuffle(order.begin(), order.end(), random);
    try {
        for (unsigned k : order) {
            state.block = {k % grid.x, k / grid.x % grid.y, k / (grid.x * grid.y)};
            // Exactly as large as asked for: a sanitizer sees what lies beyond
            void* memory = nullptr;
            if (posix_memalign(&memory, 16, shared)) throw std::bad_alloc();
            state.shared = static_cast<char*>(memory);
            std::memset(state.shared, 0xff, shared);
            run_block(random, seed);
            std::free(state.shared);
        }
    } catch (...) {
        _mm_setcsr(control);
        throw;
    }
    _mm_setcsr(control);
}

template <class T> std::uint64_t bits(T value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
    std::uint64_t out = 0;
    std::memcpy(&out, &value, sizeof value);
    return out;
}
template <class T> T value_of(std::uint64_t bits) {
    T out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

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
    else return "?";
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
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(engine::state.shared)

#define threadIdx (engine::state.now->index)
#define blockIdx (engine::state.block)
#define blockDim (engine::state.size)
#define gridDim (engine::state.grid)

#define __syncthreads() static_cast<void>(engine::barrier(__LINE__, 0, 0))
#define __syncthreads_count(p) engine::barrier(__LINE__, 1, p)
#define __syncthreads_and(p) engine::barrier(__LINE__, 2, p)
#define __syncthreads_or(p) engine::barrier(__LINE__, 3, p)
#define __syncwarp(m) static_cast<void>(engine::meet(__LINE__, engine::SYNC, m, 0, 0))
#define __ballot_sync(m, p) static_cast<unsigned>(engine::meet(__LINE__, engine::BALLOT, m, (p) != 0, 0))
#define __any_sync(m, p) (__ballot_sync(m, p) != 0)
#define __all_sync(m, p) (__ballot_sync(m, p) == (m))

template <class T> T shuffle(int line, unsigned mask, T value, int from) {
    return engine::value_of<T>(engine::meet(line, engine::SHUFFLE, mask, engine::bits(value), from));
}
inline int own_lane() { return engine::state.now->linear % engine::WARP; }
#define __shfl_sync(m, v, lane) shuffle(__LINE__, m, v, (lane) & 31)
#define __shfl_xor_sync(m, v, x) shuffle(__LINE__, m, v, own_lane() ^ (x))
#define __shfl_down_sync(m, v, d) shuffle(__LINE__, m, v, own_lane() + (d) < 32 ? own_lane() + (d) : own_lane())
#define __shfl_up_sync(m, v, d) shuffle(__LINE__, m, v, own_lane() >= (d) ? own_lane() - (d) : own_lane())

template <class T, class V> T atomicAdd(T* at, V value) {
    const T before = *at;
    *at = before + value;
    return before;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __float_as_int(float value) { return engine::value_of<int>(engine::bits(value)); }
inline float __int_as_float(int value) { return engine::value_of<float>(engine::bits(value)); }
inline long long __float2ll_rn(float value) { return std::llrint(value); }
inline long long __double2ll_rn(double value) { return std::llrint(value); }
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
