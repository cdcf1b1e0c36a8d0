#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/floor.h"
#include "cli/output.h"
#include "cli/protocol.h"
#include "cli/threads.h"
#include "cli/timings.h"
#include "data/source.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "train/stepper.h"

namespace gan::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using runtime::Profile;

constexpr const char* kBenchHelp =
    R"(step    a training step of PRESET as in gan train, with batch and logging, without pictures and checkpoints, on
        random data of MNIST's size (points for the preset vector); steps that differ (with penalties, without G's
        update) count as often as they occur: the time is the median over whole rounds of them
floor   the limits of the machine: the best matmul rate at the tutorial's shapes, the bandwidth of a plain loop
sample  a call of the sampler, latents included, for a model or for a preset with random weights
protocol  no timing: an experiment of the papers, with their results beside ours (gan bench protocol --help)

--profile prints tables of the parts of a step, kernels and passes: time, GFLOP/s, GB/s, and how near the best rates
of the machine they come (above 100% where the caches hold the data). --trace FILE writes a trace for
https://ui.perfetto.dev or chrome://tracing as well. step keeps its time in the cache folder, for --device auto of all
commands. --serve answers each line "run K" with a line of JSON about K steps, so that two programs can be timed in
turns. bench/run of the sources compares with PyTorch.

Examples:
  gan bench step --profile
  gan bench step tutorial-lsgan --batch 256 --disable cse
  gan bench floor --batch 64
  gan bench sample tutorial-lsgan --batch 1 --json)";

struct Options {
  std::string subject;  // a preset or a model
  std::string precision = "auto", device = "auto", trace;
  std::vector<std::string> settings, disabled;
  std::int64_t batch = 0, steps = 100, warmup = 20, side = 28, channels = 1;
  int threads = 0;
  bool json = false, serve = false, profile = false, avx2 = false;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Function>
double seconds_of(const Function& function) {
  const Clock::time_point start = Clock::now();
  function();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double rounded(double value, double digits) { return std::round(value * digits) / digits; }

void print_line(const Json& json) {
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

std::string describe(const runtime::Backend* backend) {
  return (backend ? *backend : runtime::default_backend()).describe();
}

/// Answers each line "run K" with the JSON of K steps, until "quit" or the end of the input.
void serve(const std::function<Json(std::int64_t steps)>& measure) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, rest;
    std::int64_t steps = 0;
    words >> verb;
    if (verb == "quit") return;
    if (verb == "run" && words >> steps && steps > 0 && !(words >> rest))
      print_line(measure(steps));
    else
      print_line({{"error", "expected \"run K\" or \"quit\""}});
  }
}

// ---- the step ----

/// Random images that take as much memory as MNIST's. A sixteenth of them differ; memory is read as if all did.
data::Dataset random_images(std::int64_t channels, std::int64_t side) {
  constexpr std::int64_t kBytes = 60'000 * 28 * 28;
  constexpr std::uint64_t kClasses = 10;
  const std::int64_t images = kBytes / (channels * side * side);
  data::Dataset dataset;
  dataset.source = dataset.name = "random";
  dataset.sample_shape = {channels, side, side};
  dataset.condition = data::label_condition(static_cast<int>(kClasses));
  dataset.items = images;
  const auto bytes = static_cast<std::size_t>(images * channels * side * side), different = bytes / 16;
  const std::shared_ptr<std::uint8_t[]> content(new std::uint8_t[bytes]());
  dataset.pixels = content;
  const base::RandomStream pixels(/*seed=*/1, base::stream_of("pixels")), labels(/*seed=*/1, base::stream_of("labels"));
  for (std::size_t i = 0; i < different; ++i) content[i] = static_cast<std::uint8_t>(pixels.bits(i / 4) >> i % 4 * 8);
  for (std::size_t i = different; i < bytes; ++i) content[i] = content[i - different];
  std::vector<std::int32_t> classes;
  for (std::int64_t i = 0; i < images; ++i)
    classes.push_back(static_cast<std::int32_t>(labels.below(kClasses, static_cast<std::uint64_t>(i))));
  dataset.rows = std::move(classes);
  return dataset;
}

/// The training steps of a preset.
class StepBench {
 public:
  explicit StepBench(const Options& options) : preset_(options.subject) {
    config_ = train::load_preset(preset_);
    std::vector<std::string> settings = options.settings;
    settings.push_back("train.precision=" + options.precision);
    if (options.batch > 0) settings.push_back(fmt::format("train.batch={}", options.batch));
    train::apply_settings(config_, settings);
    train::validate(config_);
    use_threads(options.threads);
    const std::set<std::string> disabled(options.disabled.begin(), options.disabled.end());
    is_typical_ = disabled.empty() && !options.avx2;
    dataset_ = preset_ == train::default_preset({2}) ? data::open_source("ring8")
                                                     : random_images(options.channels, options.side);
    if (config_.train.batch > dataset_.count())
      base::fail_usage("train.batch {} is larger than the data set of {}", config_.train.batch,
                       base::counted(dataset_.count(), "sample"));
    backend_ = use_device(options.device, "", runtime::one_rank(), compiler::disabled_parts(disabled));
    if (options.device == "auto" && is_typical_) backend_ = use_choice(choose_for_steps(config_, spec(), ""));
    precision_ = compiler::choose_precision(config_.train.precision, backend_);
    period_ = train::variant_period(config_);
    Profile* profile = options.profile ? &profile_ : nullptr;
    stepper_ = std::make_unique<train::Stepper>(
        config_, dataset_, nullptr,
        train::StepperOptions{.disabled = disabled, .profile = profile, .backend = backend_});
    for (std::int64_t step = 0; step < period_; ++step)
      for (const bool norms : {false, true}) stepper_->kernels(step, norms);  // compiles
    stepper_->set_profile(nullptr);
    for (std::int64_t i = 0; i < options.warmup; ++i) run(false);
    stepper_->set_profile(profile);
  }

  /// Times at least `steps` steps, in whole rounds of the variants, and keeps the time for --device auto.
  Json measure(std::int64_t steps) {
    const std::int64_t rounds = (steps + period_ - 1) / period_;
    std::vector<double> means, lasts, logged;
    for (std::int64_t round = 0; round < rounds; ++round) {
      double total = 0, last = 0;
      for (std::int64_t i = 0; i < period_; ++i) total += last = seconds_of_step(false);
      if (backend_) total = seconds_of([&] { run_together(); }) / kTogether;
      means.push_back(total / static_cast<double>(period_));
      lasts.push_back(last);
      if (round % 8 > 0) continue;
      for (std::int64_t i = 0; i + 1 < period_; ++i) run(false);
      logged.push_back(seconds_of_step(true));
    }
    // Every log_every-th step also computes what is logged, whatever its variant.
    const double log = std::max(0.0, median(logged) - median(lasts)) / static_cast<double>(config_.train.log_every);
    const double typical = median(means) + log, batch = static_cast<double>(config_.train.batch);
    const Work work = needed_work(config_, spec(), contraction_operations(), backend_);
    if (is_typical_ && rounds * period_ >= kStepsToKeep)
      keep_timing(base::threads(), config_.train.precision,
                  {.gpu = backend_ ? describe(backend_) : "",
                   .operations = step_operations(config_, spec()),
                   .seconds = typical});
    return {{"median_ms", rounded(1e3 * typical, 1e4)},
            {"min_ms", rounded(1e3 * (std::ranges::min(means) + log), 1e4)},
            {"log_ms", rounded(1e3 * log, 1e4)},
            {"images_per_s", rounded(batch / typical, 10)},
            {"steps", rounds * period_},
            {"batch", config_.train.batch},
            {"model", preset_},
            {"mode", "train"},
            {"precision", precision_name()},
            {"threads", base::threads()},
            {"contraction_mflop", rounded(contraction_operations() / 1e6, 100)},
            {"needed_mflop", rounded(work.operations / 1e6, 100)},
            {"optimizer_mbytes", rounded(work.bytes / 1e6, 100)},
            {"kernels", stepper_->kernels(0, false).size()},
            {"launches", stepper_->launches(0, false)},
            {"instruction_set", describe(backend_)},
            {"version", GAN_VERSION}};
  }

  /// Prints the tables of `steps` steps, logged as often as in a run, and writes the trace if a file is given.
  void print_profile(std::int64_t steps, const std::string& trace) {
    std::optional<base::AtomicFile> file;  // opened first, to fail before the timing
    refuse_standard_output("--trace", trace);
    if (!trace.empty()) file.emplace(trace, base::Durability::unsynced);
    for (std::int64_t i = 0; i < steps; ++i) run((i + 1) % config_.train.log_every == 0);
    fmt::print("{}, batch {}, {}, {}, {}\n{}", preset_, config_.train.batch, precision_name(),
               base::counted(base::threads(), "thread"), base::counted(steps, "step"),
               describe_profile(profile_, config_, spec(), backend_));
    if (!file) return;
    file->write(profile_.trace());
    file->commit();
  }

  void print(std::int64_t steps) {
    const Json result = measure(steps);
    const double ms = result["median_ms"];
    fmt::print("{}, batch {}, {}, {}: {:.3f} ms a step (best {:.3f}), {:.0f} images/s, logging {:.1f}% of it\n",
               preset_, config_.train.batch, precision_name(), base::counted(base::threads(), "thread"), ms,
               double(result["min_ms"]), double(result["images_per_s"]), 100 * double(result["log_ms"]) / ms);
    if (backend_ && !backend_->memory().is_host()) return;  // the rates of a GPU are not measured
    const Work work = needed_work(config_, spec(), contraction_operations(), backend_);
    fmt::print("{}\n", describe_floor(work, best_rates(config_), ms / 1e3));
  }

 private:
  /// Rounds that a GPU is given before anything waits for it, as in a run.
  static constexpr std::int64_t kTogether = 20;
  /// Fewer steps say too little for --device auto.
  static constexpr std::int64_t kStepsToKeep = 20;

  /// Waits for a GPU.
  void wait() const {
    if (backend_) stepper_->scalar("loss.d");
  }
  double seconds_of_step(bool norms) {
    return seconds_of([&] {
      run(norms);
      wait();
    });
  }
  void run_together() {
    for (std::int64_t i = 0; i < kTogether * period_; ++i) run(false);
    wait();
  }

  void run(bool norms) {
    stepper_->run(step_++, norms);
    if (const auto lost = norms ? stepper_->find_lost_step() : std::nullopt)
      base::fail_run("training diverged at step {}", lost->step + 1);
  }

  std::string precision_name() const { return precision_ == compiler::Precision::bf16 ? "bf16" : "f32"; }

  double contraction_operations() {
    double sum = 0;
    for (std::int64_t step = 0; step < period_; ++step)
      for (const runtime::Kernel& kernel : stepper_->kernels(step, false))
        if (kernel.contraction) sum += kernel.operations;
    return sum / static_cast<double>(period_);
  }

  data::ConditionSpec condition() const { return train::condition_of(config_, dataset_.condition); }
  models::ModelSpec spec() const { return train::model_spec(config_, dataset_.sample_shape, condition()); }

  std::string preset_;
  train::Config config_;
  const runtime::Backend* backend_ = nullptr;
  bool is_typical_ = false;  // of what gan train would take
  compiler::Precision precision_{};
  data::Dataset dataset_;
  std::int64_t period_ = 1, step_ = 0;
  Profile profile_;
  std::unique_ptr<train::Stepper> stepper_;
};

// ---- the sampler ----

/// The model in a file, or that of a preset with random weights.
train::Model find_model(const std::string& subject) {
  if (std::filesystem::exists(subject)) return train::load_model(subject);
  train::Model model;
  model.config = train::load_preset(subject);
  const bool vectors = subject == train::default_preset({2});
  model.sample_shape = vectors ? graph::Shape{2} : graph::Shape{1, 28, 28};
  model.condition = train::condition_of(model.config, data::label_condition(vectors ? 8 : 10));
  graph::Graph graph;
  const models::ModelSpec spec = train::model_spec(model);
  nn::initialize(train::build_sampler(graph, model.config, spec, 1), /*seed=*/1, model.weights);
  return model;
}

class SampleBench {
 public:
  explicit SampleBench(const Options& options)
      : options_(options),
        model_(find_model(options.subject)),
        batch_(options.batch > 0 ? options.batch : 1),
        backend_(find_backend()),
        sampler_(model_, options.precision, {options.disabled.begin(), options.disabled.end()}, backend_) {
    y_ = data::values_in_turn(model_.condition, batch_);
    z_.resize(static_cast<std::size_t>(batch_ * model_.config.model.latent));
    samples_.resize(static_cast<std::size_t>(batch_ * graph::element_count(model_.sample_shape)));
    for (std::int64_t i = 0; i < options.warmup; ++i) run();
  }

  Json measure(std::int64_t calls) {
    std::vector<double> times;
    for (std::int64_t i = 0; i < calls; ++i) times.push_back(seconds_of([&] { run(); }));
    const double typical = median(times);
    return {{"median_ms", rounded(1e3 * typical, 1e5)},
            {"min_ms", rounded(1e3 * std::ranges::min(times), 1e5)},
            {"images_per_s", rounded(static_cast<double>(batch_) / typical, 10)},
            {"steps", calls},
            {"batch", batch_},
            {"model", options_.subject},
            {"mode", "sample"},
            {"precision", options_.precision},
            {"threads", base::threads()},
            {"instruction_set", describe(backend_)},
            {"version", GAN_VERSION}};
  }

  void print(std::int64_t calls) {
    const Json result = measure(calls);
    const double ms = result["median_ms"];
    fmt::print("{}, batch {}, {}, {}: {:.1f} us a call (best {:.1f}), {:.2f} us a sample\n", options_.subject, batch_,
               std::string(result["precision"]), base::counted(base::threads(), "thread"), 1e3 * ms,
               1e3 * double(result["min_ms"]), 1e3 * ms / static_cast<double>(batch_));
  }

 private:
  /// The device that gan sample takes for a batch of samples.
  const runtime::Backend* find_backend() const {
    use_threads(options_.threads);
    if (options_.device != "auto" || options_.precision == "int16") return use_device(options_.device);
    return use_choice(choose_for_samples(model_, batch_, ""));
  }
  void run() {
    sampler_.latents(/*seed=*/1, drawn_, z_);
    sampler_.sample(z_, y_, samples_);
    drawn_ += batch_;
  }

  const Options& options_;
  train::Model model_;
  std::int64_t batch_, drawn_ = 0;
  const runtime::Backend* backend_;
  train::Sampler sampler_;
  data::ConditionRows y_;
  std::vector<float> z_, samples_;
};

// ---- the command ----

template <typename Bench>
void answer(Bench& bench, const Options& options) {
  if (options.serve)
    serve([&](std::int64_t steps) { return bench.measure(steps); });
  else if (options.json)
    print_line(bench.measure(options.steps));
  else
    bench.print(options.steps);
}

void run_step(Options options) {
  options.profile = options.profile || !options.trace.empty();
  StepBench bench(options);
  if (options.profile)
    bench.print_profile(options.steps, options.trace);
  else
    answer(bench, options);
}

void run_floor(const Options& options) {
  use_threads(options.threads);
  const std::int64_t batch = options.batch > 0 ? options.batch : 64;
  Json result = Json::object();
  const auto add = [&](const std::string& name, const Rate& rate) {
    const auto giga = [](double value) { return rounded(value / 1e9, 10); };
    result[name] = giga(rate.median);
    result["best_" + name] = giga(rate.best);
  };
  add("matmul_gflops_f32", matmul_rate(graph::DType::f32, batch));
  if (runtime::default_backend().has_bf16()) add("matmul_gflops_bf16", matmul_rate(graph::DType::bf16, batch));
  add("sweep_gbytes_per_s", sweep_rate());
  if (options.json) {
    result["batch"] = batch;
    result["threads"] = base::threads();
    result["instruction_set"] = runtime::default_backend().describe();
    print_line(result);
    return;
  }
  for (const auto& [name, value] : result.items()) fmt::print("{:>8.1f} {}\n", double(value), name);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* step = app.add_subcommand("step", "Time a training step");
  CLI::App* floor = app.add_subcommand("floor", "Measure what the machine can do");
  CLI::App* sample = app.add_subcommand("sample", "Time the sampler");
  CLI::App* protocol = app.add_subcommand("protocol", "Run a protocol of the papers");
  const std::function<void()> run_protocol = setup_protocol(*protocol);
  step->add_option("PRESET", options->subject, "Preset to time (default lsgan-r1r2)");
  sample->add_option("MODEL", options->subject, "A model or run, or a preset with random weights (default lsgan-r1r2)");
  for (CLI::App* sub : {step, floor, sample}) {
    sub->add_option("--batch", options->batch,
                    sub == sample  ? "Samples in a call (default 1)"
                    : sub == floor ? "Rows of the matmuls (default 64)"
                                   : "Samples in a batch (default: the preset's)")
        ->type_name("N")
        ->check(CLI::Range(1, 60'000));
    sub->add_option("--threads", options->threads, "Threads to use; 0 = every processor")
        ->type_name("N")
        ->check(CLI::Range(0, 4096));
    sub->add_flag("--json", options->json, "Print a line of JSON");
    sub->add_flag("--avx2", options->avx2, "Do not use AVX-512 and later instructions");
  }
  for (CLI::App* sub : {step, sample}) {
    CLI::Option* precision = sub->add_option("--precision", options->precision)->type_name("P");
    if (sub == step)
      precision->description("auto, f32 or bf16")->check(CLI::IsMember({"auto", "f32", "bf16"}));
    else
      precision->description("auto, f32, int16 or bf16")->check(CLI::IsMember(train::Sampler::kPrecisions));
    add_device_option(*sub, options->device);
    sub->add_option("--steps", options->steps, "Steps or calls to time (default 100)")
        ->type_name("N")
        ->check(CLI::Range(1, 100'000'000));
    sub->add_option("--warmup", options->warmup, "Steps or calls before the first timed one (default 20)")
        ->type_name("N")
        ->check(CLI::Range(1, 100'000'000));
    sub->add_option("--disable", options->disabled,
                    "Disable this pass (gan graph --help) or kernel of products (--profile shows those in use); "
                    "\"all\" for every pass")
        ->type_name("NAME");
    sub->add_flag("--serve", options->serve, "Answer \"run K\" lines from standard input");
  }
  step->add_option("--side", options->side, "Height and width of the images (default 28)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  step->add_option("--channels", options->channels, "Channels of the images (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 4));
  step->add_option("--set", options->settings, "Set any value by its key")->type_name("KEY=VALUE");
  CLI::Option* profile = step->add_flag("--profile", options->profile, "Print tables of where the time goes");
  CLI::Option* trace = step->add_option("--trace", options->trace, "Also write a trace")->type_name("FILE.json");
  for (const char* other : {"--json", "--serve"}) {
    profile->excludes(other);
    trace->excludes(other);
  }
  app.require_subcommand(0, 1);
  app.footer(kBenchHelp);
  return [=] {
    if (protocol->parsed()) return run_protocol();
    if (options->avx2) runtime::pretend_avx2();
    if (options->subject.empty()) options->subject = train::default_preset({1, 28, 28});
    if (step->parsed()) return run_step(*options);
    if (floor->parsed()) return run_floor(*options);
    if (!sample->parsed()) base::fail_usage("bench: give step, floor, sample or protocol");
    SampleBench bench(*options);
    answer(bench, *options);
  };
}

}  // namespace

extern const Command bench_command;
const Command bench_command = {"bench", "Time training steps, the sampler and the machine; run the papers' protocols",
                               setup};

}  // namespace gan::cli
