// Memory of the GPUs and pinned memory of the host, with guards behind it, and copies.
#pragma once

#include "streams.hpp"

namespace shim {

constexpr std::size_t ALIGNMENT = 512;   // of CUDA's allocations
constexpr std::size_t GUARD = 512;       // bytes before and behind, which nothing may change
constexpr unsigned char UNTOUCHED = 0xA5, NEW = 0xFF;  // NEW: NaN as a floating-point number

struct Block {
    std::size_t size;
    int device;
    bool pinned;  // memory of the host
};

inline std::map<const char*, Block> blocks;
inline std::map<int, long long> used;  // bytes on a GPU

// The block a pointer lies in, or null.
inline const Block* find(const void* pointer) {
    auto found = blocks.upper_bound(static_cast<const char*>(pointer));
    if (found == blocks.begin()) return nullptr;
    --found;
    return static_cast<const char*>(pointer) < found->first + found->second.size ? &found->second : nullptr;
}

inline bool on_gpu(const void* pointer) {
    const Block* block = find(pointer);
    return block != nullptr && !block->pinned;
}

// Report a write outside an allocation, once.
inline void check_guards(char* start, std::size_t size) {
    for (std::size_t k = 0; k < GUARD; ++k)
        for (char* at : {start - GUARD + k, start + size + k}) {
            if (static_cast<unsigned char>(*at) == UNTOUCHED) continue;
            failure = "a write outside an allocation of " + std::to_string(size) + " bytes";
            *at = static_cast<char>(UNTOUCHED);
        }
}

inline cudaError_t allocate(void** out, std::size_t size, bool pinned) {
    SHIM_LOCK;
    if (capture_forbids())
        return fail(cudaErrorStreamCaptureUnsupported, "an allocation during a capture");
    if (!pinned && used[device] + static_cast<long long>(size) > settings.memory)
        return fail(cudaErrorMemoryAllocation, "out of memory");
    void* memory = nullptr;
    if (posix_memalign(&memory, ALIGNMENT, GUARD + size + GUARD))
        return fail(cudaErrorMemoryAllocation, "the host is out of memory");
    char* start = static_cast<char*>(memory) + GUARD;
    std::memset(memory, UNTOUCHED, GUARD + size + GUARD);
    std::memset(start, NEW, size);
    blocks[start] = {size, device, pinned};
    if (!pinned) used[device] += size;
    note(std::string(pinned ? "pin " : "malloc ") + std::to_string(size));
    *out = start;
    return cudaSuccess;
}

inline cudaError_t release(void* pointer) {
    SHIM_LOCK;
    if (pointer == nullptr) return cudaSuccess;
    const auto found = blocks.find(static_cast<char*>(pointer));
    if (found == blocks.end()) return fail(cudaErrorInvalidValue, "freed memory that was not allocated");
    for (int number = 0; number < device_count(); ++number) finish_device(number);
    const Block block = found->second;
    check_guards(const_cast<char*>(found->first), block.size);
    if (!block.pinned) used[block.device] -= block.size;
    std::free(const_cast<char*>(found->first) - GUARD);
    blocks.erase(found);
    return cudaSuccess;
}

// Whether a range of bytes lies in one block, or in ordinary memory of the host.
inline bool inside(const void* pointer, std::size_t size) {
    const Block* block = find(pointer);
    if (block == nullptr) return true;
    const auto start = std::prev(blocks.upper_bound(static_cast<const char*>(pointer)))->first;
    return static_cast<const char*>(pointer) + size <= start + block->size;
}

// Queue a copy. Ordinary memory of the host is read before the call returns, and is written to
// before it returns; with pinned memory only the order of the stream counts.
inline cudaError_t copy(void* to, const void* from, std::size_t size, Stream* stream, bool wait) {
    SHIM_LOCK;
    const bool to_gpu = on_gpu(to), from_gpu = on_gpu(from);
    note(std::string("memcpy ") + (from_gpu ? "d" : "h") + "2" + (to_gpu ? "d" : "h") + " " + std::to_string(size));
    if (!inside(to, size) || !inside(from, size))
        return fail(cudaErrorInvalidValue, "a copy of " + std::to_string(size) + " bytes goes beyond an allocation");
    std::shared_ptr<std::vector<char>> staged;
    if (find(from) == nullptr && !stream->capture) {
        const char* start = static_cast<const char*>(from);
        staged = std::make_shared<std::vector<char>>(start, start + size);
    }
    const cudaError_t error =
        push(stream, [=] { std::memcpy(to, staged ? staged->data() : from, size); });
    if (error) return error;
    if (wait || (find(to) == nullptr && !stream->capture)) return wait_for(stream, "cudaMemcpy");
    return cudaSuccess;
}

inline cudaError_t fill(void* to, int value, std::size_t size, Stream* stream) {
    SHIM_LOCK;
    note("memset " + std::to_string(size));
    if (!on_gpu(to) || !inside(to, size))
        return fail(cudaErrorInvalidValue, "cudaMemset goes beyond an allocation");
    return push(stream, [=] { std::memset(to, value, size); });
}

}  // namespace shim

SHIM_API cudaError_t cudaMalloc(void** out, std::size_t size) { return shim::allocate(out, size, false); }
SHIM_API cudaError_t cudaFree(void* pointer) { return shim::release(pointer); }
SHIM_API cudaError_t cudaHostAlloc(void** out, std::size_t size, unsigned) { return shim::allocate(out, size, true); }
SHIM_API cudaError_t cudaFreeHost(void* pointer) { return shim::release(pointer); }

SHIM_API cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    SHIM_LOCK;
    *total = shim::settings.memory;
    *free = shim::settings.memory - shim::used[shim::device];
    return cudaSuccess;
}

SHIM_API cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind) {
    return shim::copy(to, from, size, shim::default_stream(shim::device), true);
}

SHIM_API cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind,
                                     cudaStream_t stream) {
    return shim::copy(to, from, size, shim::stream_of(stream), false);
}

SHIM_API cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, std::size_t size) {
    return shim::copy(to, from, size, shim::default_stream(shim::device), true);
}

SHIM_API cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t size,
                                         cudaStream_t stream) {
    return shim::copy(to, from, size, shim::stream_of(stream), false);
}

SHIM_API cudaError_t cudaMemset(void* to, int value, std::size_t size) {
    return shim::fill(to, value, size, shim::default_stream(shim::device));
}

SHIM_API cudaError_t cudaMemsetAsync(void* to, int value, std::size_t size, cudaStream_t stream) {
    return shim::fill(to, value, size, shim::stream_of(stream));
}

SHIM_API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* pointer) {
    SHIM_LOCK;
    std::memset(out, 0, sizeof *out);
    const shim::Block* block = shim::find(pointer);
    out->type = block == nullptr  ? cudaMemoryTypeUnregistered
                : block->pinned ? cudaMemoryTypeHost
                                : cudaMemoryTypeDevice;
    out->device = block == nullptr ? cudaInvalidDeviceId : block->device;
    out->devicePointer = block == nullptr ? nullptr : const_cast<void*>(pointer);
    out->hostPointer = block != nullptr && block->pinned ? const_cast<void*>(pointer) : nullptr;
    return cudaSuccess;
}
