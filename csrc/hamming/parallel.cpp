#include "hamming/parallel.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "simd/kernels.h"

namespace vtsearch {
namespace {

constexpr double poll_interval_s = 0.05;
constexpr std::size_t checks_per_clock = 16;  // a tile takes microseconds, and reading the clock a fraction of one

constexpr double pairs_per_thread = 2e6;          // with fewer pairs, starting a thread costs more than it saves
constexpr std::size_t min_range_items = 1 << 16;  // shorter ranges are not worth a task of their own
constexpr std::size_t tasks_per_thread = 4;       // to balance the load between threads
constexpr std::size_t shared_queries = 64;        // queries of a block that share the cost of transposing codes
constexpr std::size_t range_step = 64;            // ranges begin with a word of a mask

// Joins its thread on destruction, like std::jthread, which libc++ provides by default only since LLVM 20.
class JoiningThread {
 public:
  template <class Function>
  JoiningThread(const Function& function, std::size_t argument) : thread_(function, argument) {}
  JoiningThread(JoiningThread&&) noexcept = default;
  ~JoiningThread() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
};

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Starts work(1) .. work(count): fewer if the system refuses to start more.
template <class Work>
std::vector<JoiningThread> start_threads(const Work& work, std::size_t count) {
  std::vector<JoiningThread> threads;
  try {
    for (std::size_t i = 1; i <= count; ++i) threads.emplace_back(work, i);
  } catch (const std::system_error&) {
  }
  return threads;
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

// Queries per block for about `tasks` blocks: at least `least`, rounded up to whole kernel calls.
std::size_t block_length(std::size_t queries, std::size_t tasks, std::size_t least, std::size_t most) {
  const std::size_t wanted = std::max({divide_up(queries, tasks), least, std::size_t{1}});
  const std::size_t whole_calls = divide_up(wanted, queries_per_call) * queries_per_call;
  return std::min(whole_calls, std::max(most, queries_per_call));
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
                  const std::function<void(std::size_t, CancellationPoint&)>& task) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&](std::size_t thread) {
    CancellationPoint cancellation_point(cancellation, thread);
    try {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i, cancellation_point);
    } catch (...) {
      cancellation.stop();
      const std::lock_guard lock(mutex);
      if (failure == nullptr) failure = std::current_exception();
    }
  };
  {
    const std::vector<JoiningThread> others =
        start_threads(work, std::max<std::size_t>(std::min(threads, count), 1) - 1);
    work(0);
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

Plan plan_work(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries, bool few_ranges) {
  const std::size_t useful = useful_threads(queries, items, threads);
  const std::size_t wanted = useful == 1 ? 1 : useful * tasks_per_thread;
  const std::size_t max_ranges = std::max<std::size_t>(items / min_range_items, 1);
  std::size_t length = block_length(queries, wanted, shared_queries, max_queries);
  if (divide_up(queries, length) * max_ranges < useful) length = block_length(queries, useful, 0, max_queries);
  const std::size_t blocks = std::max<std::size_t>(divide_up(queries, length), 1);
  const std::size_t ranges = std::clamp<std::size_t>(divide_up(few_ranges ? useful : wanted, blocks), 1, max_ranges);
  const std::size_t range_length = divide_up(divide_up(items, ranges), range_step) * range_step;
  return {cut(queries, length), cut(items, std::clamp(range_length, range_step, range_limit)), useful};
}

Plan plan_queries(std::size_t queries, std::size_t items, std::size_t threads, std::size_t max_queries) {
  const std::size_t useful = useful_threads(queries, items, threads);
  const std::size_t tasks = useful == 1 ? 1 : useful * tasks_per_thread;
  return {cut(queries, block_length(queries, tasks, 0, max_queries)), cut(items, range_limit), useful};
}

}  // namespace vtsearch
