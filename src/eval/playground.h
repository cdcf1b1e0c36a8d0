#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "nn/scope.h"
#include "train/config.h"

namespace gan::eval {

/// The settings of run_playground: data, losses, length, and steps between frames.
struct PlaygroundOptions {
  std::string data = "ring8";                                  ///< a source of points in the plane
  std::vector<std::string> losses = {"bce", "least_squares"};  ///< each trains a GAN of its own
  std::int64_t seed = 1, steps = 3000, every = 25;  ///< frames are made at step 0, every `every` steps and at the end
  std::string cache = "";                           ///< folder of fetched data; "": data::default_cache()
};

/// The configuration of a playground's run with this loss: the preset "vector" without condition, penalties and
/// average. Throws a usage error if no loss has this name.
train::Config playground_config(const PlaygroundOptions& options, const std::string& loss);

/// Builds the graph that measures D: inputs "cells" [cells, 2], "real" and "samples" [points, 2], in the training
/// range, and D's variables, which it returns. Outputs: "plane" [cells], the output of D on each cell (after a Sigmoid,
/// except for least squares); "arrows" [points, 2], for each sample minus the gradient of its own loss of G with
/// respect to the sample; "loss.g" and "loss.d", without penalties.
std::vector<nn::Variable> build_playground_judge(graph::Graph& graph, const train::Config& config, std::int64_t cells,
                                                 std::int64_t points);

/// Trains GANs that differ in the loss alone on points in the plane, in turn, and calls `on_line` with the lines of
/// `gan playground`: first {"range", "grid", "losses", "real"}, then frames {"step", "runs"}. Coordinates are those of
/// training: points of files are scaled. Samples are drawn by the current G, not its average, always from the same
/// latents. Throws as open_source does, a data error for samples other than points in the plane, and a run error if a
/// loss diverges.
void run_playground(const PlaygroundOptions& options,
                    const std::function<void(const nlohmann::ordered_json& line)>& on_line);

}  // namespace gan::eval
