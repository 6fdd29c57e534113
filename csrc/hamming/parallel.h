// Threads, cancellation, and the partition of work into tasks. No other file starts threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "codes.h"

namespace vtsearch {

// Thrown by a computation after its caller has cancelled it.
struct Cancelled {};

// Cancels a running computation as soon as `poll` returns true. Only the calling thread polls, a few times a second.
class Cancellation {
 public:
  explicit Cancellation(std::function<bool()> poll) : poll_(std::move(poll)) {}

  // Throws Cancelled if the computation should stop. Call it between tiles.
  void check(bool calling_thread);
  void stop() { stopped_.store(true, std::memory_order_relaxed); }

 private:
  std::function<bool()> poll_;
  std::atomic<bool> stopped_{false};
  std::size_t checks_ = 0;
  double last_poll_s_ = 0.0;
};

// Passed to each task; call it between tiles to poll for cancellation.
class CancellationPoint {
 public:
  CancellationPoint(Cancellation& cancellation, std::size_t thread) : cancellation_(cancellation), thread_(thread) {}
  void operator()() { cancellation_.check(thread_ == 0); }

  // The number of the thread: 0 for the calling one, less than `threads` for all.
  std::size_t thread() const { return thread_; }

 private:
  Cancellation& cancellation_;
  std::size_t thread_;
};

// Runs task(0) .. task(count - 1) on up to `threads` threads including this one, on fewer where the system starts no
// more; rethrows the first exception.
void parallel_for(std::size_t count, std::size_t threads, Cancellation& cancellation,
                  const std::function<void(std::size_t task, CancellationPoint& cancellation_point)>& task);

// Default limit on the queries of a block: their state fits the second-level cache, and a tile takes short enough for a
// quick response to Ctrl-C.
inline constexpr std::size_t queries_per_block = 512;

// A partition of queries x database into blocks of queries and ranges of the database; each combination is a task.
struct Plan {
  std::vector<Range> queries;
  std::vector<Range> ranges;
  std::size_t threads;

  std::size_t tasks() const { return queries.size() * ranges.size(); }
  Range query_block(std::size_t task) const { return queries[task / ranges.size()]; }
  std::size_t range_number(std::size_t task) const { return task % ranges.size(); }
  Range range(std::size_t task) const { return ranges[range_number(task)]; }
};

// Ranges begin at multiples of 64. Splits the queries first, as long as blocks stay large enough, then the database. A
// small problem gets one thread. A block has at most `max_queries` queries. Where results of ranges have to be merged,
// fewer of them take less time, of which `few_ranges` makes one for each thread.
Plan plan_work(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries,
               bool few_ranges = false);

// Runs of `count` parts that have about `least` items together, one after the other.
template <class Size>
std::vector<Range> runs_of(std::size_t count, std::size_t least, Size&& size) {
  std::vector<Range> runs;
  for (std::size_t i = 0, begin = 0, items = 0; i < count; ++i) {
    items += size(i);
    if (items < least && i + 1 < count) continue;
    runs.push_back({begin, i + 1});
    begin = i + 1;
    items = 0;
  }
  return runs;
}

// Like plan_work, but splits the database only at range_limit, for results that depend on the order of all items.
Plan plan_queries(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries);

}  // namespace vtsearch
