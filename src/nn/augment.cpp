#include "nn/augment.h"

#include <cmath>

#include "ops/ops.h"

namespace gan::nn {

using namespace ops;

Tensor augment(const Scope& s, Tensor x, const AugmentOptions& options) {
  const std::int64_t rows = x.dim(0), height = x.dim(2), width = x.dim(3);
  const auto share = [](double of, std::int64_t length) { return std::lround(of * static_cast<double>(length)); };
  if (options.brightness > 0) x = x + (s.uniform("brightness", {rows, 1, 1, 1}) - 0.5) * options.brightness;
  if (options.translation > 0)
    x = shift_images(x, s.uniform("translation", {rows, 2}), share(options.translation, height),
                     share(options.translation, width));
  if (options.cutout > 0)
    x = x * cutout_mask(s.uniform("cutout", {rows, 2}), height, width, share(options.cutout, height),
                        share(options.cutout, width));
  return x;
}

}  // namespace gan::nn
