#include "exchange/part.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.h"
#include "ops/ops.h"
#include "train/step.h"

namespace gan::exchange {

using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Tensor;

using namespace ops;

namespace {

Shape joined(Shape first, const Shape& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

/// The scalings of the columns of vectors, as weights [D].
struct Scales {
  Tensor scale, offset, is_log;
  bool none = true, all = true;  // whether no column, or every column, has log scaling
};

Scales add_scales(Graph& graph, const data::SampleUnits& units, runtime::State& state) {
  Scales scales;
  std::vector<float> scale, offset, is_log;
  for (const data::NumberColumn& column : units.columns) {
    const bool log = column.scaling.kind == "log";
    scale.push_back(static_cast<float>(column.scaling.scale));
    offset.push_back(static_cast<float>(column.scaling.offset));
    is_log.push_back(log ? 1.0f : 0.0f);
    (log ? scales.none : scales.all) = false;
  }
  const auto weights = [&](const char* name, const std::vector<float>& values) {
    const Shape row{std::ssize(values)};
    state[name] = runtime::Array(row, values);
    return graph.input(name, {DType::f32, row});
  };
  scales.scale = weights("units.scale", scale);
  scales.offset = weights("units.offset", offset);
  scales.is_log = weights("units.log", is_log);
  return scales;
}

/// Adds ops that convert samples from the training range to the data's units.
Tensor in_units(Tensor samples, const train::Model& model, runtime::State& state) {
  const data::SampleUnits& units = model.units;
  if (model.sample_shape.size() == 3)
    return units.bytes() ? samples : samples * ((units.high - units.low) / 2) + (units.high + units.low) / 2;
  if (units.columns.empty()) return samples;
  const Scales scales = add_scales(*samples.graph, units, state);
  const Tensor value = samples * scales.scale + scales.offset;
  if (scales.none) return value;
  if (scales.all) return exp(value);
  // Columns without log scaling take the exponential of 0, so that nothing overflows.
  return value + scales.is_log * (exp(value * scales.is_log) - value);
}

/// Adds ops that convert samples from the data's units to the training range.
Tensor in_range(Tensor samples, const train::Model& model, runtime::State& state) {
  const data::SampleUnits& units = model.units;
  if (model.sample_shape.size() == 3)
    return units.bytes() ? samples : (samples - (units.high + units.low) / 2) * (2 / (units.high - units.low));
  if (units.columns.empty()) return samples;
  const Scales scales = add_scales(*samples.graph, units, state);
  Tensor value = samples;
  if (scales.all) value = log(samples);
  if (!scales.all && !scales.none) {
    // Columns without log scaling take the logarithm of 1, since their values may be negative.
    const Tensor plain = 1.0 - scales.is_log;
    value = samples * plain + log(samples * scales.is_log + plain);
  }
  return (value - scales.offset) / scales.scale;
}

/// Decodes a prediction [N, width] of a column: to the logits of categories, a number [N] in its units, or the sine and
/// cosine [N, 2] of a periodic number.
Tensor decoded(const data::ConditionColumn& column, Tensor prediction) {
  if (!column.is_numeric()) return prediction;
  if (column.number.period > 0) return slice(prediction, 1, 0, 2);
  const data::Scaling& scaling = column.number.scaling;
  const Tensor value = slice(prediction, 1, 0, 1) * scaling.scale + scaling.offset;
  return reshape(scaling.kind == "log" ? exp(value) : value, {prediction.dim(0)});
}

Part::Value value_of(const data::ConditionColumn& column) {
  return {column.name, !column.is_numeric()       ? "logits"
                       : column.number.period > 0 ? "sine and cosine"
                                                  : comment_text(column.number.unit)};
}

void take_weights(const std::vector<nn::Variable>& variables, const runtime::State& from, runtime::State& to) {
  for (const nn::Variable& variable : variables) to[variable.name] = from.at(variable.name).share();
}

/// The columns of a condition as JSON.
std::string to_text(const std::vector<data::ConditionColumn>& columns) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const data::ConditionColumn& column : columns) {
    nlohmann::ordered_json json{{"name", column.name}};
    if (column.is_numeric()) {
      json.update(
          {{"unit", column.number.unit}, {"minimum", column.number.minimum}, {"maximum", column.number.maximum}});
      if (column.number.period > 0) json["period"] = column.number.period;
    } else {
      json["categories"] = column.names;
      json["count"] = column.categories;
    }
    all.push_back(json);
  }
  return all.dump();
}

/// The range of the values of exported samples.
std::string range_of(const train::Model& model) {
  return model.sample_shape.size() == 1 ? "the data's" : model.units.range();
}

Part part_of(const train::Model& model, const char* name) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (const data::NumberColumn& column : model.units.columns) columns.push_back(column.name);
  return {.name = name,
          .title = fmt::format("The {} of a conditional GAN", name),
          .origin = fmt::format("a model of the preset {}, trained for {}", comment_text(model.config.preset),
                                base::counted(model.steps, "step")),
          .input = {},
          .condition = model.condition,
          .metadata = {{"preset", model.config.preset},
                       {"steps", std::to_string(model.steps)},
                       {"data", model.data_name},
                       {"data_sha256", model.data_hash},
                       {"condition", to_text(model.condition.columns)},
                       {"value_range", range_of(model)},
                       {"columns", columns.dump()}}};
}

Part::Value samples_of(const train::Model& model) {
  const std::string range = range_of(model);
  return {"samples", range.starts_with('[') ? "in " + range : "in the data's units"};
}

}  // namespace

std::string comment_text(std::string name) {
  const auto is_harmless = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0 || std::string_view(" -_.,:()%").find(c) != std::string_view::npos;
  };
  for (char& c : name)
    if (!is_harmless(c)) c = ' ';
  return name;
}

Part generator_part(const train::Model& model) {
  Part part = part_of(model, train::kGenerator);
  const std::string& distribution = model.config.model.latent_distribution;
  part.input = {"z", distribution == "uniform" ? "uniform in [-1, 1]" : "normally distributed"};
  part.input_shape = {model.config.model.latent};
  part.outputs.push_back(samples_of(model));
  part.metadata.emplace_back("latent_distribution", distribution);
  part.build = [&model](Graph& graph, runtime::State& weights, std::int64_t batch) -> std::vector<Tensor> {
    const models::ModelSpec spec = train::model_spec(model);
    take_weights(train::build_sampler(graph, model.config, spec, batch), model.weights, weights);
    return {in_units({&graph, graph.outputs().at("samples")}, model, weights)};
  };
  return part;
}

Part discriminator_part(const train::Model& model) {
  Part part = part_of(model, train::kDiscriminator);
  const std::int64_t pack = model.config.model.pack;
  part.input = samples_of(model);
  part.input_shape = pack > 1 ? joined({pack}, model.sample_shape) : model.sample_shape;
  part.pack = pack;
  part.outputs.push_back({.name = "logits"});
  if (model.config.model.d.condition == "auxiliary") {
    for (const data::ConditionColumn& column : model.condition.columns) part.outputs.push_back(value_of(column));
    part.condition = {};
  }
  part.build = [&model, pack, shape = part.input_shape](Graph& graph, runtime::State& weights, std::int64_t batch) {
    const Shape rows = pack > 1 ? Shape{batch, pack} : Shape{batch};
    const auto flat = [&](Tensor x, const Shape& row) { return reshape(x, joined({batch * pack}, row)); };
    const Tensor samples = graph.input("samples", {DType::f32, joined({batch}, shape)});
    models::Condition y;
    for (const data::ConditionColumn& column : model.condition.columns) {
      const Shape row = column.is_numeric() ? Shape{column.width()} : Shape{};
      const graph::TensorType type{column.is_numeric() ? DType::f32 : DType::i32, joined(rows, row)};
      y.columns.push_back(flat(graph.input(train::column_input("y", column), type), row));
    }
    const models::ModelSpec spec = train::model_spec(model);
    const Tensor x = flat(in_range(samples, model, weights), model.sample_shape);
    const train::JudgedSamples judged = train::build_discriminator(graph, model.config, spec, x, y);
    take_weights(judged.variables, model.weights, weights);
    std::vector<Tensor> outputs{reshape(judged.verdicts.logits, {batch})};
    for (std::size_t c = 0; c < judged.verdicts.predictions.size(); ++c)
      outputs.push_back(decoded(model.condition.columns[c], judged.verdicts.predictions[c]));
    return outputs;
  };
  return part;
}

Part classifier_part(const eval::Classifier& classifier) {
  std::vector<data::ConditionColumn> numbers;
  for (const data::NumberColumn& number : classifier.numbers)
    numbers.push_back({.name = number.name, .number = number});
  Part part{.name = eval::kClassifierScope,
            .title = classifier.classes > 0 ? "An image classifier" : "A regressor of images",
            .origin = fmt::format("one that gan eval trained on {}", comment_text(classifier.data_name)),
            .input = {"samples", "in [-1, 1]"},
            .input_shape = classifier.sample_shape,
            .metadata = {{"data", classifier.data_name},
                         {"data_sha256", classifier.data_hash},
                         {"condition", to_text(numbers)},
                         {"value_range", "[-1, 1]"}}};
  if (classifier.classes > 0) part.outputs.push_back({.name = "logits"});
  for (const data::ConditionColumn& number : numbers) part.outputs.push_back(value_of(number));
  part.outputs.push_back({.name = "features"});
  part.build = [&classifier, numbers](Graph& graph, runtime::State& weights, std::int64_t batch) {
    const Tensor x = graph.input("samples", {DType::f32, joined({batch}, classifier.sample_shape)});
    const eval::ReadImages read = eval::build_classifier(graph, classifier, nn::channels_last(x));
    take_weights(read.variables, classifier.weights, weights);
    std::vector<Tensor> outputs;
    if (classifier.classes > 0) outputs.push_back(read.head);
    std::int64_t begin = 0;
    for (const data::ConditionColumn& number : numbers) {
      outputs.push_back(decoded(number, slice(read.head, 1, begin, number.width())));
      begin += number.width();
    }
    outputs.push_back(read.features);
    return outputs;
  };
  return part;
}

}  // namespace gan::exchange
