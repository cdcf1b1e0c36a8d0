#pragma once

#include <vector>

#include "data/dataset.h"
#include "eval/classifier.h"

namespace gan::eval {

/// Predicts the condition of vectors by their kNearest nearest neighbours among real vectors, in standardized columns:
/// the class that most of these have, and the mean of their numbers (the circular mean, if they are periodic).
class Neighbours {
 public:
  static constexpr int kNearest = 10;

  /// Uses at most 20,000 vectors of `real`, which must have kNearest or more.
  explicit Neighbours(const data::Dataset& real);

  /// The numeric columns of the condition.
  const std::vector<data::NumberColumn>& numbers() const { return numbers_; }
  /// Predicts classes and numbers. The features are the standardized columns themselves.
  Embedded read(const data::Dataset& vectors) const;

  /// Vectors [N, D], each column less its mean and divided by its standard deviation in the real data.
  std::vector<float> standardized(const data::Dataset& vectors) const;

 private:
  std::int64_t width_;
  std::vector<double> mean_, scale_;
  std::vector<float> rows_;                  // standardized
  std::vector<std::int32_t> labels_;         // values of the class column; empty without one
  std::vector<data::NumberColumn> numbers_;  // the numeric columns of the condition
  std::vector<std::vector<float>> values_;   // of each numeric column
};

}  // namespace gan::eval
