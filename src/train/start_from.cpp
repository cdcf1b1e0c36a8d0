#include "train/start_from.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "train/step.h"

namespace gan::train {

namespace {

bool same_column(const data::ConditionColumn& a, const data::ConditionColumn& b) {
  return a.name == b.name && a.categories == b.categories &&
         (a.names == b.names || a.names.empty() || b.names.empty()) && a.width() == b.width();
}

/// Whether a variable of the networks belongs to conditions alone, in the new run or in the model.
bool of_condition(const nn::Variable& variable, const std::vector<nn::Variable>& variables, const Model& model) {
  const std::vector<std::string> parts = base::split(variable.name, '.');
  for (const char* part : {"embedding", "label", "projection", "auxiliary"})
    if (parts.size() > 1 && parts[1] == part) return true;
  // The scale and shift of a conditional batch norm have a row for each category or feature: "model.1.weight" those of
  // the label, "model.1.COLUMN.weight" those of others.
  if (parts.size() < 4 || (parts.back() != "weight" && parts.back() != "bias")) return false;
  const std::string norm = fmt::format("{}.{}.{}.running_mean", parts[0], parts[1], parts[2]);
  const auto known = model.weights.find(variable.name);
  return std::ranges::find(variables, norm, &nn::Variable::name) != variables.end() &&
         (variable.shape.size() == 2 || known == model.weights.end() || known->second.type().shape.size() == 2);
}

/// A matrix with the columns that a model has, and random ones for the rest.
runtime::Array with_columns_of(const runtime::Array& from, const nn::Variable& variable, std::uint64_t seed) {
  runtime::State started;
  nn::initialize({variable}, seed, started);
  runtime::Array matrix(variable.shape, started.at(variable.name).on_host().f32());
  const std::int64_t rows = variable.shape[0], width = variable.shape[1], known = from.type().shape[1];
  for (std::int64_t row = 0; row < rows; ++row)
    std::copy_n(from.f32().begin() + row * known, std::min(width, known), matrix.f32().begin() + row * width);
  return matrix;
}

}  // namespace

std::string start_from(const Model& model, const std::string& path, const data::Dataset& dataset,
                       const data::ConditionSpec& condition, std::uint64_t seed,
                       const std::vector<nn::Variable>& variables, runtime::State& state) {
  if (model.sample_shape != dataset.sample_shape)
    base::fail_usage("--init {}: the model has samples {}, the data has {}", path, graph::to_string(model.sample_shape),
                     graph::to_string(dataset.sample_shape));
  const bool same = std::ranges::equal(model.condition.columns, condition.columns, same_column);
  std::vector<std::string> anew;
  for (const nn::Variable& variable : variables) {
    if (!of_network(variable)) continue;
    if (!same && of_condition(variable, variables, model)) {
      anew.push_back(variable.name);
      continue;
    }
    const auto found = model.weights.find(variable.name);
    const bool there = found != model.weights.end();
    const graph::Shape shape = there ? found->second.type().shape : graph::Shape();
    if (there)
      if (const auto bad = std::ranges::find_if(found->second.f32(), is_lost); bad != found->second.f32().end())
        base::fail_data("--init {}: {} holds {}, so training would diverge", path, variable.name, *bad);
    if (there && shape == variable.shape) {
      state[variable.name] = runtime::Array(variable.shape, found->second.f32());
    } else if (there && !same && shape.size() == 2 && variable.shape.size() == 2 && shape[0] == variable.shape[0]) {
      state[variable.name] = with_columns_of(found->second, variable, seed);
      anew.push_back(variable.name + " in part");
    } else if (!there || same || variable.role != nn::Role::buffer) {
      base::fail_usage("--init {}: its networks have no {} {}; start from its own preset", path, variable.name,
                       graph::to_string(variable.shape));
    }
  }
  if (same) return "";
  constexpr std::size_t kMostNamed = 8;
  std::string text = base::joined(std::span(anew).first(std::min(anew.size(), kMostNamed)));
  if (anew.size() > kMostNamed) text += fmt::format(", ... ({} variables)", anew.size());
  return fmt::format("--init {}: its condition is {}, that of the data {}; what belongs to conditions starts anew{}{}",
                     path, model.condition.text(), condition.text(), anew.empty() ? "" : ": ", text);
}

}  // namespace gan::train
