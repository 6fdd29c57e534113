// libFuzzer target: decodes the input to a retrieval problem with options and compares every instruction set with the
// oracle.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "checks.h"
#include "problem.h"
#include "simd/dispatch.h"

namespace vtsearch {
namespace {

// Reads numbers from the input; 0 after its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::size_t below(std::size_t limit) { return number(limit > 256 ? 4 : 1) % limit; }

  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (; bytes > 0; --bytes) value = value << 8 | byte();
    return value;
  }

  // Applies the remaining bytes to the codes by xor.
  void change(Fenced<std::uint8_t>& codes) {
    for (std::size_t i = 0; i < codes.size() && size_ > 0; ++i) codes.data()[i] ^= byte();
  }

 private:
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

  const std::uint8_t* data_;
  std::size_t size_;
};

// Mostly narrow codes, whose widths have specialized kernels.
std::size_t chosen_width(Input& input) {
  return 1 + (input.below(8) == 0 ? input.below(300) : input.below(40));
}

// Mostly short databases, sometimes a length near a multiple of the block size. Several threads need millions of pairs,
// too slow for the oracle here; check_kernels covers them.
std::size_t chosen_items(Input& input) {
  constexpr std::size_t longest = 320;
  return input.below(8) == 0 ? (std::size_t{512} << input.below(4)) - 2 + input.below(5) : input.below(longest + 1);
}

Shape chosen_shape(Input& input) {
  Shape shape{chosen_width(input), input.below(24), chosen_items(input)};
  shape.kind = static_cast<Kind>(input.below(kinds));
  shape.mask = static_cast<MaskKind>(input.below(mask_kinds));
  shape.classes = input.below(70);
  shape.max_labels = input.below(8);
  shape.seed = input.number(1);
  if (8 * shape.width * weight_limit <= weight_sum_limit) shape.weights = static_cast<WeightKind>(input.below(3));
  return shape;
}

Options chosen_options(Input& input, const Shape& shape) {
  Options options;
  options.k = 1 + (input.below(4) == 0 ? input.below(shape.items + 3) : input.below(20));
  options.radius = input.below(8 * shape.width + 3) * (shape.weights == WeightKind::none ? 1 : weight_limit / 2);
  if (input.below(16) == 0) options.radius = SIZE_MAX / 2;  // the largest value that Python can pass
  options.normalizer = static_cast<Normalizer>(input.below(3));
  options.threads = 1 + input.below(4);
  return options;
}

}  // namespace
}  // namespace vtsearch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vtsearch;
  Input input(data, size);
  const Shape shape = chosen_shape(input);
  const Options options = chosen_options(input, shape);
  Problem problem(shape);
  input.change(problem.queries);
  input.change(problem.database);
  const Checks checks(problem);
  checks.run_without_kernels(options);
  for (const Kernels* kernels : runnable_kernels()) checks.run(*kernels, options);
  return 0;
}
