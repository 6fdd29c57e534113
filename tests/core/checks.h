// Every public operation of the core, compared with the oracle; the first difference is printed and ends the program.
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

  // What needs no codes: average precision from the oracle's histograms.
  void run_without_kernels(const Options& options) const;

  // Each operation throws Cancelled where the caller has asked it to stop; the problem must not be empty.
  std::size_t run_stopped(const Kernels& kernels, const Options& options) const;

 private:
  const Problem& problem_;
  Answers answers_;
};

}  // namespace vtsearch
