#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.h"

namespace gan::serve {

/// The rows of a run's training data that are nearest to a sample. Keeps the data set that it looked into last; any
/// thread may use it.
class Neighbours {
 public:
  /// {"neighbours": [{"index", "distance", "label", "png" of images, "values" of vectors}], "distance_typical"}: the
  /// k nearest to a sample in the training range, by Euclidean distance as the root mean square of elements, and the
  /// distance of the first to the row nearest to it, for comparison. `run`: the folder whose config.toml names the
  /// data. Throws a data error if that cannot be read.
  nlohmann::ordered_json find(const std::string& run, std::span<const float> sample, std::int64_t k);

 private:
  std::mutex mutex_;
  std::string run_;
  std::shared_ptr<const data::Dataset> dataset_;
};

}  // namespace gan::serve
