// Capture of streams, and graphs.
#pragma once

#include "streams.hpp"

SHIM_API cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    SHIM_LOCK;
    shim::Stream* stream = shim::stream_of(handle);
    if (stream == shim::default_stream(stream->device))
        return shim::fail(cudaErrorStreamCaptureUnsupported, "the default stream cannot be captured");
    if (stream->capture) return shim::fail(cudaErrorIllegalState, "the stream is captured already");
    stream->capture = std::make_shared<shim::Capture>();
    stream->capture->origin = stream;
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    shim::captures.insert(stream->capture);
    return cudaSuccess;
}

SHIM_API cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
    SHIM_LOCK;
    const auto capture = shim::stream_of(handle)->capture;
    *out = nullptr;
    if (!capture || capture->origin != shim::stream_of(handle))
        return shim::fail(cudaErrorStreamCaptureUnmatched, "no capture was begun on this stream");
    for (shim::Stream& each : shim::streams)
        if (each.capture == capture) each.capture = nullptr;
    shim::captures.erase(capture);
    if (!capture->open.empty())
        return shim::fail(cudaErrorStreamCaptureUnjoined, "the captured stream does not wait for another one");
    *out = reinterpret_cast<cudaGraph_t>(new shim::Graph{capture->work});
    return cudaSuccess;
}

SHIM_API cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    SHIM_LOCK;
    shim::Stream* stream = shim::stream_of(handle);
    if (shim::captured_beside(stream))
        return shim::fail(cudaErrorStreamCaptureImplicit, "work on the default stream during a capture");
    *status = stream->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
    *out = reinterpret_cast<cudaGraphExec_t>(new shim::Graph(*reinterpret_cast<shim::Graph*>(graph)));
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t handle) {
    SHIM_LOCK;
    shim::note("graph");
    for (const auto& work : reinterpret_cast<shim::Graph*>(graph)->work) {
        const cudaError_t error = shim::push(shim::stream_of(handle), work);
        if (error) return error;
    }
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

SHIM_API cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete reinterpret_cast<shim::Graph*>(graph);
    return cudaSuccess;
}

SHIM_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    delete reinterpret_cast<shim::Graph*>(graph);
    return cudaSuccess;
}
