#pragma once

#include <vector>

#include "graph/graph.h"

namespace gan::autodiff {

/// Builds d(loss)/d(wrt[i]) in the graph of `loss` by reverse accumulation. `loss` has one element; result i has the
/// shape of wrt[i] and is zero where loss does not depend on it. Gradients are ordinary nodes, so they can be
/// differentiated again. Throws a usage error if loss has more than one element.
std::vector<graph::Tensor> gradient(graph::Tensor loss, const std::vector<graph::Tensor>& wrt);

}  // namespace gan::autodiff
