#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "eval/classifier.h"
#include "graph/graph.h"
#include "train/model_file.h"

namespace gan::exchange {

/// Makes a name from a model file safe for comments and strings of generated code: characters that could end one become
/// blanks.
std::string comment_text(std::string name);

/// A trained network to export: its named inputs and outputs, and a function that builds its graph.
struct Part {
  struct Value {
    std::string name;        ///< may be the name of a column, with any characters
    std::string range = {};  ///< for comments, such as "in [-1, 1]"; may be empty
  };

  std::string name;                    ///< "generator", "discriminator" or "classifier"; the scope of its variables
  std::string title, origin;           ///< for comments: what the network is, and from which model or data it comes
  Value input;                         ///< f32 [batch, ...input_shape]
  graph::Shape input_shape = {};       ///< [latent], or that of samples, with an axis `pack` first if pack is above 1
  data::ConditionSpec condition = {};  ///< the other inputs: [batch] for each column, [batch, pack] if pack is above 1
  std::int64_t pack = 1;               ///< number of samples that a discriminator judges together
  std::vector<Value> outputs = {};     ///< f32
  std::vector<std::pair<std::string, std::string>> metadata = {};
  /// Adds the network for batches of this size to a graph and its weights to a state; returns the outputs. The graph's
  /// inputs are the weights, `input.name`, and one for each column, named train::column_input("y", column): i32 for
  /// categories, f32 with a last axis of features for numbers.
  std::function<std::vector<graph::Tensor>(graph::Graph& graph, runtime::State& weights, std::int64_t batch)> build =
      {};
};

/// The generator: input "z" [batch, latent], output "samples" [batch, ...sample], images in [-1, 1] (in the data's
/// units if the data were not bytes), vectors in the data's units. The model must outlive the Part, as in the functions
/// below.
Part generator_part(const train::Model& model);

/// The discriminator as it is after training, without augmentation, noise and dropout, with the stored vectors of
/// spectral norm. Input: "samples", as the generator draws them; [batch, pack, ...sample] if it judges packs. Outputs:
/// "logits" [batch], the higher the more real. With condition = auxiliary it has no condition as input, but an output
/// for each column, by name: logits of categories [batch, categories], numbers [batch] in their units, periodic numbers
/// as sine and cosine of the angle [batch, 2].
Part discriminator_part(const train::Model& model);

/// The classifier of gan eval. Input: "samples", images [batch, C, H, W] in [-1, 1]. Outputs: "logits" [batch,
/// classes], or for a regressor each number by name, as in discriminator_part, not clamped to the range seen; and
/// "features" [batch, eval::kFeatures], the embedding.
Part classifier_part(const eval::Classifier& classifier);

}  // namespace gan::exchange
