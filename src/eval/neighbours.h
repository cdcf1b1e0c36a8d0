#pragma once

#include <vector>

#include "data/dataset.h"
#include "eval/classifier.h"

namespace gan::eval {

/// Reads the condition of vectors from that of the kNearest real vectors that are nearest in columns of mean 0 and
/// deviation 1: the class that most of them have, the mean of their numbers (around the circle, if they are periodic).
class Neighbours {
 public:
  static constexpr int kNearest = 10;

  /// Takes at most 20,000 vectors of `real`, which has kNearest or more.
  explicit Neighbours(const data::Dataset& real);

  /// The numeric columns of the condition.
  const std::vector<data::NumberColumn>& numbers() const { return numbers_; }
  /// The features are the columns themselves, of mean 0 and standard deviation 1 in the real data.
  Embedded read(const data::Dataset& vectors) const;

  /// Vectors [N, D], each column less its mean and divided by its standard deviation in the real data.
  std::vector<float> standardized(const data::Dataset& vectors) const;

 private:
  std::int64_t width_;
  std::vector<double> mean_, scale_;
  std::vector<float> rows_;                  // standardized
  std::vector<std::int32_t> labels_;         // of the class column; empty without one
  std::vector<data::NumberColumn> numbers_;  // the numeric columns of the condition
  std::vector<std::vector<float>> values_;   // of each of them
};

}  // namespace gan::eval
