#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/shuffle.h"
#include "data/vicinity.h"

namespace gan::data {

struct BatchOptions {
  std::uint64_t seed = 0;
  bool balance = false;  ///< draws the categories of the first categorical column equally often
  VicinalOptions vicinal = {};
  std::uint32_t block = 0;  ///< samples that stay together in the order of an epoch, see Shuffle
  bool read_ahead = true;   ///< lets the system read samples of later batches ahead, if they are streamed from disk
};

/// Chooses the samples of each training step and their conditions. Both depend on the data, the options and the step
/// alone, so training can resume at any step.
class Batches {
 public:
  /// `dataset` must outlive the batches; `condition` is its condition, or empty for unconditional training. Throws a
  /// usage error for balance without a categorical column and for vicinities without a numeric one.
  Batches(const Dataset& dataset, const ConditionSpec& condition, const BatchOptions& options);

  /// The rows of a step.
  struct Batch {
    std::span<const std::uint32_t> samples;  ///< indices of the real samples
    ConditionRows y;                         ///< their conditions; with vicinities, the conditions near theirs
  };
  /// The rows of a batch that a rank computes.
  struct Rows {
    std::int64_t first = 0, count = 0;
  };
  /// These rows of the batch of step `step` (from 0). The whole batch has `size` rows, at most the number of samples.
  /// Valid until the next call.
  Batch at(std::int64_t step, std::int64_t size, const Rows& rows);
  /// All rows of that batch.
  Batch at(std::int64_t step, std::int64_t size) { return at(step, size, {0, size}); }

 private:
  void read_ahead(std::int64_t step, std::int64_t size, const Rows& rows);
  std::span<const std::uint32_t> balanced(std::int64_t begin, std::int64_t end);

  const Dataset& dataset_;
  bool conditional_;
  BatchOptions options_;
  Shuffle shuffle_;
  std::unique_ptr<Shuffle> categories_;              // the order of categories, if they are balanced
  std::vector<std::vector<std::uint32_t>> members_;  // samples of each category
  std::vector<Shuffle> members_order_;
  std::unique_ptr<Vicinity> vicinity_;
  std::vector<std::uint32_t> chosen_;
};

}  // namespace gan::data
