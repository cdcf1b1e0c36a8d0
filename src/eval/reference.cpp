#include "eval/reference.h"

#include <algorithm>
#include <map>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/shuffle.h"
#include "data/source.h"

namespace gan::eval {

namespace {

Reference with_test_part(const std::string& source, data::SourceOptions part, data::Dataset all) {
  part.split = data::Split::test;
  data::Dataset test = data::open_source(source, part);
  if (test.sample_shape != all.sample_shape)
    base::fail_data("{}: the test part has samples {}, the rest {}", source, graph::to_string(test.sample_shape),
                    graph::to_string(all.sample_shape));
  data::convert_units(test, all.units);
  data::align_condition(test, all.condition);
  std::string hash = all.hash;
  return {std::move(all), std::move(test), "test part of " + source, std::move(hash), false, "--holdout none"};
}

Reference with_share(const std::string& source, const data::Dataset& all, double share) {
  const std::string part = share == kHoldout ? "a tenth" : fmt::format("{:g}", share);
  const auto held_out = static_cast<std::int64_t>(static_cast<double>(all.count()) * share + 1e-6);
  if (held_out < 1)
    base::fail_data("{}: {}; {} of them is held out to compare with, so give more, or --holdout none", source,
                    base::counted(all.count(), "sample"), part);
  // Samples are chosen at random, because the data may be sorted by class or cycle through the classes.
  data::Shuffle shuffle(static_cast<std::uint32_t>(all.count()), 0);
  const std::span<const std::uint32_t> order = shuffle.epoch(0);
  std::vector<std::uint32_t> chosen, rest;
  const int column = class_column(all.condition);
  const std::span<const std::int32_t> labels =
      column < 0 ? std::span<const std::int32_t>() : all.rows.categories(static_cast<std::size_t>(column));
  std::map<std::int32_t, std::int64_t> left;  // samples of each class that are not held out
  for (const std::int32_t label : labels) ++left[label];
  for (const std::uint32_t index : order) {
    std::int64_t* const of_class = labels.empty() ? nullptr : &left[labels[index]];
    const bool taken = static_cast<std::int64_t>(chosen.size()) < held_out && (!of_class || *of_class > 1);
    (taken ? chosen : rest).push_back(index);
    if (taken && of_class) --*of_class;
  }
  if (chosen.empty())
    base::fail_data(
        "{}: {} of as many classes; {} of them is held out to compare with, so give more of a class, or "
        "--holdout none",
        source, base::counted(all.count(), "sample"), part);
  std::ranges::sort(chosen);
  std::ranges::sort(rest);
  const std::string name = share == kHoldout ? "held-out tenth of " : fmt::format("held-out share of {:g} of ", share);
  return {data::subset(all, rest),
          data::subset(all, chosen),
          name + source,
          all.hash,
          false,
          share < 0.5 ? "--holdout 0.5 or none" : "--holdout none"};
}

}  // namespace

Reference open_reference(const std::string& source, const data::SourceOptions& options, std::optional<double> holdout) {
  data::SourceOptions part = options;
  part.split = data::Split::train;
  data::Dataset all = data::open_source(source, part);
  const bool has_test_part = data::has_test_part(source);
  if (holdout == 0) {
    const std::string name = fmt::format("all {} of {}", has_test_part ? "training samples" : "samples", source);
    return {all, all, name, all.hash, true, ""};
  }
  if (!has_test_part) return with_share(source, all, holdout.value_or(kHoldout));
  if (holdout)
    base::fail_usage("{} has a test part, which samples are compared with: leave --holdout out, or give --holdout none",
                     source);
  return with_test_part(source, part, std::move(all));
}

int class_column(const data::ConditionSpec& condition) {
  int first = -1;
  for (std::size_t c = 0; c < condition.columns.size(); ++c) {
    const int categories = condition.columns[c].categories;
    if (categories >= 2) return static_cast<int>(c);
    if (categories == 1 && first < 0) first = static_cast<int>(c);
  }
  return first;
}

data::Dataset with_classes(const data::Dataset& dataset) {
  data::Dataset labelled = dataset;
  labelled.condition = {};
  labelled.rows = {};
  if (const int c = class_column(dataset.condition); c >= 0) {
    labelled.condition.columns.push_back(dataset.condition.columns[static_cast<std::size_t>(c)]);
    labelled.rows.columns.push_back(dataset.rows.columns[static_cast<std::size_t>(c)]);
  }
  return labelled;
}

void fit_reference(Reference& reference, const train::Model& model) {
  if (model.sample_shape == reference.held_out.sample_shape)
    for (data::Dataset* part : {&reference.train, &reference.held_out}) data::convert_units(*part, model.units);
  require_fit(model, reference);
}

void require_fit(const train::Model& model, const Reference& reference) {
  const data::Dataset& real = reference.held_out;
  if (model.sample_shape != real.sample_shape)
    base::fail_usage("the model draws samples of {}, {} has {}; give the data it was trained on",
                     graph::to_string(model.sample_shape), real.source, graph::to_string(real.sample_shape));
  if (model.units != real.units)
    base::fail_usage("the model draws samples in other units than those of {}", real.source);
  if (model.condition.empty()) return;
  if (real.condition.empty())
    base::fail_usage("the model takes labels and {} has none; give the data it was trained on", real.source);
  for (const data::Dataset* part : {&reference.train, &real}) {
    if (part->count() == 0) continue;  // drop_training_part was called
    data::Dataset conditions;
    conditions.source = part->source;
    conditions.condition = part->condition;
    conditions.rows = part->rows;
    data::align_condition(conditions, model.condition);
  }
}

}  // namespace gan::eval
