// Selection of the kernel table at run time.
#pragma once

#include <span>
#include <string>

#include "simd/kernels.h"

namespace vtsearch {

// The tables in this build that the CPU supports, best first; never empty.
std::span<const Kernels* const> runnable_kernels();

// The table of that name; if there is none, throws std::invalid_argument with the valid names.
const Kernels& kernels_named(const std::string& name);

// The table named by the environment variable VTSEARCH_ISA if it is set, else the best one.
const Kernels& default_kernels();

}  // namespace vtsearch
