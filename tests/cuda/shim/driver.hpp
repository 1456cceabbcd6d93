// The driver: modules, their kernels, and launches.
#pragma once

#include "cubin.hpp"
#include "memory.hpp"

namespace shim {

constexpr unsigned WARP = 32;
constexpr int REGISTER_UNIT = 8;  // a thread gets registers in eights

struct Argument {
    char kind;  // as in names.hpp; '#' a structure
    std::size_t size;
};

struct Function {
    std::string name;
    int device;
    Needs needs;
    std::vector<Argument> arguments;
    const char* (*launch)(const char*, void**, const unsigned*, const unsigned*, std::size_t, int);
    int dynamic;  // bytes of dynamic shared memory it may be launched with
};

struct Module {
    int device;
    Cubin cubin;
    void* library;
    std::map<std::string, std::unique_ptr<Function>> functions;
};

// Set by Python: path of the library for the CPU of the kernels that are being loaded, or why there
// is none.
inline const char* (*find_library)() = nullptr;

inline std::size_t size_of(char kind) {
    switch (kind) {
        case '*': case 'q': case 'Q': case 'd': return 8;
        case 'i': case 'I': case 'f': return 4;
        case 'h': case 'H': return 2;
        default: return 1;
    }
}

// Arguments by the engine's text: kinds with blanks between them, '#' with a size for a structure.
inline std::vector<Argument> arguments_of(const std::string& kinds) {
    std::vector<Argument> out;
    for (std::size_t start = 0; start < kinds.size();) {
        const std::size_t end = std::min(kinds.find(' ', start), kinds.size());
        const std::string each = kinds.substr(start, end - start);
        if (!each.empty()) out.push_back({each[0], each[0] == '#' ? std::stoul(each.substr(1)) : size_of(each[0])});
        start = end + 1;
    }
    return out;
}

// Why a launch is refused, or an empty string.
inline std::string refused(const Function& own, const dim3& grid, const dim3& block, unsigned dynamic) {
    const unsigned threads = block.x * block.y * block.z;
    if (own.device != device) return "it was loaded on GPU " + std::to_string(own.device);
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return "the grid or the block is empty";
    if (grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) return "the grid is too large";
    if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024) return "the block is too large";
    if (threads > static_cast<unsigned>(own.needs.threads))
        return "the block has " + std::to_string(threads) + " threads, the kernel's launch bounds allow " +
               std::to_string(own.needs.threads);
    if (static_cast<int>(dynamic) > own.dynamic)
        return std::to_string(dynamic) + " bytes of shared memory, at most " + std::to_string(own.dynamic) +
               " are allowed";
    return "";
}

inline bool too_many_registers(const Function& own, const dim3& block) {
    const int warps = (block.x * block.y * block.z + WARP - 1) / WARP;
    const int each = (own.needs.registers + REGISTER_UNIT - 1) / REGISTER_UNIT * REGISTER_UNIT;
    return warps * static_cast<int>(WARP) * each > REGISTERS;
}

using Held = std::vector<std::vector<char>>;  // copies of the arguments

inline std::string hold(const Function& own, void** given, Held& held) {
    for (std::size_t k = 0; k < own.arguments.size(); ++k) {
        const Argument& each = own.arguments[k];
        const char* at = static_cast<const char*>(given[k]);
        held.emplace_back(at, at + each.size);
        if (each.kind != '*' && each.kind != '#') continue;
        // The first word of CuPy's structures for arrays is their pointer, that of others a size
        const void* pointer = nullptr;
        if (each.size >= sizeof pointer) std::memcpy(&pointer, at, sizeof pointer);
        const Block* block = find(pointer);
        const std::string name = "argument " + std::to_string(k);
        if (each.kind == '*' && pointer != nullptr && (block == nullptr || block->pinned))
            return name + " is not in the memory of a GPU";
        if (block != nullptr && block->device != device)
            return name + " is in the memory of GPU " + std::to_string(block->device);
    }
    return "";
}

inline std::string text_of(const dim3& size) {
    return std::to_string(size.x) + "," + std::to_string(size.y) + "," + std::to_string(size.z);
}

}  // namespace shim

SHIM_API void shim_library_finder(const char* (*find)()) { shim::find_library = find; }

// Finish the work, end captures, and set all settings to what they are at first. Return what went
// wrong and was not reported yet, or an empty string.
SHIM_API const char* shim_reset() {
    SHIM_LOCK;
    for (shim::Stream& each : shim::streams) each.capture = nullptr;
    shim::captures.clear();
    for (int number = 0; number < shim::device_count(); ++number) shim::finish_device(number);
    for (const auto& [start, block] : shim::blocks) shim::check_guards(const_cast<char*>(start), block.size);
    shim::settings = {};
    static std::string text;
    text = std::exchange(shim::failure, "");
    return text.c_str();
}

SHIM_API CUresult cuInit(unsigned) { return CUDA_SUCCESS; }

SHIM_API CUresult cuDriverGetVersion(int* version) {
    *version = shim::VERSION;
    return CUDA_SUCCESS;
}

// NVRTC asks for private tables and goes on without them.
SHIM_API CUresult cuGetExportTable(const void** table, const CUuuid*) {
    *table = nullptr;
    return CUDA_ERROR_NOT_FOUND;
}

SHIM_API CUresult cuCtxGetCurrent(CUcontext* context) {
    *context = reinterpret_cast<CUcontext>(static_cast<std::uintptr_t>(shim::device + 1));
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }

SHIM_API CUresult cuCtxGetDevice(CUdevice* number) {
    *number = shim::device;
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }

SHIM_API CUresult cuModuleLoadData(CUmodule* out, const void* image) {
    shim::Cubin cubin = shim::read_cubin(image);
    const int own = shim::attribute(cudaDevAttrComputeCapabilityMajor, shim::device) * 10 +
                    shim::attribute(cudaDevAttrComputeCapabilityMinor, shim::device);
    if (cubin.capability != own)
        return shim::fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "compiled for capability " + std::to_string(cubin.capability) +
                                                            ", the GPU has " + std::to_string(own));
    const char* path = shim::find_library();
    if (*path != '/') return shim::fail(CUDA_ERROR_INVALID_IMAGE, path);
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return shim::fail(CUDA_ERROR_INVALID_IMAGE, dlerror());
    shim::note("load");
    *out = reinterpret_cast<CUmodule>(new shim::Module{shim::device, std::move(cubin), library, {}});
    return CUDA_SUCCESS;
}

// Deferred launches may still need it.
SHIM_API CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

SHIM_API CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
    SHIM_LOCK;
    auto* module = reinterpret_cast<shim::Module*>(handle);
    const auto kinds = reinterpret_cast<const char* (*)(const char*)>(dlsym(module->library, "engine_kinds"));
    const char* text = kinds(name);
    if (text == nullptr || module->cubin.kernels.count(name) == 0)
        return shim::fail(CUDA_ERROR_NOT_FOUND, std::string("there is no kernel ") + name);
    auto& function = module->functions[name];
    if (!function) {
        const shim::Needs needs = module->cubin.kernels[name];
        function.reset(new shim::Function{name, module->device, needs, shim::arguments_of(text), nullptr,
                                          shim::FREE_SHARED - needs.shared});
        function->launch = reinterpret_cast<decltype(function->launch)>(dlsym(module->library, "engine_launch"));
    }
    *out = reinterpret_cast<CUfunction>(function.get());
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuFuncGetAttribute(int* value, CUfunction_attribute name, CUfunction handle) {
    const auto* function = reinterpret_cast<shim::Function*>(handle);
    switch (name) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = function->needs.threads; break;
        case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = function->needs.shared; break;
        case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = function->needs.registers; break;
        case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = function->dynamic; break;
        default: *value = 0;
    }
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute name, int value) {
    SHIM_LOCK;
    auto* function = reinterpret_cast<shim::Function*>(handle);
    if (name != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;  // hints
    const int most = shim::attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, function->device) - function->needs.shared;
    if (value > most)
        return shim::fail(CUDA_ERROR_INVALID_VALUE, function->name + ": " + std::to_string(value) +
                                                        " bytes of shared memory, the GPU has " + std::to_string(most));
    function->dynamic = value;
    return CUDA_SUCCESS;
}

SHIM_API CUresult cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                 unsigned bz, unsigned shared, CUstream stream, void** given, void**) {
    SHIM_LOCK;
    const auto* function = reinterpret_cast<shim::Function*>(handle);
    const dim3 grid{gx, gy, gz}, block{bx, by, bz};
    shim::Stream* on = shim::stream_of(stream);
    shim::note("launch " + function->name + " " + shim::text_of(grid) + " " + shim::text_of(block) + " " +
               std::to_string(shared));
    const std::string prefix = "launch of " + function->name + ": ";
    std::string why = shim::refused(*function, grid, block, shared);
    if (why.empty() && on->device != shim::device) why = "the stream is one of GPU " + std::to_string(on->device);
    auto held = std::make_shared<shim::Held>();
    if (why.empty()) why = shim::hold(*function, given, *held);
    if (!why.empty()) return shim::fail(CUDA_ERROR_INVALID_VALUE, prefix + why);
    if (shim::too_many_registers(*function, block))
        return shim::fail(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
                          prefix + "too many registers: " + std::to_string(function->needs.registers) + " a thread");
    if (shim::settings.empty) return CUDA_SUCCESS;
    return static_cast<CUresult>(shim::push(on, [=, seed = static_cast<int>(shim::settings.seed)] {
        std::vector<void*> arguments;
        for (auto& each : *held) arguments.push_back(each.data());
        const unsigned sizes[2][3] = {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}};
        const char* error = function->launch(function->name.c_str(), arguments.data(), sizes[0], sizes[1], shared,
                                             seed);
        if (*error) shim::failure = prefix + error;
    }));
}
