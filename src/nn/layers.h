#pragma once

#include "nn/scope.h"
#include "ops/ops.h"

/// Layers are functions: they declare their variables in a Scope and return their result.
namespace gan::nn {

struct LinearOptions {
  bool spectral_norm = false;
  bool gain = false;  ///< a learnable factor behind the norm, 1 at first
  bool bias = true;
};

/// x W^T + b for x [N, I]: [N, O], as torch.nn.Linear: weight [O, I] and bias [O] from U(-1/sqrt(I), 1/sqrt(I)).
/// With spectral norm x W^T is multiplied by 1 / sigma(W) (and the gain) before the bias is added.
Tensor linear(const Scope& s, Tensor x, std::int64_t width, const LinearOptions& options = {});

/// 1 / sigma of the matrix `weight_orig` [O, I] of this scope, a tensor [1, 1], where sigma is the estimate u^T W v of
/// the largest singular value (Miyato et al. 2018, as torch.nn.utils.spectral_norm): one power iteration in a training
/// step however often the layer is used in it, eps 1e-12, the vectors u and v kept as buffers and taken as constants by
/// derivatives; outside training the stored vectors are used.
Tensor inverse_sigma(const Scope& s, Tensor weight);

struct EmbeddingOptions {
  std::int64_t classes = 0, width = 0;
};

/// A learned row for each label y (i32 [N], each in [0, classes)): [N, width]. As torch.nn.Embedding: normal at first.
Tensor embedding(const Scope& s, Tensor y, const EmbeddingOptions& options);

/// Batch norm of the last axis of x, [N, C] or [N, H, W, C] (Ioffe and Szegedy 2015, as torch.nn.BatchNorm1d and 2d):
/// eps 1e-5, running statistics with momentum 0.1, the running variance unbiased; outside training the running
/// statistics are used. In training the axes before the last must hold at least two entries (usage error).
Tensor batch_norm(const Scope& s, Tensor x);

/// An activation by name: "relu", "leaky_relu" (slope 0.2) or "tanh". Throws a usage error for others.
Tensor activation(const std::string& name, Tensor x);

}  // namespace gan::nn
