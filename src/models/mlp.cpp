#include "models/model.h"

// Multilayer perceptrons. With widths 64-128-256-512-1024 and spectral norm the generator, with 1024-512-256-128-64 the
// discriminator of the cGAN tutorial; the condition is a learned embedding of the label, joined to the input (Mirza and
// Osindero 2014, arXiv 1411.1784).
namespace gan::models {

using namespace ops;

namespace {

/// x and, if there is one, the embedding of the label beside it.
Tensor join_label(Scope& s, const ModelSpec& spec, Tensor x, std::optional<Tensor> y) {
  if (!y) return x;
  return concat({x, nn::embedding(s / "embedding", *y, {spec.classes, spec.embedding})});
}

Tensor generator(Scope& s, const ModelSpec& spec, Tensor z, std::optional<Tensor> y) {
  const nn::LinearOptions layer{.spectral_norm = spec.g.spectral_norm, .gain = spec.g.gain};
  Tensor h = join_label(s, spec, z, y);  // [N, latent + embedding]
  for (std::int64_t width : spec.g.widths) {
    h = nn::linear(s.next("model", spec.g.batch_norm ? 1 : 2), h, width, layer);
    if (spec.g.batch_norm) h = nn::batch_norm(s.next("model"), h);
    h = nn::activation(spec.g.activation, h);
  }
  h = nn::linear(s.next("model"), h, graph::element_count(spec.sample), layer);  // [N, C*H*W]
  if (spec.bounded()) h = tanh(h);
  Shape shape{z.dim(0)};
  shape.insert(shape.end(), spec.sample.begin(), spec.sample.end());
  return reshape(h, shape);
}

Tensor discriminator(Scope& s, const ModelSpec& spec, Tensor x, std::optional<Tensor> y) {
  const nn::LinearOptions layer{.spectral_norm = spec.d.spectral_norm, .gain = spec.d.gain};
  Tensor h = join_label(s, spec, reshape(x, {x.dim(0), graph::element_count(spec.sample)}), y);
  for (std::int64_t width : spec.d.widths)
    h = nn::activation(spec.d.activation, nn::linear(s.next("model"), h, width, layer));
  return nn::linear(s.next("model"), h, 1, layer);  // [N, 1]
}

}  // namespace

extern const Model mlp_model;
const Model mlp_model{"mlp", "multilayer perceptrons, the label's embedding joined to the input", generator,
                      discriminator};

}  // namespace gan::models
