#pragma once

#include <optional>

#include "nn/scope.h"
#include "ops/ops.h"

/// Layers are functions: they declare their variables in a Scope and return their result.
namespace gan::nn {

struct LinearOptions {
  bool spectral_norm = false;
  bool gain = false;  ///< a learnable scale after the spectral norm, initially 1
  bool bias = true;
  double bound = 0;  ///< above 0: the weight starts from U(-bound, bound), the bias from 0; 0: as torch.nn.Linear
};

/// x W^T + b for x [N, I], of shape [N, width], as torch.nn.Linear: weight [width, I] and bias [width] from
/// U(-1/sqrt(I), 1/sqrt(I)). With spectral norm x W^T is multiplied by 1 / sigma(W) (and the gain) before the bias.
Tensor linear(const Scope& s, Tensor x, std::int64_t width, const LinearOptions& options = {});

struct ConvOptions {
  std::int64_t kernel = 3, stride = 1, padding = 1;
  std::int64_t groups = 1;  ///< of channels, each convolved by itself; not for transposed convolutions
  bool spectral_norm = false;
  bool gain = false;
  bool bias = true;
  /// Given: the weight starts from N(0, kaiming_gain^2 / fan-in), the bias from 0 (torch.nn.init.kaiming_normal_). Not
  /// for transposed convolutions.
  std::optional<double> kaiming_gain = {};
};

/// Convolution (cross-correlation) of x [N, H, W, I], channels last, to [N, H', W', width], as torch.nn.Conv2d: weight
/// [width, I / groups, K, K] and bias [width] from U(-b, b) with b = 1/sqrt(I / groups K K), H' = (H + 2 padding - K) /
/// stride + 1. Spectral norm takes the weight as a matrix [width, I / groups K K]. Throws a usage error unless `groups`
/// divides I and width.
Tensor conv2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options = {});

/// Transposed convolution of x [N, H, W, I], channels last, to [N, H', W', width], as torch.nn.ConvTranspose2d: weight
/// [I, width, K, K], H' = (H - 1) stride - 2 padding + K. Spectral norm takes the weight as a matrix [width, I K K].
Tensor conv_transpose2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options = {});

/// x [N, C, H, W] as [N, H, W, C], the layout of convolutions.
Tensor channels_last(Tensor x);
/// x [N, H, W, C] as [N, C, H, W], the layout of samples.
Tensor channels_first(Tensor x);

/// In training, x with each element set to 0 with this probability, in [0, 1), and the others divided by 1 -
/// probability (Srivastava et al. 2014, as torch.nn.Dropout). Outside training x itself.
Tensor dropout(const Scope& s, Tensor x, double probability);

/// The maxima of groups of `pieces` neighbouring columns of x [N, width * pieces], of shape [N, width] (Goodfellow et
/// al. 2013, arXiv 1302.4389). Throws a usage error unless `pieces` divides the columns.
Tensor maxout(Tensor x, std::int64_t pieces);

/// Mean over rows of -log softmax(logits)[label], for logits [N, K] and labels i32 [N], each in [0, K); as
/// torch.nn.CrossEntropyLoss. Large logits do not overflow.
Tensor softmax_cross_entropy(Tensor logits, Tensor labels);

/// 1 / sigma of a weight matrix W [O, I], of shape [1, 1], where sigma = u^T W v estimates the largest singular value
/// (Miyato et al. 2018, as torch.nn.utils.spectral_norm). The vectors u and v are buffers of this scope and constants
/// for gradients. A training step makes one power iteration (eps 1e-12), however often it uses the layer; otherwise the
/// stored vectors are used.
Tensor inverse_sigma(const Scope& s, Tensor weight);

struct EmbeddingOptions {
  std::int64_t classes = 0, width = 0;
};

/// The rows of a table [K, C] that y chooses, [N, C]: y is i32 [N], each in [0, K), or f32 [N, K] for sums of rows.
Tensor lookup(Tensor table, Tensor y);

/// A learned row for each label y (as lookup takes them), [N, width], as torch.nn.Embedding, from N(0, 1).
Tensor embedding(const Scope& s, Tensor y, const EmbeddingOptions& options);

/// Batch norm of the channels (last axis) of x, [N, C] or [N, H, W, C] (Ioffe and Szegedy 2015, as torch.nn.BatchNorm1d
/// and 2d): eps 1e-5, running statistics with momentum 0.1 and unbiased variance, which are used outside training. In
/// training, throws a usage error if a channel has fewer than two elements.
Tensor batch_norm(const Scope& s, Tensor x);

/// Batch norm of x, [N, C] or [N, H, W, C], with a scale and a shift [N, C] for each sample, made of its condition (de
/// Vries et al. 2017, arXiv 1707.00683). Statistics as in batch_norm.
Tensor conditional_batch_norm(const Scope& s, Tensor x, Tensor scale, Tensor shift);

/// An activation by name: "relu", "leaky_relu" (slope 0.2) or "tanh". Throws a usage error for other names.
Tensor activation(const std::string& name, Tensor x);

}  // namespace gan::nn
