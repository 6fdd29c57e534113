// Compares every public operation of the core with the oracle; prints the first difference and aborts.
#pragma once

#include <cstddef>

#include "hamming/average_precision.h"
#include "oracle.h"
#include "problem.h"
#include "simd/kernels.h"

namespace vtsearch {

struct Options {
  std::size_t k = 10;
  std::size_t radius = 0;
  Normalizer normalizer = Normalizer::retrieved;
  std::size_t threads = 1;
};

class Checks {
 public:
  explicit Checks(const Problem& problem) : problem_(problem), answers_(problem) {}

  // Returns the number of operations compared.
  std::size_t run(const Kernels& kernels, const Options& options) const;

  // Checks average precision computed from the histograms of the oracle.
  void run_without_kernels(const Options& options) const;

  // Checks that each operation throws Cancelled if it was cancelled before the call; the problem must not be empty.
  std::size_t run_stopped(const Kernels& kernels, const Options& options) const;

 private:
  const Problem& problem_;
  Answers answers_;
};

}  // namespace vtsearch
