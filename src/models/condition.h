#pragma once

#include "models/model.h"

/// The ways in which a condition reaches a network, shared by the families of networks. Each takes any number of
/// columns. Numbers enter by a linear layer on their features (data::NumberColumn) where categories have an embedding.
///
/// - embedding: a learned row for each category, concatenated to the input (Mirza and Osindero 2014, arXiv 1411.1784)
/// - one_hot: one-hot categories through a linear layer, concatenated to the input (Mao et al. 2017, for characters)
/// - batch_norm, in G: scale and shift of every batch norm, sums over the columns (de Vries et al. 2017, arXiv
///   1707.00683)
/// - projection, in D: adds <embedding, features of x> to its logit (Miyato and Koyama 2018, arXiv 1802.05637)
/// - auxiliary: D does not see the condition but predicts it, categories by a classifier, the features of numbers by
///   regression (AC-GAN, Odena et al. 2017, arXiv 1610.09585)
namespace gan::models {

/// Concatenates x [N, I] with [N, embedding] for each column of y if network.condition is embedding or one_hot, else
/// returns x. For packed samples y has N * pack rows, and those of a pack are concatenated.
Tensor join_condition(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y);

/// One-hot categories and features of numbers side by side, [N, sum of the columns' widths].
Tensor one_hot_condition(const ModelSpec& spec, const Condition& y);

/// Completes a hidden layer: batch norm if enabled (conditional if network.condition is batch_norm), the activation,
/// dropout. They take the next indices of the nn.Sequential "model".
Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, const Condition& y);

/// D's last layer on features h [N, F]: the logit (with the condition's projection) and the predictions.
Verdicts judge_features(Scope& s, const ModelSpec& spec, Tensor h, const Condition& y);

/// The loss of D's predictions of the condition y, a scalar: the sum of the cross entropies of categories and the mean
/// squared errors of the features of numbers. `verdicts` must have predictions.
Tensor auxiliary_loss(const ModelSpec& spec, const Verdicts& verdicts, const Condition& y);

/// The options of a linear layer of this network.
inline nn::LinearOptions linear_options(const NetworkSpec& network) {
  return {.spectral_norm = network.spectral_norm, .gain = network.gain};
}

}  // namespace gan::models
