#include "checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "hamming/average_precision_by_index.h"
#include "hamming/diameters.h"
#include "hamming/distances.h"
#include "hamming/duplicates.h"
#include "hamming/gain_histograms.h"
#include "hamming/group_codes.h"
#include "hamming/histogram.h"
#include "hamming/multi_index.h"
#include "hamming/nearest_below.h"
#include "hamming/padding.h"
#include "hamming/parallel.h"
#include "hamming/rank.h"
#include "hamming/relevance_histograms.h"
#include "hamming/split_groups.h"
#include "hamming/within.h"

namespace vtsearch {
namespace {

// One call of each operation on one problem.
struct Call {
  const Kernels& kernels;
  const Problem& problem;
  const Options& options;
  Cancellation& cancellation;

  // Prints the operation that differs and the parameters to reproduce it, and aborts.
  void require(bool holds, const char* operation) const {
    if (holds) return;
    const Shape& shape = problem.shape;
    std::fprintf(
        stderr,
        "%s (%s) differs from the oracle: width %zu, %zu queries, %zu items, kind %d, mask %d, weights %d, classes "
        "%zu, max labels %zu, seed %llu, k %zu, radius %zu, normalizer %d, threads %zu\n",
        operation, kernels.name, shape.width, shape.queries, shape.items, static_cast<int>(shape.kind),
        static_cast<int>(shape.mask), static_cast<int>(shape.weights), shape.classes, shape.max_labels,
        static_cast<unsigned long long>(shape.seed), options.k, options.radius, static_cast<int>(options.normalizer),
        options.threads);
    std::abort();
  }
};

template <class T>
bool equal(const Fenced<T>& actual, const std::vector<T>& expected) {
  return actual.size() == expected.size() && std::equal(expected.begin(), expected.end(), actual.data());
}

void check_rank(const Call& call, const Answers& answers) {
  const Problem& problem = call.problem;
  const CodeView database = problem.database_view();
  const std::size_t columns = rank_columns(database, call.options.k, problem.masks());
  Fenced<std::int32_t> distances(problem.shape.queries * columns, -1);
  Fenced<std::int64_t> indices(problem.shape.queries * columns, -1);
  rank(call.kernels, problem.query_view(), database, columns, problem.masks(), call.options.threads, call.cancellation,
       distances.data(), indices.data());
  for (std::size_t q = 0; q < problem.shape.queries; ++q) {
    const std::vector<Found>& expected = answers.rankings[q];
    const std::size_t most = problem.masks().by_query() ? problem.shape.items : expected.size();
    call.require(columns == std::min(call.options.k, most), "rank_columns");
    for (std::size_t i = 0; i < columns; ++i) {
      const Found none{static_cast<std::int32_t>(problem.query_view().beyond()), 0};
      const std::size_t place = q * columns + i;
      call.require(Found{distances.data()[place], indices.data()[place]} == (i < expected.size() ? expected[i] : none),
                   "rank");
    }
  }
}

// The neighbors within a radius, query after query.
void require_within(const Call& call, const Answers& answers, const Neighbors& found) {
  call.require(found.offsets.size() == call.problem.shape.queries + 1 && found.offsets[0] == 0, "within's offsets");
  std::size_t place = 0;
  for (std::size_t q = 0; q < call.problem.shape.queries; ++q) {
    for (const Found& expected : answers.rankings[q]) {
      if (static_cast<std::size_t>(expected.distance) > call.options.radius) break;
      call.require(place < found.indices.size() && place < found.distances.size(), "within's length");
      call.require(Found{found.distances[place], found.indices[place]} == expected, "within");
      ++place;
    }
    call.require(static_cast<std::size_t>(found.offsets[q + 1]) == place, "within's offsets");
  }
  call.require(found.indices.size() == place && found.distances.size() == place, "within's length");
}

void check_within(const Call& call, const Answers& answers) {
  const Problem& problem = call.problem;
  const Neighbors found = within(call.kernels, problem.query_view(), problem.database_view(), call.options.radius,
                                 problem.masks(), call.options.threads, call.cancellation);
  require_within(call, answers, found);
}

// The tables of a database: of one part with or without copies of the codes, or of two with copies.
class Tables {
 public:
  explicit Tables(const Call& call) : codes_(call.problem.database_view()) {
    constexpr std::size_t most_tables = 5;
    const std::uint64_t seed = call.problem.shape.seed;
    const bool copies = seed % 2 == 0;
    index = {codes_.count, codes_.width, {}, copies ? nullptr : codes_.data};
    const std::size_t split = copies && seed % 3 == 0 ? codes_.count / 3 : 0;
    if (split != 0) add(call, {0, split}, 1 + seed % 4);
    add(call, {split, codes_.count}, 1 + seed % most_tables);
  }

  MultiIndexView index;

 private:
  void add(const Call& call, Range range, std::size_t tables) {
    constexpr unsigned most_key_bits = 6;
    const std::size_t bits = 8 * codes_.width, padded = padded_width(codes_.width), count = range.end - range.begin;
    const bool copies = index.codes == nullptr;
    TabledItems& part = index.parts.emplace_back(TabledItems{range.begin, count, {}});
    CancellationPoint here(call.cancellation, 0);
    for (const Substring& substring : partition(codes_.width, bits, tables, most_key_bits)) {
      Fenced<std::uint32_t>& begins = begins_.emplace_back(substring.buckets() + 1);
      Fenced<std::uint32_t>& items = items_.emplace_back(count);
      Fenced<std::uint8_t>& codes = copies_.emplace_back(copies ? count * padded : 0);
      const std::size_t half = range.begin + count / 2;
      build_table({codes_.part({range.begin, half}), codes_.part({half, range.end})}, substring, here, begins.data(),
                  items.data(), copies ? codes.data() : nullptr);
      part.tables.push_back({substring, begins.data(), items.data(), copies ? codes.data() : nullptr});
    }
  }

  CodeView codes_;
  std::vector<Fenced<std::uint32_t>> begins_;
  std::vector<Fenced<std::uint32_t>> items_;
  std::vector<Fenced<std::uint8_t>> copies_;
};

void check_tables(const Call& call, const Answers& answers) {
  const Problem& problem = call.problem;
  if (problem.masks().by_query() || problem.shape.weights != WeightKind::none) return;  // of one mask
  const MaskView mask = problem.masks().shared();
  const Tables tables(call);
  const std::size_t columns = rank_columns(problem.database_view(), call.options.k, {mask});
  Fenced<std::int32_t> distances(problem.shape.queries * columns, -1);
  Fenced<std::int64_t> indices(problem.shape.queries * columns, -1);
  std::vector<TableSearch> work(problem.shape.queries);
  const std::size_t left =
      rank_by_tables(call.kernels, problem.query_view(), tables.index, columns, mask, false, call.options.threads,
                     call.cancellation, distances.data(), indices.data(), work.data());
  call.require(left == (columns == 0 ? problem.shape.queries : 0), "rank_by_tables' queries that are left");
  for (std::size_t q = 0; q < problem.shape.queries; ++q) {
    for (std::size_t i = 0; i < columns; ++i) {
      const Found found{distances.data()[q * columns + i], indices.data()[q * columns + i]};
      call.require(found == answers.rankings[q][i], "rank_by_tables");
    }
  }
  Neighbors found;
  const std::size_t reach = std::min(call.options.radius, 8 * problem.shape.width);
  within_by_tables(call.kernels, problem.query_view(), tables.index, reach, mask, false, call.options.threads,
                   call.cancellation, found, work.data());
  require_within(call, answers, found);
}

void check_count_within(const Call& call, const Answers& answers) {
  const Problem& problem = call.problem;
  Fenced<std::int64_t> counts(problem.shape.queries);
  count_within(call.kernels, problem.query_view(), problem.database_view(), call.options.radius, problem.masks(),
               call.options.threads, call.cancellation, counts.data());
  for (std::size_t q = 0; q < problem.shape.queries; ++q) {
    const auto is_near = [&](const Found& found) {
      return static_cast<std::size_t>(found.distance) <= call.options.radius;
    };
    const auto expected = std::count_if(answers.rankings[q].begin(), answers.rankings[q].end(), is_near);
    call.require(counts.data()[q] == expected, "count_within");
  }
}

// For queries of different limits, the largest of which is the radius, from a few tables and from a scan.
void check_nearest_below(const Call& call, const Answers& answers) {
  constexpr std::size_t most_tables = 20;
  const Problem& problem = call.problem;
  if (problem.shape.weights != WeightKind::none) return;  // of codes alone
  const std::size_t queries = problem.shape.queries, items = problem.shape.items;
  const std::size_t most = std::min(call.options.radius + 1, answers.bins);
  for (const bool may_scan : {false, true}) {
    if (!may_scan && most > most_tables) continue;
    Fenced<std::int32_t> distances(queries);
    Fenced<std::int64_t> indices(queries, -2);
    for (std::size_t q = 0; q < queries; ++q)
      distances.data()[q] = static_cast<std::int32_t>(most - most * q / queries);
    const std::vector<std::int32_t> limits(distances.begin(), distances.begin() + queries);
    nearest_below(call.kernels, problem.query_view(), problem.database_view(), may_scan, call.options.threads,
                  call.cancellation, distances.data(), indices.data());
    for (std::size_t q = 0; q < queries; ++q) {
      const auto begin = answers.distances.begin() + static_cast<std::ptrdiff_t>(q * items);
      const auto nearest = std::min_element(begin, begin + static_cast<std::ptrdiff_t>(items));
      const bool is_found = items > 0 && *nearest < limits[q];
      call.require(indices.data()[q] == (is_found ? nearest - begin : -1), "nearest_below's index");
      call.require(distances.data()[q] == (is_found ? *nearest : limits[q]), "nearest_below's distance");
    }
  }
}

// The items of all groups, given the smallest item of each item's group.
struct Members {
  Fenced<std::int64_t> items;
  Fenced<std::int64_t> offsets;

  explicit Members(const std::vector<std::int64_t>& groups) : items(groups.size()), offsets(count_of(groups) + 1) {
    std::size_t group = 0, place = 0;
    for (std::size_t first = 0; first < groups.size(); ++first) {
      if (groups[first] != static_cast<std::int64_t>(first)) continue;
      for (std::size_t i = first; i < groups.size(); ++i) {
        if (groups[i] == groups[first]) items.data()[place++] = static_cast<std::int64_t>(i);
      }
      offsets.data()[++group] = static_cast<std::int64_t>(place);
    }
  }

  GroupView view() const { return {items.data(), offsets.data(), offsets.size() - 1}; }

 private:
  static std::size_t count_of(const std::vector<std::int64_t>& groups) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < groups.size(); ++i) count += groups[i] == static_cast<std::int64_t>(i);
    return count;
  }
};

void check_diameters(const Call& call, const ReadWindows& windows, const std::vector<std::int64_t>& groups) {
  const Members members(groups);
  const GroupView view = members.view();
  GroupReader reader(call.problem.database_view(), view, windows);
  Fenced<std::int64_t> found(view.count, -1);
  diameters(call.kernels, reader, view, std::nullopt, call.options.threads, call.cancellation, found.data());
  for (std::size_t g = 0; g < view.count; ++g) {
    call.require(found.data()[g] == naive_diameter(call.problem, groups, view[g].front()), "diameters");
  }
}

void check_split_groups(const Call& call, const ReadWindows& windows, const std::vector<std::int64_t>& groups,
                        std::size_t radius) {
  const Members members(groups);
  const GroupView view = members.view();
  const std::size_t limit = (radius + 1) * (call.problem.shape.seed % 4) / 2;
  GroupReader reader(call.problem.database_view(), view, windows);
  Fenced<std::int64_t> representatives(groups.size(), -1);
  split_groups(call.kernels, reader, view, radius, std::min(limit, 8 * call.problem.shape.width), call.options.threads,
               call.cancellation, representatives.data());
  const std::vector<std::int64_t> expected = naive_groups_within(call.problem, radius, limit);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto item = static_cast<std::size_t>(members.items.data()[i]);
    call.require(representatives.data()[i] == expected[item], "split_groups");
  }
}

// Only for short databases, because the oracle compares all pairs.
std::size_t check_deduplicate(const Call& call) {
  constexpr std::size_t longest = 64;
  const Problem& problem = call.problem;
  const std::size_t radius = std::min(call.options.radius, 8 * problem.shape.width);
  if (problem.shape.items > longest) return 0;
  const ReadWindows windows{1 + problem.shape.seed % longest, 100, nullptr, nullptr};
  Fenced<std::int64_t> representatives(problem.shape.items, -1);
  deduplicate(call.kernels, problem.database_view(), radius, windows, call.options.threads, call.cancellation,
              representatives.data());
  const std::vector<std::int64_t> groups = naive_groups(problem, radius);
  call.require(equal(representatives, groups), "deduplicate");
  check_diameters(call, windows, groups);
  check_split_groups(call, windows, groups, radius);
  return 3;
}

void check_distances(const Call& call, const Answers& answers) {
  Fenced<std::int32_t> actual(answers.distances.size(), -1);
  distances(call.kernels, call.problem.query_view(), call.problem.database_view(), call.options.threads,
            call.cancellation, actual.data(), call.problem.shape.items);
  call.require(equal(actual, answers.distances), "distances");
}

void check_histogram(const Call& call, const Answers& answers) {
  Fenced<std::int64_t> actual(answers.items.size());
  histogram(call.kernels, call.problem.query_view(), call.problem.database_view(), call.problem.masks(),
            call.options.threads, call.cancellation, actual.data());
  call.require(equal(actual, answers.items), "histogram");
}

void check_relevance_histograms(const Call& call, const Answers& answers) {
  Fenced<std::int64_t> items(answers.items.size()), relevant(answers.relevant.size());
  relevance_histograms(call.kernels, call.problem.labelled(), call.options.threads, call.cancellation, items.data(),
                       relevant.data());
  call.require(equal(items, answers.items), "relevance_histograms' items");
  call.require(equal(relevant, answers.relevant), "relevance_histograms' relevant");
}

void check_gain_histograms(const Call& call, const Answers& answers) {
  Fenced<double> gains(answers.gains.size()), exponential(answers.exponential_gains.size());
  Fenced<std::int64_t> items(answers.gain_items.size());
  gain_histograms(call.kernels, call.problem.labelled(), call.options.threads, call.cancellation,
                  {answers.most_shared, gains.data(), exponential.data(), items.data()});
  call.require(equal(gains, answers.gains), "gain_histograms' gains");
  call.require(equal(exponential, answers.exponential_gains), "gain_histograms' exponential gains");
  call.require(equal(items, answers.gain_items), "gain_histograms' items");
}

bool is_close(double actual, double expected) {
  return std::abs(actual - expected) <= 1e-12 * std::max(1.0, std::abs(expected));
}

// Up to eight parts of the database, some of them empty, that begin with a byte of a mask.
std::vector<Range> random_parts(const Shape& shape) {
  constexpr std::size_t most_parts = 8, step = 8;
  Random random(shape.seed);
  std::vector<std::size_t> cuts{0, shape.items};
  for (std::size_t parts = 1 + random.below(most_parts); cuts.size() <= parts;) {
    cuts.push_back(step * random.below(shape.items / step + 1));
  }
  std::sort(cuts.begin(), cuts.end());
  std::vector<Range> parts;
  for (std::size_t i = 1; i < cuts.size(); ++i) parts.push_back({cuts[i - 1], cuts[i]});
  return parts;
}

LabelledCodes part_of(LabelledCodes data, Range part) {
  data.database = {data.database.codes.part(part),
                   {data.database.labels.offsets + part.begin, data.database.labels.classes}};
  if (data.masks.first.data != nullptr) data.masks.first.data += part.begin / 8;
  return data;
}

void check_average_precision_by_index(const Call& call, const Answers& answers) {
  const std::size_t queries = call.problem.shape.queries, k = call.options.k;
  Fenced<double> sums(queries);
  Fenced<std::int64_t> retrieved(queries), items_before(queries * answers.bins), relevant_before(items_before.size());
  const WholeCounts whole{answers.items.data(), answers.relevant.data(), answers.bins, k};
  const std::vector<Range> parts = random_parts(call.problem.shape);
  const bool alone = parts.size() == 1;
  const IndexOrderSums state{alone ? nullptr : items_before.data(), alone ? nullptr : relevant_before.data(),
                             sums.data(), retrieved.data()};
  for (const Range part : parts) {
    average_precision_by_index(call.kernels, part_of(call.problem.labelled(), part), whole, {}, call.options.threads,
                               call.cancellation, state);
  }
  for (std::size_t q = 0; q < queries; ++q) {
    const double found = retrieved.data()[q] == 0 ? 0.0 : sums.data()[q] / static_cast<double>(retrieved.data()[q]);
    const double expected = answers.average_precision(q, k, Normalizer::retrieved);
    call.require(is_close(found, expected), "average_precision_by_index");
  }
}

// Average precision for any order of ties, and its mean over all orders, is between the worst and the best.
void check_average_precision(const Call& call, const Answers& answers) {
  for (std::size_t q = 0; q < call.problem.shape.queries; ++q) {
    const auto with = [&](Ties ties) {
      return average_precision(answers.items.data() + q * answers.bins, answers.relevant.data() + q * answers.bins,
                               answers.bins, call.options.k, ties, call.options.normalizer);
    };
    constexpr double slack = 1e-9;
    const double best = with(Ties::best), worst = with(Ties::worst), expected = with(Ties::expected);
    const double by_index = answers.average_precision(q, call.options.k, call.options.normalizer);
    call.require(0.0 <= worst && best <= 1.0 + slack, "average_precision's bounds");
    call.require(worst <= expected + slack && expected <= best + slack, "average_precision's expected value");
    call.require(worst <= by_index + slack && by_index <= best + slack, "average_precision's bounds by index");
  }
}

using Check = void (*)(const Call&, const Answers&);
constexpr Check on_both_sides[] = {check_rank,
                                   check_within,
                                   check_tables,
                                   check_count_within,
                                   check_nearest_below,
                                   check_distances,
                                   check_histogram,
                                   check_relevance_histograms,
                                   check_gain_histograms,
                                   check_average_precision_by_index};

}  // namespace

std::size_t Checks::run(const Kernels& kernels, const Options& options) const {
  Cancellation never([] { return false; });
  const Call call{kernels, problem_, options, never};
  for (const Check check : on_both_sides) check(call, answers_);
  return std::size(on_both_sides) + check_deduplicate(call);
}

void Checks::run_without_kernels(const Options& options) const {
  Cancellation never([] { return false; });
  check_average_precision({kernels_scalar, problem_, options, never}, answers_);
}

std::size_t Checks::run_stopped(const Kernels& kernels, const Options& options) const {
  for (const Check check : on_both_sides) {
    Cancellation stopped([] { return false; });
    stopped.stop();
    const Call call{kernels, problem_, options, stopped};
    bool thrown = false;
    try {
      check(call, answers_);
    } catch (const Cancelled&) {
      thrown = true;
    }
    call.require(thrown, "a stopped operation");
  }
  return std::size(on_both_sides);
}

}  // namespace vtsearch
