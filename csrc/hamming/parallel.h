// Threads: the only place that starts them.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "codes.h"

namespace vtsearch {

// Thrown by a computation whose caller asked it to stop.
struct Cancelled {};

// How a running computation learns that it should stop. `poll` is called by the calling thread alone, a few times a
// second.
class Cancellation {
 public:
  explicit Cancellation(std::function<bool()> poll) : poll_(std::move(poll)) {}

  // To be called between tiles; throws Cancelled.
  void check(bool calling_thread);
  void stop() { stopped_.store(true, std::memory_order_relaxed); }

 private:
  std::function<bool()> poll_;
  std::atomic<bool> stopped_{false};
  std::size_t checks_ = 0;
  double last_poll_s_ = 0.0;
};

// What a task is given: to call between tiles, and to know which thread it runs on.
class CancellationPoint {
 public:
  CancellationPoint(Cancellation& cancellation, std::size_t thread) : cancellation_(cancellation), thread_(thread) {}
  void operator()() { cancellation_.check(thread_ == 0); }

  // 0 for the calling thread, below the number of threads for all.
  std::size_t thread() const { return thread_; }

 private:
  Cancellation& cancellation_;
  std::size_t thread_;
};

// Runs task(0) .. task(count - 1) on up to `threads` threads, this one among them; rethrows the first exception.
void parallel_for(std::size_t count, std::size_t threads, Cancellation& cancellation,
                  const std::function<void(std::size_t task, CancellationPoint& cancellation_point)>& task);

// Queries of a block where nothing else limits them: what they keep stays in the second-level cache, and the time that
// one tile takes stays short enough to answer Ctrl-C.
inline constexpr std::size_t queries_per_block = 512;

// Work over queries x database, cut into blocks of queries and ranges of the database.
struct Plan {
  std::vector<Range> queries;
  std::vector<Range> ranges;
  std::size_t threads;

  std::size_t tasks() const { return queries.size() * ranges.size(); }
  Range query_block(std::size_t task) const { return queries[task / ranges.size()]; }
  std::size_t range_number(std::size_t task) const { return task % ranges.size(); }
  Range range(std::size_t task) const { return ranges[range_number(task)]; }
};

// Cuts queries first, as long as enough of them stay together, then the database. Small work gets one thread. A block
// has at most `max_queries`.
Plan plan_work(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries);

// As plan_work, with the database in one range (at most range_limit long) where the order of all items matters.
Plan plan_queries(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries);

}  // namespace vtsearch
