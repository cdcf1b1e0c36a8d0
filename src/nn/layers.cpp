#include "nn/layers.h"

#include <cmath>

#include "base/error.h"

namespace gan::nn {

using namespace ops;

Tensor linear(const Scope& s, Tensor x, std::int64_t width, const LinearOptions& options) {
  const std::int64_t in = x.dim(1);
  const Init init = Init::uniform(1.0 / std::sqrt(static_cast<double>(in)));
  const Tensor weight = s.parameter(options.spectral_norm ? "weight_orig" : "weight", {width, in}, init);
  // The factors are made before the product, so that one kernel can apply them to it.
  std::vector<Tensor> factors;
  if (options.spectral_norm) factors.push_back(inverse_sigma(s, weight));
  if (options.gain) factors.push_back(s.parameter("gain", {}, Init::constant(1)));
  Tensor y = matmul(x, weight, false, true);  // [N, width]
  if (!factors.empty()) {
    Tensor factor = factors[0];
    for (std::size_t i = 1; i < factors.size(); ++i) factor = factor * factors[i];
    y = y * factor;
  }
  return options.bias ? y + s.parameter("bias", {width}, init) : y;
}

namespace {

/// x / max(|x|, 1e-12), a constant to derivatives.
Tensor normalize(Tensor x) {
  const Tensor norm = sqrt(sum(square(x)));
  return stop_gradient(x / maximum(norm, constant(*x.graph, 1e-12)));
}

}  // namespace

Tensor inverse_sigma(const Scope& s, Tensor weight) {
  const std::int64_t out = weight.dim(0), in = weight.dim(1);
  s.buffer("weight_u", {out}, Init::unit_vector());
  s.buffer("weight_v", {in}, Init::unit_vector());
  // After the first use in a step these are the iterated vectors, so later uses share them.
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

Tensor embedding(const Scope& s, Tensor y, const EmbeddingOptions& options) {
  return gather(s.parameter("weight", {options.classes, options.width}, Init::normal(1)), y);
}

Tensor batch_norm(const Scope& s, Tensor x) {
  constexpr double kEpsilon = 1e-5, kMomentum = 0.1;
  const std::int64_t channels = x.shape().back();
  const auto count = static_cast<double>(x.elements() / channels);
  const Tensor weight = s.parameter("weight", {channels}, Init::constant(1));
  const Tensor bias = s.parameter("bias", {channels}, Init::constant(0));
  const Tensor running_mean = s.statistic("running_mean", {channels}, Init::constant(0));
  const Tensor running_variance = s.statistic("running_var", {channels}, Init::constant(1));
  Tensor mean = running_mean, variance = running_variance;
  if (s.training()) {
    if (count < 2) base::fail_usage("batch norm needs at least two rows in a batch, {} given", count);
    mean = sum_to(x, {channels}) * (1.0 / count);
    variance = sum_to(square(x - mean), {channels}) * (1.0 / count);
    s.update("running_mean", running_mean * (1.0 - kMomentum) + mean * kMomentum);
    s.update("running_var", running_variance * (1.0 - kMomentum) + variance * (kMomentum * count / (count - 1.0)));
  }
  const Tensor scale = weight / sqrt(variance + kEpsilon);
  return (x - mean) * scale + bias;
}

Tensor activation(const std::string& name, Tensor x) {
  if (name == "relu") return relu(x);
  if (name == "leaky_relu") return leaky_relu(x, 0.2);
  if (name == "tanh") return tanh(x);
  base::fail_usage("no activation is called {}: relu, leaky_relu and tanh are", name);
}

}  // namespace gan::nn
