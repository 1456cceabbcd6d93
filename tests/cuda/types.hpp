// What the engines and the names of CUDA share.
#pragma once

#include <cstdint>
#include <cstring>

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace engine {

constexpr unsigned WARP = 32, MOST_THREADS = 1024, MOST_SHARED = 227 * 1024;

enum Operation { SYNC, BALLOT, SHUFFLE };

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

}  // namespace engine
