// Relevance and gain histograms, average precision.
#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "bindings.h"
#include "hamming/average_precision.h"
#include "hamming/relevance.h"

namespace vtsearch {
namespace {

Labelled labelled(const CodeView& codes, const Offsets& offsets, const Classes& classes, std::size_t class_count) {
  require(offsets.ndim() == 1 && size(offsets.shape(0)) == codes.count + 1, "labels: expected n + 1 offsets");
  require(classes.ndim() == 1, "labels: expected (nnz,) classes");
  const std::int64_t* offset = offsets.data();
  require(offset[0] == 0 && offset[codes.count] == classes.shape(0), "labels: offsets and classes do not fit");
  for (std::size_t i = 0; i < codes.count; ++i) require(offset[i] <= offset[i + 1], "labels: offsets must not fall");
  for (py::ssize_t i = 0; i < classes.shape(0); ++i) {
    require(classes.data()[i] >= 0 && size(classes.data()[i]) < class_count, "labels: class out of range");
  }
  return {codes, {offset, classes.data()}};
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
  auto items = zeros<Histogram>(data.queries.codes.count, data.database.codes.bins());
  auto relevant = zeros<Histogram>(data.queries.codes.count, data.database.codes.bins());
  run([&, i = items.mutable_data(), r = relevant.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    relevance_histograms(kernels, data, at_least_one(threads), cancellation, i, r);
  });
  return {std::move(items), std::move(relevant)};
}

std::tuple<Sums, Sums, Histogram> gains(const LabelledCodes& data, py::ssize_t threads) {
  const std::size_t queries = data.queries.codes.count, items = data.database.codes.count;
  const std::size_t most = std::min(data.queries.labels.most(queries), data.database.labels.most(items));
  auto linear = zeros<Sums>(queries, data.database.codes.bins());
  auto exponential = zeros<Sums>(queries, data.database.codes.bins());
  auto counts = zeros<Histogram>(queries, most + 1);
  run([&, sums = Gains{most, linear.mutable_data(), exponential.mutable_data(), counts.mutable_data()}](
          const Kernels& kernels, Cancellation& cancellation) {
    gain_histograms(kernels, data, at_least_one(threads), cancellation, sums);
  });
  return {std::move(linear), std::move(exponential), std::move(counts)};
}

Scores scores_by_index(const LabelledCodes& data, py::ssize_t k, const std::string& normalizer, py::ssize_t threads) {
  const std::size_t cut = cutoff(k);
  const Normalizer divisor = normalizer_named(normalizer);
  Scores scores(ssize(data.queries.codes.count));
  std::fill_n(scores.mutable_data(), data.queries.codes.count, 0.0);
  run([&, out = scores.mutable_data()](const Kernels& kernels, Cancellation& cancellation) {
    average_precision_by_index(kernels, data, cut, divisor, at_least_one(threads), cancellation, out);
  });
  return scores;
}

Scores scores_of(const Histogram& items, const Histogram& relevant, py::ssize_t k, const std::string& ties,
                 const std::string& normalizer) {
  require(items.ndim() == 2 && relevant.ndim() == 2 && items.shape(0) == relevant.shape(0) &&
              items.shape(1) == relevant.shape(1),
          "histograms: expected two of shape (q, bins)");
  for (py::ssize_t i = 0; i < items.size(); ++i) {
    require(relevant.data()[i] >= 0 && relevant.data()[i] <= items.data()[i],
            "histograms: expected 0 <= relevant <= items");
  }
  const std::size_t bins = size(items.shape(1));
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

// Registers `function` with the codes and labels of both sides as its first Python arguments, followed by `options`.
template <class Result, class... Options, class... Names>
void register_labelled(py::module_& module, const char* name, Result (*function)(const LabelledCodes&, Options...),
                       const Names&... options) {
  const auto bound = [function](const Codes& query_codes, const Codes& db_codes, const Offsets& query_offsets,
                                const Classes& query_classes, const Offsets& db_offsets, const Classes& db_classes,
                                py::ssize_t classes, const std::optional<PackedMask>& mask, Options... values) {
    const BothCodes codes = views(query_codes, db_codes);
    const std::size_t count = not_negative(classes);
    require(codes.database.count < range_limit, "db_codes: expected fewer than 2^31 items");
    return function({labelled(codes.queries, query_offsets, query_classes, count),
                     labelled(codes.database, db_offsets, db_classes, count), count,
                     views(mask, codes.queries.count, codes.database.count)},
                    values...);
  };
  module.def(name, bound, exact("query_codes"), exact("db_codes"), exact("query_offsets"), exact("query_classes"),
             exact("db_offsets"), exact("db_classes"), "classes"_a, optional("mask"), options...);
}

}  // namespace

void register_metrics(py::module_& module) {
  register_labelled(module, "relevance_histograms", &relevance, "threads"_a);
  register_labelled(module, "gain_histograms", &gains, "threads"_a);
  register_labelled(module, "average_precision_by_index", &scores_by_index, "k"_a, "normalizer"_a, "threads"_a);
  module.def("average_precision", &scores_of, exact("items"), exact("relevant"), "k"_a, "ties"_a, "normalizer"_a);
}

}  // namespace vtsearch
