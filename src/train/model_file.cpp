#include "train/model_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "data/condition_json.h"
#include "io/safetensors.h"
#include "train/step.h"
#include "train/variables_file.h"

namespace gan::train {

using Json = nlohmann::ordered_json;

namespace {

constexpr const char* kModelFormat = "gan.cpp model";
constexpr const char* kModelVersion = "3";
constexpr const char* kVersionOfCategories = "2";  // had no numbers in conditions and no units
constexpr const char* kVersionOfLabels = "1";      // had "classes" and "class_names" in place of a condition

/// The variables of the model's networks.
std::vector<nn::Variable> model_variables(const Model& model, Networks networks = Networks::both) {
  const models::ModelSpec spec = model_spec(model);
  graph::Graph graph;
  std::vector<nn::Variable> variables = build_sampler(graph, model.config, spec, 1);
  if (networks == Networks::generator) return variables;
  const std::vector<nn::Variable> discriminator = discriminator_variables(model.config, spec);
  variables.insert(variables.end(), discriminator.begin(), discriminator.end());
  return variables;
}

Json describe(const Model& model) {
  Json json;
  json["config"] = to_json(model.config);
  json["sample_shape"] = model.sample_shape;
  json["value_range"] = model.sample_shape.size() == 3 ? Json{-1, 1} : Json();
  json["units"] = to_json(model.units);
  json["condition"] = to_json(model.condition);
  json["data"] = {{"name", model.data_name}, {"sha256", model.data_hash}};
  json["steps"] = model.steps;
  return json;
}

/// The condition of a model of version 1.
data::ConditionSpec condition_of_labels(const Json& json, const std::string& path) {
  const bool conditional = json.at("condition").get<std::string>() == "label";
  const int classes = json.at("classes").get<int>();
  if (conditional != (classes > 0) || classes < 0)
    base::fail_data("{}: {} in a{} model", path, base::counted(classes, "class", "classes"),
                    conditional ? " conditional" : "n unconditional");
  data::ConditionSpec condition =
      data::label_condition(classes, json.at("class_names").get<std::vector<std::string>>());
  require_sound(condition, path);
  return condition;
}

void read_description(Model& model, const std::string& version, const std::string& text, const std::string& path) {
  try {
    const Json json = Json::parse(text);
    model.config = config_of_json(json.at("config"), path);
    model.sample_shape = json.at("sample_shape").get<graph::Shape>();
    model.condition = version == kVersionOfLabels ? condition_of_labels(json, path)
                                                  : data::condition_of_json(json.at("condition"), path);
    if (version == kModelVersion) model.units = data::units_of_json(json.at("units"), path);
    model.data_name = json.at("data").at("name").get<std::string>();
    model.data_hash = json.at("data").at("sha256").get<std::string>();
    model.steps = json.at("steps").get<std::int64_t>();
  } catch (const Json::exception& error) {
    base::fail_data("{}: the description of the model cannot be read: {}", path, base::reason_of(error));
  }
  if (model.steps < 0)
    base::fail_data("{}: says that it was trained for {}, expected 0 or more", path,
                    base::counted(model.steps, "step"));
  const bool shape_fits = model.sample_shape.size() == 3 || model.sample_shape.size() == 1;
  std::int64_t elements = 1;
  for (std::int64_t length : model.sample_shape) {
    if (length < 1 || length > kLargestSample / elements)
      base::fail_data("{}: samples of shape {}, expected lengths of 1 or more and at most {} elements", path,
                      graph::to_string(model.sample_shape), kLargestSample);
    elements *= length;
  }
  if (!model.units.columns.empty() && static_cast<std::int64_t>(model.units.columns.size()) != elements)
    base::fail_data("{}: {} for vectors of {}", path,
                    base::counted(static_cast<std::int64_t>(model.units.columns.size()), "named element"), elements);
  if (!shape_fits)
    base::fail_data("{}: samples of shape {}; expected [C, H, W] or [D]", path, graph::to_string(model.sample_shape));
}

}  // namespace

Model Model::share() const {
  Model same{config, sample_shape, units, condition, data_name, data_hash, steps, {}};
  for (const auto& [name, array] : weights) same.weights[name] = array.share();
  return same;
}

models::ModelSpec model_spec(const Model& model) {
  return model_spec(model.config, model.sample_shape, model.condition);
}

void save_model(const std::string& path, const Model& model) {
  require_sound(model.condition, path);
  std::vector<io::NamedArray> tensors;
  for (const nn::Variable& variable : model_variables(model)) {
    const auto found = model.weights.find(variable.name);
    if (found == model.weights.end()) base::fail_run("{}: the model has no {}", path, variable.name);
    tensors.push_back({variable.name, &found->second});
  }
  io::write_safetensors(path,
                        {{"format", kModelFormat},
                         {"library", kLibrary},
                         {"version", kModelVersion},
                         {"model", describe(model).dump(-1, ' ', false, Json::error_handler_t::replace)}},
                        tensors);
}

Model load_model(const std::string& path, Networks networks) {
  const bool folder = std::filesystem::is_directory(path);
  const std::string file = folder ? (std::filesystem::path(path) / "model.safetensors").string() : path;
  if (folder && !std::filesystem::exists(file))
    base::fail_data("{}: no model.safetensors in this folder; give a model file or the folder of a run", path);
  base::InputFile input(file);
  return load_model(input, networks);
}

Model load_model(base::InputFile& input, Networks networks) {
  const std::string& file = input.path();
  io::Safetensors content =
      io::read_safetensors(input, networks == Networks::generator ? std::string(kDiscriminator) + "." : "");
  const auto text = [&](const char* key) {
    const auto found = content.metadata.find(key);
    return found == content.metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kModelFormat)
    base::fail_data("{}: not a model of gan.cpp (format \"{}\")", file, text("format"));
  if (text("version") != kModelVersion && text("version") != kVersionOfCategories &&
      text("version") != kVersionOfLabels)
    base::fail_data("{}: model format \"{}\", this program, {}, reads {} to {}; it was written by {}", file,
                    text("version"), kLibrary, kVersionOfLabels, kModelVersion,
                    text("library").empty() ? "another" : text("library"));
  Model model;
  read_description(model, text("version"), text("model"), file);
  std::vector<nn::Variable> variables;
  try {
    variables = model_variables(model, networks);
  } catch (const base::Error& error) {
    base::fail_data("{}: {}", file, error.what());
  }
  take_variables(file, content, variables, model.weights);
  return model;
}

}  // namespace gan::train
