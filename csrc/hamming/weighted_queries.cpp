#include "hamming/weighted_queries.h"

namespace vtsearch {
namespace {

constexpr std::size_t bits_per_four = 4;

// Adds `change` to the entries in which bit `bit` is set; those in which it is not are there already.
void add_bit(std::uint8_t* table, std::size_t bit, std::size_t change) {
  const std::size_t half = std::size_t{1} << bit;
  for (std::size_t i = 0; i < half; ++i) table[half + i] = static_cast<std::uint8_t>(table[i] + change);
}

// The table of the four of bits `shift` .. `shift` + 3 of a byte, of which bit 7 - i has weights[i]: entry v is the sum
// of the weights of the bits in which v and the query differ.
void fill_table(std::uint8_t byte, std::size_t shift, const std::uint8_t* weights, std::uint8_t* table) {
  const auto is_set = [&](std::size_t bit) { return (byte >> (shift + bit) & 1) != 0; };
  const auto weight = [&](std::size_t bit) { return std::size_t{weights[7 - shift - bit]}; };
  table[0] = 0;
  for (std::size_t bit = 0; bit < bits_per_four; ++bit) {
    if (is_set(bit)) table[0] = static_cast<std::uint8_t>(table[0] + weight(bit));
  }
  for (std::size_t bit = 0; bit < bits_per_four; ++bit)
    add_bit(table, bit, is_set(bit) ? 0 - weight(bit) : weight(bit));
}

}  // namespace

std::vector<std::uint8_t> weighted_tables(const Queries& queries) {
  const std::size_t bytes = table_bytes(padded_width(queries.width));
  std::vector<std::uint8_t> tables(queries.count * bytes);
  for (std::size_t q = 0; q < queries.count; ++q) {
    std::uint8_t* table = tables.data() + q * bytes;
    for (std::size_t i = 0; i < queries.width; ++i) {
      for (std::size_t shift = 0; shift < 8; shift += bits_per_four, table += entries_per_four) {
        fill_table(queries.code(q)[i], shift, queries.weights_of(q) + 8 * i, table);
      }
    }
  }
  return tables;
}

}  // namespace vtsearch
