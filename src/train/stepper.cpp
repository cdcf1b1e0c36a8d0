#include "train/stepper.h"

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "runtime/out_of_memory.h"

namespace gan::train {

using graph::DType;
using runtime::Profile;
using Timer = Profile::Timer;

namespace {

/// Rows of batches whose numbers and conditions are sent to a device at a time, those of a thousand steps of 64.
constexpr std::int64_t kQueuedRows = 65'536;

/// Whether the data set, as f32, takes no more than a quarter of a device's free memory.
bool fits_on_device(const data::Dataset& dataset, const runtime::Backend* backend) {
  if (!backend || backend->memory().is_host()) return false;
  const std::int64_t elements = dataset.count() * graph::element_count(dataset.sample_shape);
  return static_cast<std::size_t>(elements) * sizeof(float) <= backend->memory().free_bytes() / 4;
}

}  // namespace

Stepper::Stepper(const Config& config, const data::Dataset& dataset, const Load& load, const StepperOptions& options)
    : config_(config),
      dataset_(dataset),
      options_(options),
      condition_(condition_of(config, dataset.condition)),
      batches_(dataset, condition_,
               {.seed = static_cast<std::uint64_t>(config.train.seed),
                .balance = config.train.balance == "classes",
                .vicinal = config.train.vicinal,
                .block = static_cast<std::uint32_t>(config.data.block),
                .read_ahead = !fits_on_device(dataset, options.backend)}) {
  if (options.communicator) {
    rank_ = options.communicator->rank();
    ranks_ = options.communicator->ranks();
  }
  require_whole_parts(config, ranks_);
  if (ranks_ > 1 && !options.backend) {
    backend_ = runtime::make_cpu_backend(compiler::disabled_parts(options.disabled), options.communicator);
    options_.backend = backend_.get();
  }
  if (fits_on_device(dataset, options_.backend))
    queue_.steps = std::max<std::int64_t>(kQueuedRows / config.train.batch, 1);
  // The largest program is compiled first, so that the others fit into its scratch memory.
  program({.variant = {}, .norms = true}, load);
  if (queue_.steps > 0) send_data();
  program({.variant = {}, .norms = false});
  nn::set_random_key(static_cast<std::uint64_t>(config_.train.seed), state_);
  if (const auto part = state_.find("batch.part"); part != state_.end()) {
    const runtime::Writing numbers(part->second);
    std::iota(numbers.i32().begin(), numbers.i32().end(), static_cast<std::int32_t>(rank_ * config.train.parts));
  }
}

data::Batches::Rows Stepper::rows() const {
  const std::int64_t count = config_.train.batch / ranks_;
  return {rank_ * count, count};
}

/// The program of this kind, compiled at first use. The first one must be the whole step: it declares every variable,
/// which `load` then fills.
const runtime::Program& Stepper::program(const Kind& kind, const Load& load) {
  std::unique_ptr<runtime::Program>& entry = programs_[kind];
  if (entry) return *entry;
  const Timer compiling(options_.profile, Profile::Kind::phase, "compile");
  graph::Graph graph;
  const models::ModelSpec spec = model_spec(config_, dataset_.sample_shape, condition_);
  std::vector<nn::Variable> variables;
  {
    const Timer timer(options_.profile, Profile::Kind::pass, "(build)");
    variables = build_step(graph, config_, spec,
                           {.batch = config_.train.batch / all_parts(),
                            .parts = all_parts(),
                            .variant = kind.variant,
                            .gradient_norms = kind.norms,
                            .data_rows = queue_.steps > 0 ? dataset_.count() : 0,
                            .queue = queue_.steps});
  }
  if (variables_.empty()) {
    variables_ = std::move(variables);
    initialize(load);
  }
  entry = std::make_unique<runtime::Program>(compile(graph));
  return *entry;
}

/// Throws a run error with the batch that would fit if a device has no room.
runtime::Program Stepper::compile(graph::Graph& graph) {
  compiler::Options how;
  how.precision = compiler::choose_precision(config_.train.precision, options_.backend);
  how.disabled = options_.disabled;
  how.profile = options_.profile;
  how.backend = options_.backend;
  how.parts.count = config_.train.parts;
  if (all_parts() > 1)
    for (const auto& [name, id] : graph.inputs())
      if (differs_by_part(name)) how.parts.inputs.insert(name);
  try {
    return compiler::compile(graph, how, state_, arena_);
  } catch (const runtime::OutOfMemory& error) {
    // The values of a step, which take most of the memory, are proportional to the batch.
    const double share = static_cast<double>(error.free()) / static_cast<double>(error.wanted());
    const auto fits = static_cast<std::int64_t>(static_cast<double>(config_.train.batch) * share);
    const std::int64_t least = config_.model.pack * all_parts(), whole = fits - fits % least;
    std::size_t variable = 0;  // bytes of the largest
    for (const nn::Variable& v : variables_)
      variable = std::max(variable, sizeof(float) * static_cast<std::size_t>(graph::element_count(v.shape)));
    if (whole < least || error.wanted() <= variable) base::fail_run("{}; try smaller networks", error.what());
    base::fail_run("{}; a batch of {} would fit", error.what(), whole);
  }
}

namespace {

/// Writes a scalar of the state.
template <typename T>
void write_scalar(const runtime::Array& array, T value) {
  array.memory().write(&value, array.bytes(), sizeof value);
}

}  // namespace

/// Throws a run error, before minutes are spent on filling it, if the state exceeds the machine's memory.
void Stepper::require_memory() const {
  double bytes = 0;
  for (const nn::Variable& variable : variables_)
    bytes += static_cast<double>(graph::element_count(variable.shape)) * sizeof(float);
  const double has = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (bytes > has)
    base::fail_run("weights, moments and averages would take {:.0f} GB of this machine's {:.0f}; try smaller networks",
                   bytes / base::kGigabyte, has / base::kGigabyte);
}

void Stepper::initialize(const Load& load) {
  require_memory();
  if (load) load(variables_, state_);
  nn::initialize(variables_, static_cast<std::uint64_t>(config_.train.seed), state_);
  if (ranks_ == 1) return;
  for (const nn::Variable& variable : variables_)  // those of rank 0, which alone reads files
    options_.communicator->broadcast(std::as_writable_bytes(state_.at(variable.name).f32()));
}

/// Writes all samples to the device.
void Stepper::send_data() {
  constexpr std::size_t kElementsSent = std::size_t{1} << 22;  // at a time
  const auto size = static_cast<std::size_t>(graph::element_count(dataset_.sample_shape));
  const auto rows = static_cast<std::int64_t>(std::max<std::size_t>(kElementsSent / size, 1));
  const runtime::Array& data = state_.at("data.x");
  std::vector<float> piece;
  for (std::int64_t first = 0; first < dataset_.count(); first += rows) {
    const std::int64_t count = std::min(rows, dataset_.count() - first);
    piece.resize(static_cast<std::size_t>(count) * size);
    base::parallel_for(count, /*grain=*/16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        dataset_.copy_sample(first + row, piece.data() + static_cast<std::size_t>(row) * size);
    });
    data.memory().write(piece.data(), data.bytes() + static_cast<std::size_t>(first) * size * sizeof(float),
                        piece.size() * sizeof(float));
  }
}

void Stepper::stage_inputs() {
  const auto staged = [](const runtime::Array& array) { return Staged{array.share(), array.on_host()}; };
  samples_ = staged(state_.at(queue_.steps > 0 ? "batch.rows" : "batch.x"));
  for (const runtime::Array& array : condition_inputs(state_, "batch.y", condition_))
    condition_values_.push_back(staged(array));
  if (queue_.steps == 0) return;
  for (const data::ConditionColumn& column : condition_.columns)
    queue_.condition.emplace_back(column.is_numeric() ? graph::TensorType{DType::f32, {rows().count, column.width()}}
                                                      : graph::TensorType{DType::i32, {rows().count}});
  const runtime::Writing next(state_.at("queue.next"));
  std::iota(next.i32().begin(), next.i32().end() - 1, 1);  // the last is 0
}

void Stepper::Staged::send() const {
  if (array.bytes() != host.bytes()) array.memory().write(host.bytes(), array.bytes(), array.size_bytes());
}

/// Writes the inputs of a step.
void Stepper::send_batch(std::int64_t step) {
  const data::Batches::Batch batch = batches_.at(step, config_.train.batch, rows());
  const std::span<const std::uint32_t> chosen = batch.samples;
  const auto size = static_cast<std::size_t>(graph::element_count(dataset_.sample_shape));
  std::vector<runtime::Array> condition;
  for (const Staged& staged : condition_values_) condition.push_back(staged.host.share());
  write_condition(condition, condition_, batch.y);
  float* const x = samples_->host.f32().data();
  base::parallel_for(rows().count, /*grain=*/16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      if (row + 1 < end) dataset_.prefetch_sample(chosen[static_cast<std::size_t>(row + 1)]);
      dataset_.copy_sample(chosen[static_cast<std::size_t>(row)], x + static_cast<std::size_t>(row) * size);
    }
  });
  samples_->send();
  for (const Staged& staged : condition_values_) staged.send();
  write_scalar(state_.at("step"), static_cast<std::int32_t>(step));
}

/// Writes the inputs of as many steps as the queue holds, from `first` on.
void Stepper::send_queue(std::int64_t first) {
  // Each part of a batch has a queue of its own, one after the other.
  const std::int64_t parts = config_.train.parts;
  const auto append = [&](const std::byte* values, std::size_t bytes, std::int64_t step, const Staged& to) {
    const std::size_t part = bytes / static_cast<std::size_t>(parts);
    for (std::int64_t i = 0; i < parts; ++i)
      std::copy_n(values + static_cast<std::size_t>(i) * part, part,
                  to.host.bytes() + static_cast<std::size_t>(i * queue_.steps + step) * part);
  };
  for (std::int64_t step = 0; step < queue_.steps; ++step) {
    const data::Batches::Batch batch = batches_.at(first + step, config_.train.batch, rows());
    const auto numbers = std::as_bytes(batch.samples);
    append(numbers.data(), numbers.size(), step, *samples_);
    write_condition(queue_.condition, condition_, batch.y);
    for (std::size_t c = 0; c < queue_.condition.size(); ++c)
      append(queue_.condition[c].bytes(), queue_.condition[c].size_bytes(), step, condition_values_[c]);
  }
  samples_->send();
  for (const Staged& staged : condition_values_) staged.send();
  const runtime::Writing steps(state_.at("queue.steps"));
  std::iota(steps.i32().begin(), steps.i32().end(), static_cast<std::int32_t>(first));
  queue_.first = first;
}

void Stepper::send_inputs(std::int64_t step) {
  const Timer timer(options_.profile, Profile::Kind::phase, "batch");
  if (!samples_) stage_inputs();
  if (queue_.steps == 0) return send_batch(step);
  const bool sent = queue_.next >= 0 && step >= queue_.first && step < queue_.first + queue_.steps;
  if (!sent) send_queue(step);
  if (!sent || step != queue_.next) write_scalar(state_.at("queue.at"), static_cast<std::int32_t>(step - queue_.first));
  queue_.next = step + 1;
}

void Stepper::run(std::int64_t step, bool norms, double done) {
  if (!first_unchecked_) first_unchecked_ = step;
  send_inputs(step);
  const runtime::Program& chosen = program({variant_of_step(config_, step), norms});
  if (const auto budget = state_.find("budget.done"); budget != state_.end())
    write_scalar(budget->second, static_cast<float>(done));
  const Timer timer(options_.profile, Profile::Kind::phase, norms ? "step with gradient norms" : "step");
  chosen.run(options_.profile);
}

std::optional<Stepper::LostStep> Stepper::find_lost_step() {
  const bool g = scalar("lost.g") != 0, d = scalar("lost.d") != 0;
  if (g || d) return LostStep{first_unchecked_.value_or(0) + static_cast<std::int64_t>(scalar("sound_steps")), g, d};
  write_scalar(state_.at("sound_steps"), 0.0f);
  first_unchecked_.reset();
  return std::nullopt;
}

void require_whole_parts(const Config& config, std::int64_t ranks) {
  const std::int64_t parts = ranks * config.train.parts, rows = parts * config.model.pack, batch = config.train.batch;
  if (batch % rows == 0) return;
  std::string into = base::counted(ranks, "rank");
  if (config.train.parts > 1) into += fmt::format(" with {} each", base::counted(config.train.parts, "part"));
  base::fail_usage("train.batch = {} does not divide among {}{}; the nearest that do: {}{}", batch, into,
                   config.model.pack > 1 ? fmt::format(" into whole packs of {}", config.model.pack) : "",
                   batch > rows ? fmt::format("{} and ", batch / rows * rows) : "", (batch / rows + 1) * rows);
}

double step_seconds(const Profile& profile) {
  double seconds = 0;
  for (const Profile::Row& row : profile.rows(Profile::Kind::phase, false))
    if (row.name == "batch" || row.name.starts_with("step") || row.name == "log") seconds += row.seconds;
  return seconds / static_cast<double>(profile.calls(Profile::Kind::phase, "batch"));
}

std::int64_t variant_period(const Config& config) { return std::lcm(config.penalty.every, config.train.d_steps); }

}  // namespace gan::train
