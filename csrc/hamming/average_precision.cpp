#include "hamming/average_precision.h"

#include <algorithm>
#include <cmath>

namespace vtsearch {
namespace {

// 1 / (from + 1) + ... + 1 / (from + count), to nearly full relative precision for any `from`: term by term if there
// are few terms, else the Euler-Maclaurin series of ln and 1 / x, with differences rearranged to avoid cancellation.
double harmonic_difference(double from, double count) {
  constexpr double series_from = 64;  // from here on the first omitted term is below 1e-16
  double sum = 0.0;
  if (count <= series_from) {
    for (double i = count; i >= 1; --i) sum += 1.0 / (from + i);
    return sum;
  }
  for (; from < series_from; ++from, --count) sum += 1.0 / (from + 1.0);
  const double to = from + count;
  const double a = 1.0 / from, b = 1.0 / to;
  const double difference = count * a * b;  // a - b
  const double a2 = a * a, b2 = b * b;
  const double squares = difference * (a + b);  // a^2 - b^2
  return sum + (std::log1p(count / from) - difference / 2 + squares / 12 - squares * (a2 + b2) / 120 +
                squares * (a2 * a2 + a2 * b2 + b2 * b2) / 252);
}

// Sum over i = 1 .. count of (i - 1) / (from + i), which is count - (from + 1) (H(from + count) - H(from)).
double weighted_difference(double from, double count, double difference) {
  constexpr double direct = 64;
  if (count > direct) return count - (from + 1.0) * difference;
  double sum = 0.0;
  for (double i = count; i >= 2; --i) sum += (i - 1.0) / (from + i);
  return sum;
}

// A group of tied items, preceded by `before` items of which `relevant_before` are relevant. Relevant items may differ
// in gain: those of the group have `gain` at the mean, those before it `gain_before` in all.
struct Group {
  double before;
  double relevant_before;
  double items;
  double relevant;
  double gain_before;
  double gain;
};

// The sum of precisions over the first `places` ranks of the group, averaged over all orders of its items (McSherry and
// Najork, ECIR 2008): the precision at a relevant item of rank i counts all relevant items before the group, the item
// itself, and the expected number among the i - 1 items of the group before it.
class ExpectedSum {
 public:
  ExpectedSum(double before, double places)
      : harmonic_(harmonic_difference(before, places)), weighted_(weighted_difference(before, places, harmonic_)) {}

  double operator()(const Group& group) const {
    if (group.relevant == 0) return 0.0;
    const double rest = group.items > 1 ? (group.relevant - 1) / (group.items - 1) : 0.0;
    return group.relevant / group.items *
           ((group.gain_before + group.gain) * harmonic_ + group.gain * rest * weighted_);
  }

 private:
  double harmonic_;
  double weighted_;
};

// The sum of precisions if the `relevant` items come first in the group, or last in its first `places` ranks.
double first_sum(const Group& group, double relevant) {
  return relevant + (group.relevant_before - group.before) * harmonic_difference(group.before, relevant);
}

double last_sum(const Group& group, double relevant, double places) {
  const double others = places - relevant;
  return relevant +
         (group.relevant_before - group.before - others) * harmonic_difference(group.before + others, relevant);
}

// The smallest and largest possible number of relevant items in the first `places` ranks of the group.
double min_relevant(const Group& group, double places) {
  return std::max(0.0, places - (group.items - group.relevant));
}
double max_relevant(const Group& group, double places) {
  return std::min(places, group.relevant);
}

// The expected AP if the cut-off k keeps `places` items of the group and AP is divided by the number of relevant items
// retrieved: the mean of AP given t, where t, the number of relevant items kept, has a hypergeometric distribution. Its
// weights are computed from the mode outwards by ratios of neighbors, which cannot overflow, and divided by their sum.
double expected_over_cut(double sum_before, const Group& group, double places) {
  const ExpectedSum expected(group.before, places);
  const auto value = [&](double t) {
    const double met = group.relevant_before + t;
    Group kept = group;
    kept.items = places;
    kept.relevant = t;
    return met == 0 ? 0.0 : (sum_before + expected(kept)) / met;
  };
  constexpr double negligible = 1e-18;
  const double low = min_relevant(group, places), high = max_relevant(group, places);
  const double others = group.items - group.relevant;
  const double mode = (group.relevant + 1) * (places + 1) / (group.items + 2);
  const double peak = std::clamp(std::floor(mode), low, high);
  double weights = 1.0;
  double sum = value(peak);
  double weight = 1.0;
  for (double t = peak; t < high && weight > negligible; ++t) {
    weight *= (group.relevant - t) * (places - t) / ((t + 1) * (others - places + t + 1));
    weights += weight;
    sum += weight * value(t + 1);
  }
  weight = 1.0;
  for (double t = peak; t > low && weight > negligible; --t) {
    weight *= t * (others - places + t) / ((group.relevant - t + 1) * (places - t + 1));
    weights += weight;
    sum += weight * value(t - 1);
  }
  return sum / weights;
}

// The largest or smallest AP under "retrieved" if the cut-off keeps `places` items of the group, over the possible
// numbers t of relevant items among them. In either order the sum of precisions is convex in t, so that AP, its
// quotient by a number that grows with t, falls and then rises: it is largest at an end, and the smallest is found by
// bisection.
double extreme_over_cut(double sum_before, const Group& group, double places, Ties ties) {
  const auto value = [&](double t) {
    const double met = group.relevant_before + t;
    const double sum = sum_before + (ties == Ties::best ? first_sum(group, t) : last_sum(group, t, places));
    return met == 0 ? 0.0 : sum / met;
  };
  double low = min_relevant(group, places), high = max_relevant(group, places);
  if (ties == Ties::best) return std::max(value(low), value(high));
  if (group.relevant_before + low == 0) return 0.0;
  while (low < high) {
    const double middle = std::floor((low + high) / 2);
    if (value(middle) <= value(middle + 1)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return value(low);
}

double group_sum(const Group& group, double places, Ties ties) {
  if (group.relevant == 0) return 0.0;
  switch (ties) {
    case Ties::best:
      return first_sum(group, max_relevant(group, places));
    case Ties::worst:
      return last_sum(group, min_relevant(group, places), places);
    default:
      return ExpectedSum(group.before, places)(group);
  }
}

// The sum of precisions divided by the count that `normalizer` selects; 0 if that count is 0.
double normalized(double sum, Normalizer normalizer, std::size_t retrieved, std::size_t relevant, std::size_t k) {
  const std::size_t divisor = normalizer == Normalizer::retrieved  ? retrieved
                              : normalizer == Normalizer::relevant ? relevant
                                                                   : std::min(relevant, k);
  return divisor == 0 ? 0.0 : sum / static_cast<double>(divisor);
}

// `gains` may be null: every relevant item then has the gain 1.
double precision_of(const std::int64_t* items, const std::int64_t* relevant, const double* gains, std::size_t bins,
                    std::size_t k, Ties ties, Normalizer normalizer) {
  double sum = 0.0, gain_before = 0.0;
  std::size_t before = 0, met = 0, all_relevant = 0;
  for (std::size_t d = 0; d < bins; ++d) all_relevant += static_cast<std::size_t>(relevant[d]);
  for (std::size_t d = 0; d < bins && before < k; ++d) {
    if (items[d] == 0) continue;
    const auto count = static_cast<std::size_t>(items[d]);
    const std::size_t places = std::min(count, k - before);
    const double relevant_here = static_cast<double>(relevant[d]);
    const double gained = gains == nullptr ? relevant_here : gains[d];
    const Group group{static_cast<double>(before),
                      static_cast<double>(met),
                      static_cast<double>(count),
                      relevant_here,
                      gain_before,
                      relevant[d] == 0 ? 0.0 : gained / relevant_here};
    const bool cut = places < count;
    if (cut && normalizer == Normalizer::retrieved) {
      return ties == Ties::expected ? expected_over_cut(sum, group, static_cast<double>(places))
                                    : extreme_over_cut(sum, group, static_cast<double>(places), ties);
    }
    sum += group_sum(group, static_cast<double>(places), ties);
    before += count;
    met += static_cast<std::size_t>(relevant[d]);
    gain_before += gained;
  }
  return normalized(sum, normalizer, met, all_relevant, k);
}

}  // namespace

double average_precision(const std::int64_t* items, const std::int64_t* relevant, std::size_t bins, std::size_t k,
                         Ties ties, Normalizer normalizer) {
  return precision_of(items, relevant, nullptr, bins, k, ties, normalizer);
}

double weighted_average_precision(const std::int64_t* items, const std::int64_t* relevant, const double* gains,
                                  std::size_t bins, std::size_t k) {
  return precision_of(items, relevant, gains, bins, k, Ties::expected, Normalizer::retrieved);
}

}  // namespace vtsearch
