// A CUDA driver and runtime on the CPU, for tests: what its parts share.
//
// Memory is the host's, and kernels are shared libraries of the engine. Work on a stream is deferred
// until something waits for it, so that a missing wait or a missing order of streams gives wrong
// pixels. What CUDA refuses is refused, with a message that says why; what it leaves undefined is an
// error where the shim can see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#include <dlfcn.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

#define SHIM_API extern "C" __attribute__((visibility("default")))
#define SHIM_LOCK std::lock_guard<std::recursive_mutex> guard(shim::mutex)

namespace shim {

// Settings, which a test changes by name with shim_set.
struct Settings {
    long long seed = 0;              // order of threads and blocks; see engine.hpp
    long long deferred = 1;          // 0: work runs at once
    long long empty = 0;             // 1: launches do nothing, to measure the time of the host
    long long memory = 4ll << 30;    // bytes on each GPU
};

inline Settings settings;
inline std::recursive_mutex mutex;
inline thread_local int device = 0;  // the current one
inline thread_local cudaError_t last_error = cudaSuccess;
inline thread_local std::string last_message;

// Error of a call, with its reason.
template <class E> E fail(E error, const std::string& why) {
    last_message = why;
    last_error = static_cast<cudaError_t>(error);
    return error;
}

// Log: one line for each launch, copy, allocation and wait, which tests read.
inline std::vector<std::string> entries;
inline void note(const std::string& line) {
    SHIM_LOCK;
    entries.push_back(line);
}

// Devices (devices.hpp)
int device_count();
int attribute(int attribute, int device);

}  // namespace shim
