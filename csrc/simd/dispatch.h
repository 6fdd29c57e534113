// Which kernel tables this build has and this CPU can run.
#pragma once

#include <span>
#include <string>

#include "simd/kernels.h"

namespace vtsearch {

// Tables that can run here, best first; never empty.
std::span<const Kernels* const> runnable_kernels();

// The table of that name; throws std::invalid_argument that lists the choices.
const Kernels& kernels_named(const std::string& name);

// The best table, or the one that VTSEARCH_ISA names.
const Kernels& default_kernels();

}  // namespace vtsearch
