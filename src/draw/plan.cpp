#include "draw/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/source.h"

namespace gan::draw {
namespace {

using data::ConditionChoice;
using data::ConditionGrid;
using data::ConditionSpec;

constexpr std::int64_t kDefaultCount = 8;
constexpr std::int64_t kMostByDefault = 100'000;  // combinations if no option chooses the values of a column

/// The columns for which no axis has values.
std::vector<std::size_t> columns_left(const ConditionSpec& spec, const std::vector<ConditionGrid::Axis>& axes) {
  std::vector<std::size_t> left;
  for (std::size_t c = 0; c < spec.columns.size(); ++c)
    if (std::ranges::none_of(axes, [&](const ConditionGrid::Axis& axis) {
          return std::ranges::find(axis, c, &ConditionChoice::column) != axis.end();
        }))
      left.push_back(c);
  return left;
}

std::string names_of(const ConditionSpec& spec, const std::vector<std::size_t>& columns) {
  std::vector<std::string> names;
  for (const std::size_t c : columns) names.push_back(spec.columns[c].name);
  return base::joined(names);
}

/// The column that --label and similar options apply to: "label", else the only column if it is categorical.
std::size_t label_column(const ConditionSpec& spec, const std::string& option) {
  const int named = spec.find("label");
  if (named >= 0) return static_cast<std::size_t>(named);
  if (spec.classes() == 0)
    base::fail_usage("{}: the model has no column \"label\" but {}; choose values by --condition NAME=VALUE", option,
                     spec.text());
  return 0;
}

ConditionChoice choice_of_labels(const ConditionSpec& spec, const std::string& text) {
  ConditionChoice choice{.column = label_column(spec, "--labels")};
  if (spec.columns[choice.column].is_numeric()) base::fail_usage("--labels: label is a number; use --condition");
  std::vector<std::int32_t> labels;
  for (const std::string& part : base::split(text, ',')) {
    const ConditionChoice parsed = data::parse_choice(spec, choice.column, part);
    const auto& added = std::get<std::vector<std::int32_t>>(parsed.values);
    labels.insert(labels.end(), added.begin(), added.end());
  }
  choice.values = std::move(labels);
  return choice;
}

/// Reads the choices of --labels-file, which has values of the label column only.
ConditionGrid::Axis choices_of_labels_file(const std::string& path, const ConditionSpec& spec) {
  const std::size_t column = label_column(spec, "--labels-file");
  ConditionGrid::Axis axis = data::read_choices(path, {{spec.columns[column]}}, "--labels-file");
  axis[0].column = column;
  return axis;
}

/// The axes that the options give, in the order of the options.
std::vector<ConditionGrid::Axis> chosen_axes(const SampleOptions& options, const ConditionSpec& spec) {
  std::vector<ConditionGrid::Axis> axes;
  const auto add = [&](ConditionGrid::Axis axis) {
    const std::vector<std::size_t> left = columns_left(spec, axes);
    for (const ConditionChoice& choice : axis)
      if (std::ranges::find(left, choice.column) == left.end()) {
        const std::string& name = spec.columns[choice.column].name;
        base::fail_usage("{} is given twice; several values are separated by |, as in --condition {}=A|B", name, name);
      }
    axes.push_back(std::move(axis));
  };
  if (!options.labels_file.empty()) add(choices_of_labels_file(options.labels_file, spec));
  if (!options.conditions_file.empty()) add(data::read_choices(options.conditions_file, spec, "--conditions-file"));
  for (const std::string& text : options.conditions)
    for (ConditionChoice& choice : data::parse_choices(spec, text)) add({std::move(choice)});
  if (!options.label.empty()) add({data::parse_choice(spec, label_column(spec, "--label"), options.label)});
  if (!options.labels.empty()) add({choice_of_labels(spec, options.labels)});
  return axes;
}

/// The number of samples for each combination: --count or --per-class, else the latents of --noise divided by the
/// number of combinations, else `by_default`.
std::int64_t samples_each(const SampleOptions& options, std::int64_t combinations, bool labels, std::int64_t noise_rows,
                          std::int64_t requested, std::int64_t by_default) {
  if (noise_rows == 0) return requested > 0 ? requested : by_default;
  const std::int64_t shares = options.same_latents ? 1 : combinations;
  const std::string rows = base::counted(noise_rows, "row"),
                    parts = base::counted(shares, labels ? "label" : "combination");
  if (requested == 0 && noise_rows % shares != 0)
    base::fail_usage("--noise {}: {} cannot be divided among {}; choose {}", options.noise, rows, parts,
                     labels ? "labels by --label, --labels or --labels-file" : "values by --condition");
  const std::int64_t count = requested > 0 ? requested : noise_rows / shares;
  if (count * shares != noise_rows)
    base::fail_usage("--noise {}: {} for {} of {} each; expected a row for every sample", options.noise, rows, parts,
                     base::counted(count, "sample"));
  return count;
}

void finish_plan(SamplePlan& plan, std::int64_t combinations) {
  if (__builtin_mul_overflow(combinations, plan.each, &plan.total) || plan.total > kMostSamples)
    base::fail_usage("{} are too many at once; ask for at most {} and change --seed or --first between calls",
                     base::counted(plan.total, "sample"), base::grouped(kMostSamples));
  if (plan.columns == 0)
    plan.columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(plan.total))));
}

SamplePlan plan_of_axes(const SampleOptions& options, const ConditionSpec& spec, std::int64_t noise_rows) {
  std::vector<ConditionGrid::Axis> chosen = chosen_axes(options, spec), axes;
  const bool file = !options.labels_file.empty() || !options.conditions_file.empty();
  const std::vector<std::size_t> left = columns_left(spec, chosen);
  if (!options.conditions_file.empty() && !left.empty())
    base::fail_data("--conditions-file {}: has no column {}; add it, or give --condition {}=VALUE",
                    options.conditions_file, names_of(spec, left), spec.columns[left[0]].name);
  for (const std::size_t c : left) axes.push_back({data::every_value(spec, c)});
  std::ranges::move(chosen, std::back_inserter(axes));

  SamplePlan plan;
  plan.grid.emplace(spec.columns.size(), std::move(axes));
  const std::int64_t combinations = plan.grid->count();
  if (combinations > (left.empty() ? kMostSamples : kMostByDefault))
    base::fail_usage(
        "{} combinations of values are too many{}; choose fewer by --condition, or rows by --conditions-file",
        combinations == INT64_MAX ? "countless" : base::grouped(static_cast<std::uint64_t>(combinations)),
        left.empty() ? "" : ": no option chooses values of " + names_of(spec, left));
  std::int64_t last_length = 1, varying = 0;
  bool range = false;
  for (const ConditionGrid::Axis& axis : plan.grid->axes()) {
    range = range || axis[0].range;
    if (axis[0].count() == 1) continue;
    ++varying;
    last_length = axis[0].count();
  }
  const std::int64_t requested = file ? 1 : std::max(options.count, options.per_class);
  plan.each = samples_each(options, combinations, spec.classes() > 0, noise_rows, requested,
                           varying > 1 || range ? 1 : kDefaultCount);
  if (!file && (varying > 1 || (range && plan.each == 1)))
    plan.columns = last_length * std::min(plan.each, kMostSamples / last_length);  // one row per other combination
  else if (!file && varying == 1)
    plan.columns = plan.each;  // one row per value
  finish_plan(plan, combinations);
  return plan;
}

/// Plans samples that bring every category of the first categorical column to --to samples or to the largest count. The
/// other columns take values that occur together with the category in the data.
SamplePlan plan_of_balance(const SampleOptions& options, const train::Model& model) {
  const ConditionSpec& spec = model.condition;
  const auto found = std::ranges::find_if(spec.columns, [](const auto& column) { return !column.is_numeric(); });
  if (found == spec.columns.end())
    base::fail_usage("--balance: the condition of {} has no classes: {}", options.model, spec.text());
  const auto column = static_cast<std::size_t>(found - spec.columns.begin());
  const auto categories = static_cast<std::size_t>(found->categories);

  data::SourceOptions source;
  source.read = model.config.data;
  source.progress = options.progress;
  data::Dataset dataset = data::open_source(options.balance, source);
  data::align_condition(dataset, spec);
  std::vector<std::vector<std::uint32_t>> rows_of(categories);
  std::uint32_t row = 0;
  for (const std::int32_t category : dataset.rows.categories(column))
    rows_of[static_cast<std::size_t>(category)].push_back(row++);
  std::size_t most = static_cast<std::size_t>(options.to);
  for (const auto& rows : rows_of)
    if (options.to == 0) most = std::max(most, rows.size());

  std::vector<std::uint32_t> all(row), picked;
  std::iota(all.begin(), all.end(), 0u);
  std::vector<std::int32_t> classes;
  std::size_t filled = 0;
  for (std::size_t k = 0; k < categories; ++k) {
    const std::vector<std::uint32_t>& rows = rows_of[k].empty() ? all : rows_of[k];
    const std::size_t missing = most - std::min(most, rows_of[k].size());
    if (missing == 0) continue;
    ++filled;
    if (classes.size() + missing > static_cast<std::size_t>(kMostSamples))
      base::fail_usage("--balance: more than {} samples are missing; give a smaller --to", base::grouped(kMostSamples));
    classes.insert(classes.end(), missing, static_cast<std::int32_t>(k));
    for (std::size_t i = 0; i < missing; ++i) picked.push_back(rows[i * rows.size() / missing]);
  }
  SamplePlan plan;
  plan.note = fmt::format(" that fill {} of {} up to {}", filled, base::counted(found->categories, "class", "classes"),
                          base::grouped(most));
  if (classes.empty()) {
    plan.note = fmt::format("{}: no class has fewer than {}", options.balance,
                            base::counted(static_cast<std::int64_t>(most), "sample"));
    return plan;
  }
  data::ConditionRows rows = dataset.rows.select(picked);
  rows.columns[column] = std::move(classes);
  ConditionGrid::Axis axis;
  for (std::size_t c = 0; c < spec.columns.size(); ++c)
    axis.push_back({.column = c, .values = std::move(rows.columns[c])});
  plan.grid.emplace(spec.columns.size(), std::vector<ConditionGrid::Axis>{std::move(axis)});
  plan.each = 1;
  finish_plan(plan, plan.grid->count());
  return plan;
}

}  // namespace

data::ConditionRows SamplePlan::rows(std::int64_t first, std::int64_t count) const {
  return grid ? grid->rows(first, count, each) : data::ConditionRows();
}

SamplePlan make_sample_plan(const SampleOptions& options, const train::Model& model, std::int64_t noise_rows) {
  if (!options.balance.empty()) return plan_of_balance(options, model);
  if (!model.condition.empty()) return plan_of_axes(options, model.condition, noise_rows);
  if (!options.label.empty() || !options.labels.empty() || !options.labels_file.empty() || options.per_class > 0 ||
      !options.conditions.empty() || !options.conditions_file.empty())
    base::fail_usage("{} is unconditional and takes no labels or conditions; use --count", options.model);
  SamplePlan plan;
  plan.each = samples_each(options, 1, true, noise_rows, options.count, kDefaultCount);
  finish_plan(plan, 1);
  return plan;
}

void fill_latents(const SampleOptions& options, const SamplePlan& plan, std::span<const float> noise,
                  const train::Sampler& sampler, std::int64_t latent, std::int64_t first, std::span<float> z) {
  const std::int64_t count = static_cast<std::int64_t>(z.size()) / latent;
  for (std::int64_t i = 0, run = 0; i < count; i += run) {
    const std::int64_t index = options.same_latents ? (first + i) % plan.each : first + i;
    run = options.same_latents ? std::min(plan.each - index, count - i) : count;
    const std::span<float> part =
        z.subspan(static_cast<std::size_t>(i * latent), static_cast<std::size_t>(run * latent));
    if (noise.empty())
      sampler.latents(static_cast<std::uint64_t>(options.seed), options.first + index, part, options.truncation);
    else
      std::copy_n(noise.begin() + index * latent, run * latent, part.begin());
  }
}

}  // namespace gan::draw
