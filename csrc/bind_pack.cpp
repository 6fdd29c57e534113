// Features to packed codes.
#include <utility>

#include "bindings.h"
#include "hamming/pack.h"

namespace vtsearch {
namespace {

template <class Value>
bool pack_into(PackKernel<Value> Kernels::Pack::* kernel, const py::array& values, bool big, Codes& codes) {
  const auto* data = static_cast<const Value*>(values.data());
  const std::size_t rows = size(values.shape(0)), bits = size(values.shape(1));
  bool valid = true;
  run([&, out = codes.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    valid = pack(kernels.pack.*kernel, data, rows, bits, big, cancellation, out);
  });
  return valid;
}

// The codes, and whether all values are numbers, and bytes 0 or 1.
std::pair<Codes, bool> pack_values(const py::array& values, bool big) {
  require(values.ndim() == 2 && values.shape(1) >= 1, "values: expected (n, bits)");
  require((values.flags() & py::array::c_style) != 0 && (values.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0,
          "values: expected C-contiguous, aligned values");
  Codes codes({values.shape(0), (values.shape(1) + 7) / 8});
  const char kind = values.dtype().kind();
  const auto item = values.dtype().itemsize();
  require(values.dtype().byteorder() != '>', "values: expected native byte order");
  if (kind == 'f' && item == 4) return {codes, pack_into(&Kernels::Pack::floats, values, big, codes)};
  if (kind == 'f' && item == 8) return {codes, pack_into(&Kernels::Pack::doubles, values, big, codes)};
  if (kind == 'f' && item == 2) return {codes, pack_into(&Kernels::Pack::halves, values, big, codes)};
  require((kind == 'b' || kind == 'i' || kind == 'u') && item == 1, "values: expected floats, bools or bytes");
  return {codes, pack_into(&Kernels::Pack::bytes, values, big, codes)};
}

}  // namespace

void register_pack(py::module_& module) {
  module.def("pack", &pack_values, "values"_a, "big"_a);
}

}  // namespace vtsearch
