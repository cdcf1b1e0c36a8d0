#include "serve/neighbours.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "data/source.h"
#include "io/png.h"
#include "train/run_data.h"

namespace gan::serve {

using Json = nlohmann::ordered_json;

namespace {

/// The squared Euclidean distance from each row to a sample.
std::vector<float> distances(const data::Dataset& dataset, std::span<const float> sample) {
  std::vector<float> squares(static_cast<std::size_t>(dataset.count()));
  base::parallel_for(dataset.count(), 256, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(sample.size());
    for (std::int64_t i = begin; i < end; ++i) {
      dataset.copy_sample(i, row.data());
      float sum = 0;
      for (std::size_t k = 0; k < row.size(); ++k) sum += (row[k] - sample[k]) * (row[k] - sample[k]);
      squares[static_cast<std::size_t>(i)] = sum;
    }
  });
  return squares;
}

}  // namespace

Json Neighbours::find(const std::string& run, std::span<const float> sample, std::int64_t k) {
  const std::scoped_lock lock(mutex_);
  if (run != run_) {
    const train::Config config = train::read_run_config((std::filesystem::path(run) / "config.toml").string());
    dataset_ =
        std::make_shared<data::Dataset>(data::open_source(config.data.source, train::source_options(config, "")));
    run_ = run;
  }
  const data::Dataset& dataset = *dataset_;
  if (static_cast<std::int64_t>(sample.size()) != graph::element_count(dataset.sample_shape))
    base::fail_data("the run's data now has samples of shape {}", graph::to_string(dataset.sample_shape));
  const std::vector<float> squares = distances(dataset, sample);
  std::vector<std::int64_t> order(squares.size());
  std::iota(order.begin(), order.end(), 0);
  k = std::min(k, dataset.count());
  std::ranges::partial_sort(order, order.begin() + k, {},
                            [&](std::int64_t i) { return squares[static_cast<std::size_t>(i)]; });
  const auto distance = [&](float square) {
    return std::sqrt(static_cast<double>(square) / static_cast<double>(sample.size()));
  };

  Json found = Json::array();
  std::vector<float> row(sample.size());
  for (const std::int64_t i : std::span(order).first(static_cast<std::size_t>(k))) {
    dataset.copy_sample(i, row.data());
    Json each{{"index", i},
              {"distance", distance(squares[static_cast<std::size_t>(i)])},
              {"label", dataset.condition.empty() ? Json() : Json(data::row_text(dataset.condition, dataset.rows, i))}};
    if (dataset.is_image() && dataset.can_be_drawn()) {
      std::string picture;
      io::write_png({"a neighbour", picture}, io::to_picture(row, dataset.sample_shape));
      each["png"] = base::base64(picture);
    } else {
      dataset.units.undo(row, dataset.sample_shape);
      each["values"] = row;
    }
    found.push_back(std::move(each));
  }
  dataset.copy_sample(order[0], row.data());
  std::vector<float> others = distances(dataset, row);
  others[static_cast<std::size_t>(order[0])] = INFINITY;
  const float nearest = *std::ranges::min_element(others);
  return {{"neighbours", std::move(found)},
          {"distance_typical", std::isfinite(nearest) ? Json(distance(nearest)) : Json()}};
}

}  // namespace gan::serve
