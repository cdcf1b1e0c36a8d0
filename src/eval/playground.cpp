#include "eval/playground.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "data/source.h"
#include "losses/loss.h"
#include "train/preset.h"
#include "train/run_data.h"
#include "train/stepper.h"

namespace gan::eval {

using graph::DType;
using graph::Graph;
using graph::Tensor;
using Json = nlohmann::ordered_json;

using namespace ops;

namespace {

constexpr std::int64_t kGridSide = 32, kReal = 500, kSamplesShown = 200, kArrows = 60;
constexpr double kMargin = 1.3;  // half the side of the square, in units of the data's largest coordinate

double rounded(float value, double scale) { return std::round(static_cast<double>(value) * scale) / scale; }

/// The first `count` rows of points [N, 2].
Json points_json(std::span<const float> points, std::int64_t count) {
  Json json = Json::array();
  for (std::size_t i = 0; i < 2 * static_cast<std::size_t>(count); i += 2)
    json.push_back({rounded(points[i], 1e4), rounded(points[i + 1], 1e4)});
  return json;
}

/// Random rows of the data, [kReal or fewer, 2].
std::vector<float> choose_real(const data::Dataset& dataset, std::int64_t seed) {
  const base::RandomStream random(static_cast<std::uint64_t>(seed), base::stream_of("playground.real"));
  const auto count = static_cast<std::uint64_t>(dataset.count());
  std::vector<float> points(2 * static_cast<std::size_t>(std::min(dataset.count(), kReal)));
  for (std::uint64_t i = 0; i < points.size() / 2; ++i) {
    const std::uint64_t row = count <= kReal ? i : random.below(count, i);
    dataset.copy_sample(static_cast<std::int64_t>(row), points.data() + 2 * i);
  }
  return points;
}

/// Half the side of the square that is shown.
double range_of(std::span<const float> points) {
  float largest = 0;
  for (const float value : points) largest = std::max(largest, std::abs(value));
  return largest > 0 ? std::ceil(kMargin * 10 * static_cast<double>(largest)) / 10 : 1;
}

/// The centres of the cells of a grid over [-range, range]^2, rows from the top, [kGridSide * kGridSide, 2].
std::vector<float> cells_of(double range) {
  const auto centre = [&](std::int64_t i) {
    return static_cast<float>(range * ((2 * static_cast<double>(i) + 1) / kGridSide - 1));
  };
  std::vector<float> cells;
  for (std::int64_t row = 0; row < kGridSide; ++row)
    for (std::int64_t column = 0; column < kGridSide; ++column) {
      cells.push_back(centre(column));
      cells.push_back(-centre(row));
    }
  return cells;
}

data::Dataset open_points(const PlaygroundOptions& options, const train::Config& config) {
  data::SourceOptions source = train::source_options(config, options.cache);
  source.labels = false;
  data::Dataset dataset = data::open_source(options.data, source);
  if (dataset.sample_shape != graph::Shape{2})
    base::fail_data("{}: samples of shape [{}], expected points in the plane, two columns of numbers", options.data,
                    fmt::join(dataset.sample_shape, ", "));
  return dataset;
}

/// A GAN in training, and the programs that draw samples and evaluate D with its current weights.
class Run {
 public:
  Run(const train::Config& config, const data::Dataset& dataset, std::span<const float> cells,
      std::span<const float> real)
      : loss_(config.loss.name), stepper_(config, dataset, nullptr) {
    const models::ModelSpec spec = train::model_spec(config, dataset.sample_shape, {});
    Graph sampler, judge;
    take_weights(train::build_sampler(sampler, config, spec, kSamplesShown));
    take_weights(build_playground_judge(judge, config, kGridSide * kGridSide, kSamplesShown));
    for (const auto& [program, graph] : {std::pair(&sampler_, &sampler), std::pair(&judge_, &judge)})
      *program = std::make_unique<runtime::Program>(compiler::compile(*graph, {}, state_, arena_));
    std::ranges::copy(cells, runtime::Writing(state_.at("cells")).f32().begin());
    const runtime::Writing rows(state_.at("real")), z(state_.at("z"));
    for (std::size_t i = 0; i < rows.f32().size(); ++i) rows.f32()[i] = real[i % real.size()];
    const base::RandomStream random(static_cast<std::uint64_t>(config.train.seed),
                                    base::stream_of("playground.latents"));
    for (std::size_t i = 0; i < z.f32().size(); ++i) z.f32()[i] = random.normal(i);
  }

  void train(std::int64_t step) { stepper_.run(step, /*norms=*/false); }

  /// The part of a frame about this GAN, after `step` steps.
  Json measure(std::int64_t step) {
    sampler_->run();
    judge_->run();
    const std::vector<float> samples = values("samples"), arrows = values("arrows");
    const float loss_g = values("loss.g")[0], loss_d = values("loss.d")[0];
    const bool sound = std::ranges::all_of(arrows, [](float x) { return std::isfinite(x); });
    if (!sound || !std::isfinite(loss_g) || !std::isfinite(loss_d))
      base::fail_run("{} has diverged by step {}; try other losses, or fewer steps", loss_, step);
    Json pushed = Json::array(), plane = Json::array();
    for (std::size_t i = 0; i < 2 * kArrows; i += 2)
      pushed.push_back({rounded(samples[i], 1e4), rounded(samples[i + 1], 1e4), rounded(arrows[i], 1e5),
                        rounded(arrows[i + 1], 1e5)});
    for (const float value : values("plane")) plane.push_back(rounded(std::clamp(value, 0.0f, 1.0f), 1e3));
    return {{"loss", loss_},
            {"points", points_json(samples, kSamplesShown)},
            {"plane", std::move(plane)},
            {"arrows", pushed},
            {"loss_g", rounded(loss_g, 1e5)},
            {"loss_d", rounded(loss_d, 1e5)}};
  }

 private:
  void take_weights(const std::vector<nn::Variable>& variables) {
    for (const nn::Variable& variable : variables) state_[variable.name] = stepper_.state().at(variable.name).share();
  }

  std::vector<float> values(const char* name) const {
    const runtime::Array array = state_.at(name).on_host();
    return {array.f32().begin(), array.f32().end()};
  }

  std::string loss_;
  train::Stepper stepper_;
  runtime::State state_;
  runtime::Arena arena_;
  std::unique_ptr<runtime::Program> sampler_, judge_;
};

}  // namespace

train::Config playground_config(const PlaygroundOptions& options, const std::string& loss) {
  train::Config config = train::load_preset("vector");
  const std::string settings[] = {"data.unconditional=true", "penalty.r1=0",     "penalty.r2=0", "train.ema=0",
                                  "train.precision=f32",     "loss.name=" + loss};
  train::apply_settings(config, settings);
  config.data.source = options.data;
  config.train.seed = options.seed;
  train::validate(config);
  return config;
}

std::vector<nn::Variable> build_playground_judge(Graph& graph, const train::Config& config, std::int64_t cells,
                                                 std::int64_t points) {
  const Tensor plane = graph.input("cells", {DType::f32, {cells, 2}});
  const Tensor real = graph.input("real", {DType::f32, {points, 2}});
  const Tensor samples = graph.input("samples", {DType::f32, {points, 2}});
  const models::ModelSpec spec = train::model_spec(config, {2}, {});
  const train::JudgedSamples judged =
      train::build_discriminator(graph, config, spec, concat({plane, real, samples}, 0), {});
  const auto rows = [&](std::int64_t begin, std::int64_t count) {
    return slice(judged.verdicts.logits, 0, begin, count);
  };
  const Tensor on_real = rows(cells, points), on_samples = rows(cells + points, points), on_cells = rows(0, cells);
  const losses::Loss& loss = losses::find_loss(config.loss.name);
  const Tensor loss_g = loss.generator(config.loss, on_real, on_samples);
  // The loss is a mean over samples: the gradient of a sample's own loss is `points` times as long.
  graph.output("arrows", autodiff::gradient(loss_g, {samples})[0] * -static_cast<double>(points));
  const bool squares = loss.name == "least_squares";
  graph.output("plane", reshape(squares ? loss.verdict(config.loss, on_cells) : sigmoid(on_cells), {cells}));
  graph.output("loss.g", loss_g);
  graph.output("loss.d", loss.discriminator(config.loss, on_real, on_samples));
  return judged.variables;
}

void run_playground(const PlaygroundOptions& options, const std::function<void(const Json& line)>& on_line) {
  std::vector<train::Config> configs;
  for (const std::string& loss : options.losses) configs.push_back(playground_config(options, loss));
  const data::Dataset dataset = open_points(options, configs.at(0));
  const std::vector<float> real = choose_real(dataset, options.seed);
  const double range = range_of(real);
  on_line({{"range", {-range, range}},
           {"grid", kGridSide},
           {"losses", options.losses},
           {"real", points_json(real, std::ssize(real) / 2)}});
  const std::vector<float> cells = cells_of(range);
  std::vector<std::unique_ptr<Run>> runs;  // by pointer, since their programs hold addresses of members
  for (train::Config& config : configs) {
    config.train.batch = std::min(config.train.batch, dataset.count());
    runs.push_back(std::make_unique<Run>(config, dataset, cells, real));
  }
  for (std::int64_t step = 0; step <= options.steps; ++step) {
    if (step % options.every == 0 || step == options.steps) {
      Json frame{{"step", step}, {"runs", Json::array()}};
      for (const auto& run : runs) frame["runs"].push_back(run->measure(step));
      on_line(frame);
    }
    if (step < options.steps)
      for (const auto& run : runs) run->train(step);
  }
}

}  // namespace gan::eval
