// Orders of bytes that a shuffle instruction takes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vtsearch {
namespace {

template <std::size_t Size>
struct ByteOrder {
  std::uint8_t byte[Size];
};

// Where each byte of a register comes from when unit j (U bytes) of lane i (W bytes) goes to unit j * lanes + i.
template <std::size_t Size, std::size_t W, std::size_t U>
constexpr ByteOrder<Size> transposed() {
  ByteOrder<Size> order{};
  constexpr std::size_t lanes = Size / W;
  for (std::size_t i = 0; i < lanes; ++i)
    for (std::size_t j = 0; j < W / U; ++j)
      for (std::size_t u = 0; u < U; ++u)
        order.byte[(j * lanes + i) * U + u] = static_cast<std::uint8_t>(i * W + j * U + u);
  return order;
}

// Every byte where it is: a transposition of one lane.
template <std::size_t Size>
constexpr ByteOrder<Size> identity() {
  return transposed<Size, Size, 1>();
}

}  // namespace
}  // namespace vtsearch
