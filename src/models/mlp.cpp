#include "models/condition.h"

// Multilayer perceptrons. The cGAN tutorial's G has widths 64-128-256-512-1024 and spectral norm, its D has widths
// 1024-512-256-128-64. The condition enters as condition.h says, by default as a learned embedding of the label that is
// concatenated to the input (Mirza and Osindero 2014, arXiv 1411.1784).
namespace gan::models {

using namespace ops;

namespace {

Tensor generator(Scope& s, const ModelSpec& spec, Tensor z, const Condition& y) {
  Tensor h = join_condition(s, spec, spec.g, z, y);  // [N, latent + condition]
  for (std::int64_t width : spec.g.widths) {
    h = nn::linear(s.next("model", 1), h, width, linear_options(spec.g));
    h = finish_hidden(s, spec, spec.g, h, y);
  }
  h = nn::linear(s.next("model"), h, graph::element_count(spec.sample), linear_options(spec.g));  // [N, C*H*W]
  if (spec.bounded()) h = tanh(h);
  Shape shape{z.dim(0)};
  shape.insert(shape.end(), spec.sample.begin(), spec.sample.end());
  return reshape(h, shape);
}

Verdicts discriminator(Scope& s, const ModelSpec& spec, Tensor x, const Condition& y) {
  const std::int64_t rows = x.dim(0) / spec.pack;
  Tensor h = join_condition(s, spec, spec.d, reshape(x, {rows, x.elements() / rows}), y);
  for (std::int64_t width : spec.d.widths) {
    h = nn::linear(s.next("model", 1), h, width, linear_options(spec.d));
    h = finish_hidden(s, spec, spec.d, h, y);
  }
  return judge_features(s, spec, h, y);  // [N / pack, 1]
}

}  // namespace

extern const Model mlp_model;
const Model mlp_model{"mlp", "multilayer perceptrons, for images and vectors", generator, discriminator};

}  // namespace gan::models
