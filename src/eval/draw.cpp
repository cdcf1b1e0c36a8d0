#include "eval/draw.h"

#include <algorithm>

#include "base/error.h"
#include "io/png.h"
#include "train/sampler.h"

namespace gan::eval {

namespace {
/// The number of samples of `size` elements that are held as floats at a time, a multiple of the sampler's batch.
std::int64_t chunk_of(std::int64_t size) { return size > 8192 ? 256 : 2048; }
}  // namespace

data::Dataset draw(const train::Model& model, std::int64_t count, const data::ConditionRows& y, std::uint64_t seed,
                   const runtime::Backend* backend, runtime::Communicator& ranks) {
  data::Dataset drawn;
  drawn.source = "samples";
  drawn.name = "samples";
  drawn.sample_shape = model.sample_shape;
  drawn.units = model.units;
  drawn.condition = model.condition;
  drawn.items = count;
  drawn.rows = y;
  const std::int64_t size = graph::element_count(model.sample_shape), latent = model.config.model.latent;
  const std::shared_ptr<std::uint8_t[]> pixels(
      drawn.is_image() ? new std::uint8_t[static_cast<std::size_t>(count * size)] : nullptr);
  drawn.pixels = pixels;
  if (!drawn.is_image()) drawn.points.resize(static_cast<std::size_t>(count * size));
  const std::int64_t chunk = chunk_of(size);
  train::Sampler sampler(model, "auto", {}, backend);
  for (std::int64_t first = chunk * ranks.rank(); first < count; first += chunk * ranks.ranks()) {
    const std::int64_t rows = std::min(chunk, count - first);
    std::vector<float> z(static_cast<std::size_t>(rows * latent)), values(static_cast<std::size_t>(rows * size));
    sampler.latents(seed, first, z);
    sampler.sample(z, y.slice(first, rows), values);
    sampler.require_finite(values, first);
    if (!drawn.is_image()) {
      std::ranges::copy(values, drawn.points.begin() + first * size);
      continue;
    }
    // Permutes [C, H, W] to [H, W, C], the layout of data sets.
    const std::int64_t channels = model.sample_shape[0], area = size / channels;
    std::uint8_t* dst = pixels.get() + first * size;
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t i = 0; i < area; ++i)
        for (std::int64_t c = 0; c < channels; ++c)
          *dst++ = io::to_byte(values[static_cast<std::size_t>(n * size + c * area + i)]);
  }
  const std::span<std::byte> values =
      drawn.is_image() ? std::as_writable_bytes(std::span(pixels.get(), static_cast<std::size_t>(count * size)))
                       : std::as_writable_bytes(std::span(drawn.points));
  const std::size_t element = drawn.is_image() ? sizeof(std::uint8_t) : sizeof(float);
  runtime::collect_pieces(ranks, values, static_cast<std::size_t>(chunk * size) * element, /*on_all=*/true);
  return drawn;
}

}  // namespace gan::eval
