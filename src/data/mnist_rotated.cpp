#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "data/columns.h"
#include "data/made_up.h"
#include "data/pixels.h"
#include "data/reader.h"
#include "data/source.h"

namespace gan::data {

namespace {

Dataset open(const std::string& spec, const SourceOptions& options) {
  SourceOptions plain = options;
  plain.read = {};
  Dataset dataset = open_source("mnist", plain);
  const std::int64_t side = dataset.sample_shape[1], size = side * side;
  const base::RandomStream random(options.seed, base::stream_of(spec), options.split == Split::train ? 0 : 1);
  std::vector<float> degrees;
  for (std::int64_t i = 0; i < dataset.items; ++i)
    degrees.push_back(360 * random.uniform(static_cast<std::uint64_t>(i)));
  auto pixels = make_pixels(static_cast<std::uint64_t>(dataset.items * size), options.cache);
  base::parallel_for(dataset.items, /*grain=*/64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      rotate_image(dataset.pixels.get() + i * size, pixels.get() + i * size, side,
                   degrees[static_cast<std::size_t>(i)]);
  });
  dataset.pixels = std::move(pixels);
  if (options.labels) {
    const std::string names[] = {"digit", "angle"};
    check_columns(options.read, names, spec);
    dataset.condition.columns[0].name = "digit";
    add_numbers(dataset, "angle", "degrees", 360, std::move(degrees), options, spec);
  }
  dataset.hash = hash_of(dataset);
  return dataset;
}

}  // namespace

extern const Reader mnist_rotated_reader;
const Reader mnist_rotated_reader{
    .name = "mnist-rotated",
    .help = "the digits of MNIST, each turned counter-clockwise by an angle from the seed; conditions digit and angle",
    .open = open,
    .has_test = [](const std::string&) { return true; },
    .default_condition = "digit,angle"};

}  // namespace gan::data
