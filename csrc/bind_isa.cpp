// Instruction sets and threads.
#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "bindings.h"
#include "simd/dispatch.h"

namespace vtsearch {
namespace {

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Kernels* kernels : runnable_kernels()) names.emplace_back(kernels->name);
  return names;
}

std::string active_isa() {
  return active().load()->name;
}

void use_isa(const std::string& name) {
  active() = &kernels_named(name);
}

// The number of CPUs this process may use, which an affinity mask can limit.
std::size_t default_threads() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return static_cast<std::size_t>(CPU_COUNT(&allowed));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

std::atomic<const Kernels*>& active() {
  static std::atomic<const Kernels*> kernels = &default_kernels();
  return kernels;
}

void register_isa(py::module_& module) {
  module.def("isas", &isas);
  module.def("active_isa", &active_isa);
  module.def("use_isa", &use_isa, "name"_a);
  module.def("default_threads", &default_threads);
}

}  // namespace vtsearch
