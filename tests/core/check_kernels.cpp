// Compares every instruction set that this CPU supports with the oracle: all widths up to 40 bytes with all lengths up
// to 300 items, lengths around multiples of the block size, masks, labels, weights, k, threads. Prints the number of
// operations compared.
//
//   check_kernels [lengths] [blocks] [threads]      runs all parts, or only those named
//   VTSEARCH_EVERY=5 check_kernels lengths          takes one problem in five
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

#include "checks.h"
#include "problem.h"
#include "simd/dispatch.h"

namespace vtsearch {
namespace {

constexpr std::size_t widest = 40;        // bytes
constexpr std::size_t longest = 300;      // items
constexpr std::size_t many_queries = 17;  // enough for the bit-sliced layout on every instruction set
constexpr std::size_t block_edges[] = {512, 1024, 2048, 4096};
constexpr std::size_t wide[] = {41, 63, 64, 65, 128, 255, 256, 1024};  // bytes

// All runnable kernel tables, or only the one named by VTSEARCH_ISA.
std::vector<const Kernels*> chosen_kernels() {
  if (std::getenv("VTSEARCH_ISA") != nullptr) return {&default_kernels()};
  return {runnable_kernels().begin(), runnable_kernels().end()};
}

// One problem in how many is taken.
std::size_t chosen_step() {
  const char* every = std::getenv("VTSEARCH_EVERY");
  return every == nullptr ? 1 : std::strtoull(every, nullptr, 10);
}

// The chosen kernel tables, with the number of operations compared for each.
class Contenders {
 public:
  void check(const Shape& shape, const std::vector<Options>& variants) {
    if (number_++ % every_ != 0) return;
    const Problem problem(shape);
    const Checks checks(problem);
    for (const Options& options : variants) {
      checks.run_without_kernels(options);
      for (std::size_t i = 0; i < kernels_.size(); ++i) counts_[i] += checks.run(*kernels_[i], options);
    }
  }

  void check_stopped(const Shape& shape, const Options& options) {
    const Problem problem(shape);
    const Checks checks(problem);
    for (std::size_t i = 0; i < kernels_.size(); ++i) counts_[i] += checks.run_stopped(*kernels_[i], options);
  }

  void print() const {
    for (std::size_t i = 0; i < kernels_.size(); ++i) std::printf("%s: %zu cases\n", kernels_[i]->name, counts_[i]);
  }

 private:
  std::size_t every_ = chosen_step();
  std::size_t number_ = 0;  // of the next problem
  std::vector<const Kernels*> kernels_ = chosen_kernels();
  std::vector<std::size_t> counts_ = std::vector<std::size_t>(kernels_.size(), 0);
};

// Varies the kinds of codes, masks and labels with `turn`, so that successive lengths cover all of them.
Shape shape_in_turn(std::size_t width, std::size_t queries, std::size_t items, std::size_t turn) {
  return {width,
          queries,
          items,
          static_cast<Kind>(turn % kinds),
          static_cast<MaskKind>(turn / kinds % mask_kinds),
          1 + turn % 7 * (turn % 3),
          1 + turn % 4,
          turn};
}

Options options_in_turn(std::size_t width, std::size_t k, std::size_t threads, std::size_t turn) {
  return {k, turn % (8 * width + 2), static_cast<Normalizer>(turn % 3), threads};
}

// The same with weights, if their sums are small enough for wide codes.
void check_weighted(Contenders& contenders, Shape shape, Options options) {
  if (8 * shape.width * weight_limit > weight_sum_limit) return;
  shape.weights = shape.seed % 3 == 0 ? WeightKind::largest : WeightKind::random;
  options.radius *= weight_limit / 2;
  contenders.check(shape, {options});
}

void check_every_length(Contenders& contenders) {
  for (std::size_t width = 1; width <= widest; ++width) {
    for (std::size_t items = 0; items <= longest; ++items) {
      const std::size_t turn = width * (longest + 1) + items;
      contenders.check(
          shape_in_turn(width, 1 + turn % 5, items, turn),
          {options_in_turn(width, 1 + turn % 10, 1, turn), options_in_turn(width, 1 + items / 2, 1, 4 * width),
           options_in_turn(width, items + 3, 1, 8 * width)});
      contenders.check(shape_in_turn(width, many_queries, items, turn + 1),
                       {options_in_turn(width, 1 + items / 5, 1, 3 * width)});
      check_weighted(contenders, shape_in_turn(width, 1 + turn % 5, items, turn),
                     options_in_turn(width, 1 + items / (1 + turn % 10), 1, turn));
    }
  }
}

void check_block_edges(Contenders& contenders) {
  std::vector<std::size_t> widths(std::begin(wide), std::end(wide));
  for (std::size_t width = 1; width <= widest; ++width) widths.push_back(width);
  std::size_t turn = 0;
  for (const std::size_t width : widths) {
    for (const std::size_t edge : block_edges) {
      for (const std::size_t items : {edge - 1, edge, edge + 1}) {
        ++turn;
        const std::vector<Options> variants = {options_in_turn(width, 10, 1, turn),
                                               options_in_turn(width, items / 2, 1, 4 * width)};
        contenders.check(shape_in_turn(width, 2, items, turn), variants);
        contenders.check(shape_in_turn(width, many_queries, items, turn + 1), {variants[turn % 2]});
        check_weighted(contenders, shape_in_turn(width, 3, items, turn), variants[turn % 2]);
      }
    }
  }
}

// Problems large enough for several threads: split by database, by queries, and by both.
void check_threads(Contenders& contenders) {
  std::size_t turn = 0;
  for (const std::size_t width : {8u, 33u}) {
    const std::vector<Options> variants = {options_in_turn(width, 100, 3, 3 * width),
                                           options_in_turn(width, 20'000, 3, 0)};
    const std::size_t masked = kinds * ++turn;
    contenders.check(shape_in_turn(width, 3, 1'400'001, masked), variants);
    contenders.check(shape_in_turn(width, 80, 60'011, masked + 1), {variants.front()});
    contenders.check(shape_in_turn(width, 33, 140'001, masked + 2), {variants.front()});
    contenders.check_stopped({width, 33, 140'001}, variants.front());
    check_weighted(contenders, shape_in_turn(width, 3, 1'400'001, masked), variants.front());
    check_weighted(contenders, shape_in_turn(width, 70, 140'001, masked + 1), variants.front());
  }
}

struct Part {
  const char* name;
  void (*check)(Contenders&);
};

constexpr Part parts[] = {{"lengths", check_every_length}, {"blocks", check_block_edges}, {"threads", check_threads}};

bool is_chosen(const Part& part, std::span<char* const> names) {
  return names.empty() || std::ranges::find(names, std::string_view(part.name)) != names.end();
}

}  // namespace
}  // namespace vtsearch

int main(int argc, char** argv) {
  using namespace vtsearch;
  const std::span<char* const> names(argv + 1, static_cast<std::size_t>(argc - 1));
  Contenders contenders;
  for (const Part& part : parts) {
    if (is_chosen(part, names)) part.check(contenders);
  }
  contenders.print();
}
