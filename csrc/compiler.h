// Compiler-specific attributes and functions. Instruction-set files include this header, so all functions here have
// internal linkage: a shared symbol compiled with AVX-512 flags could be linked into portable code.
#pragma once

#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)

#include <intrin.h>
#include <stdlib.h>

#define VTSEARCH_ALWAYS_INLINE __forceinline
#define VTSEARCH_NOINLINE __declspec(noinline)

namespace vtsearch {
namespace {

VTSEARCH_ALWAYS_INLINE int trailing_zeros(std::uint32_t x) {
  unsigned long position;
  _BitScanForward(&position, x);
  return static_cast<int>(position);
}

VTSEARCH_ALWAYS_INLINE int trailing_zeros(std::uint64_t x) {
  unsigned long position;
  _BitScanForward64(&position, x);
  return static_cast<int>(position);
}

// Only for instruction sets that have popcount: on x86 this is always the POPCNT instruction.
VTSEARCH_ALWAYS_INLINE int popcount(std::uint64_t x) {
#ifdef _M_ARM64
  return static_cast<int>(_CountOneBits64(x));
#else
  return static_cast<int>(__popcnt64(x));
#endif
}

VTSEARCH_ALWAYS_INLINE std::uint64_t reversed_bytes(std::uint64_t x) {
  return _byteswap_uint64(x);
}

// Prefetches a cache line for reading, to the second-level cache.
VTSEARCH_ALWAYS_INLINE void prefetch(const void* p) {
#ifdef _M_ARM64
  __prefetch(p);
#else
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
#endif
}

}  // namespace
}  // namespace vtsearch

#else  // GCC and Clang

#define VTSEARCH_ALWAYS_INLINE [[gnu::always_inline]] inline
#define VTSEARCH_NOINLINE [[gnu::noinline]]

namespace vtsearch {
namespace {

VTSEARCH_ALWAYS_INLINE int trailing_zeros(std::uint32_t x) {
  return __builtin_ctz(x);
}

VTSEARCH_ALWAYS_INLINE int trailing_zeros(std::uint64_t x) {
  return __builtin_ctzll(x);
}

// Only for instruction sets that have popcount: without one it is a library call.
VTSEARCH_ALWAYS_INLINE int popcount(std::uint64_t x) {
  return __builtin_popcountll(x);
}

VTSEARCH_ALWAYS_INLINE std::uint64_t reversed_bytes(std::uint64_t x) {
  return __builtin_bswap64(x);
}

// Prefetches a cache line for reading, to the second-level cache.
VTSEARCH_ALWAYS_INLINE void prefetch(const void* p) {
  __builtin_prefetch(p, 0, 2);
}

}  // namespace
}  // namespace vtsearch

#endif

namespace vtsearch {
namespace {

// Reverses the bits of each byte: the order of numpy.packbits to that of the items, and back.
VTSEARCH_ALWAYS_INLINE std::uint64_t reversed_in_bytes(std::uint64_t bits) {
  bits = ((bits >> 1) & 0x5555555555555555u) | (bits & 0x5555555555555555u) << 1;
  bits = ((bits >> 2) & 0x3333333333333333u) | (bits & 0x3333333333333333u) << 2;
  return ((bits >> 4) & 0x0f0f0f0f0f0f0f0fu) | (bits & 0x0f0f0f0f0f0f0f0fu) << 4;
}

}  // namespace
}  // namespace vtsearch
