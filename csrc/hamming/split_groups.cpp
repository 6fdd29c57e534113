#include "hamming/split_groups.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "hamming/counting_sort.h"
#include "hamming/diameters.h"
#include "hamming/row_scan.h"

namespace vtsearch {
namespace {

enum class State : std::uint8_t {
  waiting,  // in no group, and near none of the items of the group that grows
  linked,   // near one of them
  gone,     // in a group, or too far from an item of the group that grows
};

// Codes in a fixed order, each with a number and a state; those that are gone are removed from time to time.
class CodeList {
 public:
  explicit CodeList(std::size_t width) : width_(width) {}

  std::size_t count() const { return numbers_.size(); }
  const std::uint8_t* codes() const { return codes_.data(); }
  const std::uint8_t* code(std::size_t i) const { return codes_.data() + i * width_; }
  std::uint32_t number(std::size_t i) const { return numbers_[i]; }
  State state(std::size_t i) const { return states_[i]; }

  std::size_t count(State state) const { return by_state_[static_cast<std::size_t>(state)]; }

  void clear() { *this = CodeList(width_); }

  void append(const std::uint8_t* code, std::uint32_t number, State state) {
    codes_.insert(codes_.end(), code, code + width_);
    numbers_.push_back(number);
    states_.push_back(state);
    ++by_state_[static_cast<std::size_t>(state)];
  }

  void set_state(std::size_t i, State state) {
    --by_state_[static_cast<std::size_t>(states_[i])];
    ++by_state_[static_cast<std::size_t>(state)];
    states_[i] = state;
  }

  // The first one from `i` on with a state.
  std::size_t next(std::size_t i, State state) const {
    return static_cast<std::size_t>(std::find(states_.begin() + static_cast<std::ptrdiff_t>(i), states_.end(), state) -
                                    states_.begin());
  }

  // Removes those that are gone if they are most; returns whether they were.
  bool shrink() {
    if (2 * count(State::gone) <= count()) return false;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count(); ++i) {
      if (states_[i] == State::gone) continue;
      std::copy_n(code(i), width_, codes_.data() + kept * width_);
      numbers_[kept] = numbers_[i];
      states_[kept++] = states_[i];
    }
    codes_.resize(kept * width_);
    numbers_.resize(kept);
    states_.resize(kept);
    by_state_[static_cast<std::size_t>(State::gone)] = 0;
    return true;
  }

 private:
  std::size_t width_;
  std::vector<std::uint8_t> codes_;
  std::vector<std::uint32_t> numbers_;
  std::vector<State> states_;
  std::size_t by_state_[3] = {0, 0, 0};
};

// Splits a group of different codes, in the order of their items.
class GroupSplitter {
 public:
  GroupSplitter(const Kernels& kernels, const GroupCodes& group, std::size_t radius, std::size_t limit)
      : group_(group),
        radius_(radius),
        limit_(limit),
        rows_(kernels, group.view().width, group.count()),
        left_(group.view().width),
        near_(group.view().width),
        inverse_(group.view().width) {}

  // The number of the first code of each code's group. Calls done(codes, pairs) as codes have a group.
  template <class Done>
  std::vector<std::uint32_t> split(CancellationPoint& cancellation_point, Done&& done) {
    std::vector<std::uint32_t> first(group_.count());
    for (std::uint32_t i = 0; i < first.size(); ++i) left_.append(group_.code(i), i, State::waiting);
    for (std::size_t begin = 0; (begin = left_.next(begin, State::waiting)) < left_.count();) {
      const std::uint32_t number = left_.number(begin);
      const std::size_t before = left_.count(State::waiting);
      gather(begin);
      grow(cancellation_point, [&](std::size_t place) {
        first[left_.number(place)] = number;
        left_.set_state(place, State::gone);
      });
      done(before - left_.count(State::waiting), std::exchange(pairs_, 0));
      if (left_.shrink()) begin = 0;
    }
    return first;
  }

 private:
  // Sets `near_` to the codes within the limit of the first one that is left, the nearest ones first; to that one alone
  // if none is within the radius.
  void gather(std::size_t first) {
    find_left(first, std::min(radius_, limit_));
    if (places_.size() > 1) find_left(first, limit_);
    std::vector<std::int32_t> distances(places_.size());
    std::vector<std::uint32_t> places(places_.size());
    sort_by_distance(
        places_.size(), limit_ + 1, places_.size(), [this](std::size_t i) { return distances_[i]; },
        [this](std::size_t i) { return places_[i]; }, distances.data(), places.data());
    near_.clear();
    for (std::size_t i = 0; i < places.size(); ++i) {
      const bool linked = static_cast<std::size_t>(distances[i]) <= radius_;
      near_.append(left_.code(places[i]), places[i], linked ? State::linked : State::waiting);
    }
  }

  // Sets `places_` and `distances_` to those of the codes that are left within a radius of one of them.
  void find_left(std::size_t first, std::size_t radius) {
    const std::size_t found = find(left_.code(first), left_.code(first), left_.count() - first, radius + 1);
    places_.clear();
    distances_.clear();
    for (std::size_t i = 0; i < found; ++i) {
      const std::size_t place = first + rows_.position(i);
      if (left_.state(place) != State::waiting) continue;
      distances_.push_back(rows_.distance(i));
      places_.push_back(static_cast<std::uint32_t>(place));
    }
  }

  // Calls join(place in `left_`) for each code of the group.
  template <class Join>
  void grow(CancellationPoint& cancellation_point, Join&& join) {
    for (std::size_t next = 0; (next = near_.next(next, State::linked)) < near_.count(); cancellation_point()) {
      const std::uint32_t number = left_.number(near_.number(next));
      join(near_.number(next));
      near_.set_state(next, State::gone);
      remove_far(number);
      next = std::min(next, link_near(number));
      if (near_.shrink()) next = 0;
    }
  }

  void remove_far(std::uint32_t number) {
    const std::size_t most = group_.bins() - 1;
    group_.invert(number, inverse_.data());
    const std::size_t found = find(inverse_.data(), near_.codes(), near_.count(), most - limit_);
    for (std::size_t i = 0; i < found; ++i) near_.set_state(rows_.position(i), State::gone);
  }

  // Returns the place of the first one that is newly linked.
  std::size_t link_near(std::uint32_t number) {
    std::size_t first = near_.count();
    if (near_.count(State::waiting) == 0) return first;
    const std::size_t found = find(group_.code(number), near_.codes(), near_.count(), radius_ + 1);
    for (std::size_t i = 0; i < found; ++i) {
      const std::size_t place = rows_.position(i);
      if (near_.state(place) != State::waiting) continue;
      near_.set_state(place, State::linked);
      first = std::min(first, place);
    }
    return first;
  }

  std::size_t find(const std::uint8_t* query, const std::uint8_t* codes, std::size_t count, std::size_t threshold) {
    pairs_ += count;
    return rows_.find(query, codes, count, threshold);
  }

  const GroupCodes& group_;
  std::size_t radius_;
  std::size_t limit_;
  RowScan rows_;
  CodeList left_;  // numbers: of the group
  CodeList near_;  // numbers: places in left_
  std::vector<std::uint8_t> inverse_;
  std::vector<std::uint32_t> places_;     // in left_
  std::vector<std::uint16_t> distances_;  // of these
  std::size_t pairs_ = 0;                 // compared since the last call of done()
};

// Sets the first item of the group of each item of an old group.
void split_group(const Kernels& kernels, GroupReader& reader, std::size_t group, std::span<const std::int64_t> items,
                 std::size_t radius, std::size_t limit, CancellationPoint& cancellation_point,
                 std::int64_t* representatives) {
  GroupCodes codes = reader.read(group, cancellation_point);
  codes.remove_repeats(cancellation_point);
  reader.done(items.size() - codes.count(), 0, cancellation_point);
  const std::vector<std::uint32_t> first =
      GroupSplitter(kernels, codes, radius, limit).split(cancellation_point, [&](std::size_t count, std::size_t pairs) {
        reader.done(count, pairs, cancellation_point);
      });
  std::vector<std::int64_t> first_item(codes.count());
  for (std::size_t i = items.size(); i-- > 0;) first_item[codes.numbers()[i]] = items[i];
  for (std::size_t i = 0; i < items.size(); ++i) representatives[i] = first_item[first[codes.numbers()[i]]];
}

}  // namespace

void split_groups(const Kernels& kernels, GroupReader& reader, const GroupView& groups, std::size_t radius,
                  std::size_t limit, std::size_t threads, Cancellation& cancellation, std::int64_t* representatives) {
  CancellationPoint here(cancellation, 0);
  std::vector<std::int64_t> found(groups.count);
  diameters(kernels, reader, groups, limit, threads, cancellation, found.data());
  std::vector<std::size_t> beyond;
  for (std::size_t g = 0; g < groups.count; ++g) {
    if (static_cast<std::size_t>(found[g]) > limit) {
      beyond.push_back(g);
    } else if (groups.size(g) > 0) {
      std::fill_n(representatives + groups.begin(g), groups.size(g), groups[g].front());
      reader.done(groups.size(g), 0, here);
    }
  }
  parallel_for(beyond.size(), threads, cancellation, [&](std::size_t i, CancellationPoint& cancellation_point) {
    split_group(kernels, reader, beyond[i], groups[beyond[i]], radius, limit, cancellation_point,
                representatives + groups.begin(beyond[i]));
  });
}

}  // namespace vtsearch
