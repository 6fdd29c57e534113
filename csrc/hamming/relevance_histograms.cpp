#include "hamming/relevance_histograms.h"

#include <mutex>
#include <vector>

#include "hamming/class_bitmaps.h"
#include "hamming/counter.h"
#include "hamming/padding.h"
#include "hamming/tile_masks.h"
#include "hamming/tile_reader.h"

namespace vtsearch {
namespace {

// Histograms of one block of queries over one range.
DistanceCounts count_block(const Kernels& kernels, const LabelledCodes& data, Range block, Range range,
                           CancellationPoint& cancellation_point) {
  Counter counter(kernels, data.queries.codes.part(block), allowed_items(data.masks.shared(), range));
  ClassBitmaps bitmaps(data.database.labels, data.classes, items_per_tile(padded_width(data.queries.codes.width)));
  ItemsByQuery relevant(block.count());
  std::vector<std::vector<std::uint64_t>> unions(block.count());
  TileReader reader(data.database.codes, data.masks.shared(), range);
  TileMasks masks(data.masks.from(block.begin), data.queries.codes.part(block), range.begin);
  for (Tile tile; reader.next(tile); cancellation_point()) {
    bitmaps.set_tile(tile, range.begin);
    for (std::size_t q = 0; q < block.count(); ++q) {
      const std::size_t query = block.begin + q;
      relevant[q] = bitmaps.relevant(data.queries.labels.begin(query), data.queries.labels.end(query), unions[q]);
    }
    counter.add(tile, masks.of(tile), &relevant);
  }
  return counter.finish();
}

}  // namespace

void relevance_histograms(const Kernels& kernels, const LabelledCodes& data, std::size_t threads,
                          Cancellation& cancellation, std::int64_t* items, std::int64_t* relevant) {
  const Queries& queries = data.queries.codes;
  const std::size_t bins = queries.bins();
  const Plan plan = plan_work(queries.count, data.database.codes.count, threads, queries_per_counter(queries));
  std::mutex mutex;
  parallel_for(plan.tasks(), plan.threads, cancellation, [&](std::size_t task, CancellationPoint& cancellation_point) {
    const Range block = plan.query_block(task);
    const DistanceCounts counts = count_block(kernels, data, block, plan.range(task), cancellation_point);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts.items.size(); ++i) {
      items[block.begin * bins + i] += counts.items[i];
      relevant[block.begin * bins + i] += counts.relevant[i];
    }
  });
}

}  // namespace vtsearch
