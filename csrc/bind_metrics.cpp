// Relevance and gain histograms, average precision.
#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "bindings.h"
#include "hamming/average_precision.h"
#include "hamming/average_precision_by_index.h"
#include "hamming/gain_histograms.h"
#include "hamming/label_rows.h"
#include "hamming/relevance_histograms.h"
#include "plain_arguments.h"

namespace vtsearch {
namespace {

LabelView labels_of(const Offsets& offsets, const Classes& classes, std::size_t items, std::size_t class_count) {
  require(offsets.ndim() == 1 && size(offsets.shape(0)) == items + 1, "labels: expected n + 1 offsets");
  require(classes.ndim() == 1, "labels: expected (nnz,) classes");
  const std::int64_t* offset = offsets.data();
  require(offset[0] == 0 && offset[items] == classes.shape(0), "labels: offsets and classes do not fit");
  for (std::size_t i = 0; i < items; ++i) require(offset[i] <= offset[i + 1], "labels: offsets must not fall");
  for (py::ssize_t i = 0; i < classes.shape(0); ++i) {
    require(classes.data()[i] >= 0 && size(classes.data()[i]) < class_count, "labels: class out of range");
  }
  return {offset, classes.data()};
}

Ties ties_named(const std::string& name) {
  if (name == "expected") return Ties::expected;
  if (name == "best") return Ties::best;
  require(name == "worst", "ties: expected 'expected', 'best' or 'worst'");
  return Ties::worst;
}

Normalizer normalizer_named(const std::string& name) {
  if (name == "retrieved") return Normalizer::retrieved;
  if (name == "relevant") return Normalizer::relevant;
  require(name == "min", "normalizer: expected 'retrieved', 'relevant' or 'min'");
  return Normalizer::min;
}

// The rank cut-off: k = 0 stands for none.
std::size_t cutoff(py::ssize_t k) {
  return k == 0 ? SIZE_MAX : not_negative(k);
}

std::pair<Histogram, Histogram> relevance(const LabelledCodes& data, py::ssize_t threads) {
  auto items = zeros<Histogram>(data.queries.codes.count, data.queries.codes.bins());
  auto relevant = zeros<Histogram>(data.queries.codes.count, data.queries.codes.bins());
  run([&, i = items.mutable_data(), r = relevant.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    relevance_histograms(kernels, data, at_least_one(threads), cancellation, i, r);
  });
  return {std::move(items), std::move(relevant)};
}

std::tuple<Sums, Sums, Histogram> gains(const LabelledCodes& data, py::ssize_t threads) {
  const std::size_t queries = data.queries.codes.count, items = data.database.codes.count;
  const std::size_t most = std::min(data.queries.labels.most(queries), data.database.labels.most(items));
  auto linear = zeros<Sums>(queries, data.queries.codes.bins());
  auto exponential = zeros<Sums>(queries, data.queries.codes.bins());
  auto counts = zeros<Histogram>(queries, most + 1);
  run([&, sums = Gains{most, linear.mutable_data(), exponential.mutable_data(), counts.mutable_data()}](
          const Kernels& kernels, Cancellation& cancellation) {
    gain_histograms(kernels, data, at_least_one(threads), cancellation, sums);
  });
  return {std::move(linear), std::move(exponential), std::move(counts)};
}

// Checks that histograms have one shape and 0 <= relevant <= items; returns the number of bins.
std::size_t checked_bins(const Histogram& items, const Histogram& relevant) {
  require(items.ndim() == 2 && relevant.ndim() == 2 && items.shape(0) == relevant.shape(0) &&
              items.shape(1) == relevant.shape(1),
          "histograms: expected two of shape (q, bins)");
  for (py::ssize_t i = 0; i < items.size(); ++i) {
    require(relevant.data()[i] >= 0 && relevant.data()[i] <= items.data()[i],
            "histograms: expected 0 <= relevant <= items");
  }
  return size(items.shape(1));
}

// Items that single queries exclude.
Exclusions exclusions_of(const std::optional<Offsets>& offsets, const std::optional<Indices>& items,
                         std::size_t queries) {
  require(offsets.has_value() == items.has_value(), "excluded: expected offsets and items");
  if (!offsets) return {};
  require(offsets->ndim() == 1 && size(offsets->shape(0)) == queries + 1 && items->ndim() == 1,
          "excluded: expected q + 1 offsets and (nnz,) items");
  const std::int64_t* offset = offsets->data();
  require(offset[0] == 0 && offset[queries] == items->shape(0), "excluded: offsets and items do not fit");
  for (std::size_t q = 0; q < queries; ++q) require(offset[q] <= offset[q + 1], "excluded: offsets must not fall");
  return {offset, items->data()};
}

// Adds the items of a part of the database to `sums` and `retrieved`, and to the counts of the parts before.
void add_by_index(const LabelledCodes& data, const Histogram& items, const Histogram& relevant, py::ssize_t k,
                  std::optional<Histogram> items_before, std::optional<Histogram> relevant_before, Sums sums,
                  Counts retrieved, const std::optional<Offsets>& excluded_offsets,
                  const std::optional<Indices>& excluded_items, py::ssize_t threads) {
  const std::size_t queries = data.queries.codes.count, bins = checked_bins(items, relevant), cut = cutoff(k);
  require(size(items.shape(0)) == queries && bins == data.queries.codes.bins(),
          "histograms: expected those of the queries");
  require(items_before.has_value() == relevant_before.has_value() &&
              (!items_before ||
               (checked_bins(*items_before, *relevant_before) == bins && size(items_before->shape(0)) == queries)),
          "histograms: expected those of the parts before");
  require(sums.ndim() == 1 && size(sums.shape(0)) == queries && retrieved.ndim() == 1 &&
              size(retrieved.shape(0)) == queries,
          "sums: expected (q,)");
  const WholeCounts whole{items.data(), relevant.data(), bins, cut};
  const Exclusions exclusions = exclusions_of(excluded_offsets, excluded_items, queries);
  const IndexOrderSums state{items_before ? items_before->mutable_data() : nullptr,
                             relevant_before ? relevant_before->mutable_data() : nullptr, sums.mutable_data(),
                             retrieved.mutable_data()};
  run([&](const Kernels& kernels, Cancellation& cancellation) {
    average_precision_by_index(kernels, data, whole, exclusions, at_least_one(threads), cancellation, state);
  });
}

Scores weighted_scores_of(const Histogram& items, const Histogram& relevant, const Sums& gains, py::ssize_t k) {
  const std::size_t bins = checked_bins(items, relevant), cut = cutoff(k);
  require(gains.ndim() == 2 && gains.shape(0) == items.shape(0) && gains.shape(1) == items.shape(1),
          "gains: expected the shape of the histograms");
  Scores scores(items.shape(0));
  for (std::size_t q = 0; q < size(items.shape(0)); ++q) {
    scores.mutable_data()[q] = weighted_average_precision(items.data() + q * bins, relevant.data() + q * bins,
                                                          gains.data() + q * bins, bins, cut);
  }
  return scores;
}

Scores scores_of(const Histogram& items, const Histogram& relevant, py::ssize_t k, const std::string& ties,
                 const std::string& normalizer) {
  const std::size_t bins = checked_bins(items, relevant);
  const std::size_t cut = cutoff(k);
  const Ties tie_rule = ties_named(ties);
  const Normalizer divisor = normalizer_named(normalizer);
  Scores scores(items.shape(0));
  for (std::size_t q = 0; q < size(items.shape(0)); ++q) {
    scores.mutable_data()[q] =
        average_precision(items.data() + q * bins, relevant.data() + q * bins, bins, cut, tie_rule, divisor);
  }
  return scores;
}

// The rows of labels over distinct classes, ascending.
std::pair<Offsets, Classes> single_label_rows(const ClassNumbers& labels, const ClassNumbers& classes) {
  require(labels.ndim() == 1 && classes.ndim() == 1, "labels: expected (n,)");
  const std::vector<std::int64_t> list(classes.data(), classes.data() + classes.size());
  LabelRows rows;
  run([&, data = labels.data()](const Kernels&, Cancellation&) {
    rows = label_rows(data, size(labels.shape(0)), list);
  });
  return {adopt(std::move(rows.offsets)), adopt(std::move(rows.classes))};
}

// Average precision of the usual arguments; None for any others, or if the histograms take more than `most_bytes`.
std::optional<Scores> precision_plain(const py::object& query_codes, const py::object& db_codes,
                                      const py::object& query_labels, const py::object& db_labels, const py::object& k,
                                      const std::string& ties, const std::string& normalizer, py::ssize_t threads,
                                      std::size_t most_bytes, std::size_t most_histogram_bytes) {
  const py::ssize_t top = positive_int(k);
  const auto arrays = plain_codes(query_codes, db_codes, most_bytes);
  if ((top == 0 && !k.is_none()) || threads < 1 || !arrays || arrays->second.shape(0) == 0) return std::nullopt;
  if (!is_plain<std::int64_t>(query_labels, 1) || !is_plain<std::int64_t>(db_labels, 1)) return std::nullopt;
  const BothCodes codes = views(arrays->first, arrays->second);
  const auto query_numbers = py::reinterpret_borrow<ClassNumbers>(query_labels);
  const auto db_numbers = py::reinterpret_borrow<ClassNumbers>(db_labels);
  const std::size_t queries = codes.queries.count, items = codes.database.count, bins = codes.database.bins();
  if (size(query_numbers.shape(0)) != queries || size(db_numbers.shape(0)) != items) return std::nullopt;
  if (2 * sizeof(std::int64_t) * queries * bins > most_histogram_bytes) return std::nullopt;
  const Ties tie_rule = ties_named(ties);
  const Normalizer divisor = normalizer_named(normalizer);
  Scores scores(ssize(queries));
  run([&, out = scores.mutable_data(), query_data = query_numbers.data(), db_data = db_numbers.data()](
          const Kernels& kernels, Cancellation& cancellation) {
    const std::vector<std::int64_t> classes = distinct_classes(query_data, queries);
    const LabelRows query_rows = label_rows(query_data, queries, classes),
                    db_rows = label_rows(db_data, items, classes);
    const LabelledCodes data{{codes.queries, query_rows.view()}, {codes.database, db_rows.view()}, classes.size()};
    std::vector<std::int64_t> counts(2 * queries * bins);
    std::int64_t* relevant = counts.data() + queries * bins;
    relevance_histograms(kernels, data, at_least_one(threads), cancellation, counts.data(), relevant);
    for (std::size_t q = 0; q < queries; ++q) {
      out[q] = average_precision(counts.data() + q * bins, relevant + q * bins, bins, cutoff(top), tie_rule, divisor);
    }
  });
  return scores;
}

// Registers `function` with the codes and labels of both sides as its first Python arguments, followed by `options` and
// weights.
template <class Result, class... Options, class... Names>
void register_labelled(py::module_& module, const char* name, Result (*function)(const LabelledCodes&, Options...),
                       const Names&... options) {
  const auto bound = [function](const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                                const Classes& query_classes, const Offsets& db_offsets, const Classes& db_classes,
                                py::ssize_t classes, const std::optional<PackedMask>& mask, Options... values,
                                const std::optional<Weights>& weights) {
    const BothCodes codes = views(query_codes, db_codes);
    const std::size_t count = not_negative(classes);
    require(codes.database.count < range_limit, "db_codes: expected fewer than 2^31 items");
    return function(
        {{queries_of(codes.queries, weights), labels_of(query_offsets, query_classes, codes.queries.count, count)},
         {codes.database, labels_of(db_offsets, db_classes, codes.database.count, count)},
         count,
         views(mask, codes.queries.count, codes.database.count)},
        values...);
  };
  module.def(name, bound, exact("query_codes"), exact("db_codes"), exact("query_offsets"), exact("query_classes"),
             exact("db_offsets"), exact("db_classes"), "classes"_a, optional("mask"), options...,
             optional("weights") = py::none());
}

}  // namespace

void register_metrics(py::module_& module) {
  register_labelled(module, "relevance_histograms", &relevance, "threads"_a);
  register_labelled(module, "gain_histograms", &gains, "threads"_a);
  register_labelled(module, "average_precision_by_index", &add_by_index, exact("items"), exact("relevant"), "k"_a,
                    optional("items_before").noconvert(), optional("relevant_before").noconvert(), exact("sums"),
                    exact("retrieved"), optional("excluded_offsets"), optional("excluded_items"), "threads"_a);
  module.def("weighted_average_precision", &weighted_scores_of, exact("items"), exact("relevant"), exact("gains"),
             "k"_a);
  module.def("label_rows", &single_label_rows, "labels"_a, "classes"_a);
  module.def("average_precision_plain", &precision_plain, "query_codes"_a, "db_codes"_a, "query_labels"_a,
             "db_labels"_a, "k"_a, "ties"_a, "normalizer"_a, "threads"_a, "most_bytes"_a, "most_histogram_bytes"_a);
  module.def("average_precision", &scores_of, exact("items"), exact("relevant"), "k"_a, "ties"_a, "normalizer"_a);
}

}  // namespace vtsearch
