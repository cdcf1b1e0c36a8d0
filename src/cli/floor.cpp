#include "cli/floor.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <set>
#include <vector>

#include "base/parallel.h"
#include "compiler/compile.h"
#include "ops/ops.h"
#include "train/stepper.h"

namespace gan::cli {

namespace {

using Clock = std::chrono::steady_clock;

/// FLOP per image of the tutorial's step, without gradients of D's weights in G's loss and of images in D's loss, with
/// one forward pass of D over the fakes and one backward pass for both losses.
constexpr double kTutorialOperations = 25.9e6;

/// Times of a function that is called for about 0.1 s, at least five times, and once before for warming up.
template <typename Function>
std::vector<double> repeated_seconds(const Function& function) {
  function();
  std::vector<double> times;
  for (double total = 0; total < 0.1 || times.size() < 5; total += times.back()) {
    const Clock::time_point start = Clock::now();
    function();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return times;
}

/// The rates of calls that each do `done` operations or bytes in one of these times.
Rate rate_of(double done, std::vector<double> times) {
  std::ranges::sort(times);
  return {done / times[times.size() / 2], done / times.front()};
}

/// An array of elements in [-0.5, 0.5).
runtime::Array filled_array(const graph::TensorType& type) {
  runtime::Array array(type);
  for (std::size_t i = 0; i < static_cast<std::size_t>(type.elements()); ++i) {
    const float value = static_cast<float>(i * 2654435761u % 1024) / 1024 - 0.5f;
    if (type.dtype == graph::DType::f32)
      array.f32()[i] = value;
    else  // truncated, not rounded
      array.bf16()[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
  }
  return array;
}

bool is_tutorial(const train::Config& config, const models::ModelSpec& spec) {
  const train::Config defaults;  // the tutorial's networks
  const auto& model = config.model;
  const bool penalized =
      std::ranges::any_of(config.penalty.weights, [](const auto& weight) { return weight.second != 0; });
  return model.kind == "mlp" && model.g.widths == defaults.model.g.widths &&
         model.d.widths == defaults.model.d.widths && model.latent == defaults.model.latent &&
         model.embedding == defaults.model.embedding && model.pack == 1 && config.train.d_steps == 1 && !penalized &&
         graph::element_count(spec.sample) == 28 * 28 && !spec.condition.empty();
}

/// The type of a run's matrix products on a backend; null: the CPU.
graph::DType precision_of(const train::Config& config, const runtime::Backend* backend) {
  const bool bf16 = compiler::choose_precision(config.train.precision, backend) == compiler::Precision::bf16;
  return bf16 ? graph::DType::bf16 : graph::DType::f32;
}

}  // namespace

Work needed_work(const train::Config& config, const models::ModelSpec& spec, double contraction_operations,
                 const runtime::Backend* backend) {
  Work work;
  work.operations = is_tutorial(config, spec) ? kTutorialOperations * static_cast<double>(config.train.batch)
                                              : contraction_operations;
  graph::Graph graph;
  for (const nn::Variable& variable : train::build_step(graph, config, spec, {.batch = config.train.batch})) {
    const double gradient =
        variable.role == nn::Role::parameter ? static_cast<double>(graph::size_of(precision_of(config, backend))) : 0;
    const double bytes = (2 * sizeof(float) + gradient) * static_cast<double>(graph::element_count(variable.shape));
    const bool in_g = variable.name.find(std::string(train::kGenerator) + ".") != std::string::npos;
    work.bytes += in_g ? bytes / static_cast<double>(config.train.d_steps) : bytes;
  }
  return work;
}

double floor_seconds(const Work& work, const runtime::Rates& rates) {
  return work.operations / rates.operations + work.bytes / rates.bytes;
}

std::string describe_floor(const Work& work, const runtime::Rates& rates, double seconds) {
  const double floor = floor_seconds(work, rates);
  return fmt::format(
      "floor {:.2f} ms: {:.1f} MFLOP at {:.1f} GFLOP/s and {:.1f} MB at {:.1f} GB/s; {:.0f}% of {:.2f} ms", 1e3 * floor,
      work.operations / 1e6, rates.operations / 1e9, work.bytes / 1e6, rates.bytes / 1e9, 100 * floor / seconds,
      1e3 * seconds);
}

std::string describe_profile(const runtime::Profile& profile, const train::Config& config,
                             const models::ModelSpec& spec, const runtime::Backend* backend) {
  const std::int64_t steps = profile.calls(runtime::Profile::Kind::phase, "batch");
  if (steps == 0) return "no step was taken\n";
  if (backend && !backend->memory().is_host()) return profile.table(steps, {});
  const runtime::Rates rates = best_rates(config);
  const Work work = needed_work(config, spec, profile.contraction_operations() / static_cast<double>(steps), backend);
  const double seconds = train::step_seconds(profile);
  const Work touched{work.operations, profile.bytes() / static_cast<double>(steps)};
  const double touching = floor_seconds(touched, rates);
  return fmt::format("{}\nwith all {:.1f} MB that its kernels read and write {:.2f} ms, {:.0f}%\n\n{}",
                     describe_floor(work, rates, seconds), touched.bytes / 1e6, 1e3 * touching,
                     100 * touching / seconds, profile.table(steps, rates));
}

runtime::Rates best_rates(const train::Config& config) {
  return {matmul_rate(precision_of(config, nullptr), config.train.batch).median, sweep_rate().median};
}

Rate matmul_rate(graph::DType dtype, std::int64_t batch) {
  struct Case {
    std::int64_t m, n, k;
    bool transpose_a, transpose_b;
  };
  const std::vector<Case> cases{
      {batch, 1024, 1024, false, true}, {batch, 1024, 816, false, true},  {batch, 784, 1024, false, true},
      {batch, 512, 1024, false, true},  {batch, 1024, 784, false, false}, {batch, 1024, 512, false, false},
      {1024, 784, batch, true, false},  {512, 1024, batch, true, false},  {1024, 1024, batch, true, false},
  };
  std::set<std::string> own;
  for (const runtime::BackendPart& part : runtime::backend_parts())
    if (part.replaces_onednn) own.insert(part.name);
  Rate fastest;
  for (const Case& c : cases)
    for (const std::set<std::string>& disabled : {std::set<std::string>{}, own}) {
      graph::Graph graph;
      const auto operand = [&](const char* name, std::int64_t rows, std::int64_t columns, bool transposed) {
        return graph.input(name, {dtype, transposed ? graph::Shape{columns, rows} : graph::Shape{rows, columns}});
      };
      const graph::Tensor product = ops::matmul(operand("a", c.m, c.k, c.transpose_a),
                                                operand("b", c.k, c.n, c.transpose_b), c.transpose_a, c.transpose_b);
      graph.output("product", ops::cast(product, dtype));
      runtime::State state;
      for (const auto& [name, id] : graph.inputs()) state[name] = filled_array(graph.node(id).type);
      runtime::Arena arena;
      const runtime::Program program = compiler::compile(graph, {.disabled = disabled}, state, arena);
      const Rate rate = rate_of(2.0 * static_cast<double>(c.m * c.n * c.k), repeated_seconds([&] { program.run(); }));
      fastest = {std::max(fastest.median, rate.median), std::max(fastest.best, rate.best)};
    }
  return fastest;
}

/// w += g, m += g, v += g: the memory traffic of Adam without its arithmetic, on all threads.
static void sweep(float* w, float* m, float* v, const float* g, std::int64_t count) {
  base::parallel_for(count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      w[i] += g[i];
      m[i] += g[i];
      v[i] += g[i];
    }
  });
}

Rate sweep_rate() {
  constexpr std::int64_t kParameters = 3'040'000;
  const graph::TensorType type{graph::DType::f32, {kParameters}};
  const runtime::Array w = filled_array(type), m = filled_array(type), v = filled_array(type), g = filled_array(type);
  return rate_of(7.0 * static_cast<double>(type.bytes()), repeated_seconds([&] {
                   sweep(w.f32().data(), m.f32().data(), v.f32().data(), g.f32().data(), kParameters);
                 }));
}

}  // namespace gan::cli
