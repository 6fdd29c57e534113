#include "simd/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <vector>

#if defined(VTSEARCH_HAVE_AVX2) || defined(VTSEARCH_HAVE_AVX512)
#include "simd/cpu_features.h"
#endif

namespace vtsearch {
namespace {

std::vector<const Kernels*> find_runnable() {
  std::vector<const Kernels*> found;
#ifdef VTSEARCH_HAVE_AVX512
  if (cpu_has_avx512()) found.push_back(&kernels_avx512);
#endif
#ifdef VTSEARCH_HAVE_AVX2
  if (cpu_has_avx2()) found.push_back(&kernels_avx2);
#endif
#ifdef VTSEARCH_HAVE_NEON
  found.push_back(&kernels_neon);
#endif
  found.push_back(&kernels_scalar);
  return found;
}

}  // namespace

std::span<const Kernels* const> runnable_kernels() {
  static const std::vector<const Kernels*> found = find_runnable();
  return found;
}

const Kernels& kernels_named(const std::string& name) {
  std::string choices;
  for (const Kernels* kernels : runnable_kernels()) {
    if (kernels->name == name) return *kernels;
    choices += (choices.empty() ? "" : ", ") + std::string(kernels->name);
  }
  throw std::invalid_argument("isa: this build and CPU can run " + choices + ", not '" + name + "'");
}

const Kernels& default_kernels() {
  const char* forced = std::getenv("VTSEARCH_ISA");
  return forced != nullptr && *forced != '\0' ? kernels_named(forced) : *runnable_kernels().front();
}

}  // namespace vtsearch
