#include "data/batches.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"

namespace gan::data {

Batches::Batches(const Dataset& dataset, const ConditionSpec& condition, const BatchOptions& options)
    : dataset_(dataset),
      conditional_(!condition.empty()),
      options_(options),
      shuffle_(static_cast<std::uint32_t>(dataset.count()), options.seed, options.block) {
  if (options.vicinal.kind != "none") vicinity_ = std::make_unique<Vicinity>(condition, dataset.rows, options.vicinal);
  if (!options.balance) return;
  const auto column = std::ranges::find_if(condition.columns, [](const auto& c) { return !c.is_numeric(); });
  if (column == condition.columns.end())
    base::fail_usage("train.balance = classes needs a condition with classes; this one is {}", condition.text());
  const auto categories = dataset.rows.categories(static_cast<std::size_t>(column - condition.columns.begin()));
  members_.resize(static_cast<std::size_t>(column->categories));
  for (std::size_t i = 0; i < categories.size(); ++i)
    members_[static_cast<std::size_t>(categories[i])].push_back(static_cast<std::uint32_t>(i));
  std::erase_if(members_, [](const auto& members) { return members.empty(); });
  for (std::size_t k = 0; k < members_.size(); ++k)
    members_order_.emplace_back(static_cast<std::uint32_t>(members_[k].size()), options.seed + k + 1);
  categories_ = std::make_unique<Shuffle>(static_cast<std::uint32_t>(members_.size()), options.seed);
}

/// The samples of rows [begin, end) of all batches in order, with balanced categories.
std::span<const std::uint32_t> Batches::balanced(std::int64_t begin, std::int64_t end) {
  const auto categories = static_cast<std::int64_t>(members_.size());
  chosen_.clear();
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t round = row / categories;  // a round has every category once
    const std::size_t k =
        categories_->epoch(static_cast<std::uint32_t>(round))[static_cast<std::size_t>(row % categories)];
    const auto count = static_cast<std::int64_t>(members_[k].size());
    const auto order = members_order_[k].epoch(static_cast<std::uint32_t>(round / count));
    chosen_.push_back(members_[k][order[static_cast<std::size_t>(round % count)]]);
  }
  return chosen_;
}

/// At the first step of an epoch the samples of several steps are read, at each later one those of one step more.
/// Balanced classes and vicinities are left out, because their samples are not known ahead.
void Batches::read_ahead(std::int64_t step, std::int64_t size, const Rows& rows) {
  // More would be evicted before it is used where memory is short.
  constexpr std::int64_t kBytesAhead = std::int64_t{2} << 20;
  if (!options_.read_ahead || !dataset_.streamed || categories_ || vicinity_) return;
  const std::int64_t steps = dataset_.count() / size, in_epoch = step % steps;
  const std::int64_t ahead =
      std::max<std::int64_t>(kBytesAhead / (size * graph::element_count(dataset_.sample_shape)), 1);
  const std::span<const std::uint32_t> order = shuffle_.epoch(static_cast<std::uint32_t>(step / steps));
  const std::int64_t from = in_epoch == 0 ? 0 : in_epoch + ahead, to = in_epoch + ahead + 1;
  for (std::int64_t batch = std::min(from, steps); batch < std::min(to, steps); ++batch)
    dataset_.will_need(
        order.subspan(static_cast<std::size_t>(batch * size + rows.first), static_cast<std::size_t>(rows.count)));
}

Batches::Batch Batches::at(std::int64_t step, std::int64_t size, const Rows& rows) {
  Batch batch;
  read_ahead(step, size, rows);
  const auto first = static_cast<std::size_t>(rows.first), count = static_cast<std::size_t>(rows.count);
  batch.samples = categories_ ? balanced(step * size + rows.first, step * size + rows.first + rows.count)
                              : shuffle_.batch(step, size).subspan(first, count);
  if (!conditional_) return batch;
  batch.y = dataset_.rows.select(batch.samples);
  if (!vicinity_) return batch;
  const base::RandomStream random(options_.seed, base::stream_of("vicinity"), static_cast<std::uint32_t>(step));
  std::vector<std::uint32_t> near(batch.samples.size());
  base::parallel_for(std::ssize(near), /*grain=*/128, [&](std::int64_t begin, std::int64_t end) {
    for (auto row = static_cast<std::size_t>(begin); row < static_cast<std::size_t>(end); ++row)
      near[row] = vicinity_->draw(batch.samples[row], random, first + row, row, batch.y);
  });
  chosen_ = std::move(near);
  batch.samples = chosen_;
  return batch;
}

}  // namespace gan::data
