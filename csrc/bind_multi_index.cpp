// Substring tables and exact search by them.
#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "hamming/multi_index.h"
#include "hamming/padding.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Where each bucket begins, and the items and codes in the order of the buckets; codes are None without copies.
using Table = std::tuple<TableArray, TableArray, std::optional<Codes>>;

std::vector<Substring> partition_of(std::size_t width, py::ssize_t bits, py::ssize_t tables, py::ssize_t key_bits) {
  require(bits >= 1 && size(bits) <= 8 * width, "bits: expected 1 to 8 * bytes");
  require(tables >= 1 && tables <= bits, "tables: expected 1 to bits");
  require(key_bits >= 1 && key_bits <= 24, "key_bits: expected 1 to 24");
  return partition(width, size(bits), size(tables), static_cast<unsigned>(key_bits));
}

// The shapes of the arrays of each table with copies: buckets + 1, and bytes of a padded code.
std::pair<std::vector<std::size_t>, std::size_t> table_shapes(py::ssize_t width, py::ssize_t bits, py::ssize_t tables,
                                                              py::ssize_t key_bits) {
  require(1 <= width && size(width) <= width_limit, "width: expected 1 to 8191 bytes");
  std::vector<std::size_t> begins;
  for (const Substring& part : partition_of(size(width), bits, tables, key_bits)) begins.push_back(part.buckets() + 1);
  return {begins, padded_width(size(width))};
}

std::vector<Table> build_tables(const std::vector<Codes>& arrays, py::ssize_t bits, py::ssize_t tables,
                                py::ssize_t key_bits, py::ssize_t first, py::ssize_t last, bool copies,
                                py::ssize_t threads) {
  require(!arrays.empty(), "arrays: expected at least one");
  std::vector<CodeView> parts;
  std::size_t items = 0;
  for (const Codes& array : arrays) {
    parts.push_back(view(array));
    require(parts.back().width == parts.front().width, "arrays: widths differ");
    items += parts.back().count;
  }
  require(items <= max_multi_index_items, "arrays: too many items");
  require(0 <= first && first <= last && last <= tables, "first, last: expected a range of tables");
  const std::size_t width = parts.front().width;
  const std::vector<Substring> substrings = partition_of(width, bits, tables, key_bits);
  struct Arrays {
    std::uint32_t* begins;
    std::uint32_t* items;
    std::uint8_t* codes;
  };
  std::vector<Table> made;
  std::vector<Arrays> out;
  for (std::size_t t = size(first); t < size(last); ++t) {
    TableArray begins(ssize(substrings[t].buckets() + 1)), order(ssize(items));
    std::optional<Codes> codes;
    if (copies) codes.emplace(std::vector<py::ssize_t>{ssize(items), ssize(padded_width(width))});
    out.push_back({begins.mutable_data(), order.mutable_data(), copies ? codes->mutable_data() : nullptr});
    made.emplace_back(std::move(begins), std::move(order), std::move(codes));
  }
  run([&](const Kernels&, Cancellation& cancellation) {
    parallel_for(out.size(), at_least_one(threads), cancellation,
                 [&](std::size_t t, CancellationPoint& cancellation_point) {
                   build_table(parts, substrings[size(first) + t], cancellation_point, out[t].begins, out[t].items,
                               out[t].codes);
                 });
  });
  return made;
}

// (q, 4) int64: finished, keys, candidates, radius.
using Work = py::array_t<std::int64_t, py::array::c_style>;

Work work_of(std::size_t queries) {
  static_assert(sizeof(TableSearch) == 4 * sizeof(std::int64_t));
  return Work({ssize(queries), py::ssize_t{4}});
}

// Tables of consecutive items, and the most bits of a key.
using TabledPart = std::pair<std::vector<Table>, py::ssize_t>;

// Tables in arrays of Python's, from build_tables or mapped from files, of which nothing is read here.
class Tables {
 public:
  Tables(std::vector<TabledPart> parts, std::optional<Codes> codes, py::ssize_t width, py::ssize_t bits)
      : parts_(std::move(parts)), codes_(std::move(codes)) {
    require(!parts_.empty(), "parts: expected at least one");
    require(!codes_ || parts_.size() == 1, "codes: expected none beside several parts");
    require(1 <= width && size(width) <= width_limit, "width: expected 1 to 8191 bytes");
    index_ = {0, size(width), {}, nullptr};
    for (const auto& [tables, key_bits] : parts_) {
      require(!tables.empty(), "tables: expected at least one");
      const std::size_t items = size(std::get<1>(tables.front()).size());
      if (codes_) require(has_shape(*codes_, items, index_.width), "codes: expected those of all items");
      const auto substrings = partition_of(index_.width, bits, ssize(tables.size()), key_bits);
      TabledItems& part = index_.parts.emplace_back(TabledItems{index_.items, items, {}});
      for (std::size_t t = 0; t < tables.size(); ++t) add(tables[t], substrings[t], part);
      index_.items += items;
      require(index_.items <= max_multi_index_items, "tables: too many items");
    }
    if (codes_) index_.codes = codes_->data();
  }

  // The rankings, what became of the queries, and how many are not finished.
  std::tuple<std::pair<Distances, Indices>, Work, std::size_t> rank(const Codes& query_codes, py::ssize_t k,
                                                                    const std::optional<PackedMask>& mask,
                                                                    bool may_scan, py::ssize_t threads) const {
    const CodeView queries = checked(query_codes);
    const MaskView allowed = view(mask, index_.items);
    const std::size_t columns = count_allowed_up_to(at_least_one(k), allowed, {0, index_.items});
    Distances distances({ssize(queries.count), ssize(columns)});
    Indices indices({ssize(queries.count), ssize(columns)});
    Work work = work_of(queries.count);
    std::size_t left = 0;
    run([&, d = distances.mutable_data(), i = indices.mutable_data(),
         w = reinterpret_cast<TableSearch*>(work.mutable_data())](const Kernels& kernels, Cancellation& cancellation) {
      left = rank_by_tables(kernels, queries, index_, columns, allowed, may_scan, at_least_one(threads), cancellation,
                            d, i, w);
    });
    return {std::pair(std::move(distances), std::move(indices)), std::move(work), left};
  }

  std::tuple<std::tuple<Offsets, Distances, Indices>, Work, std::size_t> within(const Codes& query_codes,
                                                                                py::ssize_t radius,
                                                                                const std::optional<PackedMask>& mask,
                                                                                bool may_scan,
                                                                                py::ssize_t threads) const {
    const CodeView queries = checked(query_codes);
    const MaskView allowed = view(mask, index_.items);
    const std::size_t reach = std::min(not_negative(radius), queries.bins() - 1);
    Work work = work_of(queries.count);
    Neighbors found;
    std::size_t left = 0;
    run([&, w = reinterpret_cast<TableSearch*>(work.mutable_data())](const Kernels& kernels,
                                                                     Cancellation& cancellation) {
      left = within_by_tables(kernels, queries, index_, reach, allowed, may_scan, at_least_one(threads), cancellation,
                              found, w);
    });
    return {
        std::tuple(adopt(std::move(found.offsets)), adopt(std::move(found.distances)), adopt(std::move(found.indices))),
        std::move(work), left};
  }

 private:
  void add(const Table& table, const Substring& substring, TabledItems& part) const {
    const auto& [begins, items, codes] = table;
    const std::size_t count = part.count;
    require(begins.ndim() == 1 && size(begins.size()) == substring.buckets() + 1,
            "tables: expected begins of all buckets");
    require(items.ndim() == 1 && size(items.size()) == count, "tables: expected all items in each table");
    require(codes.has_value() != codes_.has_value(), "tables: expected copies of the codes, or the codes");
    require(!codes || has_shape(*codes, count, padded_width(index_.width)),
            "tables: expected padded codes of all items");
    const auto is_item = [count](std::uint32_t item) { return item < count; };
    require(codes || std::all_of(items.data(), items.data() + items.size(), is_item),
            "tables: expected items below their number");
    part.tables.push_back({substring, begins.data(), items.data(), codes ? codes->data() : nullptr});
  }

  static bool has_shape(const Codes& codes, std::size_t count, std::size_t width) {
    return codes.ndim() == 2 && size(codes.shape(0)) == count && size(codes.shape(1)) == width;
  }

  CodeView checked(const Codes& query_codes) const {
    const CodeView queries = view(query_codes);
    require(queries.width == index_.width, "query_codes: widths differ");
    return queries;
  }

  std::vector<TabledPart> parts_;
  std::optional<Codes> codes_;
  MultiIndexView index_{};
};

}  // namespace

void register_multi_index(py::module_& module) {
  module.def("table_shapes", &table_shapes, "width"_a, "bits"_a, "tables"_a, "key_bits"_a);
  module.def("build_tables", &build_tables, "arrays"_a, "bits"_a, "tables"_a, "key_bits"_a, "first"_a, "last"_a,
             "copies"_a, "threads"_a);
  py::class_<Tables>(module, "Tables")
      .def(py::init<std::vector<TabledPart>, std::optional<Codes>, py::ssize_t, py::ssize_t>(), "parts"_a,
           optional("codes"), "width"_a, "bits"_a)
      .def("rank", &Tables::rank, exact("query_codes"), "k"_a, optional("mask"), "may_scan"_a, "threads"_a)
      .def("within", &Tables::within, exact("query_codes"), "radius"_a, optional("mask"), "may_scan"_a, "threads"_a);
}

}  // namespace vtsearch
