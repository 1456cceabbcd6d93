// As much of CUDA's half-precision numbers as CuPy's float16 is made of.
#pragma once

#include <cstring>

struct __half_raw {
    unsigned short x;
};

struct half {
    half() = default;
    half(const __half_raw& raw) { std::memcpy(&value_, &raw.x, sizeof value_); }
    template <class T> half(T value) : value_(static_cast<_Float16>(value)) {}
    operator float() const { return static_cast<float>(value_); }
    operator __half_raw() const {
        __half_raw out;
        std::memcpy(&out.x, &value_, sizeof value_);
        return out;
    }

  private:
    _Float16 value_;
};

inline unsigned short __half_as_ushort(half value) { return static_cast<__half_raw>(value).x; }
inline half __ushort_as_half(unsigned short bits) { return half(__half_raw{bits}); }
