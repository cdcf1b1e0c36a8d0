#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "data/columns.h"
#include "data/pixels.h"
#include "data/reader.h"
#include "data/source.h"

namespace gan::data {

namespace {

constexpr std::int64_t kTrainStacks = 128'000, kTestStacks = 26'000, kStackedDigits = 3;

// Stacked MNIST (Metz et al. 2017, arXiv 1611.02163), with as many pictures as in PacGAN (Lin et al. 2018, arXiv
// 1712.04086, section 4.2): three digits drawn at random are the red, green and blue channel of a picture, so that
// there are 1,000 modes.
Dataset open(const std::string& spec, const SourceOptions& options) {
  SourceOptions plain = options;
  plain.read = {};
  plain.labels = true;
  const Dataset digits = open_source("mnist", plain);
  const bool train = options.split == Split::train;
  const base::RandomStream random(options.seed, base::stream_of(spec), train ? 0 : 1);
  const std::int64_t area = graph::element_count(digits.sample_shape);
  Dataset dataset;
  dataset.items = train ? kTrainStacks : kTestStacks;
  dataset.sample_shape = {kStackedDigits, digits.sample_shape[1], digits.sample_shape[2]};
  auto pixels = make_pixels(static_cast<std::uint64_t>(dataset.items * area * kStackedDigits), options.cache);
  std::vector<std::int32_t> labels[kStackedDigits];
  for (std::int64_t i = 0; i < dataset.items; ++i)
    for (std::int64_t c = 0; c < kStackedDigits; ++c) {
      const auto digit = static_cast<std::int64_t>(
          random.below(static_cast<std::uint64_t>(digits.items), static_cast<std::uint64_t>(i * kStackedDigits + c)));
      const std::uint8_t* src = digits.pixels.get() + digit * area;
      std::uint8_t* dst = pixels.get() + i * area * kStackedDigits + c;  // [H, W, C]
      for (std::int64_t p = 0; p < area; ++p) dst[p * kStackedDigits] = src[p];
      labels[c].push_back(digits.label(digit));
    }
  dataset.pixels = std::move(pixels);
  dataset.hash = hash_of(dataset);  // before labels are added, so that it is the same without labels
  if (options.labels) {
    const std::string names[kStackedDigits] = {"red", "green", "blue"};
    check_columns(options.read, names, spec);
    for (std::int64_t c = 0; c < kStackedDigits; ++c)
      add_column(dataset, {ConditionColumn{.name = names[c], .categories = 10}, std::move(labels[c])});
  }
  return dataset;
}

}  // namespace

extern const Reader stacked_mnist_reader;
const Reader stacked_mnist_reader{
    .name = "stacked-mnist",
    .help = "128,000 pictures of three digits of MNIST, one for each colour; conditions red, green and blue, if wanted",
    .open = open,
    .has_test = [](const std::string&) { return true; }};

}  // namespace gan::data
