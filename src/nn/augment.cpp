#include "nn/augment.h"

#include <cmath>

#include "ops/ops.h"

namespace gan::nn {

using namespace ops;

Tensor augment(const Scope& s, Tensor x, const AugmentOptions& options) {
  const std::int64_t rows = x.dim(0), height = x.dim(2), width = x.dim(3);
  const auto pixels = [](double share, std::int64_t side) { return std::lround(share * static_cast<double>(side)); };
  if (options.brightness > 0) x = x + (s.uniform("brightness", {rows, 1, 1, 1}) - 0.5) * options.brightness;
  if (options.translation > 0)
    x = shift_images(x, s.uniform("translation", {rows, 2}), pixels(options.translation, height),
                     pixels(options.translation, width));
  if (options.cutout > 0)
    x = x * cutout_mask(s.uniform("cutout", {rows, 2}), height, width, pixels(options.cutout, height),
                        pixels(options.cutout, width));
  return x;
}

}  // namespace gan::nn
