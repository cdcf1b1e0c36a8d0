#include "models/condition.h"

namespace gan::models {

using namespace ops;

Tensor join_label(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, std::optional<Tensor> y) {
  if (!y) return x;
  Tensor label;
  if (network.condition == "embedding") {
    label = nn::embedding(s / "embedding", *y, {spec.classes, spec.embedding});
  } else if (network.condition == "one_hot") {
    label = nn::linear(s / "label", one_hot(*y, spec.classes), spec.embedding);
  } else {
    return x;
  }
  return concat({x, reshape(label, {x.dim(0), label.elements() / x.dim(0)})});
}

Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, std::optional<Tensor> y) {
  if (network.batch_norm) {
    const Scope norm = s.next("model", 1);
    h = y && network.condition == "batch_norm" ? nn::conditional_batch_norm(norm, h, *y, spec.classes)
                                               : nn::batch_norm(norm, h);
  }
  s.next("model", 1);  // the activation has no variables
  h = nn::activation(network.activation, h);
  return network.dropout > 0 ? nn::dropout(s.next("model", 1), h, network.dropout) : h;
}

Verdicts judge_features(Scope& s, const ModelSpec& spec, Tensor h, std::optional<Tensor> y) {
  const nn::LinearOptions options = linear_options(spec.d);
  Verdicts verdicts{nn::linear(s.next("model"), h, 1, options), std::nullopt};
  if (y && spec.d.condition == "projection") {
    const Tensor rows = nn::embedding(s / "projection", *y, {spec.classes, h.dim(1)});
    verdicts.logits = verdicts.logits + sum_to(h * rows, {h.dim(0), 1});
  }
  if (y && spec.d.condition == "auxiliary") verdicts.classes = nn::linear(s / "auxiliary", h, spec.classes, options);
  return verdicts;
}

}  // namespace gan::models
