#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "exchange/part.h"
#include "graph/graph.h"
#include "runtime/array.h"

namespace gan::exchange {

/// A feature of a numeric condition: wave(factor * (t - offset)), where t is the number or, if `log`, its natural
/// logarithm.
struct Feature {
  enum class Wave : std::uint8_t { none, sine, cosine };
  bool log = false;
  double offset = 0, factor = 1;
  Wave wave = Wave::none;
};

/// The features of a column of numbers, in the order of data::NumberColumn::copy_features.
std::vector<Feature> features_of(const data::NumberColumn& column);

/// The output_padding, as ONNX and PyTorch call it, of a transposed convolution (conv2d_data_gradient): the rows and
/// columns of its result beyond (H - 1) stride - 2 padding + K.
graph::Shape output_padding(const graph::Graph& graph, const graph::Node& node);

/// A trained network for other programs: a graph in which everything that depends only on weights is folded. Spectral
/// norms, batch norms and the scaling of drawn samples become part of the weights of the layer before them.
struct Network {
  /// Builds and folds the network of a part for batches of this size.
  Network(const Part& part, std::int64_t batch);

  /// Its inputs are the part's input, the columns of the condition (categories i32 [batch], features of numbers f32
  /// [batch, features]; see Part::build), and the weights.
  graph::Graph graph;
  /// The outputs, in the order of Part::outputs.
  std::vector<graph::NodeId> outputs;
  /// The values of those inputs of the graph that are weights, f32.
  std::map<std::string, runtime::Array> weights;
  /// The names of the graph's inputs for the columns of the condition, in order of the columns.
  std::vector<std::string> columns;
};

}  // namespace gan::exchange
