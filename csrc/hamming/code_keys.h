// Hashes of codes, or of some bits of them. Different codes of up to 8 bytes have different keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vtsearch {

namespace code_keys {

inline constexpr std::size_t word_bytes = 8;

inline std::uint64_t word_at(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t word = 0;
  if (count >= word_bytes) {
    std::memcpy(&word, bytes, word_bytes);
  } else {
    std::memcpy(&word, bytes, count);
  }
  return word;
}

// One step of the hash. The upper half mixes all lower bits; the lower half is mixed with it.
inline std::uint64_t mixed(std::uint64_t key, std::uint64_t word) {
  key = (key ^ word) * 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio, as in Fibonacci hashing
  return key ^ key >> 32;
}

}  // namespace code_keys

inline std::uint64_t key_of(const std::uint8_t* code, std::size_t width) {
  std::uint64_t key = 0;
  for (std::size_t at = 0; at < width; at += code_keys::word_bytes) {
    key = code_keys::mixed(key, code_keys::word_at(code + at, width - at));
  }
  return key;
}

// Of the bits that the mask, of the same width, has.
inline std::uint64_t key_of(const std::uint8_t* code, const std::uint8_t* mask, std::size_t width) {
  std::uint64_t key = 0;
  for (std::size_t at = 0; at < width; at += code_keys::word_bytes) {
    const std::uint64_t word = code_keys::word_at(code + at, width - at);
    key = code_keys::mixed(key, word & code_keys::word_at(mask + at, width - at));
  }
  return key;
}

// One of `count` buckets, by the upper half of the key.
inline std::size_t bucket_of_key(std::uint64_t key, std::size_t count) {
  return static_cast<std::size_t>((key >> 32) * count >> 32);
}

// One of `count` partitions, by the lower half: the keys of a partition are spread over all buckets.
inline std::size_t partition_of_key(std::uint64_t key, std::size_t count) {
  return static_cast<std::size_t>((key & 0xffffffffu) * count >> 32);
}

}  // namespace vtsearch
