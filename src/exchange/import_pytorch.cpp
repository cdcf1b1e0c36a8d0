#include "exchange/import_pytorch.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan::exchange {

using graph::Shape;

namespace {

/// The tensors of a state dict. Those of parametrizations are renamed to torch.nn.utils.spectral_norm's older names.
class StateDict {
 public:
  explicit StateDict(const std::string& path) : path_(path) {
    io::Safetensors content = io::read_safetensors(path);
    if (content.tensors.empty()) base::fail_data("{}: holds no tensors", path);
    for (auto& [name, array] : content.tensors) {
      try {
        io::require_finite(name, array);
      } catch (const base::Error& error) {
        base::fail_data("{}: {}", path, error.what());
      }
      unused_.insert(older_name(name));
      tensors_[older_name(name)] = std::move(array);
    }
  }

  const runtime::Array* find(const std::string& name) {
    unused_.erase(name);
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }

  /// The tensor of this name, which must have this shape; -1 stands for any length.
  const runtime::Array& take(const std::string& name, const Shape& shape) {
    const runtime::Array* const array = find(name);
    if (!array) base::fail_data("{}: has no tensor \"{}\"", path_, name);
    const Shape& found = array->type().shape;
    bool fits = found.size() == shape.size() && array->type().dtype == graph::DType::f32;
    for (std::size_t axis = 0; fits && axis < shape.size(); ++axis)
      fits = shape[axis] < 0 || shape[axis] == found[axis];
    if (!fits) {
      std::string expected = graph::to_string(shape);
      for (std::size_t at; (at = expected.find("-1")) != std::string::npos;) expected.replace(at, 2, "?");
      base::fail_data("{}: \"{}\" is {}, expected f32{}", path_, name, to_string(array->type()), expected);
    }
    return *array;
  }

  /// The numbers N of "model.N.bias", in order.
  std::vector<int> layers() const {
    std::set<int> numbers;
    for (const auto& [name, array] : tensors_) {
      const std::vector<std::string> parts = base::split(name, '.');
      if (parts.size() != 3 || parts[0] != "model" || parts[2] != "bias") continue;
      if (const auto number = base::parse_number<int>(parts[1])) numbers.insert(*number);
    }
    if (numbers.empty())
      base::fail_data("{}: has no tensor \"model.N.bias\" of a linear layer, as the tutorial's networks", path_);
    return {numbers.begin(), numbers.end()};
  }

  void require_all_used() const {
    if (!unused_.empty())
      base::fail_data("{}: has a tensor \"{}\", which the tutorial's networks have not", path_, *unused_.begin());
  }

 private:
  static std::string older_name(std::string name) {
    const std::pair<std::string_view, std::string_view> endings[] = {
        {"parametrizations.weight.original", "weight_orig"},
        {"parametrizations.weight.0._u", "weight_u"},
        {"parametrizations.weight.0._v", "weight_v"}};
    for (const auto& [ending, older] : endings)
      if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size()) + std::string(older);
    return name;
  }

  std::string path_;
  std::map<std::string, runtime::Array> tensors_;
  std::set<std::string> unused_;
};

/// Tensors with the names that they get in the model.
using Taken = std::vector<std::pair<std::string, const runtime::Array*>>;

std::string layer_name(int layer) { return fmt::format("model.{}.", layer); }

/// Takes the linear layers of a network, of which the last has `outputs`, and sets what follows from their shapes.
/// Returns the inputs of the first.
std::int64_t take_layers(StateDict& state, std::string_view scope, std::int64_t outputs, models::NetworkSpec& network,
                         Taken& taken) {
  const std::vector<int> layers = state.layers();
  network.widths.clear();
  network.spectral_norm = state.find(layer_name(layers[0]) + "weight_orig") != nullptr;
  const std::string weight = network.spectral_norm ? "weight_orig" : "weight";
  std::int64_t inputs = -1, first_inputs = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string name = layer_name(layers[i]);
    const bool last = i + 1 == layers.size();
    const runtime::Array& matrix = state.take(name + weight, {last ? outputs : -1, inputs});
    const Shape shape = matrix.type().shape;
    if (i == 0) first_inputs = shape[1];
    inputs = shape[0];
    if (!last) network.widths.push_back(inputs);
    // The index counts activations, too, as in nn.Sequential.
    const std::string ours = fmt::format("{}.model.{}.", scope, 2 * i);
    taken.emplace_back(ours + weight, &matrix);
    taken.emplace_back(ours + "bias", &state.take(name + "bias", {inputs}));
    if (!network.spectral_norm) continue;
    taken.emplace_back(ours + "weight_u", &state.take(name + "weight_u", {inputs}));
    taken.emplace_back(ours + "weight_v", &state.take(name + "weight_v", {shape[1]}));
  }
  return first_inputs;
}

/// Takes the embedding of labels, if there is one: null without.
const runtime::Array* take_embedding(StateDict& state, std::string_view scope, const Shape& shape, Taken& taken) {
  if (!state.find("embedding.weight")) return nullptr;
  const runtime::Array& table = state.take("embedding.weight", shape);
  taken.emplace_back(fmt::format("{}.embedding.weight", scope), &table);
  return &table;
}

}  // namespace

train::Model import_pytorch(const std::string& generator, const std::string& discriminator, const Shape& image,
                            const std::string& activation) {
  StateDict state(generator);
  train::Model model;
  model.config = train::load_preset("tutorial-lsgan");
  model.sample_shape = image;
  model.data_name = "imported";
  models::NetworkPair& networks = model.config.model;
  networks.g.activation = activation;
  const std::int64_t pixels = graph::element_count(image);
  Taken taken;
  const std::int64_t inputs = take_layers(state, train::kGenerator, pixels, networks.g, taken);
  networks.latent = inputs;
  if (const runtime::Array* const table = take_embedding(state, train::kGenerator, {-1, -1}, taken)) {
    const Shape& shape = table->type().shape;
    networks.embedding = shape[1];
    networks.latent -= networks.embedding;
    constexpr std::int64_t kMostClasses = 1'000'000;
    if (shape[0] < 1 || shape[0] > kMostClasses)
      base::fail_data("{}: \"embedding.weight\" is {}, expected 1 to {} rows", generator, to_string(table->type()),
                      kMostClasses);
    model.condition = data::label_condition(static_cast<int>(shape[0]));
  }
  model.config.data.unconditional = model.condition.empty();
  if (networks.latent < 1)
    base::fail_data("{}: the first layer has {} inputs, the embedding {} of them: none is left for the latents",
                    generator, inputs, networks.embedding);
  state.require_all_used();

  std::optional<StateDict> of_d;
  if (!discriminator.empty()) {
    of_d.emplace(discriminator);
    const std::int64_t wanted = pixels + (model.condition.empty() ? 0 : networks.embedding),
                       found = take_layers(*of_d, train::kDiscriminator, 1, networks.d, taken);
    const Shape table{model.condition.classes(), networks.embedding};
    const bool has_table = of_d->find("embedding.weight") != nullptr;
    if (found != wanted || has_table == model.condition.empty())
      base::fail_data("{}: the first layer has {} inputs{}, expected {} for the pixels and the generator's condition",
                      discriminator, found, has_table ? " and there is an embedding" : "", wanted);
    take_embedding(*of_d, train::kDiscriminator, table, taken);
    of_d->require_all_used();
  } else {
    const models::ModelSpec spec = train::model_spec(model);
    nn::initialize(train::discriminator_variables(model.config, spec), /*seed=*/1, model.weights);
  }
  for (const auto& [name, array] : taken) model.weights[name] = array->share();
  return model;
}

}  // namespace gan::exchange
