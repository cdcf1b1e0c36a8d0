#pragma once

#include "nn/scope.h"
#include "ops/ops.h"

/// Layers are functions: they declare their variables in a Scope and return their result.
namespace gan::nn {

struct LinearOptions {
  bool spectral_norm = false;
  bool gain = false;  ///< a learnable factor behind the norm, 1 at first
  bool bias = true;
  double bound = 0;  ///< above 0: the weight starts from U(-bound, bound), the bias from 0
};

/// x W^T + b for x [N, I]: [N, O], as torch.nn.Linear: weight [O, I] and bias [O] from U(-1/sqrt(I), 1/sqrt(I)).
/// With spectral norm x W^T is multiplied by 1 / sigma(W) (and the gain) before the bias is added.
Tensor linear(const Scope& s, Tensor x, std::int64_t width, const LinearOptions& options = {});

struct ConvOptions {
  std::int64_t kernel = 3, stride = 1, padding = 1;
  bool spectral_norm = false;
  bool gain = false;
  bool bias = true;
};

/// Convolution (cross-correlation) of x [N, H, W, I], channels last, to [N, H', W', width], as torch.nn.Conv2d: weight
/// [width, I, K, K] and bias [width] from U(-1/sqrt(I K K), 1/sqrt(I K K)), H' = (H + 2 padding - K) / stride + 1.
/// Spectral norm is that of the matrix [width, I K K].
Tensor conv2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options = {});

/// Transposed convolution of x [N, H, W, I], channels last, to [N, H', W', width], as torch.nn.ConvTranspose2d: weight
/// [I, width, K, K], H' = (H - 1) stride - 2 padding + K. Spectral norm is that of the matrix [width, I K K].
Tensor conv_transpose2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options = {});

/// x [N, C, H, W] as [N, H, W, C], the layout of convolutions.
Tensor channels_last(Tensor x);
/// x [N, H, W, C] as [N, C, H, W], the layout of samples.
Tensor channels_first(Tensor x);

/// x with each element dropped to 0 with this probability, in [0, 1), and the others divided by 1 - probability, in
/// training (Srivastava et al. 2014, as torch.nn.Dropout); x itself outside training.
Tensor dropout(const Scope& s, Tensor x, double probability);

/// The largest of each `pieces` neighbouring columns of x [N, width * pieces]: [N, width] (Goodfellow et al. 2013,
/// arXiv 1302.4389). Throws a usage error if the columns do not divide.
Tensor maxout(Tensor x, std::int64_t pieces);

/// Mean over rows of -log softmax(logits)[label], for logits [N, K] and labels i32 [N], each in [0, K); as
/// torch.nn.CrossEntropyLoss. Large logits do not overflow.
Tensor softmax_cross_entropy(Tensor logits, Tensor labels);

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

/// Batch norm of x, [N, C] or [N, H, W, C], whose scale and shift are learned rows of each label y, i32 [N] (de Vries
/// et al. 2017, arXiv 1707.00683): weight and bias [classes, C], 1 and 0 at first. Statistics as in batch_norm.
Tensor conditional_batch_norm(const Scope& s, Tensor x, Tensor y, std::int64_t classes);

/// An activation by name: "relu", "leaky_relu" (slope 0.2) or "tanh". Throws a usage error for others.
Tensor activation(const std::string& name, Tensor x);

}  // namespace gan::nn
