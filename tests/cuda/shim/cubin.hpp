// What a compiled kernel says of itself: ELF sections of a cubin.
#pragma once

#include <algorithm>
#include <elf.h>

#include "shim.hpp"

namespace shim {

struct Needs {
    int registers = 0;      // of a thread
    int shared = 0;         // bytes of static shared memory
    int threads = 1024;     // of a block, by __launch_bounds__
};

struct Cubin {
    int capability = 0;  // 0: not a cubin
    std::map<std::string, Needs> kernels;
};

// Attributes are a format, a name and two bytes, which are the length of what follows if it is SIZED.
constexpr unsigned char SIZED = 0x04;
constexpr unsigned char MAX_THREADS = 0x05;  // of a kernel: three numbers
constexpr unsigned char REGISTER_COUNT = 0x2F;  // of the file: a symbol and its registers
constexpr std::size_t RESERVED_SHARED = 1024;   // that the sections count from capability 9.0 on

using Bytes = const unsigned char*;

inline void each_attribute(Bytes at, std::size_t size,
                           const std::function<void(unsigned char, const std::uint32_t*, std::size_t)>& take) {
    for (const Bytes end = at + size; at + 4 <= end;) {
        std::uint16_t length = 0;
        if (at[0] == SIZED) std::memcpy(&length, at + 2, sizeof length);
        std::uint32_t words[3] = {};
        std::memcpy(words, at + 4, std::min<std::size_t>(length, sizeof words));
        if (at[0] == SIZED) take(at[1], words, length / 4);
        at += 4 + length;
    }
}

class Sections {
  public:
    explicit Sections(const void* image) : bytes_(static_cast<Bytes>(image)) {
        const auto* head = static_cast<const Elf64_Ehdr*>(image);
        first_ = reinterpret_cast<const Elf64_Shdr*>(bytes_ + head->e_shoff);
        count_ = head->e_shnum;
        names_ = reinterpret_cast<const char*>(at(first_[head->e_shstrndx]));
    }
    Bytes at(const Elf64_Shdr& section) const { return bytes_ + section.sh_offset; }

    // Sections whose names start like this, with the rest of the name.
    std::map<std::string, const Elf64_Shdr*> named(const std::string& prefix) const {
        std::map<std::string, const Elf64_Shdr*> out;
        for (int k = 0; k < count_; ++k) {
            const std::string name = names_ + first_[k].sh_name;
            if (name.compare(0, prefix.size(), prefix) == 0) out[name.substr(prefix.size())] = first_ + k;
        }
        return out;
    }

  private:
    Bytes bytes_;
    const Elf64_Shdr* first_;
    int count_;
    const char* names_;
};

inline Cubin read_cubin(const void* image) {
    const auto* head = static_cast<const Elf64_Ehdr*>(image);
    Cubin out;
    if (std::memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) return out;
    out.capability = head->e_flags >> 8 & 0xFF;
    const Sections all(image);
    std::map<std::uint32_t, int> registers;  // by symbol
    for (const auto& [rest, section] : all.named(".nv.info"))
        if (rest.empty())
            each_attribute(all.at(*section), section->sh_size, [&](unsigned char name, const auto* words, std::size_t) {
                if (name == REGISTER_COUNT) registers[words[0]] = static_cast<int>(words[1]);
            });
    for (const auto& [kernel, section] : all.named(".text."))
        out.kernels[kernel].registers = registers[section->sh_info & 0xFFFFFF];
    for (const auto& [kernel, section] : all.named(".nv.shared."))
        out.kernels[kernel].shared = static_cast<int>(
            section->sh_size - (out.capability >= 90 ? std::min(section->sh_size, RESERVED_SHARED) : 0));
    for (const auto& [kernel, section] : all.named(".nv.info."))
        each_attribute(all.at(*section), section->sh_size,
                       [&own = out.kernels[kernel]](unsigned char name, const auto* words, std::size_t count) {
                           if (name == MAX_THREADS && count == 3)
                               own.threads = static_cast<int>(words[0] * words[1] * words[2]);
                       });
    return out;
}

}  // namespace shim
