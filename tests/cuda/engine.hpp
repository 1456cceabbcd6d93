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
#include <vector>
#include <algorithm>
#include <xmmintrin.h>

#include "types.hpp"

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

inline uint3 thread_index() { return state.now->index; }
inline uint3 block_index() { return state.block; }
inline dim3 block_size() { return state.size; }
inline dim3 grid_size() { return state.grid; }
inline char* shared_memory() { return state.shared; }
inline int own_lane() { return state.now->linear % WARP; }

template <class T> T add(T* at, T value) {
    const T before = *at;
    *at = before + value;
    return before;
}

}  // namespace engine

#include "names.hpp"
