#pragma once

#include <functional>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/reader.h"
#include "train/model_file.h"

namespace gan::eval {

/// Receives progress messages, one line each.
using Log = std::function<void(const std::string& line)>;

/// The real data that models are compared with, in two parts.
struct Reference {
  data::Dataset train;      ///< training data of the classifier; samples are checked for copies of it
  data::Dataset held_out;   ///< compared with samples; the classifier has not seen it, unless it is the same as `train`
  std::string name = {};    ///< of held_out, such as "test part of mnist"
  std::string hash = {};    ///< of the models' training data
  bool whole = false;       ///< whether held_out is the training part itself
  std::string advice = {};  ///< the option that would make a small held_out larger; "" if there is none
};

/// The share of samples that is held out if data has no test part.
inline constexpr double kHoldout = 0.1;

/// Opens a source. held_out is its test part if it has one, else a random share of it, by default kHoldout. The choice
/// is always the same and leaves at least one sample of each class; both parts have the same units and classes. If
/// `holdout` is 0, all data is both `train` and `held_out`. Throws as data::open_source does, and a usage error if
/// `holdout` is given for data with a test part.
Reference open_reference(const std::string& source, const data::SourceOptions& options,
                         std::optional<double> holdout = std::nullopt);

/// The index of the class column: the first categorical one of two categories or more, else the first categorical one;
/// -1 without one.
int class_column(const data::ConditionSpec& condition);

/// The data with its class column as the only column of the condition; unlabelled if there is no class column.
data::Dataset with_classes(const data::Dataset& dataset);

/// Converts the reference to the units of a model's samples. Throws as require_fit and data::convert_units do.
void fit_reference(Reference& reference, const train::Model& model);

/// Throws a usage error if a model does not fit the data (shape, units, whether there is a condition), and a data error
/// if its condition lacks a column or a category of the data. The data may have fewer categories.
void require_fit(const train::Model& model, const Reference& reference);

}  // namespace gan::eval
