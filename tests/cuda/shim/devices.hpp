// Devices, their limits by compute capability, errors, settings and the log.
#pragma once

#include "shim.hpp"

namespace shim {

// Limits of a compute capability, from the table of technical specifications in the CUDA C++
// Programming Guide; multiprocessors are those of one product each.
struct Limits {
    int capability;
    int block_shared;     // bytes of shared memory a block may opt in to
    int multi_shared;     // bytes of shared memory of a multiprocessor
    int multi_threads;    // threads of a multiprocessor
    int multiprocessors;
};

constexpr int KIB = 1024;
constexpr Limits TABLE[] = {
    {75, 64 * KIB, 64 * KIB, 1024, 68},      // RTX 2080 Ti
    {80, 163 * KIB, 164 * KIB, 2048, 108},   // A100
    {86, 99 * KIB, 100 * KIB, 1536, 82},     // RTX 3090
    {89, 99 * KIB, 100 * KIB, 1536, 128},    // RTX 4090
    {90, 227 * KIB, 228 * KIB, 2048, 132},   // H200
    {100, 227 * KIB, 228 * KIB, 2048, 148},  // B200
    {120, 99 * KIB, 100 * KIB, 1536, 170},   // RTX 5090
};
constexpr int FREE_SHARED = 48 * KIB;  // without opting in
constexpr int REGISTERS = 64 * KIB;    // of a block and of a multiprocessor
constexpr int VERSION = 13000;         // CUDA 13.0

inline std::vector<Limits>& devices() {
    static std::vector<Limits> all;
    return all;
}

inline int device_count() { return static_cast<int>(devices().size()); }

inline int attribute(int name, int number) {
    const Limits& own = devices()[number];
    switch (name) {
        case cudaDevAttrComputeCapabilityMajor: return own.capability / 10;
        case cudaDevAttrComputeCapabilityMinor: return own.capability % 10;
        case cudaDevAttrMultiProcessorCount: return own.multiprocessors;
        case cudaDevAttrWarpSize: return 32;
        case cudaDevAttrMaxThreadsPerBlock:
        case cudaDevAttrMaxBlockDimX:
        case cudaDevAttrMaxBlockDimY: return 1024;
        case cudaDevAttrMaxBlockDimZ: return 64;
        case cudaDevAttrMaxGridDimX: return 2147483647;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ: return 65535;
        case cudaDevAttrMaxSharedMemoryPerBlock: return FREE_SHARED;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: return own.block_shared;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return own.multi_shared;
        case cudaDevAttrReservedSharedMemoryPerBlock: return own.capability < 80 ? 0 : KIB;
        case cudaDevAttrMaxThreadsPerMultiProcessor: return own.multi_threads;
        case cudaDevAttrMaxRegistersPerBlock:
        case cudaDevAttrMaxRegistersPerMultiprocessor: return REGISTERS;
        case cudaDevAttrUnifiedAddressing: return 1;
        default: return 0;
    }
}

}  // namespace shim

// Set up -------------------------------------------------------------------------------------

// Add a GPU of a compute capability such as 90. Return 0 if it is not in the table.
SHIM_API int shim_add_device(int capability) {
    for (const auto& each : shim::TABLE)
        if (each.capability == capability) {
            shim::devices().push_back(each);
            return 1;
        }
    return 0;
}

SHIM_API int shim_set(const char* name, long long value) {
    SHIM_LOCK;
    const std::map<std::string, long long*> all = {{"seed", &shim::settings.seed},
                                                   {"deferred", &shim::settings.deferred},
                                                   {"empty", &shim::settings.empty},
                                                   {"memory", &shim::settings.memory}};
    const auto found = all.find(name);
    if (found == all.end()) return 0;
    *found->second = value;
    return 1;
}

// Entry of the log, or null after the last one.
SHIM_API const char* shim_log(int entry) {
    SHIM_LOCK;
    const auto& all = shim::entries;
    return entry < static_cast<int>(all.size()) ? all[entry].c_str() : nullptr;
}

SHIM_API void shim_note(const char* line) { shim::note(line); }

SHIM_API void shim_clear_log() {
    SHIM_LOCK;
    shim::entries.clear();
}

// Called in place of each runtime function that is not below.
SHIM_API cudaError_t shim_unsupported(const char* name) {
    return shim::fail(cudaErrorNotSupported, std::string("the CUDA shim lacks ") + name);
}

// Errors -------------------------------------------------------------------------------------

SHIM_API cudaError_t cudaGetLastError() {
    const cudaError_t error = shim::last_error;
    shim::last_error = cudaSuccess;
    return error;
}

SHIM_API const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define NAME(name) case name: return #name;
        NAME(cudaErrorInvalidValue)
        NAME(cudaErrorMemoryAllocation)
        NAME(cudaErrorInvalidDevice)
        NAME(cudaErrorInvalidResourceHandle)
        NAME(cudaErrorIllegalAddress)
        NAME(cudaErrorLaunchFailure)
        NAME(cudaErrorNotReady)
        NAME(cudaErrorNotSupported)
        NAME(cudaErrorStreamCaptureUnsupported)
        NAME(cudaErrorStreamCaptureInvalidated)
        NAME(cudaErrorStreamCaptureUnmatched)
        NAME(cudaErrorStreamCaptureUnjoined)
        NAME(cudaErrorStreamCaptureIsolation)
        NAME(cudaErrorStreamCaptureImplicit)
#undef NAME
        default: return "cudaErrorUnknown";
    }
}

SHIM_API const char* cudaGetErrorString(cudaError_t) { return shim::last_message.c_str(); }

SHIM_API CUresult cuGetErrorName(CUresult error, const char** name) {
    switch (error) {
#define NAME(number) case number: *name = #number; break;
        NAME(CUDA_ERROR_INVALID_VALUE)
        NAME(CUDA_ERROR_INVALID_IMAGE)
        NAME(CUDA_ERROR_INVALID_HANDLE)
        NAME(CUDA_ERROR_NOT_FOUND)
        NAME(CUDA_ERROR_NOT_SUPPORTED)
        NAME(CUDA_ERROR_NO_BINARY_FOR_GPU)
        NAME(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
        NAME(CUDA_ERROR_LAUNCH_FAILED)
        NAME(CUDA_ERROR_ILLEGAL_ADDRESS)
        NAME(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
#undef NAME
        default: *name = "CUDA_ERROR_UNKNOWN";
    }
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuGetErrorString(CUresult, const char** text) {
    *text = shim::last_message.c_str();
    return CUDA_SUCCESS;
}

// Devices ------------------------------------------------------------------------------------

SHIM_API cudaError_t cudaGetDevice(int* number) {
    *number = shim::device;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaSetDevice(int number) {
    if (number < 0 || number >= shim::device_count())
        return shim::fail(cudaErrorInvalidDevice, "there is no GPU " + std::to_string(number));
    shim::device = number;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGetDeviceCount(int* count) {
    *count = shim::device_count();
    return cudaSuccess;
}

SHIM_API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int number) {
    if (number < 0 || number >= shim::device_count())
        return shim::fail(cudaErrorInvalidDevice, "there is no GPU " + std::to_string(number));
    *value = shim::attribute(name, number);
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int number) {
    const auto value = [number](cudaDeviceAttr name) { return shim::attribute(name, number); };
    std::memset(out, 0, sizeof *out);
    out->major = value(cudaDevAttrComputeCapabilityMajor);
    out->minor = value(cudaDevAttrComputeCapabilityMinor);
    std::snprintf(out->name, sizeof out->name, "simulated GPU %d.%d", out->major, out->minor);
    out->totalGlobalMem = shim::settings.memory;
    out->sharedMemPerBlock = value(cudaDevAttrMaxSharedMemoryPerBlock);
    out->sharedMemPerBlockOptin = value(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    out->sharedMemPerMultiprocessor = value(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    out->regsPerBlock = value(cudaDevAttrMaxRegistersPerBlock);
    out->multiProcessorCount = value(cudaDevAttrMultiProcessorCount);
    out->maxThreadsPerMultiProcessor = value(cudaDevAttrMaxThreadsPerMultiProcessor);
    out->maxThreadsPerBlock = value(cudaDevAttrMaxThreadsPerBlock);
    out->warpSize = value(cudaDevAttrWarpSize);
    return cudaSuccess;
}

// No GPU reads the memory of another.
SHIM_API cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
    *can = 0;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaDriverGetVersion(int* version) {
    *version = shim::VERSION;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }
SHIM_API cudaError_t cudaProfilerStart() { return cudaSuccess; }
SHIM_API cudaError_t cudaProfilerStop() { return cudaSuccess; }
