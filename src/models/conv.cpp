#include "base/error.h"
#include "models/condition.h"

// Convolutional networks for images whose height and width are multiples of 4 (DCGAN, Radford et al. 2016, arXiv
// 1511.06434; widths 1024-128-64 and 64-128-1024 are those of InfoGAN, Chen et al. 2016, arXiv 1606.03657). G: the last
// two widths are channels at a quarter and at half of the image's size, the ones before are dense layers. D: the first
// two are channels at half and at a quarter, the others dense layers; the label is concatenated to the first dense
// layer's input.
namespace gan::models {

using namespace ops;

namespace {

constexpr nn::ConvOptions kHalve{.kernel = 4, .stride = 2, .padding = 1};  // halves the sides; transposed, doubles them

nn::ConvOptions conv_options(const NetworkSpec& network) {
  nn::ConvOptions options = kHalve;
  options.spectral_norm = network.spectral_norm;
  options.gain = network.gain;
  return options;
}

void require_fitting(const ModelSpec& spec) {
  if (spec.sample.size() != 3 || spec.sample[1] % 4 != 0 || spec.sample[2] % 4 != 0)
    base::fail_usage("model.kind = conv is for images whose height and width are multiples of 4; samples here are {}",
                     graph::to_string(spec.sample));
  if (spec.g.widths.size() < 2 || spec.d.widths.size() < 2)
    base::fail_usage("model.kind = conv needs at least two widths in model.g.widths and in model.d.widths");
}

Tensor generator(Scope& s, const ModelSpec& spec, Tensor z, const Condition& y) {
  require_fitting(spec);
  const std::vector<std::int64_t>& widths = spec.g.widths;
  const std::int64_t height = spec.sample[1] / 4, width = spec.sample[2] / 4, channels = widths[widths.size() - 2];
  Tensor h = join_condition(s, spec, spec.g, z, y);  // [N, latent + condition]
  for (std::size_t i = 0; i + 2 < widths.size(); ++i) {
    h = nn::linear(s.next("model", 1), h, widths[i], linear_options(spec.g));
    h = finish_hidden(s, spec, spec.g, h, y);
  }
  h = nn::linear(s.next("model", 1), h, height * width * channels, linear_options(spec.g));
  h = finish_hidden(s, spec, spec.g, reshape(h, {z.dim(0), height, width, channels}), y);  // [N, H/4, W/4, C0]
  h = nn::conv_transpose2d(s.next("model", 1), h, widths.back(), conv_options(spec.g));
  h = finish_hidden(s, spec, spec.g, h, y);                                            // [N, H/2, W/2, C1]
  h = nn::conv_transpose2d(s.next("model"), h, spec.sample[0], conv_options(spec.g));  // [N, H, W, C]
  return nn::channels_first(tanh(h));
}

Verdicts discriminator(Scope& s, const ModelSpec& spec, Tensor x, const Condition& y) {
  require_fitting(spec);
  const std::int64_t rows = x.dim(0) / spec.pack;
  Tensor h = nn::channels_last(reshape(x, {rows, spec.pack * spec.sample[0], spec.sample[1], spec.sample[2]}));
  for (std::size_t i = 0; i < 2; ++i) {
    h = nn::conv2d(s.next("model", 1), h, spec.d.widths[i], conv_options(spec.d));
    h = finish_hidden(s, spec, spec.d, h, y);
  }
  h = join_condition(s, spec, spec.d, reshape(h, {rows, h.elements() / rows}), y);
  for (std::size_t i = 2; i < spec.d.widths.size(); ++i) {
    h = nn::linear(s.next("model", 1), h, spec.d.widths[i], linear_options(spec.d));
    h = finish_hidden(s, spec, spec.d, h, y);
  }
  return judge_features(s, spec, h, y);
}

}  // namespace

extern const Model conv_model;
const Model conv_model{"conv", "convolutions, for images whose sides are multiples of 4", generator, discriminator};

}  // namespace gan::models
