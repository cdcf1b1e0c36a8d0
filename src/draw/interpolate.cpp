#include "draw/interpolate.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "io/npy.h"
#include "io/png.h"
#include "train/sampler.h"

namespace gan::draw {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostElementsKept = 1 << 28;  // most elements of all samples, which are kept in memory

/// Interpolates between latents a (share 0) and b (share 1), [latent]: linearly, or spherically, which keeps the length
/// that normally distributed latents have (slerp; White 2016, arXiv 1609.04468).
void point_between(std::span<const float> a, std::span<const float> b, double share, bool spherical,
                   std::span<float> out) {
  double from = 1 - share, to = share;
  if (spherical) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      dot += static_cast<double>(a[i]) * b[i];
      aa += static_cast<double>(a[i]) * a[i];
      bb += static_cast<double>(b[i]) * b[i];
    }
    const double angle = std::acos(std::clamp(dot / std::sqrt(aa * bb), -1.0, 1.0));
    if (std::sin(angle) > 1e-6) {  // else a and b are parallel or opposite, and the great circle is not unique
      from = std::sin((1 - share) * angle) / std::sin(angle);
      to = std::sin(share * angle) / std::sin(angle);
    }
  }
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = static_cast<float>(from * a[i] + to * b[i]);
}

/// The paths to draw: `count` of them, each of `frames` samples, through `stops` latents or conditions.
struct Ways {
  std::int64_t count = 0, stops = 0, frames = 0;
};

Ways ways_of(const SampleOptions& options, const SamplePlan& plan, const train::Model& model) {
  const std::int64_t combinations = plan.grid ? plan.grid->count() : 1;
  const bool latent = options.interpolate == "latent";
  Ways ways;
  ways.count = latent ? combinations : plan.each;
  ways.stops = latent ? plan.each : combinations;
  if (ways.stops < 2 && latent) base::fail_usage("--interpolate latent: expected a --count of 2 or more latents");
  if (ways.stops < 2)
    base::fail_usage("--interpolate condition: expected two values or more, as by --condition {}=A|B",
                     model.condition.empty() ? "NAME" : model.condition.columns[0].name);
  ways.frames = (ways.stops - 1) * (options.steps - 1) + 1;
  if (ways.frames > kMostElementsKept / graph::element_count(model.sample_shape) / ways.count)
    base::fail_usage("--interpolate: {} samples are too many; choose fewer values or --steps",
                     base::grouped(static_cast<std::uint64_t>(ways.frames) * static_cast<std::uint64_t>(ways.count)));
  return ways;
}

/// Draws the samples of all paths, [paths, frames, ...sample].
std::vector<float> draw(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
                        std::span<const float> noise, const Ways& ways) {
  const bool of_latents = options.interpolate == "latent";
  const auto latent = static_cast<std::size_t>(model.config.model.latent);
  const auto size = static_cast<std::size_t>(graph::element_count(model.sample_shape));
  train::Sampler sampler(model, options.precision, {}, options.backend);
  std::int64_t keys = of_latents ? ways.stops : ways.count;  // number of latents between which paths lie
  if (of_latents && !options.same_latents) keys *= ways.count;
  std::vector<float> key_latents(noise.begin(), noise.end());
  if (noise.empty()) {
    key_latents.resize(static_cast<std::size_t>(keys) * latent);
    sampler.latents(static_cast<std::uint64_t>(options.seed), options.first, key_latents, options.truncation);
  }
  const auto key = [&](std::int64_t index) {
    return std::span<const float>(key_latents).subspan(static_cast<std::size_t>(index) * latent, latent);
  };

  const data::ConditionRows rows = plan.grid ? plan.grid->rows(0, plan.grid->count()) : data::ConditionRows();
  const std::int64_t total = ways.count * ways.frames;
  std::vector<float> samples(static_cast<std::size_t>(total) * size), z, shares;
  std::vector<std::uint32_t> from, to;
  for (std::int64_t first = 0; first < total; first += train::Sampler::kLargestBatch) {
    options.throw_if_cancelled();
    const std::int64_t count = std::min(train::Sampler::kLargestBatch, total - first);
    z.resize(static_cast<std::size_t>(count) * latent);
    from.clear(), to.clear(), shares.clear();
    for (std::int64_t i = first; i < first + count; ++i) {
      const std::int64_t way = i / ways.frames, frame = i % ways.frames;
      const std::int64_t stop = std::min(frame / (options.steps - 1), ways.stops - 2);
      const double share =
          static_cast<double>(frame - stop * (options.steps - 1)) / static_cast<double>(options.steps - 1);
      const std::int64_t start = of_latents ? (options.same_latents ? 0 : way * ways.stops) + stop : way;
      point_between(key(start), key(of_latents ? start + 1 : start), share, options.spherical,
                    std::span(z).subspan(static_cast<std::size_t>(i - first) * latent, latent));
      from.push_back(static_cast<std::uint32_t>(of_latents ? way : stop));
      to.push_back(static_cast<std::uint32_t>(of_latents ? way : stop + 1));
      shares.push_back(static_cast<float>(share));
    }
    const std::span<float> out =
        std::span(samples).subspan(static_cast<std::size_t>(first) * size, static_cast<std::size_t>(count) * size);
    if (of_latents)
      sampler.sample(z, rows.select(from), out);
    else
      sampler.sample(z, train::ConditionBlend{rows.select(from), rows.select(to), shares}, out);
  }
  sampler.require_finite(samples);
  return samples;
}

/// The pictures of an animation: picture f has frame f of all paths side by side.
std::vector<io::Picture> frames_of(std::span<const float> samples, const Ways& ways, const graph::Shape& shape) {
  const auto size = static_cast<std::size_t>(graph::element_count(shape));
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(ways.count))));
  std::vector<io::Picture> pictures;
  for (std::int64_t frame = 0; frame < ways.frames; ++frame) {
    io::Grid grid(ways.count, shape, columns, ways.count == 1 ? 0 : 2);
    for (std::int64_t way = 0; way < ways.count; ++way)
      grid.draw(samples.subspan(static_cast<std::size_t>(way * ways.frames + frame) * size, size));
    pictures.push_back(grid.picture());
  }
  return pictures;
}

void write_frames(const std::string& folder, std::span<const io::Picture> pictures) {
  base::create_folder(folder);
  if (!fs::is_empty(folder)) base::fail_usage("--out {}: the folder holds files; choose another", folder);
  const std::size_t width = std::to_string(pictures.size() - 1).size();
  for (std::size_t i = 0; i < pictures.size(); ++i)
    io::write_png((fs::path(folder) / fmt::format("frame-{:0{}}.png", i, width)).string(), pictures[i]);
}

}  // namespace

std::string interpolate(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
                        std::span<const float> noise, const base::Destination& to, const std::string& format) {
  const std::string& out = to.name();
  const std::string extension = !format.empty()                 ? format
                                : base::is_standard_output(out) ? ".npy"
                                                                : fs::path(out).extension().string();
  const bool folder = format.empty() && (out.ends_with('/') || fs::is_directory(out) || extension.empty());
  const graph::Shape& shape = model.sample_shape;
  if (!folder && extension != ".png" && extension != ".apng" && extension != ".npy")
    base::fail_usage("--out {}: expected FILE.png, FILE.apng, FILE.npy or a folder for --interpolate", out);
  if (extension != ".npy" && (shape.size() != 3 || shape[0] > 4))
    base::fail_usage("--out {}: samples of shape {} cannot be drawn; expected FILE.npy", out, graph::to_string(shape));
  if (folder && fs::is_directory(out) && !fs::is_empty(out))
    base::fail_usage("--out {}: the folder holds files; choose another", out);
  if (options.spherical && model.config.model.latent_distribution == "uniform")
    base::fail_usage("--spherical: the model's latents are uniform, of a cube; leave it out");
  const Ways ways = ways_of(options, plan, model);
  std::vector<float> samples = draw(options, plan, model, noise, ways);
  graph::Shape all = shape;
  all.insert(all.begin(), ways.count * ways.frames);
  if (extension == ".npy") {
    model.units.undo(samples, shape);
    io::write_npy(to, all, samples);
  } else if (extension == ".png") {
    io::write_grid(to, samples, all, static_cast<int>(ways.frames));
  } else if (folder) {
    write_frames(out, frames_of(samples, ways, shape));
  } else {
    io::write_animation(to, frames_of(samples, ways, shape), static_cast<int>(options.rate));
  }
  return fmt::format(": {} of {}", base::counted(ways.count, "way"), base::counted(ways.frames, "sample"));
}

}  // namespace gan::draw
