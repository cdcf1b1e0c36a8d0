#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "exchange/part.h"
#include "graph/graph.h"
#include "runtime/array.h"

namespace gan::exchange {

/// A feature of a number of the condition: wave(factor * (t - offset)), where t is the number or, if `log`, its natural
/// logarithm.
struct Feature {
  enum class Wave : std::uint8_t { none, sine, cosine };
  bool log = false;
  double offset = 0, factor = 1;
  Wave wave = Wave::none;
};

/// The features of a column of numbers, in the order of data::NumberColumn::copy_features.
std::vector<Feature> features_of(const data::NumberColumn& column);

/// The rows and columns that a transposed convolution (conv2d_data_gradient) has beyond (H - 1) stride - 2 padding + K,
/// as ONNX and PyTorch name them.
graph::Shape output_padding(const graph::Graph& graph, const graph::Node& node);

/// A trained network for other programs: a graph in which all that depends on weights alone is folded into few
/// weights. Spectral norms, batch norms and the scaling of drawn samples become part of the layer before them.
struct Network {
  /// Folds a network for batches of this size.
  Network(const Part& part, std::int64_t batch);

  /// Inputs: that of the part, the columns of the condition (categories i32 [batch], features of numbers f32 [batch,
  /// features]; see Part::build), and the weights.
  graph::Graph graph;
  /// The outputs, in the order of those of the part.
  std::vector<graph::NodeId> outputs;
  /// The values of the inputs that are weights, f32.
  std::map<std::string, runtime::Array> weights;
  /// The names of the columns' inputs, in the order of the columns.
  std::vector<std::string> columns;
};

}  // namespace gan::exchange
