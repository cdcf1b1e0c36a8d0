#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "metrics/correlation.h"

namespace gan::eval {

/// The comparison of a column of vectors, in the data's units, between real data and samples.
struct ColumnScore {
  std::string name, unit;
  double distance = 0;  ///< Kolmogorov-Smirnov distance
  double real_mean = 0, real_deviation = 0, mean = 0, deviation = 0;
};

/// Compares each column of real and drawn vectors, which have the same units.
std::vector<ColumnScore> compare_columns(const data::Dataset& real, const data::Dataset& samples);

/// Correlations between scaled columns (logarithms, where the scaling is log) and numeric columns of the condition, the
/// periodic ones as sin and cos.
struct Correlations {
  std::vector<std::string> names;
  std::vector<double> real, samples;  ///< [D, D]
  metrics::CorrelationDifference difference;
};

/// Compares vectors with the same columns and, if the samples have one, the same condition; each has two rows or more.
Correlations compare_correlations(const data::Dataset& real, const data::Dataset& samples);

}  // namespace gan::eval
