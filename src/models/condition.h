#pragma once

#include "models/model.h"

/// The ways in which a condition reaches a network, shared by the families of networks. The last three take a condition
/// of one column, such as a label.
///
///   embedding    a learned row for each label joined to the input (Mirza and Osindero 2014, arXiv 1411.1784)
///   one_hot      the one-hot label through a linear layer, joined to the input (LSGAN's characters, Mao et al. 2017)
///   batch_norm   G: scale and shift of every batch norm (de Vries et al. 2017, arXiv 1707.00683)
///   projection   D: its output + <embedding of the label, features> (Miyato and Koyama 2018, arXiv 1802.05637)
///   auxiliary    D: does not see the label but names it (AC-GAN, Odena et al. 2017, arXiv 1610.09585)
namespace gan::models {

/// x [N, I] with [N, embedding] of each column of the condition beside it, if this network's condition is joined to its
/// input; the conditions of packed samples stand side by side.
Tensor join_condition(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y);

/// The condition as zeros and ones, [N, categories of all columns].
Tensor one_hot_condition(const ModelSpec& spec, const Condition& y);

/// Behind a hidden layer of G: batch norm if asked for (conditional if that is G's condition), the activation, dropout.
/// They take the places of the nn.Sequential "model" that follow the layer's own.
Tensor finish_hidden(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor h, const Condition& y);

/// D's last layer, from features h [N, F]: the logit, the projection of the label, the auxiliary classifier.
Verdicts judge_features(Scope& s, const ModelSpec& spec, Tensor h, const Condition& y);

/// The options of a linear layer of this network.
inline nn::LinearOptions linear_options(const NetworkSpec& network) {
  return {.spectral_norm = network.spectral_norm, .gain = network.gain};
}

}  // namespace gan::models
