// Codes with labels: an item is relevant to a query if they share a class.
#pragma once

#include <cstddef>

#include "codes.h"

namespace vtsearch {

struct LabelledQueries {
  Queries codes;
  LabelView labels;
};

// Both sides of a retrieval problem; classes are 0 .. classes - 1.
struct LabelledCodes {
  LabelledQueries queries;
  Labelled database;
  std::size_t classes;
  Masks masks{};  // masked items are not counted and have no rank
};

}  // namespace vtsearch
