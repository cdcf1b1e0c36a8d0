#include "base/error.h"
#include "models/condition.h"

namespace gan::models {

using namespace ops;

namespace {

/// The scope of the layers for a condition column. The label's has no column name, as in common PyTorch code.
Scope scope_of(const Scope& s, const char* part, const data::ConditionColumn& column) {
  return column.name == "label" ? s / part : s / part / column.name;
}

/// The only column of a condition. Throws a usage error for several, as some layers take just one.
struct Single {
  Single(const ModelSpec& spec, const Condition& y, const std::string& condition)
      : value(y.columns[0]), categories(spec.condition.columns[0].categories) {
    if (y.columns.size() > 1)
      base::fail_usage("condition = {} takes one column, the data has {}; try embedding", condition, y.columns.size());
  }
  Tensor value;
  std::int64_t categories;
};

}  // namespace

Tensor join_condition(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y) {
  const bool embedded = network.condition == "embedding";
  if (!y || (!embedded && network.condition != "one_hot")) return x;
  std::vector<Tensor> parts{x};
  for (std::size_t c = 0; c < y.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.condition.columns[c];
    const Tensor rows =
        embedded ? nn::embedding(scope_of(s, "embedding", column), y.columns[c], {column.categories, spec.embedding})
                 : nn::linear(scope_of(s, "label", column), one_hot(y.columns[c], column.categories), spec.embedding);
    parts.push_back(reshape(rows, {x.dim(0), rows.elements() / x.dim(0)}));
  }
  return concat(parts);
}

Tensor one_hot_condition(const ModelSpec& spec, const Condition& y) {
  std::vector<Tensor> parts;
  for (std::size_t c = 0; c < y.columns.size(); ++c)
    parts.push_back(one_hot(y.columns[c], spec.condition.columns[c].categories));
  return parts.size() == 1 ? parts[0] : concat(parts);
}

Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, const Condition& y) {
  if (network.batch_norm) {
    const Scope norm = s.next("model", 1);
    if (y && network.condition == "batch_norm") {
      const Single label(spec, y, network.condition);
      h = nn::conditional_batch_norm(norm, h, label.value, label.categories);
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
  Verdicts verdicts{nn::linear(s.next("model"), h, 1, options), std::nullopt};
  if (y && spec.d.condition == "projection") {
    const Single label(spec, y, spec.d.condition);
    const Tensor rows = nn::embedding(s / "projection", label.value, {label.categories, h.dim(1)});
    verdicts.logits = verdicts.logits + sum_to(h * rows, {h.dim(0), 1});
  }
  if (y && spec.d.condition == "auxiliary")
    verdicts.classes = nn::linear(s / "auxiliary", h, Single(spec, y, spec.d.condition).categories, options);
  return verdicts;
}

}  // namespace gan::models
