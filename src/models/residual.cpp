#include <cmath>
#include <utility>

#include "base/error.h"
#include "models/condition.h"

// Residual networks for images (R3GAN, Huang et al. 2024, arXiv 2501.05441). A width is the channels of a stage; a
// stage has two blocks and half or twice the side of the one before. There is no norm: the last convolution of a block
// starts from zeros, so that at first every block returns its input (Fixup, Zhang et al. 2019, arXiv 1901.09321).
// Unlike the paper, images are resized by the nearest neighbour and by averages of 2x2, and G ends in tanh.
namespace gan::models {

using namespace ops;

namespace {

constexpr int kBlocksOfStage = 2;
constexpr std::int64_t kExpansion = 2;    // channels inside of a block, for each of its own
constexpr std::int64_t kGroupWidth = 16;  // channels of a group of the 3x3 convolution

/// The sides of the smallest stage. Throws a usage error unless the widths fit the samples.
std::pair<std::int64_t, std::int64_t> smallest_sides(const ModelSpec& spec, const NetworkSpec& network,
                                                     const char* name) {
  if (network.widths.empty() || network.widths.size() > 16)
    base::fail_usage("model.kind = residual needs one to 16 widths in model.{}.widths", name);
  const std::int64_t times = std::int64_t{1} << (network.widths.size() - 1);
  if (spec.sample.size() != 3 || spec.sample[1] % times != 0 || spec.sample[2] % times != 0)
    base::fail_usage(
        "model.kind = residual with {} widths in model.{}.widths is for images whose height and width are "
        "multiples of {}; samples here are {}",
        network.widths.size(), name, times, graph::to_string(spec.sample));
  for (const std::int64_t width : network.widths)
    if (width * kExpansion % kGroupWidth != 0)
      base::fail_usage("model.{}.widths: {} is no multiple of {}", name, width, kGroupWidth / kExpansion);
  return {spec.sample[1] / times, spec.sample[2] / times};
}

/// The gain of the first weights of a block. It falls with the number of blocks L as L^(-1/4), so that signals keep
/// their size (Fixup, for blocks of three layers).
double initial_gain(const NetworkSpec& network) {
  constexpr double kLeakyRelu = 1.3868;  // sqrt(2 / (1 + 0.2^2))
  return kLeakyRelu * std::pow(static_cast<double>(kBlocksOfStage * network.widths.size()), -0.25);
}

nn::ConvOptions pointwise(const NetworkSpec& network, bool bias = false) {
  nn::ConvOptions options{.kernel = 1, .stride = 1, .padding = 0};
  options.spectral_norm = network.spectral_norm;
  options.gain = network.gain;
  options.bias = bias;
  options.kaiming_gain = 1;
  return options;
}

/// x [N, H, W, C] plus what a 1x1, a grouped 3x3 and a 1x1 convolution make of it.
Tensor block(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y) {
  const std::int64_t channels = x.dim(3), inner = kExpansion * channels;
  nn::ConvOptions widen = pointwise(network, /*bias=*/true), grouped = widen, narrow = pointwise(network);
  widen.kaiming_gain = grouped.kaiming_gain = initial_gain(network);
  grouped.kernel = 3;
  grouped.padding = 1;
  grouped.groups = inner / kGroupWidth;
  narrow.kaiming_gain = network.spectral_norm ? 1 : 0;  // spectral norm would divide by zero
  Tensor h = nn::conv2d(s.next("model", 1), x, inner, widen);
  h = finish_hidden(s, spec, network, h, y);
  h = nn::conv2d(s.next("model", 1), h, inner, grouped);
  h = finish_hidden(s, spec, network, h, y);
  return x + nn::conv2d(s.next("model", 1), h, channels, narrow);
}

Tensor stage(Scope& s, const ModelSpec& spec, const NetworkSpec& network, Tensor x, const Condition& y) {
  for (int i = 0; i < kBlocksOfStage; ++i) x = block(s, spec, network, x, y);
  return x;
}

/// x with this many channels: x itself, or a 1x1 convolution of it.
Tensor with_channels(Scope& s, const NetworkSpec& network, Tensor x, std::int64_t channels) {
  return x.dim(3) == channels ? x : nn::conv2d(s.next("model", 1), x, channels, pointwise(network));
}

/// Each pixel of x [N, H, W, C] four times: [N, 2 H, 2 W, C].
Tensor enlarged(Tensor x) {
  const Shape& from = x.shape();
  const std::int64_t rows = from[0] * from[1];
  const Tensor pixels = reshape(x, {rows * from[2], from[3]});
  const Tensor wide = reshape(concat({pixels, pixels}), {rows, 2 * from[2] * from[3]});
  return reshape(concat({wide, wide}), {from[0], 2 * from[1], 2 * from[2], from[3]});
}

/// The sum of the left and the right half of each row of x: [N, K / 2].
Tensor halves_added(Tensor x) {
  const std::int64_t half = x.dim(1) / 2;
  return slice(x, 1, 0, half) + slice(x, 1, half, half);
}

/// The means of squares of 2x2 pixels of x [N, H, W, C]: [N, H / 2, W / 2, C].
Tensor reduced(Tensor x) {
  const Shape& from = x.shape();
  const std::int64_t rows = from[0] * from[1];
  const Tensor narrow = halves_added(reshape(x, {rows * from[2] / 2, 2 * from[3]}));
  const Tensor sums = halves_added(reshape(narrow, {rows / 2, from[2] * from[3]}));
  return reshape(sums * 0.25, {from[0], from[1] / 2, from[2] / 2, from[3]});
}

Tensor generator(Scope& s, const ModelSpec& spec, Tensor z, const Condition& y) {
  const std::vector<std::int64_t>& widths = spec.g.widths;
  const auto [height, width] = smallest_sides(spec, spec.g, "g");
  Tensor h = join_condition(s, spec, spec.g, z, y);                          // [N, latent + condition]
  h = nn::linear(s.next("model", 1), h, widths[0], linear_options(spec.g));  // the weight of each basis image
  const Tensor basis = (s / "basis").parameter("weight", {height, width, widths[0]}, nn::Init::normal(1));
  h = reshape(h, {z.dim(0), 1, 1, widths[0]}) * basis;  // [N, H0, W0, C0]
  h = stage(s, spec, spec.g, h, y);
  for (std::size_t i = 1; i < widths.size(); ++i)
    h = stage(s, spec, spec.g, enlarged(with_channels(s, spec.g, h, widths[i])), y);
  h = nn::conv2d(s.next("model"), h, spec.sample[0], pointwise(spec.g, /*bias=*/true));  // [N, H, W, C]
  return nn::channels_first(tanh(h));
}

Verdicts discriminator(Scope& s, const ModelSpec& spec, Tensor x, const Condition& y) {
  const std::vector<std::int64_t>& widths = spec.d.widths;
  const auto [height, width] = smallest_sides(spec, spec.d, "d");
  const std::int64_t rows = x.dim(0) / spec.pack;
  Tensor h = nn::channels_last(reshape(x, {rows, spec.pack * spec.sample[0], spec.sample[1], spec.sample[2]}));
  h = nn::conv2d(s.next("model", 1), h, widths[0], pointwise(spec.d, /*bias=*/true));
  h = stage(s, spec, spec.d, h, y);
  for (std::size_t i = 1; i < widths.size(); ++i)
    h = stage(s, spec, spec.d, with_channels(s, spec.d, reduced(h), widths[i]), y);
  // A depthwise convolution as large as the image: a learned sum over the positions of each channel.
  const nn::Init init = nn::Init::normal(1 / std::sqrt(static_cast<double>(height * width)));
  const Tensor positions = s.next("model", 1).parameter("weight", {widths.back(), 1, height, width}, init);
  h = conv2d(h, positions, /*stride=*/1, /*padding=*/0, /*groups=*/widths.back());  // [N, 1, 1, C]
  h = join_condition(s, spec, spec.d, reshape(h, {rows, widths.back()}), y);
  h = nn::linear(s.next("model", 1), h, widths.back(), linear_options(spec.d));
  return judge_features(s, spec, finish_hidden(s, spec, spec.d, h, y), y);  // [N / pack, 1]
}

}  // namespace

extern const Model residual_model;
const Model residual_model{"residual", "residual blocks with grouped convolutions, for images", generator,
                           discriminator};

}  // namespace gan::models
