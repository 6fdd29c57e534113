// Groups of near-duplicates.
#include <functional>
#include <optional>

#include "bindings.h"
#include "hamming/duplicates.h"
#include "hamming/read_windows.h"

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

Indices duplicates(const Codes& codes, py::ssize_t radius, py::ssize_t window, py::ssize_t pairs,
                   const std::optional<py::function>& report, const std::optional<py::function>& release,
                   py::ssize_t threads) {
  const CodeView items = view(codes);
  const auto release_items = callback<std::size_t, std::size_t>(release);
  ReadWindows windows{at_least_one(window), at_least_one(pairs), callback<std::size_t>(report), nullptr};
  if (release_items) windows.release = [&](Range range) { release_items(range.begin, range.end); };
  Indices representatives(ssize(items.count));
  run([&, out = representatives.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    deduplicate(kernels, items, not_negative(radius), windows, at_least_one(threads), cancellation, out);
  });
  return representatives;
}

}  // namespace

void register_duplicates(py::module_& module) {
  module.def("deduplicate", &duplicates, exact("codes"), "radius"_a, "window"_a, "pairs"_a, optional("report"),
             optional("release"), "threads"_a);
}

}  // namespace vtsearch
