// Groups of near-duplicates, their diameters, and the nearest items of others.
#include <algorithm>
#include <functional>
#include <optional>

#include "bindings.h"
#include "hamming/diameters.h"
#include "hamming/duplicates.h"
#include "hamming/nearest_below.h"
#include "hamming/read_windows.h"
#include "hamming/split_groups.h"

namespace vtsearch {
namespace {

// Wraps a Python function to be called without the GIL; null for None. `function` must outlive the result.
template <class... Args>
std::function<void(Args...)> callback(const std::optional<py::function>& function) {
  if (!function) return nullptr;
  return [&call = *function](Args... args) {
    const py::gil_scoped_acquire gil;
    call(args...);
  };
}

// Windows with callbacks of Python's. The functions must outlive the result.
ReadWindows read_windows(py::ssize_t window, py::ssize_t pairs, const std::optional<py::function>& report,
                         const std::optional<py::function>& release) {
  ReadWindows windows{at_least_one(window), at_least_one(pairs), callback<std::size_t>(report), nullptr};
  if (const auto release_items = callback<std::size_t, std::size_t>(release)) {
    windows.release = [release_items](Range range) { release_items(range.begin, range.end); };
  }
  return windows;
}

Indices duplicates(const Codes& codes, py::ssize_t radius, py::ssize_t window, py::ssize_t pairs,
                   const std::optional<py::function>& report, const std::optional<py::function>& release,
                   py::ssize_t threads) {
  const CodeView items = view(codes);
  const ReadWindows windows = read_windows(window, pairs, report, release);
  Indices representatives(ssize(items.count));
  run([&, out = representatives.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    deduplicate(kernels, items, not_negative(radius), windows, at_least_one(threads), cancellation, out);
  });
  return representatives;
}

GroupView groups_of(const Indices& items, const Offsets& offsets, CodeView codes) {
  require(items.ndim() == 1 && offsets.ndim() == 1 && offsets.size() >= 1, "items, offsets: expected one axis");
  require(size(items.size()) <= max_group_items, "items: too many");
  const std::int64_t *begin = offsets.data(), *end = begin + offsets.size();
  require(*begin == 0 && end[-1] == items.size() && std::is_sorted(begin, end),
          "offsets: expected them to ascend from 0 to the number of items");
  require(std::all_of(items.data(), items.data() + items.size(),
                      [&](std::int64_t item) { return item >= 0 && static_cast<std::size_t>(item) < codes.count; }),
          "items: expected positions in codes");
  return {items.data(), begin, size(offsets.size()) - 1};
}

Counts group_diameters(const Codes& codes, const Indices& items, const Offsets& offsets, py::ssize_t window,
                       py::ssize_t pairs, const std::optional<py::function>& report,
                       const std::optional<py::function>& release, py::ssize_t threads) {
  const GroupView groups = groups_of(items, offsets, view(codes));
  const ReadWindows windows = read_windows(window, pairs, report, release);
  GroupReader reader(view(codes), groups, windows);
  Counts found(ssize(groups.count));
  run([&, out = found.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    diameters(kernels, reader, groups, std::nullopt, at_least_one(threads), cancellation, out);
  });
  return found;
}

Indices bounded_groups(const Codes& codes, const Indices& items, const Offsets& offsets, py::ssize_t radius,
                       py::ssize_t limit, py::ssize_t window, py::ssize_t pairs,
                       const std::optional<py::function>& report, const std::optional<py::function>& release,
                       py::ssize_t threads) {
  const GroupView groups = groups_of(items, offsets, view(codes));
  const std::size_t most = view(codes).bins() - 1;
  const ReadWindows windows = read_windows(window, pairs, report, release);
  GroupReader reader(view(codes), groups, windows);
  Indices representatives(items.size());
  run([&, out = representatives.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    split_groups(kernels, reader, groups, std::min(not_negative(radius), most), std::min(not_negative(limit), most),
                 at_least_one(threads), cancellation, out);
  });
  return representatives;
}

std::pair<Distances, Indices> nearest(const Codes& query_codes, const Codes& db_codes, const Distances& limits,
                                      bool may_scan, py::ssize_t threads) {
  const BothCodes both = views(query_codes, db_codes);
  require(limits.ndim() == 1 && size(limits.size()) == both.queries.count, "limits: expected one for each query");
  const auto most = static_cast<std::int32_t>(both.queries.bins());
  Distances distances(limits.size());
  Indices indices(limits.size());
  std::transform(limits.data(), limits.data() + limits.size(), distances.mutable_data(),
                 [most](std::int32_t limit) { return std::clamp(limit, 0, most); });
  std::fill_n(indices.mutable_data(), limits.size(), std::int64_t{-1});
  run([&, d = distances.mutable_data(), i = indices.mutable_data()](const Kernels& kernels,
                                                                    Cancellation& cancellation) {
    nearest_below(kernels, both.queries, both.database, may_scan, at_least_one(threads), cancellation, d, i);
  });
  return {std::move(distances), std::move(indices)};
}

}  // namespace

void register_duplicates(py::module_& module) {
  module.def("deduplicate", &duplicates, exact("codes"), "radius"_a, "window"_a, "pairs"_a, optional("report"),
             optional("release"), "threads"_a);
  module.def("diameters", &group_diameters, exact("codes"), exact("items"), exact("offsets"), "window"_a, "pairs"_a,
             optional("report"), optional("release"), "threads"_a);
  module.def("split_groups", &bounded_groups, exact("codes"), exact("items"), exact("offsets"), "radius"_a, "limit"_a,
             "window"_a, "pairs"_a, optional("report"), optional("release"), "threads"_a);
  module.def("nearest_below", &nearest, exact("query_codes"), exact("db_codes"), exact("limits"), "may_scan"_a,
             "threads"_a);
}

}  // namespace vtsearch
