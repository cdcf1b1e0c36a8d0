#include "base/error.h"
#include "models/condition.h"

namespace gan::models {

using namespace ops;

namespace {

/// The scope of the layers for a condition column. The label's has no column name, as in common PyTorch code.
Scope scope_of(const Scope& s, const char* part, const data::ConditionColumn& column) {
  return column.name == "label" ? s / part : s / part / column.name;
}

/// The values of a column as vectors: one-hot categories [N, K]; shares of categories and features of numbers as they
/// are.
Tensor vectors_of(const data::ConditionColumn& column, Tensor values) {
  return values.dtype() == graph::DType::f32 ? values : one_hot(values, column.categories);
}

/// A learned row [channels] for each sample, [N, channels]: `start` and what each column adds. A label's table begins
/// with `start` itself, as usual.
Tensor learned_rows(const Scope& s, const ModelSpec& spec, const Condition& y, const char* name, std::int64_t channels,
                    double start) {
  std::optional<Tensor> rows;
  for (std::size_t c = 0; c < y.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.condition.columns[c];
    const Scope scope = column.name == "label" ? s : s / column.name;
    const bool first = c == 0 && !column.is_numeric();
    const Tensor table = scope.parameter(name, {column.width(), channels}, nn::Init::constant(first ? start : 0));
    const Tensor added = nn::lookup(table, y.columns[c]);
    rows = rows ? *rows + added : first ? added : added + start;
  }
  return *rows;
}

}  // namespace

Tensor join_condition(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y) {
  const bool embedded = network.condition == "embedding";
  if (!y || (!embedded && network.condition != "one_hot")) return x;
  std::vector<Tensor> parts{x};
  for (std::size_t c = 0; c < y.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.condition.columns[c];
    const Scope scope = scope_of(s, embedded ? "embedding" : "label", column);
    const Tensor rows = embedded && !column.is_numeric()
                            ? nn::embedding(scope, y.columns[c], {column.categories, spec.embedding})
                            : nn::linear(scope, vectors_of(column, y.columns[c]), spec.embedding);
    parts.push_back(reshape(rows, {x.dim(0), rows.elements() / x.dim(0)}));
  }
  return concat(parts);
}

Tensor one_hot_condition(const ModelSpec& spec, const Condition& y) {
  std::vector<Tensor> parts;
  for (std::size_t c = 0; c < y.columns.size(); ++c)
    parts.push_back(vectors_of(spec.condition.columns[c], y.columns[c]));
  return parts.size() == 1 ? parts[0] : concat(parts);
}

Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, const Condition& y) {
  if (network.batch_norm) {
    const Scope norm = s.next("model", 1);
    if (y && network.condition == "batch_norm") {
      const std::int64_t channels = h.shape().back();
      h = nn::conditional_batch_norm(norm, h, learned_rows(norm, spec, y, "weight", channels, 1),
                                     learned_rows(norm, spec, y, "bias", channels, 0));
    } else {
      h = nn::batch_norm(norm, h);
    }
  }
  s.next("model", 1);  // the activation has no variables
  h = nn::activation(network.activation, h);
  return network.dropout > 0 ? nn::dropout(s.next("model", 1), h, network.dropout) : h;
}

Verdicts judge_features(Scope& s, const ModelSpec& spec, Tensor h, const Condition& y) {
  const nn::LinearOptions options = linear_options(spec.d);
  Verdicts verdicts{nn::linear(s.next("model"), h, 1, options), {}};
  for (std::size_t c = 0; c < y.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.condition.columns[c];
    if (spec.d.condition == "projection") {
      const Scope scope = scope_of(s, "projection", column);
      const Tensor rows = column.is_numeric() ? nn::linear(scope, y.columns[c], h.dim(1), {.bias = false})
                                              : nn::embedding(scope, y.columns[c], {column.categories, h.dim(1)});
      verdicts.logits = verdicts.logits + sum_to(h * rows, {h.dim(0), 1});
    }
    if (spec.d.condition == "auxiliary")
      verdicts.predictions.push_back(nn::linear(scope_of(s, "auxiliary", column), h, column.width(), options));
  }
  return verdicts;
}

Tensor auxiliary_loss(const ModelSpec& spec, const Verdicts& verdicts, const Condition& y) {
  std::optional<Tensor> total;
  for (std::size_t c = 0; c < verdicts.predictions.size(); ++c) {
    const Tensor prediction = verdicts.predictions[c];
    const Tensor loss = spec.condition.columns[c].is_numeric() ? mean(square(prediction - y.columns[c]))
                                                               : nn::softmax_cross_entropy(prediction, y.columns[c]);
    total = total ? *total + loss : loss;
  }
  return *total;
}

}  // namespace gan::models
