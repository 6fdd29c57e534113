#include "simd/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace vtsearch {
namespace {

#ifdef VTSEARCH_HAVE_AVX2
bool cpu_has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("lzcnt");
}
#endif

#ifdef VTSEARCH_HAVE_AVX512
bool cpu_has_avx512() {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
         __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq") &&
         __builtin_cpu_supports("gfni");
}
#endif

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
