#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.h"

namespace gan::serve {

/// Finds the rows of a run's training data that are nearest to a sample. Keeps the data set of the last run in memory.
/// Any thread may use it.
class Neighbours {
 public:
  /// {"neighbours": [{"index", "distance", "label", "png" of images, "values" of vectors}], "distance_typical"}: the k
  /// rows nearest to a sample in the training range, by the root mean square difference of elements. "distance_typical"
  /// is the distance from the nearest row to the row nearest to that, for comparison. `run`: the folder whose
  /// config.toml names the data. Throws a data error if the data cannot be read.
  nlohmann::ordered_json find(const std::string& run, std::span<const float> sample, std::int64_t k);

 private:
  std::mutex mutex_;
  std::string run_;
  std::shared_ptr<const data::Dataset> dataset_;
};

}  // namespace gan::serve
