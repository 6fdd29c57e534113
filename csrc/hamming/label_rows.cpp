#include "hamming/label_rows.h"

#include <algorithm>

namespace vtsearch {
namespace {

// The position of a class in an ascending list; -1 for any other. A list that spans few numbers is a table.
class ClassPositions {
 public:
  ClassPositions(const std::vector<std::int64_t>& classes, std::size_t items) : classes_(classes) {
    if (classes.empty() || offset_of(classes.back()) > items) return;
    table_.resize(offset_of(classes.back()) + 1, none);
    for (std::size_t i = 0; i < classes.size(); ++i) {
      table_[offset_of(classes[i])] = static_cast<std::int32_t>(i);
    }
  }

  std::int32_t operator()(std::int64_t label) const {
    if (!table_.empty()) return offset_of(label) < table_.size() ? table_[offset_of(label)] : none;
    const auto found = std::lower_bound(classes_.begin(), classes_.end(), label);
    return found == classes_.end() || *found != label ? none : static_cast<std::int32_t>(found - classes_.begin());
  }

 private:
  static constexpr std::int32_t none = -1;

  // From the first class; numbers below it wrap around and are large.
  std::uint64_t offset_of(std::int64_t label) const {
    return static_cast<std::uint64_t>(label) - static_cast<std::uint64_t>(classes_.front());
  }

  const std::vector<std::int64_t>& classes_;
  std::vector<std::int32_t> table_;
};

}  // namespace

std::vector<std::int64_t> distinct_classes(const std::int64_t* labels, std::size_t count) {
  std::vector<std::int64_t> classes(labels, labels + count);
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  return classes;
}

LabelRows label_rows(const std::int64_t* labels, std::size_t count, const std::vector<std::int64_t>& classes) {
  const ClassPositions position_of(classes, count);
  LabelRows rows;
  rows.offsets.resize(count + 1);
  rows.classes.resize(count);
  std::size_t filled = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t position = position_of(labels[i]);
    rows.classes[filled] = position;
    filled += position >= 0;
    rows.offsets[i + 1] = static_cast<std::int64_t>(filled);
  }
  rows.classes.resize(filled);
  return rows;
}

}  // namespace vtsearch
