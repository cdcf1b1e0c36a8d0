#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::Shape;
using graph::Tensor;

namespace {

/// A tensor [N, ...] as core * scale with scale [N, 1, ..., 1]. The core is [N, ...], or [1, ...] if all rows are equal
/// but for the scale.
struct Scaled {
  Tensor core, scale;
};

/// Whether `shape` has one element for each row of `whole`, whose rows are longer.
bool is_scale(const Shape& shape, const Shape& whole) {
  return shape.size() == whole.size() && shape[0] == whole[0] && graph::element_count(shape) == shape[0] &&
         graph::element_count(whole) > shape[0];
}

/// Rewrites a graph so that the factors of rows are applied as late as possible:
///   (core * scale) * x = (core * x) * scale
///   core * scale + other * scale = (core + other) * scale
///   (core * scale) W = (core W) * scale, and likewise for convolutions with W
///   f(core * scale) = f(core) * scale for slices, reshapes and permutations f that keep rows
/// Every such node is built as core * scale for readers that need the product; dce removes the unused ones.
class Sink {
 public:
  /// Scales are moved behind these contractions only.
  explicit Sink(std::set<NodeId> contractions) : contractions_(std::move(contractions)) {}

  Tensor operator()(Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    const bool allowed = !node.op->contraction || contractions_.count(node.id) > 0;
    const std::optional<Scaled> form =
        allowed && node.type.shape.size() >= 2 ? scaled(rewritten, node, inputs) : std::nullopt;
    const Tensor core = form ? form->core : unique_.add(rewritten, *node.op, inputs, node.attributes);
    if (node.op->contraction) built_[core.id].insert(node.id);
    if (!form) return core;
    const Tensor whole = mul(rewritten, core, form->scale);
    forms_[whole.id] = *form;
    return whole;
  }

  /// Contractions that became equal to another one.
  std::set<NodeId> shared() const {
    std::set<NodeId> all;
    for (const auto& [core, contractions] : built_)
      if (contractions.size() > 1) all.insert(contractions.begin(), contractions.end());
    return all;
  }

 private:
  Tensor mul(Graph& rewritten, Tensor a, Tensor b) { return unique_.add(rewritten, ops::mul_op, {a, b}); }

  const Scaled* form_of(Tensor tensor) const {
    const auto found = forms_.find(tensor.id);
    return found == forms_.end() ? nullptr : &found->second;
  }

  std::optional<Scaled> scaled(Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    if (node.op == &ops::mul_op) return product(rewritten, node, inputs);
    if (node.op == &ops::add_op) return sum(rewritten, inputs);
    if (node.op == &ops::broadcast_op) return repeated(rewritten, node, inputs[0]);
    const Scaled* form = inputs.empty() ? nullptr : form_of(inputs[0]);
    if (!form) return std::nullopt;
    const bool full = form->core.dim(0) == form->scale.dim(0);
    if (!full && node.op != &ops::matmul_op) return std::nullopt;
    std::vector<Tensor> others = inputs;
    others[0] = form->core;
    const auto applied = [&] { return unique_.add(rewritten, *node.op, others, node.attributes); };
    if (node.op == &ops::slice_op && node.attributes.integer("axis") == 0)
      return Scaled{applied(), unique_.add(rewritten, *node.op, {form->scale}, node.attributes)};
    if (!node.op->keeps_rows || !node.op->keeps_rows(rewritten, with_inputs(node, inputs))) return std::nullopt;
    Shape column(node.type.shape.size(), 1);
    column[0] = form->scale.dim(0);
    const Tensor scale = column == form->scale.shape()
                             ? form->scale
                             : unique_.add(rewritten, ops::reshape_op, {form->scale}, {{"shape", column}});
    return Scaled{applied(), scale};
  }

  /// a * b, where at least one is a scale or has one.
  std::optional<Scaled> product(Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    std::optional<Tensor> core, scale;
    const auto join = [&](std::optional<Tensor>& product, Tensor factor) {
      product = product ? mul(rewritten, *product, factor) : factor;
    };
    bool has_scale = false;
    for (const Tensor& factor : inputs) {
      if (const Scaled* form = form_of(factor)) {
        join(core, form->core);
        join(scale, form->scale);
        has_scale = true;
      } else if (is_scale(factor.shape(), node.type.shape)) {
        join(scale, factor);
        has_scale = true;
      } else if (factor.elements() == 1) {
        join(scale, factor);
      } else {
        join(core, factor);
      }
    }
    if (!has_scale || !core || core->shape().size() != node.type.shape.size()) return std::nullopt;
    if (!is_scale(scale->shape(), node.type.shape)) return std::nullopt;
    return Scaled{*core, *scale};
  }

  /// core * scale + other * scale, with the same scale.
  std::optional<Scaled> sum(Graph& rewritten, const std::vector<Tensor>& inputs) {
    const Scaled* a = form_of(inputs[0]);
    const Scaled* b = form_of(inputs[1]);
    if (!a || !b || a->scale.id != b->scale.id) return std::nullopt;
    return Scaled{unique_.add(rewritten, ops::add_op, {a->core, b->core}), a->scale};
  }

  /// A row broadcast to N equal rows: core [1, ...] times a scale of ones. Matrix products of it become products of one
  /// row.
  std::optional<Scaled> repeated(Graph& rewritten, const Node& node, Tensor row) {
    const Shape& whole = node.type.shape;
    Shape expected = whole;
    expected[0] = 1;
    if (whole[0] == 1 || row.shape() != expected || row.elements() == 1) return std::nullopt;
    Shape column(whole.size(), 1);
    column[0] = whole[0];
    return Scaled{row, unique_.add(rewritten, ops::constant_op, {}, {{"value", 1.0}, {"shape", column}})};
  }

  std::set<NodeId> contractions_;
  std::map<NodeId, Scaled> forms_;            // of nodes of the rewritten graph
  std::map<NodeId, std::set<NodeId>> built_;  // contractions by their replacement in the rewritten graph
  Unique unique_;
};

/// The number of multiplications in contractions: m n k = sqrt(mk * kn * mn) for matrix products, and an estimate of
/// the same form for convolutions.
double contraction_cost(const Graph& graph) {
  double cost = 0;
  for (const Node& node : graph.nodes()) {
    if (!node.op || !node.op->contraction) continue;
    double elements = static_cast<double>(node.type.elements());
    for (const graph::NodeId input : node.inputs) elements *= static_cast<double>(graph.node(input).type.elements());
    cost += std::sqrt(elements);
  }
  return cost;
}

}  // namespace

void sink(Graph& graph) {
  std::set<NodeId> contractions;
  for (const Node& node : graph.nodes())
    if (node.op && node.op->contraction) contractions.insert(node.id);
  Sink everywhere(contractions);
  Graph draft, trial;
  rewrite(graph, draft, std::ref(everywhere));
  // The second rewrite leaves alone the contractions that merged with no other: moving their scales gains nothing.
  rewrite(graph, trial, Sink(everywhere.shared()));
  fold(trial);
  cse(trial);
  dce(trial);
  // The result is kept only if it needs fewer multiplications, as it does where contractions merged.
  if (contraction_cost(trial) < contraction_cost(graph)) graph.swap(trial);
}

}  // namespace gan::passes
