#include "nn/layers.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace gan::nn {

using namespace ops;

namespace {

/// product() * 1/sigma(weight_matrix) * gain, each factor only if its option is set. The factors are computed before
/// the product, so that its kernel can apply them.
template <typename Product>
Tensor scaled(const Scope& s, Tensor weight_matrix, bool spectral_norm, bool gain, const Product& product) {
  std::optional<Tensor> factor;
  if (spectral_norm) factor = inverse_sigma(s, weight_matrix);
  if (gain) {
    const Tensor learned = s.parameter("gain", {}, Init::constant(1));
    factor = factor ? *factor * learned : learned;
  }
  const Tensor y = product();
  return factor ? y * *factor : y;
}

}  // namespace

Tensor linear(const Scope& s, Tensor x, std::int64_t width, const LinearOptions& options) {
  const std::int64_t in = x.dim(1);
  const Init init = Init::uniform(options.bound > 0 ? options.bound : 1.0 / std::sqrt(static_cast<double>(in)));
  const Tensor weight = s.parameter(options.spectral_norm ? "weight_orig" : "weight", {width, in}, init);
  const Tensor y = scaled(s, weight, options.spectral_norm, options.gain,
                          [&] { return matmul(x, weight, false, true); });  // [N, width]
  return options.bias ? y + s.parameter("bias", {width}, options.bound > 0 ? Init::constant(0) : init) : y;
}

Tensor conv2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options) {
  if (options.groups < 1 || x.dim(3) % options.groups != 0 || width % options.groups != 0)
    base::fail_usage("{} and {} channels cannot be divided into {}", x.dim(3), width,
                     base::counted(options.groups, "group"));
  const std::int64_t in = x.dim(3) / options.groups, fan_in = in * options.kernel * options.kernel;
  const double scale = 1.0 / std::sqrt(static_cast<double>(fan_in));
  const Init init = options.kaiming_gain ? Init::normal(*options.kaiming_gain * scale) : Init::uniform(scale);
  const Tensor weight =
      s.parameter(options.spectral_norm ? "weight_orig" : "weight", {width, in, options.kernel, options.kernel}, init);
  const Tensor matrix = reshape(weight, {width, fan_in});
  // Over single positions it is a product of matrices, whose kernels are faster.
  const bool pointwise = options.kernel == 1 && options.stride == 1 && options.padding == 0 && options.groups == 1;
  const Tensor y = scaled(s, matrix, options.spectral_norm, options.gain, [&] {
    if (!pointwise) return ops::conv2d(x, weight, options.stride, options.padding, options.groups);
    return reshape(matmul(reshape(x, {x.elements() / in, in}), matrix, false, true),
                   {x.dim(0), x.dim(1), x.dim(2), width});
  });
  return options.bias ? y + s.parameter("bias", {width}, options.kaiming_gain ? Init::constant(0) : init) : y;
}

Tensor conv_transpose2d(const Scope& s, Tensor x, std::int64_t width, const ConvOptions& options) {
  const std::int64_t in = x.dim(3), k = options.kernel;
  // PyTorch takes the second axis of the weight as the fan-in of transposed convolutions too.
  const Init init = Init::uniform(1.0 / std::sqrt(static_cast<double>(width * k * k)));
  const Tensor weight = s.parameter(options.spectral_norm ? "weight_orig" : "weight", {in, width, k, k}, init);
  const auto length = [&](std::size_t axis) { return (x.dim(axis) - 1) * options.stride - 2 * options.padding + k; };
  const auto product = [&] {
    return conv2d_data_gradient(x, weight, options.stride, options.padding, length(1), length(2));
  };
  const Tensor matrix = options.spectral_norm ? reshape(permute(weight, {1, 0, 2, 3}), {width, in * k * k}) : weight;
  const Tensor y = scaled(s, matrix, options.spectral_norm, options.gain, product);
  return options.bias ? y + s.parameter("bias", {width}, init) : y;
}

Tensor channels_last(Tensor x) {
  if (x.dim(1) == 1) return reshape(x, {x.dim(0), x.dim(2), x.dim(3), 1});
  return permute(x, {0, 2, 3, 1});
}

Tensor channels_first(Tensor x) {
  if (x.dim(3) == 1) return reshape(x, {x.dim(0), 1, x.dim(1), x.dim(2)});
  return permute(x, {0, 3, 1, 2});
}

Tensor dropout(const Scope& s, Tensor x, double probability) {
  if (!s.training() || probability == 0) return x;
  const Tensor kept = step(s.uniform("dropout", x.shape()) - probability);  // 1: kept, 0: dropped
  return x * (kept * (1.0 / (1.0 - probability)));
}

Tensor maxout(Tensor x, std::int64_t pieces) {
  if (pieces < 1 || x.dim(1) % pieces != 0)
    base::fail_usage("maxout: {} cannot be divided into groups of {}", base::counted(x.dim(1), "column"), pieces);
  const std::int64_t width = x.dim(1) / pieces;
  const Tensor grouped = reshape(x, {x.dim(0), width, pieces});
  Tensor largest = slice(grouped, 2, 0, 1);
  for (std::int64_t piece = 1; piece < pieces; ++piece) largest = maximum(largest, slice(grouped, 2, piece, 1));
  return reshape(largest, {x.dim(0), width});
}

Tensor softmax_cross_entropy(Tensor logits, Tensor labels) {
  const Tensor shifted = logits - stop_gradient(row_maximum(logits));  // leaves the softmax unchanged
  const Shape rows{logits.dim(0), 1};
  const Tensor log_sum = log(sum_to(exp(shifted), rows));
  return mean(log_sum - sum_to(shifted * one_hot(labels, logits.dim(1)), rows));
}

namespace {

/// x / max(|x|, 1e-12), as a constant for gradients.
Tensor normalize(Tensor x) {
  const Tensor norm = sqrt(sum(square(x)));
  return stop_gradient(x / maximum(norm, constant(*x.graph, 1e-12)));
}

}  // namespace

Tensor inverse_sigma(const Scope& s, Tensor weight) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1);
  s.buffer("weight_u", {out}, Init::unit_vector());
  s.buffer("weight_v", {in}, Init::unit_vector());
  // After the layer's first use in a step these are the updated vectors, which its later uses share.
  Tensor u = stop_gradient(reshape(s.next_value("weight_u"), {1, out}));
  Tensor v = stop_gradient(reshape(s.next_value("weight_v"), {1, in}));
  const bool iterate = s.training() && !s.is_updated("weight_u");
  if (iterate) v = normalize(matmul(u, weight));          // [1, in] = (W^T u)^T
  const Tensor product = matmul(v, weight, false, true);  // [1, out] = (W v)^T
  if (iterate) {
    u = normalize(product);
    s.update("weight_u", reshape(u, {out}));
    s.update("weight_v", reshape(v, {in}));
  }
  return 1.0 / sum_to(u * product, {1, 1});
}

Tensor lookup(Tensor table, Tensor y) { return y.dtype() == graph::DType::f32 ? matmul(y, table) : gather(table, y); }

Tensor embedding(const Scope& s, Tensor y, const EmbeddingOptions& options) {
  return lookup(s.parameter("weight", {options.classes, options.width}, Init::normal(1)), y);
}

namespace {

/// weight * (x - mean) / standard deviation + bias by channel; statistics of the batch in training, else running ones.
Tensor normalize_channels(const Scope& s, Tensor x, Tensor weight, Tensor bias) {
  constexpr double kEpsilon = 1e-5, kMomentum = 0.1;
  const std::int64_t channels = x.shape().back();
  const auto count = static_cast<double>(x.elements() / channels * s.parts());
  const Tensor running_mean = s.statistic("running_mean", {channels}, Init::constant(0));
  const Tensor running_variance = s.statistic("running_var", {channels}, Init::constant(1));
  Tensor mean = running_mean, variance = running_variance;
  if (s.training()) {
    if (count < 2)
      base::fail_usage(
          "batch norm needs at least two elements of each channel in a batch, {} given; use a larger batch", count);
    mean = s.joint_sum(sum_to(x, {channels})) * (1.0 / count);
    variance = s.joint_sum(sum_to(square(x - mean), {channels})) * (1.0 / count);
    s.update("running_mean", running_mean * (1.0 - kMomentum) + mean * kMomentum);
    s.update("running_var", running_variance * (1.0 - kMomentum) + variance * (kMomentum * count / (count - 1.0)));
  }
  const Tensor factor = weight * (1.0 / sqrt(variance + kEpsilon));
  if (s.training()) return (x - mean) * factor + bias;
  return x * factor + (bias - mean * factor);  // the kernel of a product before it can apply this
}

}  // namespace

Tensor batch_norm(const Scope& s, Tensor x) {
  const std::int64_t channels = x.shape().back();
  const Tensor weight = s.parameter("weight", {channels}, Init::constant(1));
  const Tensor bias = s.parameter("bias", {channels}, Init::constant(0));
  return normalize_channels(s, x, weight, bias);
}

Tensor conditional_batch_norm(const Scope& s, Tensor x, Tensor scale, Tensor shift) {
  // One row for each sample, broadcast over the pixels of an image.
  Shape rows(x.shape().size(), 1);
  rows.front() = x.dim(0);
  rows.back() = x.shape().back();
  return normalize_channels(s, x, reshape(scale, rows), reshape(shift, rows));
}

Tensor activation(const std::string& name, Tensor x) {
  if (name == "relu") return relu(x);
  if (name == "leaky_relu") return leaky_relu(x, 0.2);
  if (name == "tanh") return tanh(x);
  base::fail_usage("no activation is called {}; known: relu, leaky_relu, tanh", name);
}

}  // namespace gan::nn
