#include "train/observer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "optim/optimizer.h"

namespace gan::train {

namespace {

constexpr std::int64_t kMostRowsObserved = 2048, kFewestRowsObserved = 256;
constexpr std::int64_t kMostElementsObserved = 4'000'000;  // of the rows that are looked at
constexpr std::int64_t kSamplesObserved = 128;             // rows of latents and conditions
constexpr std::int64_t kFewestPairs = 8;
constexpr double kLeastShare = 0.01;  // of the variance, that a condition must explain

/// Different rows of the data in random order, spread over its length.
std::vector<std::uint32_t> choose_rows(const data::Dataset& dataset, std::uint64_t seed) {
  const std::int64_t width = graph::element_count(dataset.sample_shape);
  const std::int64_t most =
      std::clamp(kMostElementsObserved / std::max<std::int64_t>(width, 1), kFewestRowsObserved, kMostRowsObserved);
  const auto count = static_cast<std::uint64_t>(std::min(dataset.count(), most));
  const auto all = static_cast<std::uint64_t>(dataset.count());
  const base::RandomStream random(seed, base::stream_of("watchdog.rows"));
  std::vector<std::uint32_t> rows;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t begin = i * all / count, end = (i + 1) * all / count;
    rows.push_back(static_cast<std::uint32_t>(begin + random.below(end - begin, 2 * i)));
  }
  for (std::uint64_t i = count; i > 1; --i) std::swap(rows[i - 1], rows[random.below(i, 2 * i + 1)]);
  return rows;
}

/// The rows with the nearest conditions: for row i, that of equal categories whose numbers differ least as shares of
/// their ranges; -1 if there is none.
std::vector<std::int64_t> nearest_conditions(const data::ConditionSpec& spec, const data::ConditionRows& rows) {
  const std::int64_t count = rows.count();
  std::vector<std::vector<double>> positions(spec.columns.size());
  for (std::size_t c = 0; c < spec.columns.size(); ++c)
    if (spec.columns[c].is_numeric())
      for (const float value : rows.numbers(c))
        positions[c].push_back(spec.columns[c].number.position(static_cast<double>(value)));
  const auto distance = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t c = 0; c < spec.columns.size(); ++c) {
      const data::ConditionColumn& column = spec.columns[c];
      if (!column.is_numeric()) {
        if (rows.categories(c)[i] != rows.categories(c)[j]) return HUGE_VAL;
        continue;
      }
      double apart = std::abs(positions[c][i] - positions[c][j]);
      if (column.number.period > 0) apart = std::min(apart, 1 - apart);
      sum += apart;
    }
    return sum;
  };
  std::vector<std::int64_t> nearest(static_cast<std::size_t>(count), -1);
  base::parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      double best = HUGE_VAL;
      for (std::int64_t k = 1; k < count && best > 0; ++k) {
        const std::int64_t j = (i + k) % count;
        const double apart = distance(static_cast<std::size_t>(i), static_cast<std::size_t>(j));
        if (apart >= best) continue;
        best = apart;
        nearest[static_cast<std::size_t>(i)] = j;
      }
    }
  });
  return nearest;
}

/// The mean squared difference of two rows' elements.
double mean_squared_difference(const float* a, const float* b, std::size_t width) {
  double sum = 0;
  for (std::size_t j = 0; j < width; ++j) {
    const double apart = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sum += apart * apart;
  }
  return sum / static_cast<double>(width);
}

/// The variance of rows [N, width] around their mean row, averaged over the columns.
double variance(std::span<const float> rows, std::size_t width) {
  const std::size_t count = rows.size() / width;
  if (count < 2) return 0;
  std::vector<double> mean(width), squares(width);
  for (std::size_t i = 0; i < rows.size(); ++i) mean[i % width] += static_cast<double>(rows[i]);
  for (double& value : mean) value /= static_cast<double>(count);
  for (std::size_t i = 0; i < rows.size(); ++i)
    squares[i % width] += std::pow(static_cast<double>(rows[i]) - mean[i % width], 2);
  return std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>((count - 1) * width);
}

/// The length of all parameters of a network.
double length_of(const Stepper& stepper, const std::string& network) {
  double squares = 0;
  for (const nn::Variable& variable : stepper.variables()) {
    if (variable.role != nn::Role::parameter || !variable.name.starts_with(network + ".")) continue;
    const runtime::Array array = stepper.state().at(variable.name).on_host();
    for (const float value : array.f32()) squares += static_cast<double>(value * value);
  }
  return std::sqrt(squares);
}

std::vector<float> logits_of(const Stepper& stepper, const char* name) {
  const runtime::Array array = stepper.state().at(name).on_host();
  return {array.f32().begin(), array.f32().end()};
}

}  // namespace

DataSpread spread_of(const data::Dataset& dataset, const data::ConditionSpec& condition, std::uint64_t seed) {
  const std::vector<std::uint32_t> rows = choose_rows(dataset, seed);
  const auto width = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  std::vector<float> samples(rows.size() * width);
  base::parallel_for(static_cast<std::int64_t>(rows.size()), 16, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      dataset.copy_sample(rows[i], samples.data() + i * width);
  });
  DataSpread spread;
  const double total = variance(samples, width);
  spread.total = std::sqrt(total);
  if (condition.empty()) {
    spread.within = spread.total;
    return spread;
  }
  const std::vector<std::int64_t> nearest = nearest_conditions(condition, dataset.rows.select(rows));
  double within = 0;
  std::int64_t pairs = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (nearest[i] < 0) continue;
    const float* other = samples.data() + static_cast<std::size_t>(nearest[i]) * width;
    within += mean_squared_difference(samples.data() + i * width, other, width) / 2;
    ++pairs;
  }
  if (pairs < kFewestPairs) return spread;
  within /= static_cast<double>(pairs);
  spread.within = std::sqrt(within);
  if (total - within > kLeastShare * total) spread.between = std::sqrt(total - within);
  return spread;
}

/// The averaged generator as it draws after training, on fixed rows. It reads the run's own weights, so that nothing
/// is copied or compiled again for a check.
struct Observer::Generator {
  /// With a condition three blocks of kSamplesObserved rows: latents and conditions; the same latents with other
  /// conditions; other latents with the same conditions. Else the first block alone.
  Generator(const Config& config, const data::Dataset& dataset, const Stepper& stepper) {
    const data::ConditionSpec& condition = stepper.condition();
    const std::int64_t blocks = condition.empty() ? 1 : 3;
    graph::Graph graph;
    const models::ModelSpec spec = model_spec(config, dataset.sample_shape, condition);
    for (const nn::Variable& variable : build_sampler(graph, config, spec, blocks * kSamplesObserved)) {
      const auto averaged = stepper.state().find(optim::average_of(variable.name));
      state[variable.name] =
          (averaged != stepper.state().end() ? averaged->second : stepper.state().at(variable.name)).share();
    }
    program = std::make_unique<runtime::Program>(
        compiler::compile(graph, {.precision = compiler::Precision::f32, .backend = stepper.backend()}, state, arena));

    const auto seed = static_cast<std::uint64_t>(config.train.seed);
    const base::RandomStream random(seed, base::stream_of("watchdog.latents"));
    const bool uniform = config.model.latent_distribution == "uniform";
    const runtime::Writing z(state.at("z"));
    const auto latent = static_cast<std::size_t>(config.model.latent), block = kSamplesObserved * latent;
    for (std::size_t i = 0; i < z.f32().size(); ++i) {
      const std::size_t index = i < 2 * block ? i % block : i - block;  // the second block repeats the first
      z.f32()[i] = uniform ? 2 * random.uniform(index) - 1 : random.normal(index);
    }
    if (condition.empty()) return;
    const std::vector<std::uint32_t> chosen = choose_rows(dataset, seed);
    std::vector<std::uint32_t> rows, others;
    for (std::size_t i = 0; i < kSamplesObserved; ++i) {
      rows.push_back(chosen[i % chosen.size()]);
      others.push_back(chosen[(i + chosen.size() / 2) % chosen.size()]);
    }
    data::ConditionRows y = dataset.rows.select(rows);
    y.append(dataset.rows.select(others));
    y.append(dataset.rows.select(rows));
    std::vector<runtime::Array> inputs = condition_inputs(state, "y", condition);
    write_condition(inputs, condition, y);
  }

  runtime::State state;
  runtime::Arena arena;
  std::unique_ptr<runtime::Program> program;
};

Observer::Observer(const Config& config, const data::Dataset& dataset, const Stepper& stepper)
    : stepper_(stepper),
      data_(spread_of(dataset, stepper.condition(), static_cast<std::uint64_t>(config.train.seed))),
      generator_(std::make_unique<Generator>(config, dataset, stepper)) {}

Observer::~Observer() = default;

Measurements Observer::measure() {
  Measurements found;
  measure_samples(found);
  measure_discriminator(found);
  found.gradient_g = static_cast<double>(stepper_.scalar("norm.g"));
  found.gradient_d = static_cast<double>(stepper_.scalar("norm.d"));
  found.length_g = length_of(stepper_, kGenerator);
  found.length_d = length_of(stepper_, kDiscriminator);
  return found;
}

void Observer::measure_samples(Measurements& found) {
  generator_->program->run();
  const runtime::Array array = generator_->state.at("samples").on_host();
  const std::span<const float> samples = array.f32();
  const bool conditional = !stepper_.condition().empty();
  const std::size_t block = samples.size() / (conditional ? 3 : 1), width = block / kSamplesObserved;
  if (!conditional) {
    if (data_.total > 0) found.spread = std::sqrt(variance(samples, width)) / data_.total;
    return;
  }
  double moved = 0, within = 0;
  for (std::size_t i = 0; i < kSamplesObserved; ++i) {
    const float* row = samples.data() + i * width;
    moved += mean_squared_difference(row, row + block, width) / (2.0 * kSamplesObserved);
    within += mean_squared_difference(row, row + 2 * block, width) / (2.0 * kSamplesObserved);
  }
  if (data_.between) found.condition = std::sqrt(moved) / *data_.between;
  if (data_.within && *data_.within > 1e-3 * data_.total) found.spread = std::sqrt(within) / *data_.within;
}

void Observer::measure_discriminator(Measurements& found) const {
  const std::vector<float> real = logits_of(stepper_, "logits.real"), fake = logits_of(stepper_, "logits.fake");
  double wins = 0;
  for (const float r : real)
    for (const float f : fake) wins += r > f ? 1 : r == f ? 0.5 : 0;
  found.d_wins = wins / static_cast<double>(real.size() * fake.size());
  std::vector<float> both = real;
  both.insert(both.end(), fake.begin(), fake.end());
  found.d_deviation = std::sqrt(variance(both, 1));
}

}  // namespace gan::train
