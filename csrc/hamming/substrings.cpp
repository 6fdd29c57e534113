#include "hamming/substrings.h"

#include <algorithm>

namespace vtsearch {

std::vector<Substring> partition(std::size_t width, std::size_t bits, std::size_t count, unsigned most_key_bits) {
  std::vector<Substring> parts;
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t begin = p * bits / count, length = (p + 1) * bits / count - begin;
    parts.emplace_back(width, begin, static_cast<unsigned>(std::min<std::size_t>(length, most_key_bits)));
  }
  return parts;
}

}  // namespace vtsearch
