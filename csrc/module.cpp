// The Python module _native: one register function for each subject.
#include "bindings.h"

PYBIND11_MODULE(_native, module, vtsearch::py::mod_gil_not_used()) {
  module.doc() = "The compiled engine. Its interface is described in _native.pyi.";
  module.attr("__version__") = VTSEARCH_VERSION;
  vtsearch::register_isa(module);
  vtsearch::register_rank(module);
  vtsearch::register_duplicates(module);
  vtsearch::register_partitions(module);
  vtsearch::register_multi_index(module);
  vtsearch::register_metrics(module);
  vtsearch::register_pack(module);
}
