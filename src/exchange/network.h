#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/array.h"
#include "train/model_file.h"

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

/// A name of a model file as text of a comment in any language: letters, digits, and what ends no comment or string.
std::string comment_text(std::string name);

/// A trained generator for other programs: a graph in which all that depends on weights alone is folded into few
/// weights. Spectral norms, batch norms and the data's scaling become part of the layer before them.
struct Network {
  /// Folds the generator for samples in batches of this size.
  Network(const train::Model& model, std::int64_t batch);

  /// Inputs: "z" f32 [batch, latent], the columns of the condition as train::build_sampler has them (categories i32
  /// [batch], features of numbers f32 [batch, features]), and the weights. Output: "samples" [batch, ...sample] in the
  /// data's units; images that came as bytes are in [-1, 1].
  graph::Graph graph;
  /// The values of the inputs that are weights, f32.
  std::map<std::string, runtime::Array> weights;
  /// The names of the columns' inputs, in the order of the columns.
  std::vector<std::string> columns;
};

}  // namespace gan::exchange
