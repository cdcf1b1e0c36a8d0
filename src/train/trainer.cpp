#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "compiler/compile.h"
#include "io/png.h"
#include "optim/optimizer.h"
#include "runtime/launcher.h"
#include "train/checkpoint.h"
#include "train/model_file.h"
#include "train/observer.h"
#include "train/sampler.h"
#include "train/start_from.h"
#include "train/stepper.h"

namespace gan::train {

namespace {

using runtime::Profile;
using Timer = Profile::Timer;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSamplesPerRow = 10;
constexpr std::int64_t kLargestPictureRows = 20;
constexpr double kRetryRate = 0.25;  // of the learning rates before
constexpr const char* kGood = "good.safetensors";
constexpr const char* kSavedFiles[] = {"checkpoint.safetensors", "model.safetensors", "best.safetensors"};
constexpr const char* kRunFiles[] = {"config.toml",      "command.txt",   "checkpoint.safetensors", "model.safetensors",
                                     "best.safetensors", "metrics.jsonl", "scores.jsonl",           kGood};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// A run that has diverged.
struct Divergence {
  std::int64_t step;  ///< at which it was found
  std::string what;
  std::optional<std::int64_t> lost_step = {};  ///< steps done before the first loss that diverged
};

/// One training run: its programs, its state and its files.
class Run {
 public:
  Run(const Config& config, const data::Dataset& dataset, const RunOptions& options, const Callbacks& callbacks)
      : config_(config),
        dataset_(dataset),
        options_(options),
        callbacks_(callbacks),
        ranks_(options.communicator ? *options.communicator : runtime::one_rank()),
        is_first_(ranks_.rank() == 0),
        condition_(condition_of(config, dataset.condition)),
        directory_(options.directory) {
    if (config.train.batch > dataset.count()) {
      const std::string found = fmt::format("train.batch = {} is larger than the data set of {}", config.train.batch,
                                            base::counted(dataset.count(), "sample"));
      if (options.resume)
        base::fail_data("{}: {}; is it the data that the run was started with?", dataset.source, found);
      const std::int64_t most = dataset.count() - dataset.count() % config.model.pack;
      if (most == 0) base::fail_usage("{}, and that holds no pack of {}; lower model.pack", found, config.model.pack);
      base::fail_usage("{}; try --batch {}", found, most);
    }
    total_steps_ = total_steps(config, dataset.count());
    require_whole_parts(config, ranks_.ranks());
    base::set_threads(runtime::threads_of_rank(ranks_, config.train.threads));
    // Throws if bf16 is set but not supported, before the run's files are touched.
    const compiler::Precision precision = compiler::choose_precision(config.train.precision, options.backend);
    config_.train.precision = precision == compiler::Precision::bf16 ? "bf16" : "f32";
  }

  Outcome train() {
    require_same_ranks();
    if (options_.resume && is_first_) take_folder();  // before its checkpoint is read
    start_stepper([this](const auto& variables, runtime::State& state) { load_start(variables, state); });
    note_parts();
    if (is_first_) {
      if (!finished()) require_room();
      if (options_.resume && finished())
        note(fmt::format(
            "nothing to do: the run has {} and {:.0f} s of training already; --steps, --epochs and --time are totals",
            base::counted(position_.steps, "step"), position_.elapsed_seconds));
      else
        start_files();
    }
    share_position();
    elapsed_before_ = position_.elapsed_seconds;
    start_ = last_log_ = Clock::now();
    last_log_step_ = position_.steps;
    for (;;) {
      try {
        const Outcome outcome = run_steps();
        save(outcome == Outcome::stopped);
        if (is_first_) draw_samples();
        return outcome;
      } catch (const Divergence& divergence) {
        go_back(divergence);
      }
    }
  }

 private:
  std::string path(const std::string& name) { return (directory() / name).string(); }
  bool due(std::int64_t interval) const { return interval > 0 && position_.steps % interval == 0; }
  void note(const std::string& text) const {
    if (callbacks_.on_note) callbacks_.on_note(text);
  }
  double scalar(const char* name) const { return static_cast<double>(stepper_->scalar(name)); }

  bool finished() const {
    if (stalled_) return true;
    return total_steps_ > 0 ? position_.steps >= total_steps_ : position_.elapsed_seconds >= config_.train.time;
  }

  /// The share of the budget that is used up, in [0, 1].
  double done() const {
    const double used = total_steps_ > 0 ? static_cast<double>(position_.steps) / static_cast<double>(total_steps_)
                                         : position_.elapsed_seconds / config_.train.time;
    return std::min(used, 1.0);
  }

  // ---- ranks ----

  /// Throws a run error on all ranks unless they would compute the same.
  void require_same_ranks() {
    std::vector<runtime::Fact> facts = runtime::facts_of_program();
    facts.emplace_back("the device", device().empty() ? "cpu" : device());
    facts.emplace_back("threads =", std::to_string(base::threads()));
    for (const std::string& key : config_keys())
      if (key != "data.source") facts.emplace_back(key + " =", value_of(config_, key));
    facts.emplace_back("data with the sha256", dataset_.hash);  // last: the data may depend on values
    runtime::require_agreement(ranks_, facts);
    evaluates_ = shared(static_cast<bool>(callbacks_.on_evaluate));
  }

  template <typename Value>
  Value shared(Value value) {
    return runtime::of_first_rank(ranks_, value);
  }

  /// Takes over from rank 0 where the run stands.
  void share_position() {
    position_.steps = shared(position_.steps);
    position_.elapsed_seconds = shared(position_.elapsed_seconds);
    position_.retries = shared(position_.retries);
    good_steps_ = shared(good_steps_);
    const std::int64_t saved = shared(saved_steps_.value_or(-1));
    if (saved >= 0) saved_steps_ = saved;
  }

  void note_parts() const {
    if (config_.train.parts > 1 && config_.model.g.batch_norm)
      note(
          fmt::format("train.parts = {} saves less memory with batch norm: its statistics need the activations of all "
                      "parts at once",
                      config_.train.parts));
  }

  enum class Next : int { step, finish, stop };

  /// What the run does next; rank 0, which has the clock and gets signals, decides. `done`: of the budget.
  Next next(double& done) {
    struct Decision {
      Next next;
      double done;
    } decision{Next::step, this->done()};
    if (finished())
      decision.next = Next::finish;
    else if (callbacks_.stop_requested && callbacks_.stop_requested())
      decision.next = Next::stop;
    decision = shared(decision);
    done = decision.done;
    return decision.next;
  }

  /// Trains until the budget is used up or a stop is requested. Throws a Divergence.
  Outcome run_steps() {
    for (bool save_first = false;;) {
      double done = 0;
      const Next what = next(done);
      if (save_first && what != Next::finish) save();
      if (what != Next::step) return what == Next::stop ? Outcome::stopped : Outcome::finished;
      const std::int64_t step = position_.steps + 1;
      const bool check = config_.watchdog.every > 0 && step % config_.watchdog.every == 0;
      const bool log = check || step % config_.train.log_every == 0 || step == total_steps_;
      stepper_->run(position_.steps, log, done);
      ++position_.steps;
      position_.elapsed_seconds = elapsed_before_ + seconds_since(start_);
      const bool evaluate = due(config_.train.eval_every) && evaluates_;
      if (log || evaluate || due(config_.train.sample_every) || due(config_.train.checkpoint_every))
        require_sound_losses();
      std::optional<Measurements> watched;
      if (check && is_first_) watched = watch();
      if (log && is_first_) {
        const double seconds = seconds_since(last_log_);
        const auto images = static_cast<double>((position_.steps - last_log_step_) * config_.train.batch);
        report(images / std::max(seconds, 1e-9), watched);
        last_log_ = Clock::now();
        last_log_step_ = position_.steps;
      }
      if (due(config_.train.sample_every) && is_first_) draw_samples();
      if (evaluate) run_evaluation();
      save_first = evaluate || due(config_.train.checkpoint_every);
    }
  }

  void run_evaluation() {
    const Timer timer(options_.profile, Profile::Kind::phase, "evaluation");
    require_sound_state();
    if (!is_first_) return;
    const Clock::time_point pause = Clock::now();
    callbacks_.on_evaluate(current_model(), position_.elapsed_seconds, [this] { return directory(); });
    stalled_ = callbacks_.has_stalled && callbacks_.has_stalled();
    start_ += Clock::now() - pause;
    last_log_ += Clock::now() - pause;
  }

  // ---- state ----

  /// Makes the stepper with the run's rates, which fall with each retry.
  void start_stepper(const Stepper::Load& load) {
    for (int retries = -1; retries != position_.retries;) {  // loading may tell that there were retries
      retries = position_.retries;
      Config config = config_;
      config.optim.g.lr *= std::pow(kRetryRate, retries);
      config.optim.d.lr *= std::pow(kRetryRate, retries);
      observer_.reset();
      const auto load_and_share = [&](const auto& variables, runtime::State& state) {
        if (is_first_) load(variables, state);
        share_position();
      };
      stepper_.emplace(
          config, dataset_, load_and_share,
          StepperOptions{
              .profile = options_.profile, .backend = options_.backend, .communicator = options_.communicator});
    }
  }

  /// Puts the checkpoint, or the weights of --init, into the state if there are any.
  void load_start(const std::vector<nn::Variable>& variables, runtime::State& state) {
    if (options_.resume && !std::filesystem::exists(path("checkpoint.safetensors")) &&
        std::filesystem::exists(path(kGood)))  // the run was killed while it stopped
      std::filesystem::rename(path(kGood), path("checkpoint.safetensors"));
    if (options_.resume && std::filesystem::exists(path("checkpoint.safetensors"))) {
      position_ = load_checkpoint(path("checkpoint.safetensors"), variables, state, [this](const Position& position) {
        if (!saved_steps_) require_own(position);  // else it is loaded again
      });
      saved_steps_ = position_.steps;
      good_steps_ = position_.good_steps.value_or(position_.steps);
      return;
    }
    // A checkpoint is always saved before the model, so this one was removed.
    if (options_.resume && std::filesystem::exists(path("model.safetensors")))
      base::fail_data(
          "{}: is missing, so the run cannot go on; a new run in another folder can start from its model by "
          "--init {}",
          path("checkpoint.safetensors"), directory_.string());
    if (options_.resume) note("no checkpoint was saved yet: starting from step 0");
    if (options_.init_model.empty()) return;
    const std::string text = start_from(load_model(options_.init_model), options_.init_model, dataset_, condition_,
                                        static_cast<std::uint64_t>(config_.train.seed), variables, state);
    if (!text.empty()) note(text);
  }

  /// Throws a data error for a checkpoint of other data or values, and notes permitted differences.
  void require_own(const Position& position) {
    const std::string file = path("checkpoint.safetensors");
    if (position.data_hash != dataset_.hash)
      base::fail_data("{}: the run was trained on other data than {} holds now (sha256 {}, now {})", file,
                      dataset_.source, position.data_hash, dataset_.hash);
    // A label's class must not change its name, but may get one.
    const std::vector<std::string>& names = dataset_.condition.class_names();
    if (!position.class_names.empty() && position.class_names != names)
      base::fail_data("{}: the run's classes are {}; those of {} are now {}", file, base::joined(position.class_names),
                      dataset_.source, names.empty() ? "without names" : base::joined(names));
    std::optional<Config> made_with = position.config;
    if (!made_with) made_with = config_of_model();
    if (made_with) {
      for (const std::string& name : fixed_differences(*made_with, config_))
        base::fail_data("{}: made with {} = {}, but config.toml says {} now: with --resume {}; restore the value", file,
                        name, value_of(*made_with, name), value_of(config_, name), kResumable);
      if (made_with->train.precision != config_.train.precision)
        note(fmt::format(
            "the run used precision {} so far, now {}: results may differ from those of an uninterrupted run",
            made_with->train.precision, config_.train.precision));
    }
    if (position.ranks != ranks_.ranks() || position.parts != config_.train.parts)
      note(fmt::format("the run used {} of {} so far, now {} of {}: results may differ in the last digits",
                       base::counted(position.ranks, "rank"), base::counted(position.parts, "part"),
                       base::counted(ranks_.ranks(), "rank"), base::counted(config_.train.parts, "part")));
    if (position.threads != base::threads())
      note(fmt::format("the run used {} so far, now {}: results may differ in the last digits",
                       base::counted(position.threads, "thread"), base::threads()));
    if (position.device != device())
      note(fmt::format("the run was on {} so far, now it is on {}: results may differ in the last digits",
                       position.device.empty() ? "the processor" : position.device,
                       device().empty() ? "the processor" : device()));
  }

  /// The GPU of the run and the versions of its libraries; "" on the processor.
  std::string device() const {
    if (!options_.backend || options_.backend->memory().is_host()) return "";
    return options_.backend->describe() + ", " + options_.backend->versions();
  }

  /// The values in the run's model file, if that can be read: checkpoints of older programs hold none.
  std::optional<Config> config_of_model() {
    try {
      return load_model(path("model.safetensors"), Networks::generator).config;
    } catch (const base::Error&) {
      return std::nullopt;
    }
  }

  /// Throws a Divergence if a loss has diverged since the last call.
  void require_sound_losses() {
    const auto lost = stepper_->find_lost_step();
    if (!lost) return;
    const char* whose = lost->g && lost->d ? "G's and D's losses are" : lost->g ? "G's loss is" : "D's loss is";
    throw Divergence{lost->step + 1, fmt::format("{} NaN or beyond {:.0e}", whose, kLargestLoss), lost->step};
  }

  /// Goes back to the last good state with lower rates. Throws a run error if that has been tried often enough or
  /// cannot help.
  void go_back(const Divergence& divergence) {
    if (config_.train.on_nan == "stop" || position_.retries >= kMostRetries || divergence.lost_step == good_steps_)
      fail_diverged(divergence);
    const Position before = position_;
    const std::string file = path(saved_steps_ == good_steps_ ? "checkpoint.safetensors" : kGood);
    position_ = {};
    position_.retries = before.retries + 1;
    start_stepper([&](const auto& variables, runtime::State& state) {
      if (good_steps_ > 0 || std::filesystem::exists(file))
        position_ = load_checkpoint(file, variables, state, [](const Position&) {});
      position_.retries = before.retries + 1;
    });
    position_.elapsed_seconds = before.elapsed_seconds;
    if (is_first_) {
      for (const char* name : {"metrics.jsonl", "scores.jsonl"})
        if (std::filesystem::exists(path(name))) drop_lines_ahead(name, /*earlier=*/true);
      drop_pictures_ahead();
    }
    last_log_ = Clock::now();
    last_log_step_ = position_.steps;
    warn(fmt::format(
        "training diverged at step {}: {}; going back to step {} with learning rates of {:.3g} (G) and {:.3g} (D), "
        "retry {} of {}; the usual remedy is a lower rate from the start (--set optim.lr=...) or a gradient penalty",
        divergence.step, divergence.what, position_.steps, rate(config_.optim.g), rate(config_.optim.d),
        position_.retries, kMostRetries));
  }

  double rate(const Config::Optim::Network& network) const {
    return network.lr * std::pow(kRetryRate, position_.retries);
  }

  void warn(const std::string& text) {
    warnings_.push_back(text);
    note("warning: " + text);
  }

  // ---- files ----

  /// The run's folder, which may be renamed while the run trains.
  const std::filesystem::path& directory() {
    if (!lock_) return directory_;
    if (lock_->deleted()) save_elsewhere();
    if (const std::filesystem::path now = lock_->path(); now != directory_) {
      directory_ = now;
      note(fmt::format("the folder of the run is now {}: going on there", now.string()));
      if (callbacks_.on_move) callbacks_.on_move(directory_);
    }
    return directory_;
  }

  /// Calls write(path) for a file of the run's folder, and again if the folder was renamed before the file was open.
  template <typename Write>
  void write_in_folder(const std::string& name, const Write& write) {
    for (bool written = false; !written;) {
      const std::filesystem::path before = directory();
      try {
        write((before / name).string());
        written = true;
      } catch (const base::Error&) {
        if (directory() == before) throw;
      }
    }
  }

  /// Saves the state in a new folder, after the run's folder was deleted.
  [[noreturn]] void save_elsewhere() {
    const std::string folder = directory_.string();
    const std::string gone = fmt::format("{}: the folder was deleted while the run trained in it", folder);
    lock_.reset();
    try {
      if (std::filesystem::exists(directory_)) base::fail_data("another folder is in its place");
      base::create_folder(folder);
      lock_.emplace(folder);
      write_start();
      save();
    } catch (const base::Error& error) {
      base::fail_data("{}, and what was trained in {} is lost: {}", gone, base::counted(position_.steps, "step"),
                      error.what());
    }
    base::fail_data(
        "{}; its state at step {} is in a new one, metrics and pictures are lost; go on with: gan train "
        "--resume --out {}",
        gone, position_.steps, base::shell_quoted(folder));
  }

  /// Locks the folder, so that no other process trains in it.
  void take_folder() {
    base::create_folder(directory_.string());
    lock_.emplace(directory_.string());
    if (!options_.resume) {
      require_new_run(directory_);
      if (std::filesystem::exists(path("config.toml")))
        note(fmt::format("{} holds a run of which nothing was saved: starting anew in its place", directory_.string()));
    }
    for (const char* name : kRunFiles) base::remove_leftovers(path(name));
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path("samples"), ignored))
      if (base::is_leftover(entry.path().string())) std::filesystem::remove(entry.path(), ignored);
  }

  void start_files() {
    if (!options_.resume) take_folder();  // only after everything was checked
    // The weights of --init are saved first, so that a run that is killed early can be resumed from them.
    if (!options_.init_model.empty()) save();
    write_start();
    drop_lines_ahead("metrics.jsonl", options_.resume);
    if (std::filesystem::exists(path("scores.jsonl"))) drop_lines_ahead("scores.jsonl", options_.resume);
    drop_pictures_ahead();
  }

  /// Writes the run's values and adds its command line.
  void write_start() {
    base::write_file(path("config.toml"), to_toml(config_));
    if (options_.command.empty()) return;
    const bool earlier = options_.resume && std::filesystem::exists(path("command.txt"));
    base::write_file(path("command.txt"),
                     (earlier ? base::read_file(path("command.txt")) : "") + options_.command + "\n");
  }

  /// Drops the lines of steps that a resumed run will repeat, and an incomplete line; a new run starts with an empty
  /// file.
  void drop_lines_ahead(const std::string& name, bool earlier) {
    std::string kept;
    earlier = earlier && std::filesystem::exists(path(name));
    std::istringstream lines(earlier ? base::read_file(path(name)) : std::string());
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      const bool numbered = json.is_object() && json.contains("step") && json["step"].is_number_integer();
      if (numbered && json["step"].get<std::int64_t>() <= position_.steps) kept += line + "\n";
    }
    base::write_file(path(name), kept);
  }

  /// Drops the pictures of such steps; a new run starts with none.
  void drop_pictures_ahead() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path("samples"), ignored)) {
      const std::string name = entry.path().filename().string();
      const std::size_t digits = name.find_first_not_of("0123456789");
      if (digits == 0 || digits > 12 || name.substr(digits) != ".png") continue;
      if (std::stoll(name) > position_.steps) std::filesystem::remove(entry.path(), ignored);
    }
  }

  void report(double images_per_second, const std::optional<Measurements>& watched) {
    const Timer timer(options_.profile, Profile::Kind::phase, "log");
    Progress progress;
    progress.step = position_.steps;
    progress.total_steps = total_steps_;
    progress.images_per_second = images_per_second;
    progress.loss_g = scalar("loss.g");
    progress.loss_d = scalar("loss.d");
    progress.d_real = scalar("verdict.real");
    progress.d_fake = scalar("verdict.fake");
    progress.grad_norm_g = scalar("norm.g");
    progress.grad_norm_d = scalar("norm.d");
    progress.elapsed_seconds = position_.elapsed_seconds;
    const auto left = static_cast<double>((total_steps_ - position_.steps) * config_.train.batch);
    progress.seconds_left =
        total_steps_ > 0 ? left / images_per_second : std::max(0.0, config_.train.time - position_.elapsed_seconds);
    progress.watch = watched;
    progress.warnings = std::move(warnings_);
    warnings_.clear();
    append_metrics(progress);
    if (callbacks_.on_log) callbacks_.on_log(progress);
  }

  Measurements watch() {
    const Timer timer(options_.profile, Profile::Kind::phase, "watchdog");
    if (!observer_) observer_.emplace(config_, dataset_, *stepper_);
    const Measurements found = observer_->measure();
    const Watchdog watchdog(config_, condition_, dataset_.is_image());
    for (const std::string& text : watchdog.judge(position_.steps, found, position_.watch)) warn(text);
    return found;
  }

  void append_metrics(const Progress& p) {
    nlohmann::ordered_json line{{"step", p.step},
                                {"images_per_second", std::round(p.images_per_second)},
                                {"loss_g", p.loss_g},
                                {"loss_d", p.loss_d},
                                {"d_real", p.d_real},
                                {"d_fake", p.d_fake},
                                {"grad_norm_g", p.grad_norm_g},
                                {"grad_norm_d", p.grad_norm_d},
                                {"elapsed_seconds", std::round(p.elapsed_seconds * 1000) / 1000}};
    if (p.watch)
      for (const auto& [name, value] : figures(*p.watch)) line["watch." + name] = value;
    if (!p.warnings.empty()) line["watch.warnings"] = p.warnings;
    write_in_folder("metrics.jsonl", [&](const auto& file) { base::append_to_file(file, line.dump() + "\n"); });
  }

  /// The present model: the running average of G if the run keeps one, and D.
  Model current_model() const {
    const runtime::State& state = stepper_->state();
    Model model;
    model.config = config_;
    model.sample_shape = dataset_.sample_shape;
    model.units = dataset_.units;
    model.condition = condition_;
    model.data_name = dataset_.name;
    model.data_hash = dataset_.hash;
    model.steps = position_.steps;
    for (const nn::Variable& variable : stepper_->variables()) {
      if (!of_network(variable)) continue;
      const auto averaged = state.find(optim::average_of(variable.name));
      const runtime::Array& array = averaged != state.end() ? averaged->second : state.at(variable.name);
      model.weights[variable.name] = runtime::Array(variable.shape, array.on_host().f32());
    }
    return model;
  }

  /// Throws a Divergence if the state has diverged, so that it never replaces a usable checkpoint.
  void require_sound_state() {
    for (const nn::Variable& variable : stepper_->variables()) {
      const runtime::Array array = stepper_->state().at(variable.name).on_host();
      for (const float value : array.f32())
        if (is_lost(value)) throw Divergence{position_.steps, fmt::format("{} holds {}", variable.name, value)};
    }
  }

  /// Throws a run error that says what is saved and which command starts from it.
  [[noreturn]] void fail_diverged(const Divergence& divergence) {
    const bool saved_is_lost = saved_steps_ && divergence.lost_step == saved_steps_;
    std::string folder = directory().string();
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    std::string other;
    for (int i = 2; other.empty() || std::filesystem::exists(other); ++i) other = fmt::format("{}-{}", folder, i);
    std::string left = "nothing was saved before", init;
    if (!saved_steps_)
      other = folder;
    else if (saved_is_lost)
      left = fmt::format("the state saved at step {} had diverged, too", *saved_steps_);
    else
      left = fmt::format("the state saved at step {} is kept", *saved_steps_);
    if (saved_steps_ && !saved_is_lost) init = "--init " + base::shell_quoted(folder) + " ";
    const double g = rate(config_.optim.g), d = rate(config_.optim.d);
    const std::string rates = g == d ? fmt::format("optim.lr={:.3g}", g / 10)
                                     : fmt::format("optim.g.lr={:.3g} --set optim.d.lr={:.3g}", g / 10, d / 10);
    if (position_.retries > 0)
      left = fmt::format("{} with lower rates did not help; ",
                         position_.retries == 1 ? "a retry" : fmt::format("{} retries", position_.retries)) +
             left;
    base::fail_run(
        "training diverged at step {}: {}; {}; try a lower rate{}: gan train --config {} {}--out {} --set {}",
        divergence.step, divergence.what, left, init.empty() ? "" : " from there",
        base::shell_quoted(folder + "/config.toml"), init, base::shell_quoted(other), rates);
  }

  /// Throws a data error, before hours are spent, if the disk has no room for the saves; notes large ones.
  void require_room() {
    std::uint64_t checkpoint = 0, model = 0;
    for (const nn::Variable& variable : stepper_->variables()) {
      const std::uint64_t bytes = static_cast<std::uint64_t>(graph::element_count(variable.shape)) * sizeof(float);
      checkpoint += bytes;
      if (of_network(variable)) model += bytes;
    }
    // Old files stay until the new ones are complete.
    const bool saved_again = saved_steps_ || !options_.init_model.empty() || total_steps_ == 0 ||
                             total_steps_ > config_.train.checkpoint_every;
    const std::uint64_t best = config_.train.eval_every > 0 ? model : 0;
    base::require_room(directory_.string(),
                       (saved_steps_ ? 0 : checkpoint + model) + (saved_again ? checkpoint : 0) + best);
    if (const std::string text = describe_saves(checkpoint + model, config_.train.checkpoint_every); !text.empty())
      note(text);
  }

  /// Saves the state. After a stop at a step at which a run that goes on saves nothing, the state to go back to is kept
  /// beside it, so that a resumed run goes back as far as one that was not stopped.
  void save(bool stopped = false) {
    const Timer timer(options_.profile, Profile::Kind::phase, "checkpoint");
    require_sound_losses();
    require_sound_state();
    const bool good = !stopped || position_.steps == good_steps_ || due(config_.train.checkpoint_every) ||
                      (due(config_.train.eval_every) && evaluates_);
    if (is_first_) write_saves(good);
    saved_steps_ = position_.steps;
    if (good) good_steps_ = position_.steps;
  }

  void write_saves(bool good) {
    position_.ranks = ranks_.ranks();
    position_.parts = config_.train.parts;
    position_.threads = base::threads();
    position_.device = device();
    position_.data_hash = dataset_.hash;
    position_.class_names = dataset_.condition.class_names();
    position_.config = config_;
    position_.good_steps.reset();
    if (!good) position_.good_steps = good_steps_;
    if (position_.steps > 0 && !std::filesystem::exists(path("config.toml"))) write_start();  // the folder was emptied
    const bool keep = !good && saved_steps_ == good_steps_;
    std::error_code ignored;
    if (keep) std::filesystem::rename(path("checkpoint.safetensors"), path(kGood), ignored);
    try {
      write_in_folder("checkpoint.safetensors", [&](const auto& file) {
        save_checkpoint(file, position_, stepper_->variables(), stepper_->state());
      });
    } catch (const base::Error&) {
      if (keep) std::filesystem::rename(path(kGood), path("checkpoint.safetensors"), ignored);
      throw;
    }
    if (good) std::filesystem::remove(path(kGood), ignored);
    write_in_folder("model.safetensors", [&](const auto& file) { save_model(file, current_model()); });
  }

  /// samples/STEP.png: the same latents in every picture, a row for each label.
  void draw_samples() {
    const bool image = dataset_.is_image();
    if (!dataset_.can_be_drawn()) return;
    const Timer timer(options_.profile, Profile::Kind::phase, "pictures");
    const Model model = current_model();
    Sampler sampler(model, "auto", {}, options_.backend);
    const std::int64_t rows = image ? std::min(data::values_period(condition_), kLargestPictureRows) : 100;
    const std::int64_t count = rows * kSamplesPerRow;
    std::vector<std::uint32_t> row_of;  // of each sample
    for (std::int64_t i = 0; i < count; ++i) row_of.push_back(static_cast<std::uint32_t>(i / kSamplesPerRow));
    const data::ConditionRows y = data::values_in_turn(condition_, rows).select(row_of);
    std::vector<float> z(static_cast<std::size_t>(count * config_.model.latent));
    sampler.latents(static_cast<std::uint64_t>(config_.train.seed), 0, z);
    graph::Shape shape = dataset_.sample_shape;
    shape.insert(shape.begin(), count);
    std::vector<float> samples(static_cast<std::size_t>(graph::element_count(shape)));
    sampler.sample(z, y, samples);
    base::create_folder(path("samples"));
    const std::string file = path(fmt::format("samples/{}.png", position_.steps));
    if (image)
      io::write_grid(file, samples, shape, static_cast<int>(kSamplesPerRow));
    else
      io::write_png(file, io::make_scatter(samples, shape));
    if (callbacks_.on_picture) callbacks_.on_picture(position_.steps, file);
  }

  Config config_;
  const data::Dataset& dataset_;
  const RunOptions& options_;
  const Callbacks& callbacks_;
  runtime::Communicator& ranks_;
  bool is_first_;           // rank 0
  bool evaluates_ = false;  // rank 0 has a callback for it
  data::ConditionSpec condition_;
  std::int64_t total_steps_ = 0;
  std::filesystem::path directory_;
  std::optional<base::FolderLock> lock_;
  Position position_;
  std::optional<std::int64_t> saved_steps_;  // of the checkpoint in the folder
  std::int64_t good_steps_ = 0;              // of the state to go back to: saved at an interval, or the start
  std::optional<Stepper> stepper_;
  std::optional<Observer> observer_;   // since the first check
  std::vector<std::string> warnings_;  // since the last report
  Clock::time_point start_, last_log_;
  double elapsed_before_ = 0;  // seconds of training before start_
  std::int64_t last_log_step_ = 0;
  bool stalled_ = false;
};

}  // namespace

void require_new_run(const std::filesystem::path& directory) {
  for (const char* name : kSavedFiles)
    if (std::filesystem::exists(directory / name))
      base::fail_usage("{} holds another run; go on with it by --resume, or choose another folder for --out",
                       directory.string());
}

std::int64_t total_steps(const Config& config, std::int64_t samples) {
  return config.train.steps > 0 ? config.train.steps : config.train.epochs * (samples / config.train.batch);
}

std::string describe_saves(std::uint64_t bytes, std::int64_t checkpoint_every) {
  const double gigabytes = static_cast<double>(bytes) / base::kGigabyte;
  if (gigabytes < 1) return "";
  return fmt::format("every save writes {:.1f} GB, and there is one every {} (train.checkpoint_every)", gigabytes,
                     base::counted(checkpoint_every, "step"));
}

Outcome train_run(const Config& config, const data::Dataset& dataset, const RunOptions& options,
                  const Callbacks& callbacks) {
  return Run(config, dataset, options, callbacks).train();
}

}  // namespace gan::train
