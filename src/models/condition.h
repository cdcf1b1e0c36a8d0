#pragma once

#include "models/model.h"

/// The ways in which a condition reaches a network, shared by the families of networks. The last three take a condition
/// of one column, such as a label.
///
///   embedding    a learned row for each label, concatenated to the input (Mirza and Osindero 2014, arXiv 1411.1784)
///   one_hot      the one-hot label through a linear layer, concatenated to the input (Mao et al. 2017, for characters)
///   batch_norm   G: scale and shift of every batch norm (de Vries et al. 2017, arXiv 1707.00683)
///   projection   D: adds <embedding of the label, features> to its logit (Miyato and Koyama 2018, arXiv 1802.05637)
///   auxiliary    D: does not see the label but predicts it (AC-GAN, Odena et al. 2017, arXiv 1610.09585)
namespace gan::models {

/// Concatenates x [N, I] with [N, embedding] for each column of y if network.condition is embedding or one_hot, else
/// returns x. For packed samples y has N * pack rows, and those of a pack are concatenated.
Tensor join_condition(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y);

/// The one-hot condition, [N, sum of the columns' categories].
Tensor one_hot_condition(const ModelSpec& spec, const Condition& y);

/// Completes a hidden layer: batch norm if enabled (conditional if network.condition is batch_norm), the activation,
/// dropout. They take the next indices of the nn.Sequential "model".
Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, const Condition& y);

/// D's last layer on features h [N, F]: the logit (with the label's projection) and the auxiliary classifier's logits.
Verdicts judge_features(Scope& s, const ModelSpec& spec, Tensor h, const Condition& y);

/// The options of a linear layer of this network.
inline nn::LinearOptions linear_options(const NetworkSpec& network) {
  return {.spectral_norm = network.spectral_norm, .gain = network.gain};
}

}  // namespace gan::models
