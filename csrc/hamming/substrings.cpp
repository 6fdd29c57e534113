#include "hamming/substrings.h"

#include <algorithm>
#include <cstring>

#include "hamming/padding.h"

namespace vtsearch {

std::vector<Substring> partition(std::size_t width, std::size_t bits, std::size_t count, unsigned most_key_bits) {
  std::vector<Substring> parts;
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t begin = p * bits / count, length = (p + 1) * bits / count - begin;
    parts.emplace_back(width, begin, static_cast<unsigned>(std::min<std::size_t>(length, most_key_bits)));
  }
  return parts;
}

void build_table(const std::vector<CodeView>& arrays, const Substring& part, CancellationPoint& cancellation_point,
                 std::uint32_t* begins, std::uint32_t* items, std::uint8_t* codes) {
  std::fill_n(begins, part.buckets() + 1, 0u);
  TableBuilder builder(part, begins);
  std::size_t item = 0;
  for (const CodeView& array : arrays) {
    for (std::size_t i = 0; i < array.count; ++i, ++item) {
      if (i % items_per_check == 0) cancellation_point();
      builder.count(array.code(i));
    }
  }
  builder.close();
  for (auto array = arrays.rbegin(); array != arrays.rend(); ++array) {
    const std::size_t padded = padded_width(array->width);
    for (std::size_t i = array->count; i-- > 0;) {
      if (i % items_per_check == 0) cancellation_point();
      const std::size_t place = builder.place(array->code(i));
      items[place] = static_cast<std::uint32_t>(--item);
      if (codes == nullptr) continue;
      std::memcpy(codes + place * padded, array->code(i), array->width);
      std::fill_n(codes + place * padded + array->width, padded - array->width, std::uint8_t{0});
    }
  }
}

}  // namespace vtsearch
