#include "hamming/duplicates.h"

#include <algorithm>
#include <span>
#include <vector>

#include "hamming/exact_duplicates.h"
#include "hamming/near_pairs.h"
#include "hamming/substring_duplicates.h"
#include "hamming/union_find.h"

namespace vtsearch {
namespace {

// All pairs (query, item) with item >= query.
struct Piece {
  Range queries;
  Range items;

  double pairs() const {
    const double all = static_cast<double>(queries.count()) * static_cast<double>(items.count());
    const double before = static_cast<double>(queries.begin - items.begin) + static_cast<double>(queries.count()) / 2;
    return items.begin < queries.end ? all - before * static_cast<double>(queries.count()) : all;
  }
};

// Calls visit(piece) for pieces that cover every pair of items once. At most two windows are in use at a time: one of
// queries, and one of items that is the same or a later one.
template <class Visit>
void for_each_piece(std::size_t count, const ReadWindows& windows, Visit&& visit) {
  windows.for_each(0, count, [&](Range queries) {
    windows.for_each(queries.begin, count, [&](Range items) {
      const std::size_t blocks = windows.pairs / items.count() / queries_per_block;
      const std::size_t step = std::max<std::size_t>(blocks, 1) * queries_per_block;
      for (std::size_t begin = queries.begin; begin < queries.end; begin += std::min(step, queries.end - begin)) {
        visit(Piece{{begin, begin + std::min(step, queries.end - begin)}, items});
      }
    });
  });
}

class Progress {
 public:
  Progress(std::size_t items, const ReadWindows& windows)
      : items_(static_cast<double>(items)), pairs_(items_ * items_ / 2), windows_(windows) {}

  void add(const Piece& piece) {
    pairs_done_ += piece.pairs();
    const auto done = static_cast<std::size_t>(items_ * std::min(pairs_done_ / pairs_, 1.0));
    if (done > reported_ && windows_.report) windows_.report(done);
    reported_ = std::max(done, reported_);
  }

 private:
  double items_;
  double pairs_;
  double pairs_done_ = 0.0;
  std::size_t reported_ = 0;
  const ReadWindows& windows_;
};

// A bitmap of the items that are the first with their code; empty if all are.
std::vector<std::uint8_t> distinct_items(std::size_t count, const std::int64_t* first) {
  std::vector<std::uint8_t> bits((count + 7) / 8);
  std::size_t distinct = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_first = first[i] == static_cast<std::int64_t>(i);
    distinct += is_first;
    bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | is_first << (7 - i % 8));
  }
  return distinct == count ? std::vector<std::uint8_t>() : bits;
}

template <class Item>
std::vector<Item> allowed_in(Range range, MaskView mask) {
  std::vector<Item> items;
  items.reserve(range.count());
  for (std::size_t i = range.begin; i < range.end; ++i) {
    if (mask.allows(i)) items.push_back(static_cast<Item>(i));
  }
  return items;
}

class Uniter {
 public:
  Uniter(const Kernels& kernels, CodeView codes, std::size_t radius, MaskView distinct, std::int64_t* representatives)
      : kernels_(kernels), codes_(codes), radius_(radius), distinct_(distinct), groups_(representatives) {}

  void unite(const Piece& piece, std::size_t threads, Cancellation& cancellation) {
    const std::vector<std::size_t> queries = allowed_in<std::size_t>(piece.queries, distinct_);
    const Plan plan = plan_work(queries.size(), piece.items.count(), threads, queries_per_block);
    parallel_for(plan.tasks(), plan.threads, cancellation,
                 [&](std::size_t task, CancellationPoint& cancellation_point) {
                   const Range block = plan.query_block(task), range = plan.range(task);
                   const std::span members = std::span(queries).subspan(block.begin, block.count());
                   const std::size_t begin = std::max(piece.items.begin + range.begin, members.front());
                   const std::size_t end = piece.items.begin + range.end;
                   if (begin < end) unite_block(members, {begin, end}, cancellation_point);
                 });
  }

  UnionFind& groups() { return groups_; }
  void finish() { groups_.flatten(codes_.count); }

 private:
  void unite_block(std::span<const std::size_t> queries, Range range, CancellationPoint& cancellation_point) {
    const std::vector<std::uint8_t> codes = gathered(queries);
    for_each_near_pair(kernels_, {codes.data(), queries.size(), codes_.width}, codes_, distinct_, range, radius_,
                       cancellation_point, [&](std::size_t q, std::size_t item) {
                         groups_.unite(static_cast<std::int64_t>(queries[q]), static_cast<std::int64_t>(item));
                       });
  }

  std::vector<std::uint8_t> gathered(std::span<const std::size_t> items) const {
    std::vector<std::uint8_t> codes;
    codes.reserve(items.size() * codes_.width);
    for (const std::size_t i : items) codes.insert(codes.end(), codes_.code(i), codes_.code(i) + codes_.width);
    return codes;
  }

  const Kernels& kernels_;
  CodeView codes_;
  std::size_t radius_;
  MaskView distinct_;
  UnionFind groups_;
};

// Compares only codes that agree in a substring, if that takes less time; returns whether it did. Their order in memory
// is not that of a file, so that a file that is released window by window is scanned.
bool unite_by_substrings(const Kernels& kernels, CodeView codes, std::size_t radius, MaskView distinct,
                         UnionFind& groups, const ReadWindows& windows, std::size_t threads,
                         Cancellation& cancellation) {
  if (windows.release || codes.count > max_substring_items) return false;
  CancellationPoint cancellation_point(cancellation, 0);
  const std::vector<std::uint32_t> items = allowed_in<std::uint32_t>({0, codes.count}, distinct);
  const SubstringTables tables(codes, radius, items, cancellation_point);
  if (!tables.pay()) return false;
  const auto report = [&](double share) {
    if (windows.report) windows.report(static_cast<std::size_t>(static_cast<double>(codes.count) * share));
  };
  tables.unite(kernels, groups, threads, cancellation, report);
  return true;
}

}  // namespace

void deduplicate(const Kernels& kernels, CodeView codes, std::size_t radius, const ReadWindows& windows,
                 std::size_t threads, Cancellation& cancellation, std::int64_t* representatives) {
  if (radius >= codes.bins() - 1) {
    std::fill_n(representatives, codes.count, 0);
    return;
  }
  find_exact_duplicates(codes, windows, threads, cancellation, representatives);
  if (radius == 0) return;
  const std::vector<std::uint8_t> distinct = distinct_items(codes.count, representatives);
  const MaskView mask{distinct.empty() ? nullptr : distinct.data()};
  Uniter uniter(kernels, codes, radius, mask, representatives);
  if (!unite_by_substrings(kernels, codes, radius, mask, uniter.groups(), windows, threads, cancellation)) {
    Progress progress(codes.count, windows);
    for_each_piece(codes.count, windows, [&](const Piece& piece) {
      uniter.unite(piece, threads, cancellation);
      progress.add(piece);
    });
  }
  uniter.finish();
}

}  // namespace vtsearch
