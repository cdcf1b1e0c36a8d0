// Times the training step of a preset on random images of MNIST's shape.
//
//   step_bench --preset tutorial-lsgan --batch 64 --precision bf16             one line of JSON about 50 steps
//   step_bench --preset tutorial-lsgan --batch 64 --precision bf16 --profile   a table of the kernels
//   step_bench --preset tutorial-lsgan --batch 64 --precision bf16 --serve     answers "run K" lines, as torch_step.py
//   step_bench --floor --batch 64                                              what the machine can do
//
// A timed step is what `gan train` does between two log lines: fill the batch from a data set of bytes, run the
// program.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "data/dataset.h"
#include "data/shuffle.h"
#include "nn/scope.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kImages = 4096;
constexpr int kClasses = 10;

struct BenchOptions {
  std::string preset = "tutorial-lsgan", precision = "bf16";
  std::vector<std::string> settings, disabled;
  int threads = 2, warmup = 20, steps = 50;
  std::int64_t batch = 64;
  bool profile = false, serve = false, floor = false;
};

double median(std::vector<double> values) {
  const std::size_t middle = values.size() / 2;
  std::ranges::sort(values);
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Function>
double seconds_of(const Function& function) {
  const Clock::time_point start = Clock::now();
  function();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Times of a function that is called for about 0.2 s, at least five times, and once before for warming up.
template <typename Function>
std::vector<double> repeated_seconds(const Function& function) {
  function();
  std::vector<double> times;
  for (double total = 0; total < 0.2 || times.size() < 5; total += times.back()) times.push_back(seconds_of(function));
  return times;
}

double rounded(double value, double digits) { return std::round(value * digits) / digits; }

// ---- the step ----

data::Dataset random_images() {
  data::Dataset dataset;
  dataset.source = dataset.name = "random";
  dataset.sample_shape = {1, 28, 28};
  dataset.classes = kClasses;
  dataset.items = kImages;
  const auto bytes = static_cast<std::size_t>(kImages * graph::element_count(dataset.sample_shape));
  dataset.pixels = std::make_unique<std::uint8_t[]>(bytes);
  const base::RandomStream pixels(/*seed=*/1, base::stream_of("pixels")), labels(/*seed=*/1, base::stream_of("labels"));
  for (std::size_t i = 0; i < bytes; ++i)
    dataset.pixels[i] = static_cast<std::uint8_t>(pixels.bits(i / 4) >> i % 4 * 8);
  for (std::int64_t i = 0; i < kImages; ++i)
    dataset.labels.push_back(static_cast<std::uint8_t>(labels.below(kClasses, static_cast<std::uint64_t>(i))));
  return dataset;
}

/// What tells kernels of one name apart: the operands of a contraction, the result of an elementwise chain.
std::string describe(const graph::Graph& graph, const graph::Group& group) {
  const graph::Node& first = graph.node(group.nodes.front());
  if (first.op->elementwise()) return to_string(graph.node(group.nodes.back()).type);
  std::string text;
  for (graph::NodeId input : first.inputs) {
    const bool transposed = first.attributes.has(text.empty() ? "transpose_a" : "transpose_b") &&
                            first.attributes.integer(text.empty() ? "transpose_a" : "transpose_b") != 0;
    text += (text.empty() ? "" : " ") + to_string(graph.node(input).type) + (transposed ? "^T" : "");
  }
  return text;
}

/// A preset's training step, set up as the trainer does it.
class Step {
 public:
  explicit Step(const BenchOptions& options)
      : options_(options), dataset_(random_images()), shuffle_(kImages, /*seed=*/1) {
    train::Config config = train::load_preset(options.preset);
    train::apply_settings(config, options.settings);
    if (options.batch < 1 || options.batch > kImages) base::fail_usage("--batch must be 1 to {}", kImages);
    base::set_threads(options.threads);

    graph::Graph graph;
    const models::ModelSpec spec = train::model_spec(config, dataset_.sample_shape, kClasses);
    const std::vector<nn::Variable> variables = train::build_step(graph, config, spec, {.batch = options.batch});
    nn::initialize(variables, /*seed=*/1, state_);
    for (const nn::Variable& variable : variables)  // averages start where the averaged starts
      if (variable.name.starts_with("ema."))
        state_[variable.name] = runtime::Array(variable.shape, state_.at(variable.name.substr(4)).f32());
    const compiler::Options compile_options{.precision = compiler::choose_precision(options.precision),
                                            .disabled = {options.disabled.begin(), options.disabled.end()}};
    const graph::Schedule schedule = compiler::optimize(graph, compile_options);
    program_ = std::make_unique<runtime::Program>(graph, schedule, state_, arena_);
    state_.at("random.key").i32()[0] = 1;
    name_kernels(graph, schedule);
    for (int i = 0; i < options.warmup; ++i) run();
  }

  const std::vector<runtime::Kernel>& kernels() const { return program_->kernels(); }
  /// Of each kernel what describe() says of its group.
  const std::vector<std::string>& shapes() const { return shapes_; }

  void fill_batch() {
    const std::int64_t steps_per_epoch = kImages / options_.batch, first = count_ % steps_per_epoch * options_.batch;
    const std::span<const std::uint32_t> order = shuffle_.epoch(static_cast<std::uint32_t>(count_ / steps_per_epoch));
    const auto size = static_cast<std::size_t>(graph::element_count(dataset_.sample_shape));
    float* x = state_.at("batch.x").f32().data();
    const std::span<std::int32_t> y = state_.at("batch.y").i32();
    for (std::int64_t row = 0; row < options_.batch; ++row) {
      const std::uint32_t index = order[static_cast<std::size_t>(first + row)];
      dataset_.copy_sample(index, x + static_cast<std::size_t>(row) * size);
      y[static_cast<std::size_t>(row)] = dataset_.label(index);
    }
    state_.at("step").i32()[0] = static_cast<std::int32_t>(count_++);
  }

  void run() {
    fill_batch();
    program_->run();
    if (!std::isfinite(loss("loss.g")) || !std::isfinite(loss("loss.d")))
      base::fail_run("training diverged at step {}", count_);
  }

  Json measure(int steps) {
    std::vector<double> times;
    for (int i = 0; i < steps; ++i) times.push_back(seconds_of([&] { run(); }));
    const double typical = median(times), batch = static_cast<double>(options_.batch);
    double matmul_operations = 0;
    for (const runtime::Kernel& kernel : kernels())
      if (kernel.name.starts_with("matmul")) matmul_operations += kernel.operations;
    return {{"median_ms", rounded(1e3 * typical, 1e4)},
            {"min_ms", rounded(1e3 * *std::ranges::min_element(times), 1e4)},
            {"images_per_s", rounded(batch / typical, 10)},
            {"steps", steps},
            {"batch", options_.batch},
            {"model", options_.preset},
            {"mode", "train"},
            {"precision", options_.precision},
            {"threads", base::threads()},
            {"matmul_mflop_per_image", rounded(matmul_operations / batch / 1e6, 100)},
            {"kernels", kernels().size()},
            {"instruction_set", runtime::instruction_set()},
            {"version", GAN_VERSION}};
  }

 private:
  float loss(const char* name) const { return state_.at(name).f32()[0]; }

  void name_kernels(const graph::Graph& graph, const graph::Schedule& schedule) {
    // A program has one kernel for each group, with copies of states before and after them.
    shapes_.resize(kernels().size());
    std::size_t at = 0;
    while (at < kernels().size() && kernels()[at].name == "copy") ++at;
    for (const graph::Group& group : schedule.groups) shapes_.at(at++) = describe(graph, group);
  }

  BenchOptions options_;
  data::Dataset dataset_;
  data::Shuffle shuffle_;
  runtime::State state_;
  runtime::Arena arena_;
  std::unique_ptr<runtime::Program> program_;
  std::vector<std::string> shapes_;
  std::int64_t count_ = 0;
};

// ---- the profile ----

struct ProfileRow {
  std::string name, shape;
  int count = 0;
  double seconds = 0, operations = 0, bytes = 0;
};

/// Adds up the rows that have the same name and, if asked for, the same shape; the longest first.
std::vector<ProfileRow> aggregated(const std::vector<ProfileRow>& rows, bool by_shape) {
  std::map<std::pair<std::string, std::string>, ProfileRow> sums;
  for (const ProfileRow& row : rows) {
    ProfileRow& sum = sums[{row.name, by_shape ? row.shape : ""}];
    sum.name = row.name;
    sum.shape = by_shape ? row.shape : "";
    sum.count += row.count;
    sum.seconds += row.seconds;
    sum.operations += row.operations;
    sum.bytes += row.bytes;
  }
  std::vector<ProfileRow> result;
  for (const auto& [key, row] : sums) result.push_back(row);
  std::ranges::stable_sort(result, std::ranges::greater(), &ProfileRow::seconds);
  return result;
}

void print_rows(const std::vector<ProfileRow>& rows, double total) {
  fmt::print("{:>5}  {:>8}  {:>6}  {:>7}  {:>6}  kernel\n", "count", "ms/step", "share", "GFLOP/s", "GB/s");
  for (const ProfileRow& row : rows) {
    const double seconds = std::max(row.seconds, 1e-9);
    fmt::print("{:5}  {:8.4f}  {:5.1f}%  {:7.1f}  {:6.1f}  {}{}{}\n", row.count, 1e3 * row.seconds,
               100 * row.seconds / total, row.operations / seconds / 1e9, row.bytes / seconds / 1e9, row.name,
               row.shape.empty() ? "" : "  ", row.shape);
  }
}

/// Times every kernel in `steps` whole steps, one after another as in a step, and prints the medians.
void print_profile(Step& step, int steps) {
  const std::vector<runtime::Kernel>& kernels = step.kernels();
  std::vector<std::vector<double>> times(kernels.size() + 1);
  std::vector<double> whole;
  for (int i = 0; i < steps; ++i) {
    times.back().push_back(seconds_of([&] { step.fill_batch(); }));
    for (std::size_t k = 0; k < kernels.size(); ++k) times[k].push_back(seconds_of(kernels[k].run));
    double sum = 0;
    for (const std::vector<double>& of_kernel : times) sum += of_kernel.back();
    whole.push_back(sum);
  }
  std::vector<ProfileRow> rows;
  for (std::size_t k = 0; k < kernels.size(); ++k)
    rows.push_back({kernels[k].name, step.shapes()[k], 1, median(times[k]), kernels[k].operations, kernels[k].bytes});
  rows.push_back({"(batch assembly)", "", 1, median(times.back()), 0, 0});
  double total = 0;
  for (const ProfileRow& row : rows) total += row.seconds;
  fmt::print("{} kernels; medians of {} steps add up to {:.3f} ms, a whole step takes {:.3f} ms (median)\n\n",
             kernels.size(), steps, 1e3 * total, 1e3 * median(whole));
  print_rows(aggregated(rows, /*by_shape=*/false), total);
  fmt::print("\n");
  print_rows(aggregated(rows, /*by_shape=*/true), total);
}

// ---- the floor ----

/// An array of numbers in [-0.5, 0.5).
runtime::Array filled_array(const graph::TensorType& type) {
  runtime::Array array(type);
  for (std::size_t i = 0; i < static_cast<std::size_t>(type.elements()); ++i) {
    const float value = static_cast<float>(i * 2654435761u % 1024) / 1024 - 0.5f;
    if (type.dtype == graph::DType::f32)
      array.f32()[i] = value;
    else  // cut short, not rounded
      array.bf16()[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
  }
  return array;
}

/// FLOP/s of the fastest of the large matmuls of the tutorial's networks: forward, data gradient, weight gradient.
/// Activations and their gradients have the type of the operands, weight gradients are f32.
double matmul_rate(graph::DType dtype, std::int64_t batch) {
  struct Case {
    std::int64_t m, n, k;
    bool transpose_a, transpose_b;
  };
  const std::vector<Case> cases{
      {batch, 1024, 1024, false, true}, {batch, 1024, 816, false, true},  {batch, 784, 1024, false, true},
      {batch, 512, 1024, false, true},  {batch, 1024, 784, false, false}, {batch, 1024, 512, false, false},
      {1024, 784, batch, true, false},  {512, 1024, batch, true, false},  {1024, 1024, batch, true, false},
  };
  double best = 0;
  for (const Case& c : cases) {
    const runtime::Array a = filled_array({dtype, {c.m, c.k}}), b = filled_array({dtype, {c.k, c.n}});
    const graph::DType dst_dtype = c.transpose_a ? graph::DType::f32 : dtype;
    const runtime::Array dst({dst_dtype, {c.m, c.n}});
    runtime::MatmulSpec spec;
    spec.m = c.m;
    spec.n = c.n;
    spec.k = c.k;
    spec.transpose_a = c.transpose_a;
    spec.transpose_b = c.transpose_b;
    spec.operand_dtype = dtype;
    spec.dst_dtype = dst_dtype;
    spec.a = a.bytes();
    spec.b = b.bytes();
    spec.dst = dst.bytes();
    const double seconds = std::ranges::min(repeated_seconds(runtime::matmul_kernel(spec)));
    best = std::max(best, 2.0 * static_cast<double>(c.m * c.n * c.k) / seconds);
  }
  return best;
}

struct Rate {
  double median = 0, best = 0;
};

/// Bytes a second of a sweep over the arrays of Adam for the tutorial's networks, about 50 MB: reads weights, two
/// moments and the gradient, writes the first three. The arithmetic is one addition each unless all of Adam's is
/// wanted. The best is far above the median where the last-level cache, which others may share, sometimes holds it all.
Rate sweep_rate(bool whole_adam) {
  using runtime::TileOp;
  constexpr std::int64_t kParameters = 3'040'000;
  const graph::TensorType type{graph::DType::f32, {kParameters}};
  std::vector<runtime::Array> arrays;
  for (int i = 0; i < 4; ++i) arrays.push_back(i < 3 ? runtime::Array(type) : filled_array(type));
  runtime::TileProgram program;
  program.elements = kParameters;
  for (const runtime::Array& array : arrays) program.operands.emplace_back().data = array.bytes();
  // Registers: 0 w, 1 m, 2 v, 3 g, 4 and 5 the decay rates, 6 and 7 what they lack to 1, 8 learning rate, 9 epsilon.
  program.constants = {0.9f, 0.999f, 0.1f, 0.001f, 3e-4f, 1e-8f};
  if (whole_adam) {
    program.instructions = {
        {TileOp::mul, 1, 4, 10},    {TileOp::mul, 3, 6, 11},  {TileOp::add, 10, 11, 12},  // m
        {TileOp::square, 3, 3, 13}, {TileOp::mul, 13, 7, 14}, {TileOp::mul, 2, 5, 15},
        {TileOp::add, 14, 15, 16},  // v
        {TileOp::sqrt, 16, 16, 17}, {TileOp::add, 17, 9, 18}, {TileOp::div, 12, 18, 19},
        {TileOp::mul, 19, 8, 20},   {TileOp::sub, 0, 20, 21},
    };
    program.results = {{21, arrays[0].bytes()}, {12, arrays[1].bytes()}, {16, arrays[2].bytes()}};
  } else {
    program.instructions = {{TileOp::add, 0, 3, 10}, {TileOp::add, 1, 3, 11}, {TileOp::add, 2, 3, 12}};
    program.results = {{10, arrays[0].bytes()}, {11, arrays[1].bytes()}, {12, arrays[2].bytes()}};
  }
  const std::vector<double> times = repeated_seconds(runtime::tile_kernel(std::move(program)));
  const double bytes = 7.0 * static_cast<double>(type.bytes());
  return {bytes / median(times), bytes / std::ranges::min(times)};
}

Json measure_floor(const BenchOptions& options) {
  base::set_threads(options.threads);
  const auto giga = [](double value) { return rounded(value / 1e9, 10); };
  const Rate sweep = sweep_rate(/*whole_adam=*/false), adam = sweep_rate(/*whole_adam=*/true);
  return {{"matmul_gflops_f32", giga(matmul_rate(graph::DType::f32, options.batch))},
          {"matmul_gflops_bf16", giga(matmul_rate(graph::DType::bf16, options.batch))},
          {"sweep_gbytes_per_s", giga(sweep.median)},
          {"best_sweep_gbytes_per_s", giga(sweep.best)},
          {"adam_gbytes_per_s", giga(adam.median)},
          {"batch", options.batch},
          {"threads", base::threads()},
          {"instruction_set", runtime::instruction_set()}};
}

// ---- the program ----

void print_line(const Json& json) {
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

/// Answers each line "run K" with the JSON of K steps, until "quit" or the end of the input.
void serve(Step& step) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, rest;
    int steps = 0;
    words >> verb;
    if (verb == "quit") return;
    if (verb == "run" && words >> steps && steps > 0 && !(words >> rest))
      print_line(step.measure(steps));
    else
      print_line({{"error", "expected \"run K\" or \"quit\""}});
  }
}

int run(int argc, char** argv) {
  BenchOptions options;
  CLI::App app("Times the training step of a preset on random images of MNIST's shape.", "step_bench");
  app.add_option("--preset", options.preset, "whose step")->capture_default_str();
  app.add_option("--set", options.settings, "KEY=VALUE of the configuration, such as train.ema=0");
  app.add_option("--batch", options.batch, "images in a step")->capture_default_str();
  app.add_option("--precision", options.precision)->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--steps", options.steps)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--warmup", options.warmup, "steps before the first timed one")->capture_default_str();
  app.add_option("--disable", options.disabled, "passes of the compiler to leave out, \"all\" for every one");
  CLI::Option* profile = app.add_flag("--profile", options.profile, "print a table of the kernels instead");
  app.add_flag("--serve", options.serve, "answer \"run K\" lines from standard input")->excludes(profile);
  app.add_flag("--floor", options.floor, "measure the machine: best matmul rates and memory bandwidth")
      ->excludes(profile)
      ->excludes("--serve");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wish) {  // --help
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    base::fail_usage("{}", error.what());
  }
  if (options.floor) {
    print_line(measure_floor(options));
    return 0;
  }
  Step step(options);
  if (options.profile)
    print_profile(step, options.steps);
  else if (options.serve)
    serve(step);
  else
    print_line(step.measure(options.steps));
  return 0;
}

}  // namespace
}  // namespace gan

int main(int argc, char** argv) {
  try {
    return gan::run(argc, argv);
  } catch (const gan::base::Error& error) {
    fmt::print(stderr, "step_bench: {}\n", error.what());
    return static_cast<int>(error.kind());
  }
}
