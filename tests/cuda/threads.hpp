// Runs CUDA kernels on the CPU with a thread of the system for each of CUDA's, and several blocks at
// once, so that ThreadSanitizer sees what nothing orders.
//
// Barriers order memory; votes and shuffles do not, as in CUDA. What does not end in time is an
// error. Masks are those of whole warps; the engine of fibers checks more.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include <xmmintrin.h>

#include "types.hpp"

namespace engine {

constexpr unsigned AT_ONCE = 3;  // blocks
constexpr auto PATIENCE = std::chrono::seconds(60);

[[noreturn]] inline void give_up(int line, const char* what) {
    std::fprintf(stderr, "line %d: %s\n", line, what);
    std::_Exit(70);
}

// A barrier for some threads, which adds up what they bring. Rounds have two locks in turn: with one,
// a thread that leaves a round late would come after what others did before they arrived at the next, and a
// race between them would not show.
class Barrier {
  public:
    explicit Barrier(unsigned count) : count_(count) {}

    int wait(int line, int given) {
        constexpr auto relaxed = std::memory_order_relaxed;
        const unsigned turn = turn_.load(relaxed);  // it does not end without this thread
        Round& round = rounds_[turn % 2];
        std::unique_lock<std::mutex> lock(round.mutex);
        round.sum += given;
        if (++round.arrived == count_) {
            round.result = round.sum;
            round.sum = 0;
            round.arrived = 0;
            turn_.store(turn + 1, relaxed);
            round.all.notify_all();
        } else if (!round.all.wait_for(lock, PATIENCE, [&] { return turn_.load(relaxed) != turn; })) {
            give_up(line, "waits for ever");
        }
        return round.result;
    }

  private:
    struct Round {
        std::mutex mutex;
        std::condition_variable all;
        unsigned arrived = 0;
        int sum = 0, result = 0;
    };
    unsigned count_;
    std::atomic<unsigned> turn_{0};
    Round rounds_[2];
};

// Lanes that exchange a number each, and nothing more: relaxed, so that no memory is ordered.
// x86 keeps the order of the stores themselves.
class Exchange {
  public:
    explicit Exchange(unsigned count) : count_(count) {}

    // What each lane gave, in one of two rows in turn: a lane may be one round ahead of another.
    const std::atomic<std::uint64_t>* wait(int line, unsigned lane, std::uint64_t given) {
        constexpr auto relaxed = std::memory_order_relaxed;
        const unsigned turn = turn_.load(relaxed);
        std::atomic<std::uint64_t>* row = given_[turn % 2];
        row[lane].store(given, relaxed);
        if (arrived_.fetch_add(1, relaxed) + 1 == count_) {
            arrived_.store(0, relaxed);
            turn_.store(turn + 1, relaxed);
        }
        const auto start = std::chrono::steady_clock::now();
        while (turn_.load(relaxed) == turn) {
            std::this_thread::yield();
            if (std::chrono::steady_clock::now() - start > PATIENCE)
                give_up(line, "waits for ever");
        }
        return row;
    }

    unsigned count() const { return count_; }

  private:
    unsigned count_;
    std::atomic<unsigned> arrived_{0}, turn_{0};
    std::atomic<std::uint64_t> given_[2][WARP] = {};
};

struct Warp {
    explicit Warp(unsigned lanes) : barrier(lanes), exchange(lanes) {}
    Barrier barrier;
    Exchange exchange;
};

struct Block {
    Block(uint3 index, dim3 size, dim3 grid, std::size_t bytes)
        : index(index), size(size), grid(grid), threads(size.x * size.y * size.z),
          barrier(threads), shared(new char[bytes + 16]) {
        std::memset(shared.get(), 0xff, bytes + 16);
        for (unsigned first = 0; first < threads; first += WARP)
            warps.push_back(std::make_unique<Warp>(threads - first < WARP ? threads - first : WARP));
    }
    uint3 index;
    dim3 size, grid;
    unsigned threads;
    Barrier barrier;
    std::unique_ptr<char[]> shared;
    std::vector<std::unique_ptr<Warp>> warps;
};

inline thread_local Block* block = nullptr;
inline thread_local unsigned linear = 0;
inline thread_local uint3 index_in_block;

inline uint3 thread_index() { return index_in_block; }
inline uint3 block_index() { return block->index; }
inline dim3 block_size() { return block->size; }
inline dim3 grid_size() { return block->grid; }
inline int own_lane() { return linear % WARP; }
inline char* shared_memory() {
    const auto place = reinterpret_cast<std::uintptr_t>(block->shared.get());
    return reinterpret_cast<char*>((place + 15) & ~std::uintptr_t(15));
}

inline int barrier(int line, int operation, int given) {
    const int count = block->barrier.wait(line, given != 0);
    return operation == 1 ? count : operation == 2 ? count == int(block->threads) : count > 0;
}

inline std::uint64_t meet(int line, Operation operation, unsigned mask, std::uint64_t given, int from) {
    Warp& warp = *block->warps[linear / WARP];
    if (mask != ~0u) give_up(line, "only the engine of fibers knows masks of parts of a warp");
    if (operation == SYNC) return warp.barrier.wait(line, 0);
    const auto* all = warp.exchange.wait(line, linear % WARP, given);
    if (operation == SHUFFLE)
        return from >= 0 && from < int(warp.exchange.count()) ? all[from].load(std::memory_order_relaxed) : ~0ull;
    std::uint64_t ballot = 0;
    for (unsigned lane = 0; lane < warp.exchange.count(); ++lane)
        if (all[lane].load(std::memory_order_relaxed)) ballot |= 1ull << lane;
    return ballot;
}

template <class T> T add(T* at, T value) {
    T before, after;
    __atomic_load(at, &before, __ATOMIC_RELAXED);
    do after = before + value;
    while (!__atomic_compare_exchange(at, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}

inline void launch(void (*body)(), dim3 grid, dim3 size, std::size_t shared, int) {
    const unsigned threads = size.x * size.y * size.z, blocks = grid.x * grid.y * grid.z;
    for (unsigned first = 0; first < blocks; first += AT_ONCE) {
        std::vector<std::unique_ptr<Block>> running;
        std::vector<std::thread> all;
        for (unsigned k = first; k < blocks && k < first + AT_ONCE; ++k) {
            const uint3 index = {k % grid.x, k / grid.x % grid.y, k / (grid.x * grid.y)};
            running.push_back(std::make_unique<Block>(index, size, grid, shared));
        }
        for (unsigned thread = 0; thread < threads; ++thread)
            for (auto& each : running)
                all.emplace_back([body, thread, size, own = each.get()] {
                    block = own;
                    linear = thread;
                    index_in_block = {thread % size.x, thread / size.x % size.y,
                                      thread / (size.x * size.y)};
                    _mm_setcsr(_mm_getcsr() | 0x8040);  // subnormal numbers are zero
                    body();
                });
        for (auto& each : all) each.join();
    }
}

}  // namespace engine

#include "names.hpp"
