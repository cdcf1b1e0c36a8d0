#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "metrics/correlation.h"

namespace gan::eval {

/// A column of vectors in the data's units, of real data and of samples.
struct ColumnScore {
  std::string name, unit;
  double distance = 0;  ///< Kolmogorov-Smirnov
  double real_mean = 0, real_deviation = 0, mean = 0, deviation = 0;
};

/// Compares each column of vectors of the same units.
std::vector<ColumnScore> compare_columns(const data::Dataset& real, const data::Dataset& samples);

/// Correlations of columns as they are scaled (of logarithms, where the scaling is log), and of numeric columns of the
/// condition, periodic ones as sin and cos.
struct Correlations {
  std::vector<std::string> names;
  std::vector<double> real, samples;  ///< [D, D]
  metrics::CorrelationDifference difference;
};

/// Compares vectors with the same columns and, if the samples have one, the same condition; each has two rows or more.
Correlations compare_correlations(const data::Dataset& real, const data::Dataset& samples);

}  // namespace gan::eval
