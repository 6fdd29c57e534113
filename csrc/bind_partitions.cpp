// Near-duplicates in parts: codes by partition, the forest of a partition, and forests merged.
#include <algorithm>
#include <numeric>

#include "bindings.h"
#include "hamming/block_plan.h"
#include "hamming/code_partition.h"
#include "hamming/masked_duplicates.h"
#include "hamming/substring_duplicates.h"
#include "hamming/union_find.h"

namespace vtsearch {
namespace {

std::pair<Offsets, TableArray> by_partition(const Codes& codes, const Codes& mask, py::ssize_t partitions) {
  const CodeView items = view(codes);
  require(mask.ndim() == 1 && size(mask.size()) == items.width, "mask: expected as many bytes as a code");
  require(items.count <= max_substring_items, "codes: too many");
  require(at_least_one(partitions) <= max_substring_items, "partitions: too many");
  Offsets offsets(partitions + 1);
  std::fill_n(offsets.mutable_data(), offsets.size(), std::int64_t{0});
  TableArray rows(ssize(items.count));
  run([&, o = offsets.mutable_data(), r = rows.mutable_data()](const Kernels&, Cancellation& cancellation) {
    partition_codes(items, mask.data(), size(partitions), cancellation, o, r);
  });
  return {std::move(offsets), std::move(rows)};
}

// The blocks as codes with ones there, and how many of them make a set.
std::pair<Codes, std::size_t> blocks_of(const Codes& sample, py::ssize_t count, py::ssize_t radius) {
  const CodeView codes = view(sample);
  require(not_negative(radius) < 8 * codes.width, "radius: expected less than the bits of a code");
  BlockPlan plan;
  run([&](const Kernels&, Cancellation& cancellation) {
    CancellationPoint here(cancellation, 0);
    plan = plan_blocks(codes, not_negative(count), not_negative(radius), here);
  });
  Codes blocks({ssize(plan.blocks.size()), ssize(codes.width)});
  std::uint8_t* out = blocks.mutable_data();
  for (const Mask& block : plan.blocks) out = std::copy(block.begin(), block.end(), out);
  return {std::move(blocks), plan.chosen};
}

Indices forest(const Codes& codes, const Codes& masks, py::ssize_t radius, py::ssize_t threads) {
  const BothCodes both = views(masks, codes);
  require(both.database.count <= max_substring_items, "codes: too many");
  std::vector<Mask> sets;
  for (std::size_t i = 0; i < both.queries.count; ++i) {
    sets.emplace_back(both.queries.code(i), both.queries.code(i) + both.queries.width);
  }
  Indices parents(ssize(both.database.count));
  std::int64_t* const begin = parents.mutable_data();
  std::iota(begin, begin + parents.size(), std::int64_t{0});
  run([&](const Kernels& kernels, Cancellation& cancellation) {
    UnionFind groups(begin);
    unite_agreeing(kernels, both.database, sets, not_negative(radius), groups, at_least_one(threads), cancellation);
    groups.flatten(both.database.count);
  });
  return parents;
}

void merge(Indices& parents, const Indices& pairs) {
  require(parents.ndim() == 1, "parents: expected one axis");
  require(pairs.ndim() == 2 && pairs.shape(1) == 2, "pairs: expected (n, 2)");
  const std::int64_t *each = pairs.data(), *const end = each + pairs.size();
  require(std::all_of(each, end, [&](std::int64_t item) { return item >= 0 && item < parents.size(); }),
          "pairs: expected positions in parents");
  UnionFind groups(parents.mutable_data());
  run([&](const Kernels&, Cancellation& cancellation) {
    CancellationPoint cancellation_point(cancellation, 0);
    for (std::size_t i = 0; each != end; each += 2, ++i) {
      if (i % items_per_check == 0) cancellation_point();
      groups.unite(each[0], each[1]);
    }
  });
}

void find_roots(Indices& parents) {
  require(parents.ndim() == 1, "parents: expected one axis");
  UnionFind groups(parents.mutable_data());
  run([&](const Kernels&, Cancellation&) { groups.flatten(size(parents.size())); });
}

}  // namespace

void register_partitions(py::module_& module) {
  module.def("partition_codes", &by_partition, exact("codes"), exact("mask"), "partitions"_a);
  module.def("plan_blocks", &blocks_of, exact("sample"), "count"_a, "radius"_a);
  module.def("agreeing_forest", &forest, exact("codes"), exact("masks"), "radius"_a, "threads"_a);
  module.def("merge_pairs", &merge, exact("parents"), exact("pairs"));
  module.def("find_roots", &find_roots, exact("parents"));
}

}  // namespace vtsearch
