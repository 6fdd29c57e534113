#include "hamming/parallel.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "hamming/tiles.h"

namespace vtsearch {
namespace {

constexpr double poll_interval_s = 0.05;
constexpr std::size_t checks_per_clock = 16;  // a tile takes microseconds, reading the clock a fraction of one

constexpr double pairs_per_thread = 1e6;         // below this a thread costs more than it brings
constexpr std::size_t shortest_range = 1 << 16;  // items
constexpr std::size_t blocks_per_thread = 4;     // so that a slow thread does not make the others wait

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::size_t divide_up(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}

std::vector<Range> cut(std::size_t count, std::size_t length) {
  std::vector<Range> ranges;
  for (std::size_t begin = 0; begin < count; begin += length)
    ranges.push_back({begin, std::min(begin + length, count)});
  return ranges;
}

std::size_t useful_threads(std::size_t queries, std::size_t items, std::size_t threads) {
  const double pairs = static_cast<double>(queries) * static_cast<double>(items);
  return std::clamp<std::size_t>(static_cast<std::size_t>(pairs / pairs_per_thread), 1,
                                 std::max<std::size_t>(threads, 1));
}

std::size_t block_length(std::size_t queries, std::size_t threads, std::size_t most_queries) {
  const std::size_t wanted = threads == 1 ? queries : divide_up(queries, threads * blocks_per_thread);
  const std::size_t whole_calls = divide_up(std::max<std::size_t>(wanted, 1), queries_per_call) * queries_per_call;
  return std::min(whole_calls, std::max(most_queries, queries_per_call));
}

}  // namespace

void Cancellation::check(bool calling_thread) {
  if (calling_thread && checks_++ % checks_per_clock == 0) {
    const double now = now_s();
    if (last_poll_s_ == 0.0) last_poll_s_ = now;
    if (now - last_poll_s_ >= poll_interval_s) {
      last_poll_s_ = now;
      if (poll_()) stop();
    }
  }
  if (stopped_.load(std::memory_order_relaxed)) throw Cancelled{};
}

void parallel_for(std::size_t count, std::size_t threads, Cancellation& cancellation,
                  const std::function<void(std::size_t, Checkpoint&)>& task) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](std::size_t thread) {
    Checkpoint checkpoint(cancellation, thread);
    try {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i, checkpoint);
    } catch (...) {
      cancellation.stop();
      const std::lock_guard lock(mutex);
      if (failure == nullptr) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(threads, count); ++i) others.emplace_back(work, i);
    work(0);
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

Plan plan_work(std::size_t queries, std::size_t items, std::size_t threads, std::size_t most_queries) {
  Plan plan = plan_queries(queries, items, threads, most_queries);
  const std::size_t pieces = plan.queries.empty() ? 1 : divide_up(plan.threads, plan.queries.size());
  const std::size_t length = std::max(divide_up(items, pieces), shortest_range);
  plan.ranges = cut(items, std::min(length, range_limit));
  return plan;
}

Plan plan_queries(std::size_t queries, std::size_t items, std::size_t threads, std::size_t most_queries) {
  const std::size_t useful = useful_threads(queries, items, threads);
  return {cut(queries, block_length(queries, useful, most_queries)), cut(items, range_limit), useful};
}

}  // namespace vtsearch
