// Streams, whose work waits in a queue, events, and captured graphs.
#pragma once

#include "devices.hpp"

namespace shim {

using Flag = std::shared_ptr<bool>;  // of a piece of work: whether it is done
struct Stream;

struct Work {
    std::function<void()> run;
    Flag done;
    std::vector<std::pair<Stream*, Flag>> after;  // work of other streams that comes first
};

struct Capture {
    std::vector<std::function<void()>> work;  // in the order of the calls, which the graph keeps
    Stream* origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    std::map<Stream*, std::size_t> open;  // streams not joined yet, and where their work ends
};

struct Graph {
    std::vector<std::function<void()>> work;
};

struct Stream {
    int device;
    bool blocking;  // does not run beside the default stream
    std::deque<Work> queue = {};
    Flag tail = nullptr;  // its last piece of work
    std::shared_ptr<Capture> capture = nullptr;
};

struct Event {
    bool timed;
    Stream* stream = nullptr;
    Flag done = nullptr;
    std::shared_ptr<Capture> capture = nullptr;
    std::size_t place = 0;  // in a capture
};

inline std::list<Stream> streams;  // destroyed ones stay: their work is still to be done
inline std::map<int, Stream*> defaults;
inline std::set<std::shared_ptr<Capture>> captures;
inline std::string failure;  // of deferred work, for the next wait

inline Stream* default_stream(int number) {
    Stream*& own = defaults[number];
    if (own == nullptr) {
        streams.push_back({number, true});
        own = &streams.back();
    }
    return own;
}

// The stream of a handle; null is the default stream of the current GPU.
inline Stream* stream_of(cudaStream_t handle) {
    return reinterpret_cast<std::uintptr_t>(handle) <= 2 ? default_stream(device)
                                                        : reinterpret_cast<Stream*>(handle);
}

inline void run_next(Stream* stream);

inline void run_until(Stream* stream, const Flag& done) {
    while (done && !*done) run_next(stream);
}

inline void run_next(Stream* stream) {
    Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    for (const auto& [other, done] : work.after) run_until(other, done);
    work.run();
    *work.done = true;
}

// Whether an unsafe call, such as an allocation, is refused because a stream is being captured.
inline bool capture_forbids() {
    for (const auto& each : captures)
        if (each->mode == cudaStreamCaptureModeGlobal ||
            (each->mode == cudaStreamCaptureModeThreadLocal && each->thread == std::this_thread::get_id()))
            return true;
    return false;
}

// Whether work on the default stream would be ordered after work that is being captured.
inline bool captured_beside(const Stream* stream) {
    if (stream != default_stream(stream->device)) return false;
    for (const Stream& other : streams)
        if (other.device == stream->device && other.blocking && other.capture) return true;
    return false;
}

// Queue a piece of work, or record it.
inline cudaError_t push(Stream* stream, std::function<void()> run) {
    if (stream->capture) {
        stream->capture->work.push_back(std::move(run));
        if (stream != stream->capture->origin) stream->capture->open[stream] = stream->capture->work.size();
        return cudaSuccess;
    }
    if (captured_beside(stream))
        return fail(cudaErrorStreamCaptureImplicit, "work on the default stream during a capture");
    Work work{std::move(run), std::make_shared<bool>(false), {}};
    Stream* common = default_stream(stream->device);
    if (stream == common) {
        for (Stream& other : streams)
            if (other.device == stream->device && other.blocking && &other != common)
                work.after.push_back({&other, other.tail});
    } else if (stream->blocking) {
        work.after.push_back({common, common->tail});
    }
    stream->tail = work.done;
    stream->queue.push_back(std::move(work));
    if (!settings.deferred) run_until(stream, stream->tail);
    return cudaSuccess;
}

// What deferred work did wrong, told once.
inline cudaError_t failed() {
    if (failure.empty()) return cudaSuccess;
    const std::string why = std::exchange(failure, "");
    return fail(cudaErrorLaunchFailure, why);
}

inline cudaError_t wait_for(Stream* stream, const char* call) {
    if (stream->capture || captured_beside(stream))
        return fail(cudaErrorStreamCaptureUnsupported, std::string(call) + " during a capture");
    run_until(stream, stream->tail);
    return failed();
}

inline void finish_device(int number) {
    for (Stream& each : streams)
        if (each.device == number && !each.capture) run_until(&each, each.tail);
}

// Answer a query; one piece of work is done each time, so that asking again and again ends.
inline cudaError_t ready(Stream* stream, const Flag& done) {
    if (!done || *done) return cudaSuccess;
    run_next(stream);
    return cudaErrorNotReady;
}

}  // namespace shim

SHIM_API cudaError_t cudaDeviceSynchronize() {
    SHIM_LOCK;
    shim::note("sync device");
    if (shim::capture_forbids() || shim::captured_beside(shim::default_stream(shim::device)))
        return shim::fail(cudaErrorStreamCaptureUnsupported, "cudaDeviceSynchronize during a capture");
    shim::finish_device(shim::device);
    return shim::failed();
}

// Streams ------------------------------------------------------------------------------------

SHIM_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
    SHIM_LOCK;
    shim::streams.push_back({shim::device, !(flags & cudaStreamNonBlocking)});
    *out = reinterpret_cast<cudaStream_t>(&shim::streams.back());
    return cudaSuccess;
}

SHIM_API cudaError_t cudaStreamCreate(cudaStream_t* out) { return cudaStreamCreateWithFlags(out, 0); }

SHIM_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int) {
    return cudaStreamCreateWithFlags(out, flags);
}

SHIM_API cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }

SHIM_API cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    SHIM_LOCK;
    shim::note("sync stream");
    return shim::wait_for(shim::stream_of(handle), "cudaStreamSynchronize");
}

SHIM_API cudaError_t cudaStreamQuery(cudaStream_t handle) {
    SHIM_LOCK;
    shim::Stream* stream = shim::stream_of(handle);
    if (stream->capture) return shim::fail(cudaErrorStreamCaptureUnsupported, "cudaStreamQuery during a capture");
    return shim::ready(stream, stream->tail);
}

SHIM_API cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
    *flags = shim::stream_of(handle)->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) {
    *priority = 0;
    return cudaSuccess;
}

SHIM_API CUresult cuStreamGetCtx(CUstream handle, CUcontext* context) {
    const int number = shim::stream_of(handle)->device;
    *context = reinterpret_cast<CUcontext>(static_cast<std::uintptr_t>(number + 1));
    return CUDA_SUCCESS;
}

// Events -------------------------------------------------------------------------------------

SHIM_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
    *out = reinterpret_cast<cudaEvent_t>(new shim::Event{!(flags & cudaEventDisableTiming)});
    return cudaSuccess;
}

SHIM_API cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, 0); }

SHIM_API cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    delete reinterpret_cast<shim::Event*>(handle);
    return cudaSuccess;
}

SHIM_API cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) {
    SHIM_LOCK;
    auto* event = reinterpret_cast<shim::Event*>(handle);
    event->stream = shim::stream_of(stream);
    const cudaError_t error = shim::push(event->stream, [] {});
    event->capture = event->stream->capture;
    event->place = event->capture ? event->capture->work.size() : 0;
    event->done = event->capture ? nullptr : event->stream->tail;
    return error;
}

SHIM_API cudaError_t cudaEventQuery(cudaEvent_t handle) {
    SHIM_LOCK;
    auto* event = reinterpret_cast<shim::Event*>(handle);
    if (event->capture) return shim::fail(cudaErrorStreamCaptureUnsupported, "cudaEventQuery of a captured event");
    return shim::ready(event->stream, event->done);
}

SHIM_API cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    SHIM_LOCK;
    auto* event = reinterpret_cast<shim::Event*>(handle);
    shim::note("sync event");
    if (event->capture || shim::capture_forbids())
        return shim::fail(cudaErrorStreamCaptureUnsupported, "cudaEventSynchronize during a capture");
    shim::run_until(event->stream, event->done);
    return shim::failed();
}

// There is no clock: a millisecond.
SHIM_API cudaError_t cudaEventElapsedTime(float* time, cudaEvent_t first, cudaEvent_t second) {
    for (const cudaEvent_t each : {first, second})
        if (!reinterpret_cast<shim::Event*>(each)->timed)
            return shim::fail(cudaErrorInvalidResourceHandle, "an event without a time");
    *time = 1;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t given, unsigned) {
    SHIM_LOCK;
    shim::note("wait");
    const auto* event = reinterpret_cast<shim::Event*>(given);
    shim::Stream* stream = shim::stream_of(handle);
    if (event->capture) {  // the stream joins the capture
        if (stream->capture && stream->capture != event->capture)
            return shim::fail(cudaErrorStreamCaptureIsolation, "an event of another capture");
        if (!stream->capture) {
            stream->capture = event->capture;
            stream->capture->open[stream] = stream->capture->work.size();
        }
        const auto joined = stream->capture->open.find(event->stream);
        if (joined != stream->capture->open.end() && event->place >= joined->second)
            stream->capture->open.erase(joined);
        return cudaSuccess;
    }
    if (!event->done) return cudaSuccess;
    if (stream->capture)
        return shim::fail(cudaErrorStreamCaptureIsolation, "a captured stream waits for an event from outside");
    return shim::push(stream, [from = event->stream, done = event->done] { shim::run_until(from, done); });
}
