#include "base/error.h"
#include "base/text.h"
#include "models/condition.h"

// The MNIST networks of Mirza and Osindero 2014 (arXiv 1411.1784): a hidden layer for z (or x), one for the one-hot
// label, then a joint one; in D they are maxout of 5, 5 and 4 pieces. model.g.widths and model.d.widths hold the three
// widths. Inside, images are in [0, 1], as G ends in Sigmoids. The paper gives no initialization, which matters at its
// learning rate; it is that of the first GANs' code, U(-0.05, 0.05) in G and U(-0.005, 0.005) in D.
namespace gan::models {

using namespace ops;

namespace {

constexpr nn::LinearOptions kLinearG{.bound = 0.05}, kLinearD{.bound = 0.005};

struct Widths {
  std::int64_t input, label, joint;
};

Widths three_widths(const NetworkSpec& network, const char* key) {
  if (network.widths.size() != 3)
    base::fail_usage("{} has {}; model.kind = cgan-paper takes three: of the input, of the label, joint", key,
                     base::counted(static_cast<std::int64_t>(network.widths.size()), "width"));
  // Options that these networks lack are refused, not ignored.
  if (network.spectral_norm || network.batch_norm || network.condition != "embedding" || network.activation != "relu")
    base::fail_usage(
        "model.kind = cgan-paper has layers of its own (one-hot labels, ReLU in G, maxout in D, no norms); leave "
        "activation, condition and norms of model.g and model.d at their defaults, or use mlp");
  return {network.widths[0], network.widths[1], network.widths[2]};
}

Tensor generator(Scope& s, const ModelSpec& spec, Tensor z, const Condition& y) {
  const Widths widths = three_widths(spec.g, "model.g.widths");
  const auto hidden = [&](const char* name, Tensor x, std::int64_t width) {
    return nn::dropout(s / name, relu(nn::linear(s / name, x, width, kLinearG)), spec.g.dropout);
  };
  Tensor h = hidden("latent", z, widths.input);
  if (y) h = concat({h, hidden("label", one_hot_condition(spec, y), widths.label)});
  h = nn::linear(s / "output", hidden("joint", h, widths.joint), graph::element_count(spec.sample), kLinearG);
  if (spec.bounded()) h = sigmoid(h) * 2.0 - 1.0;
  Shape shape{z.dim(0)};
  shape.insert(shape.end(), spec.sample.begin(), spec.sample.end());
  return reshape(h, shape);
}

Verdicts discriminator(Scope& s, const ModelSpec& spec, Tensor x, const Condition& y) {
  const Widths widths = three_widths(spec.d, "model.d.widths");
  const auto hidden = [&](const char* name, Tensor input, std::int64_t width, std::int64_t pieces) {
    return nn::dropout(s / name, nn::maxout(nn::linear(s / name, input, width * pieces, kLinearD), pieces),
                       spec.d.dropout);
  };
  const std::int64_t rows = x.dim(0) / spec.pack;
  if (spec.bounded()) x = (x + 1.0) * 0.5;
  Tensor h = hidden("sample", reshape(x, {rows, x.elements() / rows}), widths.input, 5);
  if (y) {
    const Tensor ones = one_hot_condition(spec, y), labels = reshape(ones, {rows, ones.elements() / rows});
    h = concat({h, hidden("label", labels, widths.label, 5)});
  }
  return {nn::linear(s / "output", hidden("joint", h, widths.joint, 4), 1, kLinearD), {}};
}

}  // namespace

extern const Model cgan_paper_model;
const Model cgan_paper_model{"cgan-paper", "the maxout networks of the conditional GAN paper", generator,
                             discriminator};

}  // namespace gan::models
