// Labels as compressed sparse rows, made of one class number for each item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes.h"

namespace vtsearch {

struct LabelRows {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> classes;

  LabelView view() const { return {offsets.data(), classes.data()}; }
};

// Class numbers without repetition, ascending.
std::vector<std::int64_t> distinct_classes(const std::int64_t* labels, std::size_t count);

// Rows over a list of distinct classes, ascending: the row of an item of any other class is empty.
LabelRows label_rows(const std::int64_t* labels, std::size_t count, const std::vector<std::int64_t>& classes);

}  // namespace vtsearch
