#include "hamming/multi_index.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <span>

#include "hamming/candidates.h"
#include "hamming/key_probes.h"
#include "hamming/nearest_found.h"
#include "hamming/padding.h"

namespace vtsearch {
namespace {

constexpr std::size_t queries_per_task = 16;

// Nanoseconds, measured with AVX-512, where a scan is fastest and tables pay least: those of tables are of an index in
// no cache, those of a scan the least ones.
constexpr double query_ns = 500.0;         // whatever the query
constexpr double step_ns = 100.0;          // whatever the step
constexpr double key_ns = 16.0;            // to look up a key
constexpr double bucket_ns = 60.0;         // to go to a bucket that is not empty
constexpr double copied_byte_ns = 0.1;     // of codes next to each other
constexpr double gathered_code_ns = 16.0;  // of a code somewhere in the database
constexpr double kept_ns = 40.0;           // to keep one of the nearest
constexpr double found_ns = 7.0;           // for an item within a radius, more than in a scan
constexpr double repeated_ns = 5.0;        // each time that it is found again
constexpr double few_byte_ns = 0.0125;     // of a scan, for each of a few queries,
constexpr double memory_byte_ns = 0.027;   // and once, if the codes come from memory
constexpr double many_byte_ns = 0.0032;    // for each of many queries,
constexpr double sliced_byte_ns = 0.094;   // and once, to lay the codes out for them
constexpr double mask_byte_ns = 0.04;
constexpr std::size_t many_queries = 9;
constexpr double cached_bytes = 4e6;     // a scan of fewer is not limited by memory
constexpr double least_scan_ns = 200e3;  // a shorter one is over before tables are of use

// Parts of the time of a scan that a search may take: before it is known to end; together with the keys that are looked
// up to find out whether it will; if it will; and for more items within a radius than a scan finds in the same time.
constexpr double explored_share = 0.03;
constexpr double lookup_share = 0.045;
constexpr double committed_share = 0.6;
constexpr double surplus_share = 0.06;

// Part of the time of a scan for all that searches which go on, and a scan for the other queries, may take together.
constexpr double cheaper_share = 0.9;

// Part of the queries of a batch, at most, that a scan may answer beside tables: to join lists copies all of them.
constexpr double most_rows_left = 1.0;
constexpr double most_lists_left = 0.3;

// About the part of the items that a mask allows.
double allowed_share(MaskView mask, std::size_t items) {
  constexpr std::size_t sampled = 64;
  if (mask.data == nullptr || items < sampled) return 1.0;
  const std::size_t step = items / sampled;
  std::size_t allowed = 0;
  for (std::size_t i = 0; i < sampled; ++i) allowed += mask.allows(i * step + i * 2654435761u % step);
  return static_cast<double>(allowed + 1) / static_cast<double>(sampled);
}

// The least times of scans of an index under a mask.
class ScanTimes {
 public:
  ScanTimes(const MultiIndexView& index, MaskView mask, std::size_t threads)
      : bytes_(static_cast<double>(index.items * padded_width(index.width))),
        share_(std::min(1.0, 3.0 * allowed_share(mask, index.items))),
        mask_ns_(mask.data == nullptr ? 0.0 : static_cast<double>(index.items) / 8 * mask_byte_ns),
        threads_(static_cast<double>(threads)) {}

  // Of one scan for so many queries, in nanoseconds of one thread; of none, no time.
  double operator()(std::size_t queries) const {
    if (queries == 0) return 0.0;
    const auto count = static_cast<double>(queries);
    const double few = count * few_byte_ns + (bytes_ < cached_bytes ? 0.0 : memory_byte_ns);
    const double time = queries < many_queries ? few : sliced_byte_ns + count * many_byte_ns;
    return bytes_ * time * share_ + mask_ns_;
  }

  // Of each of the queries, if other threads take their part of a query.
  double of_query(std::size_t queries) const {
    const auto count = static_cast<double>(queries);
    return (*this)(queries) / std::max(count, threads_);
  }

 private:
  double bytes_;
  double share_;
  double mask_ns_;
  double threads_;
};

// What became of a query that has been explored: its search is finished, or would take this time, or too much.
struct Outcome {
  TableSearch search;
  double wanted_ns;
};

constexpr double too_much = std::numeric_limits<double>::infinity();

// The searches of one thread, one after the other.
class Searcher {
 public:
  Searcher(const Kernels& kernels, const MultiIndexView& index, MaskView mask)
      : index_(index),
        mask_(mask),
        item_ns_(index.codes == nullptr ? copied_byte_ns * static_cast<double>(padded_width(index.width))
                                        : gathered_code_ns),
        candidates_(kernels, index) {
    for (const TabledItems& part : index.parts) probes_.emplace_back(part.tables, part.count);
  }

  // Finds the k nearest items of a query. One that takes longer than exploring is only searched to its end if it
  // `may_commit`.
  Outcome nearest(const std::uint8_t* query, std::size_t k, bool may_commit, CancellationPoint& cancellation_point) {
    const auto never = [] { return false; };
    start(query, k, bins());
    for (std::size_t step = 0; k > 0 && step <= bins(); ++step, cancellation_point()) {
      if (found_.full() && found_.threshold() <= step) return finished();
      if (!affordable(step, step + 1, explored_share)) {
        if (!found_.full() || !affordable(step, found_.threshold(), committed_share)) break;
        if (!may_commit) return {search_, spent_ns_ + time_of_buckets(step, found_.threshold())};
        for (; step < found_.threshold(); ++step, cancellation_point()) search(step, never);
        return finished();
      }
      search(step, never);
    }
    return {search_, too_much};
  }

  // The same for all items within a radius. Their number is not known before; most of them are in the first steps,
  // which have the nearest keys.
  Outcome within(const std::uint8_t* query, std::size_t radius, bool may_commit,
                 CancellationPoint& cancellation_point) {
    start(query, unlimited, radius + 1);
    if (!affordable(0, radius + 1, committed_share)) return {search_, too_much};
    const double all = time_of_buckets(0, radius + 1);
    if (!may_commit && spent_ns_ + all > explored_share * scan_ns_) return {search_, spent_ns_ + all};
    for (std::size_t step = 0; step <= radius; ++step, cancellation_point()) {
      const double left = time_of_buckets(step, radius + 1);
      const auto stop = [&, this] {
        const auto found = static_cast<double>(found_.count()), repeated = static_cast<double>(repeated_);
        const double surplus = found * found_ns + repeated * repeated_ns;
        if (surplus < surplus_share * scan_ns_) return false;
        return left == all || left + surplus * left / (all - left) > scan_ns_;  // that are still to come
      };
      if (!search(step, stop)) return {search_, too_much};
    }
    return finished();
  }

  NearestFound& found() { return found_; }

  // The time of a scan for each query, in nanoseconds.
  void set_scan(double time) { scan_ns_ = time; }

 private:
  // The buckets that a step searches, part by part.
  struct Step {
    std::vector<Bucket> buckets;
    std::vector<std::size_t> ends;  // of those of each part
    std::size_t items = 0;
  };

  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  std::size_t bins() const { return 8 * index_.width + 1; }

  void start(const std::uint8_t* query, std::size_t k, std::size_t threshold) {
    for (KeyProbes& probes : probes_) probes.start(query);
    candidates_.start(query);
    found_.start(k, threshold);
    wanted_ = k == unlimited ? 0 : k;
    search_ = {0, 0, 0, -1};
    spent_ns_ = query_ns;
    repeated_ = 0;
    planned_ = 0;
  }

  Outcome finished() {
    search_.finished = 1;
    return {search_, 0.0};
  }

  // Whether steps first .. last - 1, of which the first is the next one, end within a part of the time of a scan. Their
  // keys are looked up, unless these alone or buckets of the mean size take too long.
  bool affordable(std::size_t first, std::size_t last, double share) {
    double lookups = spent_ns_, mean = 0.0;
    for (std::size_t step = std::max(first, planned_); step < last; ++step) {
      lookups += time_of_keys(step);
      mean += mean_time_of_items(step);
    }
    if (lookups > lookup_share * scan_ns_ || lookups + mean > share * scan_ns_) return false;
    while (planned_ < last) {
      plan(planned_);
      if (spent_ns_ + time_of_buckets(first, planned_) > share * scan_ns_) return false;
    }
    return spent_ns_ + time_of_buckets(first, last) <= share * scan_ns_;
  }

  double keys(std::size_t step) const {
    double sum = 0.0;
    for (const KeyProbes& probes : probes_) sum += probes.keys(step);
    return sum;
  }

  double time_of_keys(std::size_t step) const {
    return static_cast<double>(probes_.size()) * step_ns + keys(step) * key_ns;
  }

  double mean_time_of_items(std::size_t step) const {
    double items = 0.0;
    for (const KeyProbes& probes : probes_) {
      const double share = probes.keys(step) / static_cast<double>(probes.table(step).part.buckets());
      items += static_cast<double>(probes.items()) * share;
    }
    return items * item_ns_;
  }

  // Of steps first .. last - 1, whose keys have been looked up.
  double time_of_buckets(std::size_t first, std::size_t last) const {
    double buckets = 0.0, items = 0.0;
    for (std::size_t step = first; step < last; ++step) {
      buckets += static_cast<double>(steps_[step].buckets.size());
      items += static_cast<double>(steps_[step].items);
    }
    return buckets * bucket_ns + items * item_ns_ + kept(items) * kept_ns;
  }

  // About how many of the next items will be among the nearest so far.
  double kept(double items) const {
    const auto wanted = static_cast<double>(wanted_), before = static_cast<double>(search_.candidates);
    return std::min(items, found_.full() ? wanted * items / before : 2.0 * wanted);
  }

  void plan(std::size_t step) {
    if (steps_.size() == step) steps_.emplace_back();
    Step& planned = steps_[step];
    planned.buckets.clear();
    planned.ends.clear();
    planned.items = 0;
    for (KeyProbes& probes : probes_) {
      planned.items += probes.append(step, planned.buckets);
      planned.ends.push_back(planned.buckets.size());
    }
    search_.keys += static_cast<std::int64_t>(keys(step));
    spent_ns_ += time_of_keys(step);
    ++planned_;
  }

  // Compares the items of a step with the query. Returns false if stop() has ended that.
  template <class Stop>
  bool search(std::size_t step, Stop&& stop) {
    spent_ns_ += time_of_buckets(step, step + 1);
    search_.candidates += static_cast<std::int64_t>(steps_[step].items);
    search_.radius = static_cast<std::int64_t>(step);
    for (std::size_t p = 0, begin = 0; p < probes_.size(); begin = steps_[step].ends[p++]) {
      const std::span<const Bucket> buckets(steps_[step].buckets.data() + begin, steps_[step].ends[p] - begin);
      if (!buckets.empty() && !search(step, p, buckets, stop)) return false;
    }
    return true;
  }

  template <class Stop>
  bool search(std::size_t step, std::size_t part, std::span<const Bucket> buckets, Stop&& stop) {
    KeyProbes& probes = probes_[part];
    const auto first = static_cast<std::uint32_t>(index_.parts[part].first);
    probes.enter(step);
    return candidates_.compare(
        probes.table(step), buckets, first, found_,
        [&](std::uint32_t number, const std::uint8_t* code, std::size_t distance) {
          const std::uint32_t item = first + number;
          if (!found_.accepts(item, distance) || number >= probes.items() || !mask_.allows(item)) return;
          if (probes.seen_before(code)) {
            ++repeated_;
          } else {
            found_.add(item, distance);
          }
        },
        stop);
  }

  const MultiIndexView& index_;
  MaskView mask_;
  double scan_ns_ = 0.0;
  double item_ns_;
  std::vector<KeyProbes> probes_;  // by part
  Candidates candidates_;
  NearestFound found_;
  TableSearch search_{};
  std::size_t wanted_ = 0;    // items, if their number is limited
  std::size_t repeated_ = 0;  // items that have been found again
  double spent_ns_ = 0.0;
  std::size_t planned_ = 0;  // steps
  std::vector<Step> steps_;
};

// The searches of a batch: `search(searcher, q, may_commit, cancellation_point)` gives the outcome of query q.
template <class Search>
class Batch {
 public:
  Batch(const Kernels& kernels, const MultiIndexView& index, MaskView mask, double most_left, std::size_t threads,
        Search search, TableSearch* work)
      : kernels_(kernels),
        index_(index),
        mask_(mask),
        most_left_(most_left),
        threads_(threads),
        search_(std::move(search)),
        work_(work),
        scan_ns_(index, mask, threads),
        searchers_(threads) {}

  // Searches for queries 0 .. count - 1; returns how many are not finished: all, if more are left than a scan may
  // answer beside tables. If few are left, a scan takes longer for each of them than in the whole batch, and so may
  // tables: they are searched again.
  std::size_t run(std::size_t count, Cancellation& cancellation) {
    constexpr std::size_t few_share = 4;
    const auto most = static_cast<std::size_t>(most_left_ * static_cast<double>(count));
    std::vector<std::size_t> left = start(count);
    for (std::size_t searched = 0; !left.empty() && (searched == 0 || few_share * left.size() <= searched);) {
      if (scan_ns_(left.size()) < least_scan_ns) break;
      searched = left.size();
      search_all(left, scan_ns_.of_query(searched), false, cancellation);
      const auto is_finished = [this](std::size_t q) { return work_[q].finished != 0; };
      std::erase_if(left, is_finished);
      const std::vector<std::size_t> chosen = worth_committing(left, most);
      search_all(chosen, scan_ns_.of_query(searched), true, cancellation);
      std::erase_if(left, is_finished);
    }
    if (left.size() <= most) return left.size();
    for (std::size_t q = 0; q < count; ++q) work_[q].finished = 0;
    return count;
  }

  // Searches for all queries to the end, whatever it takes.
  void run_to_end(std::size_t count, Cancellation& cancellation) {
    search_all(start(count), std::numeric_limits<double>::infinity(), true, cancellation);
  }

 private:
  // All queries, none of which has been searched for.
  std::vector<std::size_t> start(std::size_t count) {
    std::fill_n(work_, count, TableSearch{0, 0, 0, -1});
    wanted_ns_.assign(count, too_much);
    std::vector<std::size_t> all(count);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }

  void search_all(const std::vector<std::size_t>& queries, double scan, bool may_commit, Cancellation& cancellation) {
    const std::size_t tasks = (queries.size() + queries_per_task - 1) / queries_per_task;
    parallel_for(tasks, threads_, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
      std::unique_ptr<Searcher>& searcher = searchers_[cancellation_point.thread()];
      if (!searcher) searcher = std::make_unique<Searcher>(kernels_, index_, mask_);
      searcher->set_scan(scan);
      const std::size_t end = std::min((task + 1) * queries_per_task, queries.size());
      for (std::size_t i = task * queries_per_task; i < end; ++i, cancellation_point()) {
        const Outcome outcome = search_(*searcher, queries[i], may_commit, cancellation_point);
        work_[queries[i]] = outcome.search;
        wanted_ns_[queries[i]] = outcome.wanted_ns;
      }
    });
  }

  // Of the queries that are left, those whose searches would end, if all of them and a scan for the others, `most` of
  // them, take less time than a scan for all.
  std::vector<std::size_t> worth_committing(const std::vector<std::size_t>& left, std::size_t most) const {
    std::vector<std::size_t> chosen;
    double time = 0.0;
    for (const std::size_t q : left) {
      if (wanted_ns_[q] == too_much) continue;
      chosen.push_back(q);
      time += wanted_ns_[q];
    }
    const std::size_t others = left.size() - chosen.size();
    const bool is_cheaper = time + scan_ns_(others) < cheaper_share * scan_ns_(left.size());
    return others <= most && is_cheaper ? chosen : std::vector<std::size_t>();
  }

  const Kernels& kernels_;
  const MultiIndexView& index_;
  MaskView mask_;
  double most_left_;
  std::size_t threads_;
  Search search_;
  TableSearch* work_;
  ScanTimes scan_ns_;
  std::vector<std::unique_ptr<Searcher>> searchers_;  // by thread
  std::vector<double> wanted_ns_;                     // by query
};

template <class Search>
std::size_t search_batch(const Kernels& kernels, std::size_t queries, const MultiIndexView& index, MaskView mask,
                         double most_left, bool may_scan, std::size_t threads, Cancellation& cancellation,
                         TableSearch* work, Search search) {
  Batch batch(kernels, index, mask, most_left, threads, std::move(search), work);
  if (may_scan) return batch.run(queries, cancellation);
  batch.run_to_end(queries, cancellation);
  return static_cast<std::size_t>(std::count_if(work, work + queries, [](auto each) { return each.finished == 0; }));
}

}  // namespace

std::size_t rank_by_tables(const Kernels& kernels, CodeView queries, const MultiIndexView& index, std::size_t k,
                           MaskView mask, bool may_scan, std::size_t threads, Cancellation& cancellation,
                           std::int32_t* distances, std::int64_t* indices, TableSearch* work) {
  const auto search = [=](Searcher& searcher, std::size_t q, bool may_commit, CancellationPoint& cancellation_point) {
    const Outcome outcome = searcher.nearest(queries.code(q), k, may_commit, cancellation_point);
    if (outcome.search.finished) searcher.found().write(distances + q * k, indices + q * k);
    return outcome;
  };
  return search_batch(kernels, queries.count, index, mask, most_rows_left, may_scan, threads, cancellation, work,
                      search);
}

std::size_t within_by_tables(const Kernels& kernels, CodeView queries, const MultiIndexView& index, std::size_t radius,
                             MaskView mask, bool may_scan, std::size_t threads, Cancellation& cancellation,
                             Neighbors& neighbors, TableSearch* work) {
  struct List {
    std::vector<std::int32_t> distances;
    std::vector<std::int64_t> indices;
  };
  std::vector<List> lists(queries.count);
  const List none;
  const auto search = [&lists, queries, radius](Searcher& searcher, std::size_t q, bool may_commit,
                                                CancellationPoint& cancellation_point) {
    const Outcome outcome = searcher.within(queries.code(q), radius, may_commit, cancellation_point);
    if (!outcome.search.finished) return outcome;
    lists[q].distances.resize(searcher.found().count());
    lists[q].indices.resize(searcher.found().count());
    searcher.found().write(lists[q].distances.data(), lists[q].indices.data());
    return outcome;
  };
  const std::size_t left =
      search_batch(kernels, queries.count, index, mask, most_lists_left, may_scan, threads, cancellation, work, search);
  neighbors.offsets.push_back(0);
  for (std::size_t q = 0; q < queries.count; ++q) {
    const List& list = work[q].finished != 0 ? lists[q] : none;
    neighbors.offsets.push_back(neighbors.offsets.back() + static_cast<std::int64_t>(list.indices.size()));
    neighbors.distances.insert(neighbors.distances.end(), list.distances.begin(), list.distances.end());
    neighbors.indices.insert(neighbors.indices.end(), list.indices.begin(), list.indices.end());
  }
  return left;
}

}  // namespace vtsearch
