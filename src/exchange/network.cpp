#include "exchange/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <set>
#include <utility>

#include "compiler/compile.h"
#include "ops/ops.h"
#include "passes/pass.h"
#include "train/step.h"

namespace gan::exchange {

using graph::DType;
using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::Shape;
using graph::Tensor;

using namespace ops;

namespace {

/// Computes the values of these nodes, which depend only on weights.
std::map<NodeId, runtime::Array> evaluate(const Graph& graph, const std::set<NodeId>& nodes, runtime::State& state) {
  std::map<NodeId, runtime::Array> values;
  const auto name_of = [](NodeId id) { return fmt::format("value.{}", id); };
  Graph copy;
  passes::rewrite(graph, copy, [&](Graph& target, const Node& node, const std::vector<Tensor>& inputs) {
    const Tensor result = target.add(*node.op, inputs, node.attributes);
    if (nodes.contains(node.id)) target.output(name_of(node.id), result);
    return result;
  });
  runtime::Arena arena;
  compiler::compile(copy, {}, state, arena).run();
  for (const NodeId id : nodes) values[id] = state.at(graph.node(id).op ? name_of(id) : graph.node(id).name).on_host();
  return values;
}

/// Copies a graph to a Network and folds its weights.
class Folding {
 public:
  Folding(const Graph& from, runtime::State& state, std::string scope, Network& to)
      : from_(from), scope_(std::move(scope)), to_(to) {
    const std::size_t count = from.nodes().size();
    frozen_.resize(count), readers_.resize(count), mapped_.resize(count), pending_.resize(count);
    std::set<NodeId> kept;
    for (const Node& node : from.nodes()) {
      const bool frozen = node.op ? std::ranges::all_of(node.inputs, [&](NodeId id) { return is_frozen(id); })
                                  : state.contains(node.name);
      frozen_[index(node.id)] = frozen;
      for (const NodeId input : node.inputs) ++readers_[index(input)];
      if (frozen) continue;
      for (const NodeId input : node.inputs)
        if (is_frozen(input) && !from.node(input).is_constant()) kept.insert(input);
    }
    values_ = evaluate(from, kept, state);
  }

  void run(const std::vector<std::string>& outputs) {
    for (const Node& node : from_.nodes())
      if (!is_frozen(node.id) && (node.op || is_read(node))) map(node);
    for (const std::string& output : outputs) to_.outputs.push_back(tensor(from_.outputs().at(output)).id);
  }

 private:
  /// A product with constant weights that was not added yet, with the per-channel scale and shift and the reshapes that
  /// follow it.
  struct Pending {
    const Node* product = nullptr;
    std::vector<double> scale, shift;
    std::vector<Shape> reshapes;
    bool shifted = false;
  };

  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }
  bool is_frozen(NodeId id) const { return frozen_[index(id)]; }
  bool is_read(const Node& node) const { return readers_[index(node.id)] > 0; }
  const Shape& shape(NodeId id) const { return from_.node(id).type.shape; }

  void map(const Node& node) {
    if (!node.op)
      mapped_[index(node.id)] = to_.graph.input(node.name, node.type);
    else if (!begin(node) && !reshape_pending(node) && !scale_or_shift(node))
      add(node);
  }

  void add(const Node& node) {
    std::vector<Tensor> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(tensor(input));
    mapped_[index(node.id)] = to_.graph.add(*node.op, inputs, node.attributes);
  }

  bool begin(const Node& node) {
    if (!node.op->contraction || is_frozen(node.inputs[0]) || !is_frozen(node.inputs[1])) return false;
    if (node.attributes.has("transpose_a") && node.attributes.integer("transpose_a") != 0) return false;
    const auto channels = static_cast<std::size_t>(node.type.shape.back());
    pending_[index(node.id)] = Pending{&node, std::vector<double>(channels, 1), std::vector<double>(channels), {}};
    return true;
  }

  /// The pending product of node `id`, if the node has one reader only; else null.
  Pending* pending_for(NodeId id) {
    std::optional<Pending>& pending = pending_[index(id)];
    return pending && readers_[index(id)] == 1 && !mapped_[index(id)] ? &*pending : nullptr;
  }

  bool reshape_pending(const Node& node) {
    if (node.op != &ops::reshape_op) return false;
    Pending* const pending = pending_for(node.inputs[0]);
    if (!pending || pending->product->type.shape.size() != 2 || node.type.shape.size() < 2) return false;
    const std::int64_t columns = pending->product->type.shape[1], channels = node.type.shape.back();
    if (node.type.shape[0] != pending->product->type.shape[0] || channels == 0 || columns % channels != 0) return false;
    Pending moved = *pending;
    moved.reshapes.push_back(node.type.shape);
    pending_[index(node.id)] = std::move(moved);
    return true;
  }

  bool scale_or_shift(const Node& node) {
    const bool add = node.op == &ops::add_op, mul = node.op == &ops::mul_op;
    if (!add && !mul) return false;
    const bool second = is_frozen(node.inputs[1]);
    const NodeId product = node.inputs[second ? 0 : 1], other = node.inputs[second ? 1 : 0];
    Pending* const pending = is_frozen(other) ? pending_for(product) : nullptr;
    if (!pending || shape(product) != node.type.shape) return false;
    const std::int64_t channels = node.type.shape.back(), elements = graph::element_count(shape(other));
    if (elements != 1 && (elements != channels || shape(other).back() != channels)) return false;
    Pending changed = *pending;
    for (std::size_t c = 0; c < changed.scale.size(); ++c) {
      const double value = number(other, elements == 1 ? 0 : c % static_cast<std::size_t>(channels));
      if (add) {
        changed.shift[c] += value;
      } else {
        changed.scale[c] *= value;
        changed.shift[c] *= value;
      }
    }
    changed.shifted = changed.shifted || add;
    pending_[index(node.id)] = std::move(changed);
    return true;
  }

  double number(NodeId id, std::size_t element) const {
    const Node& node = from_.node(id);
    return node.is_constant() ? node.attributes.real("value") : static_cast<double>(values_.at(id).f32()[element]);
  }

  Tensor tensor(NodeId id) {
    std::optional<Tensor>& mapped = mapped_[index(id)];
    if (mapped) return *mapped;
    if (pending_[index(id)])
      mapped = finish(*pending_[index(id)]);
    else if (from_.node(id).is_constant())
      mapped = constant(to_.graph, from_.node(id).attributes.real("value"));
    else
      mapped = weight(name_of(id, "weight"), shape(id), values_.at(id).f32());
    return *mapped;
  }

  /// Adds a pending product: with scaled weights, the shift as its bias, and the reshapes.
  Tensor finish(const Pending& pending) {
    const Node& node = *pending.product;
    const Shape& weights = shape(node.inputs[1]);
    const std::span<const float> values = values_.at(node.inputs[1]).f32();
    const std::size_t channels = pending.scale.size();
    // The axis of the weights that belongs to the channels of the result.
    const bool matmul = node.op == &ops::matmul_op;
    const bool first_axis = matmul ? node.attributes.integer("transpose_b") != 0 : node.op->name == "conv2d";
    const std::ptrdiff_t axis = first_axis ? 0 : 1;
    const auto inner = static_cast<std::size_t>(graph::element_count(Shape(weights.begin() + axis + 1, weights.end())));
    std::vector<float> scaled(values.size()), bias(channels);
    for (std::size_t i = 0; i < values.size(); ++i)
      scaled[i] = static_cast<float>(static_cast<double>(values[i]) * pending.scale[i / inner % channels]);
    std::ranges::transform(pending.shift, bias.begin(), [](double value) { return static_cast<float>(value); });
    Tensor result =
        to_.graph.add(*node.op, {tensor(node.inputs[0]), weight(name_of(node.inputs[1], "weight"), weights, scaled)},
                      node.attributes);
    if (pending.shifted)
      result = result + weight(name_of(node.inputs[1], "bias"), {static_cast<std::int64_t>(channels)}, bias);
    for (const Shape& shape : pending.reshapes) result = ops::reshape(result, shape);
    return result;
  }

  Tensor weight(const std::string& name, const Shape& shape, std::span<const float> values) {
    to_.weights[name] = runtime::Array(shape, values);
    return to_.graph.input(name, {DType::f32, shape});
  }

  /// A unique name for weights computed from a node: the layer of the first variable that the node depends on, and
  /// `part`, such as "model.0.weight".
  std::string name_of(NodeId id, const std::string& part) {
    NodeId first = id;
    bool found = false;
    for (std::set<NodeId> open{id}; !open.empty();) {
      const Node& node = from_.node(*open.rbegin());
      open.erase(node.id);
      open.insert(node.inputs.begin(), node.inputs.end());
      if (node.op || (found && node.id > first)) continue;
      first = node.id;
      found = true;
    }
    std::string name = from_.node(first).name;
    if (name.starts_with(scope_ + ".")) name.erase(0, scope_.size() + 1);
    name = name.substr(0, name.rfind('.') + 1) + part;
    std::string unique = name;
    for (int k = 2; to_.weights.contains(unique); ++k) unique = fmt::format("{}{}", name, k);
    return unique;
  }

  const Graph& from_;
  const std::string scope_;  // of the variables, removed from the names of weights
  Network& to_;
  std::vector<bool> frozen_;  // whether each node depends only on weights and constants
  std::vector<int> readers_;  // number of nodes that read each node
  std::vector<std::optional<Tensor>> mapped_;
  std::vector<std::optional<Pending>> pending_;
  std::map<NodeId, runtime::Array> values_;  // of frozen nodes that other nodes read
};

}  // namespace

std::vector<Feature> features_of(const data::NumberColumn& column) {
  std::vector<Feature> features;
  const auto waves = [&](Feature feature, std::int64_t count) {
    for (std::int64_t k = 0; k < count; ++k, feature.factor *= 2)
      for (const Feature::Wave wave : {Feature::Wave::sine, Feature::Wave::cosine}) {
        feature.wave = wave;
        features.push_back(feature);
      }
  };
  if (column.period > 0) {
    waves({.factor = 2 * std::numbers::pi / column.period}, 1 + column.fourier);
    return features;
  }
  const bool log = column.scaling.kind == "log";
  features.push_back({.log = log, .offset = column.scaling.offset, .factor = 1 / column.scaling.scale});
  const double low = log ? std::log(column.minimum) : column.minimum;
  const double high = log ? std::log(column.maximum) : column.maximum;
  waves({.log = log, .offset = low, .factor = std::numbers::pi / (high - low)}, column.fourier);
  return features;
}

Shape output_padding(const Graph& graph, const Node& node) {
  const Shape &weights = graph.node(node.inputs[1]).type.shape, &from = graph.node(node.inputs[0]).type.shape;
  const std::int64_t stride = node.attributes.integer("stride"), padding = node.attributes.integer("padding");
  Shape more;
  for (const std::size_t axis : {1, 2})
    more.push_back(node.type.shape[axis] - ((from[axis] - 1) * stride - 2 * padding + weights[axis + 1]));
  return more;
}

Network::Network(const Part& part, std::int64_t batch) {
  Graph whole;
  runtime::State state;
  const std::vector<Tensor> results = part.build(whole, state, batch);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < results.size(); ++i) {
    names.push_back(fmt::format("output {}", i));
    whole.output(names.back(), results[i]);
  }
  passes::fold(whole);
  passes::cse(whole);
  passes::dce(whole);
  Folding(whole, state, part.name, *this).run(names);
  for (const data::ConditionColumn& column : part.condition.columns)
    columns.push_back(train::column_input("y", column));
}

}  // namespace gan::exchange
