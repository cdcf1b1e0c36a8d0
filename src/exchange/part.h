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

/// A name of a model file as text of a comment in any language: letters, digits, and what ends no comment or string.
std::string comment_text(std::string name);

/// A trained network as other programs see it: named inputs and outputs, and how its graph is built.
struct Part {
  struct Value {
    std::string name;        ///< may be that of a column, of any characters
    std::string range = {};  ///< text of a comment, such as "in [-1, 1]"; may be empty
  };

  std::string name;                    ///< "generator", "discriminator" or "classifier"; the scope of its variables
  std::string title, origin;           ///< texts of comments: what it is, what it was made of
  Value input;                         ///< f32 [batch, ...input_shape]
  graph::Shape input_shape = {};       ///< [latent], or that of samples, with the axis `pack` first if that is above 1
  data::ConditionSpec condition = {};  ///< its other inputs: [batch] of each column, [batch, pack] if pack is above 1
  std::int64_t pack = 1;               ///< samples that it judges together
  std::vector<Value> outputs = {};     ///< f32
  std::vector<std::pair<std::string, std::string>> metadata = {};
  /// Adds the network for batches of this size to a graph and its weights to a state; returns the outputs. The graph's
  /// inputs are the weights, `input.name`, and one for each column, named by train::column_input of "y": i32 for
  /// categories, f32 with a last axis of features for numbers.
  std::function<std::vector<graph::Tensor>(graph::Graph& graph, runtime::State& weights, std::int64_t batch)> build =
      {};
};

/// The generator: input "z" [batch, latent], output "samples" [batch, ...sample], images in [-1, 1] (in the data's
/// units if the data were not bytes), vectors in the data's units. The model must outlive the Part, for each of these
/// functions.
Part generator_part(const train::Model& model);

/// The discriminator as it is after training, without augmentation, noise and dropout, with the stored vectors of
/// spectral norm. Input: "samples", as the generator draws them; [batch, pack, ...sample] if it judges packs. Outputs:
/// "logits" [batch], the higher the more real. A discriminator with condition = auxiliary is given no condition but has
/// an output for each column, by name: logits of categories [batch, categories], numbers [batch] in their units, of
/// numbers with a period the sine and cosine of the angle [batch, 2].
Part discriminator_part(const train::Model& model);

/// The classifier of gan eval. Input: "samples", images [batch, C, H, W] in [-1, 1]. Outputs: "logits" [batch,
/// classes], of a regressor each number by name, as discriminator_part has them, not limited to the range seen; and
/// "features" [batch, eval::kFeatures], the embedding.
Part classifier_part(const eval::Classifier& classifier);

}  // namespace gan::exchange
