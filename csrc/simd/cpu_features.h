// Whether the CPU and the operating system support the x86 instruction sets of this build.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)

#include <intrin.h>

namespace vtsearch {

// CPUID and XGETBV, which compilers other than MSVC wrap in __builtin_cpu_supports.
struct CpuFeatures {
  unsigned basic_c = 0;       // leaf 1, ECX
  unsigned structured_b = 0;  // leaf 7, EBX
  unsigned structured_c = 0;  // leaf 7, ECX
  unsigned extended_c = 0;    // leaf 0x80000001, ECX
  unsigned long long os = 0;  // register states saved by the operating system

  CpuFeatures() {
    int registers[4];
    __cpuid(registers, 0);
    if (registers[0] < 7) return;
    __cpuid(registers, 1);
    basic_c = static_cast<unsigned>(registers[2]);
    __cpuidex(registers, 7, 0);
    structured_b = static_cast<unsigned>(registers[1]);
    structured_c = static_cast<unsigned>(registers[2]);
    __cpuid(registers, static_cast<int>(0x80000001u));
    extended_c = static_cast<unsigned>(registers[2]);
    constexpr unsigned osxsave = 1u << 27;
    if ((basic_c & osxsave) != 0) os = _xgetbv(0);
  }

  bool avx2() const {
    constexpr unsigned popcnt = 1u << 23, avx = 1u << 28, bmi = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
    constexpr unsigned lzcnt = 1u << 5, ymm_state = 0x06;
    return has(basic_c, popcnt | avx) && has(structured_b, bmi | avx2 | bmi2) && has(extended_c, lzcnt) &&
           has(os, ymm_state);
  }

  bool avx512() const {
    constexpr unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    constexpr unsigned vbmi = 1u << 1, vbmi2 = 1u << 6, gfni = 1u << 8, vnni = 1u << 11, bitalg = 1u << 12;
    constexpr unsigned vpopcntdq = 1u << 14;
    constexpr unsigned zmm_state = 0xe6;
    return avx2() && has(structured_b, f | dq | bw | vl) &&
           has(structured_c, vbmi | vbmi2 | gfni | vnni | bitalg | vpopcntdq) && has(os, zmm_state);
  }

 private:
  static bool has(unsigned long long value, unsigned bits) { return (value & bits) == bits; }
};

inline bool cpu_has_avx2() {
  return CpuFeatures().avx2();
}

inline bool cpu_has_avx512() {
  return CpuFeatures().avx512();
}

}  // namespace vtsearch

#else  // GCC and Clang

namespace vtsearch {

inline bool cpu_has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("lzcnt");
}

inline bool cpu_has_avx512() {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
         __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("gfni");
}

}  // namespace vtsearch

#endif
