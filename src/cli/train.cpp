#include "train/trainer.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/text.h"
#include "cli/class_sizes.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/floor.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/read_options.h"
#include "cli/tensorboard.h"
#include "cli/threads.h"
#include "data/idx_source.h"
#include "data/source.h"
#include "data/value_notes.h"
#include "eval/run_scores.h"
#include "runtime/launcher.h"
#include "train/config.h"
#include "train/preset.h"
#include "train/run_data.h"
#include "train/step.h"

namespace gan::cli {
namespace {

constexpr const char* kTrainHelp =
    R"(PRESET is the set of values to start from (gan presets lists them); without one, pictures start from lsgan-r1r2 and
vectors from vector. --config, --set, then the options replace values. Labelled data trains a conditional model.

RUNDIR receives config.toml (every value), command.txt (the command line), metrics.jsonl, samples/, model.safetensors
and checkpoint.safetensors. Ctrl-C saves and stops; --resume continues as if the run had never stopped. It takes every
value from RUNDIR; only --steps, --epochs, --time (totals, not additions), --threads, --precision, --data (where the
same data is now), --stop-when, --on-nan, train.parts and the intervals of logging, samples, evaluation, checkpoints and
the watchdog, and watchdog.after, may change. RUNDIR may be renamed while the run trains.

A watchdog looks every watchdog.every steps (100; 0 = never) whether samples follow the condition and differ, and
whether the two networks still learn from each other. What goes wrong is a line that begins with "warning:". When
training diverges, it goes back to the last good state with a quarter of the rates, at most three times.

--eval-every N judges the model every N steps, as gan eval does but more quickly: a line in RUNDIR/scores.jsonl, and the
best so far in RUNDIR/best.safetensors, by one score from 0 to 1: the harmonic mean of coverage and, where there are
labels, label accuracy (of points: of label accuracy, the share of modes found and the share of good samples). Pictures
need labels, numbers or enough different pictures to train a classifier by. Its time does not count.

Under mpirun or srun several processes share the rows of each batch (docs/scale.md).

Examples:
  gan train --data mnist --out runs/a --time 3m
  gan train tutorial-lsgan --data mnist --out runs/b --steps 2000 --set optim.lr=1e-4 --set train.sample_every=500
  gan train --data my-images.idx.gz,my-labels.idx.gz --out runs/c --epochs 20
  gan train --data mnist --out runs/d --time 1m --init runs/a        fine-tune
  gan train --resume --out runs/a --time 6m
`gan presets NAME` prints every key for --set and --config, and what it means; optim.lr sets both learning rates.)";

struct Options {
  std::string device = "auto", preset, data, out, steps, epochs, time, batch, seed, threads, precision, eval_every,
              stop_when, on_nan, config_file, init, cache, profile;
  std::vector<std::string> settings;
  std::shared_ptr<ReadFlags> read;
  bool unconditional = false, resume = false, quiet = false, json = false, tensorboard = false;
};

/// The settings of --set, followed by the options as key=value, since options take precedence.
std::vector<std::string> settings_of(const Options& options) {
  std::vector<std::string> settings = options.settings;
  const std::pair<const char*, const std::string&> named[] = {
      {"train.steps", options.steps},         {"train.epochs", options.epochs},
      {"train.time", options.time},           {"train.batch", options.batch},
      {"train.seed", options.seed},           {"train.threads", options.threads},
      {"train.precision", options.precision}, {"train.eval_every", options.eval_every},
      {"train.stop_when", options.stop_when}, {"train.on_nan", options.on_nan}};
  for (const auto& [key, text] : named) {
    if (!text.empty()) settings.push_back(std::string(key) + "=" + text);
  }
  if (options.unconditional) settings.emplace_back("data.unconditional=true");
  const std::vector<std::string> reading = options.read->settings();
  settings.insert(settings.end(), reading.begin(), reading.end());
  return settings;
}

/// Throws a usage error for `--steps 0` and the like, which would leave the preset's steps in place.
void require_positive_budgets(const Options& options) {
  const std::pair<const char*, const std::string&> budgets[] = {
      {"steps", options.steps}, {"epochs", options.epochs}, {"time", options.time}};
  for (const auto& [name, text] : budgets) {
    if (text.empty()) continue;
    train::Config config;
    const std::string setting = fmt::format("train.{}={}", name, text);
    train::apply_settings(config, std::span(&setting, 1));
    if (config.train.steps <= 0 && config.train.epochs <= 0 && config.train.time <= 0) {
      base::fail_usage("--{} {}: this would train nothing; give a number above 0", name, text);
    }
  }
}

/// A source with absolute paths, so that a run can be resumed from any folder; names stay unchanged.
std::string absolute_source(const std::string& source) {
  const auto absolute = [](const std::string& path) {
    std::error_code ignored;
    if (path.empty() || !std::filesystem::exists(path, ignored)) return path;
    return std::filesystem::absolute(path).lexically_normal().string();
  };
  if (data::is_named_source(source)) return source;
  std::error_code ignored;
  if (std::filesystem::exists(source, ignored)) return absolute(source);
  const auto [images, labels] = data::split_pair(source);
  return labels.empty() ? source : absolute(images) + "," + absolute(labels);
}

/// The first path in a recorded source that does not exist; "" if all do.
std::string missing_path(const std::string& source) {
  std::error_code ignored;
  if (std::filesystem::exists(source, ignored)) return "";
  const std::size_t comma = source.find(",/");  // recorded paths are absolute, and may hold commas
  const std::string second = comma == std::string::npos ? "" : source.substr(comma + 1);
  for (const std::string& path : {source.substr(0, comma), second})
    if (path.find('/') != std::string::npos && !std::filesystem::exists(path, ignored)) return path;
  return "";
}

/// The values of a new run, and whether its batch size is the preset's.
struct Start {
  train::Config config;
  bool default_batch = false;
};

/// The values of a new run when it starts from `preset`.
Start configure(const Options& options, const std::string& preset) {
  train::Config config = train::load_preset(preset);
  const std::int64_t batch = std::exchange(config.train.batch, 0);  // 0, which cannot be set
  if (!options.config_file.empty()) {
    train::apply_toml(config, base::read_file(options.config_file), options.config_file);
  }
  config.preset = preset;
  train::apply_settings(config, settings_of(options));
  const bool default_batch = config.train.batch == 0;
  if (default_batch) config.train.batch = batch;
  if (!options.data.empty()) config.data.source = options.data;
  if (config.data.source.empty()) {
    base::fail_usage("train: give the data with --data, such as --data mnist; gan data --help lists the sources");
  }
  config.data.source = absolute_source(config.data.source);
  return {config, default_batch};
}

/// Opens the data. The first rank of each machine decodes pictures, the others find them in the cache.
data::Dataset open_data(const train::Config& config, const Options& options, runtime::Communicator& ranks) {
  data::SourceOptions source = train::source_options(config, options.cache);
  source.labels = !config.data.unconditional;
  if (!options.quiet && !options.json && ranks.rank() == 0) source.progress = say_progress;
  if (ranks.rank_here() > 0) runtime::wait_for_all(ranks);
  data::Dataset dataset = data::open_source(config.data.source, source);
  if (ranks.rank_here() == 0) runtime::wait_for_all(ranks);
  return dataset;
}

/// The values of a resumed run, whose folder rank 0 reads. Throws a usage error for a changed value that must not
/// change.
train::Config configure_resumed(const Options& options, runtime::Communicator& ranks) {
  const std::string path = (std::filesystem::path(options.out) / "config.toml").string();
  const bool reads = ranks.rank() == 0;
  if (reads && !std::filesystem::exists(path)) {
    base::fail_data("{}: no such file, so there is no run to resume in {}; leave --resume out to start one", path,
                    options.out);
  }
  const std::string text = runtime::broadcast_text(ranks, reads ? base::read_file(path) : "");
  const train::Config saved = train::run_config_of(text, path);
  train::Config wanted = saved;
  if (!options.config_file.empty()) {
    train::apply_toml(wanted, base::read_file(options.config_file), options.config_file);
  }
  train::apply_settings(wanted, settings_of(options));
  // The run's config.toml has the precision that auto meant when it started.
  if (wanted.train.precision == "auto") wanted.train.precision = saved.train.precision;
  if (!options.preset.empty()) wanted.preset = train::find_preset(options.preset).name;
  if (!options.data.empty()) wanted.data.source = absolute_source(options.data);
  train::require_resumable(saved, wanted);
  return wanted;
}

/// The judge of the run's models. Trains its classifier if none is cached.
std::shared_ptr<eval::RunScores> make_scores(const train::Config& config, const Options& options,
                                             const runtime::Backend* device, ProgressPrinter& printer) {
  eval::Reference reference = eval::open_reference(config.data.source, train::source_options(config, options.cache));
  const eval::Log log = [&](const std::string& line) { printer.note(line); };
  eval::Networks networks = eval::cached_networks(reference, options.cache, log);
  if (reference.held_out.is_image() && !networks.embedding && !networks.regressor)
    base::fail_usage("--eval-every needs a network: {}; leave --eval-every out",
                     eval::why_no_exemplars(reference.train));
  eval::Judge judge(std::move(reference), std::move(networks), device);
  judge.drop_training_part();
  auto scores = std::make_shared<eval::RunScores>(std::move(judge));
  if (const std::string why = scores->why_no_score(); !why.empty() && config.train.stop_when > 0)
    base::fail_usage("--stop-when needs a score, and there is none: {}", why);
  if (const std::string warning = scores->warning(); !warning.empty()) printer.note(warning);
  return scores;
}

/// "lsgan-r1r2 on mnist: 60,000 samples [1, 28, 28] in 10 classes".
std::string describe(const train::Config& config, const data::Dataset& dataset) {
  const data::ConditionSpec condition = train::condition_of(config, dataset.condition);
  return fmt::format("{} on {}: {} {}{}", config.preset, dataset.name, base::counted(dataset.count(), "sample"),
                     graph::to_string(dataset.sample_shape),
                     condition.empty() ? ", unconditional" : " in " + condition.text());
}

/// Notes on classes of unequal sizes, and on how real samples are drawn for numbers.
std::vector<std::string> balance_notes(const train::Config& config, const data::Dataset& dataset) {
  std::vector<std::string> notes;
  const data::ConditionSpec condition = train::condition_of(config, dataset.condition);
  const auto classes = std::ranges::find_if(condition.columns, [](const auto& c) { return !c.is_numeric(); });
  if (classes != condition.columns.end() && config.train.balance == "none") {
    const auto column = static_cast<std::size_t>(classes - condition.columns.begin());
    const std::string note =
        unequal_note(*classes, class_sizes(condition, dataset.rows, column), dataset.is_image() ? "picture" : "row");
    if (!note.empty()) notes.push_back(note);
  }
  if (config.train.vicinal.kind == "none") return notes;
  const data::Vicinity vicinity(condition, dataset.rows, config.train.vicinal);
  std::size_t n = 0;
  for (const data::ConditionColumn& column : condition.columns) {
    if (!column.is_numeric()) continue;
    const double range =
        column.number.period > 0 ? column.number.period : column.number.maximum - column.number.minimum;
    const data::Vicinity::Width width = vicinity.widths()[n++];
    notes.push_back(fmt::format("{}: noise of deviation {:.3g}, {} vicinities of half width {:.3g}", column.name,
                                width.sigma * range, config.train.vicinal.kind, width.kappa * range));
  }
  return notes;
}

/// Reduces the preset's batch to the size of the data, in whole packs.
void shrink_batch(train::Config& config, std::int64_t samples, std::vector<std::string>& notes) {
  const std::int64_t most = samples - samples % config.model.pack;
  if (config.train.batch <= samples || most == 0) return;
  notes.push_back(fmt::format("the data has {}, fewer than the preset's batch of {}: the batch is {}",
                              base::counted(samples, "sample"), config.train.batch, most));
  config.train.batch = most;
}

/// "the score has not risen for 5 evaluations since the best, 0.912 at step 3,000 (runs/a/best.safetensors)".
std::string stalled_text(const eval::RunScores::Best& best, const std::string& out) {
  return fmt::format("the score has not risen for {} since the best, {:.3f} at step {} ({}/best.safetensors)",
                     base::counted(best.since, "evaluation"), best.score,
                     base::grouped(static_cast<std::uint64_t>(best.step)), out);
}

/// Whether models are judged; adds a note if the first evaluation would come after the last step.
bool is_judged(const train::Config& config, std::int64_t samples, std::vector<std::string>& notes) {
  const std::int64_t steps = train::total_steps(config, samples);
  if (steps == 0 || config.train.eval_every <= steps) return config.train.eval_every > 0;
  notes.push_back(fmt::format("train.eval_every = {}, but the run has {}: no model is judged", config.train.eval_every,
                              base::counted(steps, "step")));
  return false;
}

void run(const Options& options) {
  if (options.quiet && options.json) base::fail_usage("train: --quiet and --json exclude each other");
  if (options.resume && !options.init.empty()) {
    base::fail_usage("train: --init is for a new run; --resume takes its weights from {}", options.out);
  }
  refuse_standard_output("--out", options.out);
  refuse_standard_output("--profile", options.profile);
  runtime::Communicator& ranks = runtime::all_ranks();
  const runtime::Backend* device = use_device(options.device, options.cache, ranks);
  require_positive_budgets(options);
  const bool is_first = ranks.rank() == 0;
  train::Config config;
  data::Dataset dataset;
  std::vector<std::string> notes;
  if (options.resume) {
    config = configure_resumed(options, ranks);
    train::validate(config);
    if (const std::string path = missing_path(config.data.source); !path.empty())
      base::fail_data(
          "{}: the data of the run is missing; give its new place: gan train --resume --out {} --data NEWPLACE", path,
          base::shell_quoted(options.out));
    dataset = open_data(config, options, ranks);
  } else {
    if (is_first) train::require_new_run(options.out);
    std::string preset = options.preset;
    if (preset.empty() && !options.config_file.empty()) {
      preset = train::preset_of_toml(base::read_file(options.config_file), options.config_file);
    }
    const bool preset_by_data = preset.empty();
    if (preset_by_data) preset = train::default_preset({1, 1, 1});  // until the data is known
    Start start = configure(options, preset);
    dataset = open_data(start.config, options, ranks);
    if (preset_by_data) start = configure(options, std::string(train::default_preset(dataset.sample_shape)));
    config = start.config;
    if (start.default_batch) shrink_batch(config, dataset.count(), notes);
    train::validate(config);
    if (dataset.condition.empty()) config.data.unconditional = true;  // nothing to condition on
  }

  ProgressStyle style = isatty(STDOUT_FILENO) ? ProgressStyle::terminal : ProgressStyle::lines;
  if (options.json) style = ProgressStyle::json;
  if (options.quiet || !is_first) style = ProgressStyle::quiet;
  ProgressPrinter printer(style, dataset.is_image() ? "images" : "rows");
  const bool judged = is_judged(config, dataset.count(), notes);
  printer.note(describe(config, dataset));
  use_threads(runtime::threads_of_rank(ranks, config.train.threads));
  if (device) printer.note("on " + device->describe());
  if (options.device == "auto" && ranks.ranks() == 1 && !options.resume) {
    const models::ModelSpec spec =
        train::model_spec(config, dataset.sample_shape, train::condition_of(config, dataset.condition));
    const DeviceChoice choice = choose_for_steps(config, spec, options.cache);
    device = choice.backend;
    if (!choice.reason.empty()) printer.note(choice.reason);
  }
  if (ranks.ranks() > 1)
    notes.push_back(fmt::format("{} with {} each, {} of every batch", base::counted(ranks.ranks(), "rank"),
                                base::counted(base::threads(), "thread"),
                                base::counted(config.train.batch / ranks.ranks(), "row")));
  for (const std::string& text : dataset.notes) notes.push_back("note: " + text);
  for (const std::string& text : balance_notes(config, dataset)) notes.push_back("note: " + text);
  for (const std::string& text : data::value_notes(dataset)) notes.push_back("note: " + text);
  for (const std::string& text : notes) printer.note(text);
  train::Callbacks callbacks;
  std::optional<TensorBoard> tensorboard;
  if (options.tensorboard && is_first)
    tensorboard.emplace(options.out, [&](const std::string& text) { printer.note(text); });
  callbacks.on_log = [&](const train::Progress& progress) {
    printer.report(progress);
    if (tensorboard) tensorboard->add(progress);
  };
  if (tensorboard)
    callbacks.on_picture = [&](std::int64_t step, const std::string& path) { tensorboard->add_picture(step, path); };
  if (is_first) callbacks.on_note = [&](const std::string& text) { printer.note(text); };
  callbacks.stop_requested = [] { return base::is_interrupted(); };
  std::string out = options.out;
  const std::int64_t patience = config.train.stop_when;
  if (options.resume && patience > 0) {
    const auto best = is_first ? eval::RunScores::best_of(out) : std::nullopt;
    const bool stalled = best && best->since >= patience;
    if (stalled) printer.note("nothing to do: " + stalled_text(*best, out) + "; go on with a larger --stop-when, or 0");
    if (runtime::of_first_rank(ranks, stalled)) return;
  }
  const auto scores = judged && is_first ? make_scores(config, options, device, printer) : nullptr;
  if (scores) {
    callbacks.has_stalled = [&] { return patience > 0 && scores->best().since >= patience; };
    callbacks.on_evaluate = [&](const train::Model& model, double elapsed_seconds, const auto& directory) {
      printer.note(scores->evaluate(model, elapsed_seconds, directory));
      if (tensorboard) tensorboard->add_scores(scores->last_line());
    };
  }
  callbacks.on_move = [&](const std::filesystem::path& directory) { out = directory.string(); };
  train::RunOptions run_options;
  run_options.backend = device;
  run_options.directory = options.out;
  run_options.resume = options.resume;
  run_options.init_model = options.init;
  run_options.command = command_line();
  if (ranks.ranks() > 1) run_options.communicator = &ranks;
  runtime::Profile profile;
  std::optional<base::AtomicFile> trace;  // opened first, to fail before the training
  if (!options.profile.empty() && is_first) {
    // The trace may be the first file in the run's folder.
    if (std::filesystem::path(options.profile).parent_path().lexically_relative(options.out) == ".")
      base::create_folder(options.out);
    trace.emplace(options.profile, base::Durability::unsynced);
    run_options.profile = &profile;
  }
  std::signal(SIGPIPE, SIG_IGN);  // training outlives the reader of its output
  base::watch_interrupts();
  const train::Outcome outcome = train::train_run(config, dataset, run_options, callbacks);
  printer.finish();
  if (outcome == train::Outcome::stopped) {
    printer.note(fmt::format("stopped and saved; go on with: gan train --resume --out {}{}", base::shell_quoted(out),
                             device ? " --device " + (options.device == "auto" ? "cuda" : options.device) : ""));
  } else {
    if (scores && callbacks.has_stalled()) printer.note("ended: " + stalled_text(scores->best(), out));
    const bool named = !dataset.units.columns.empty();
    printer.note(fmt::format("wrote {}/model.safetensors; draw with: gan sample {} --out samples.{}", out,
                             base::shell_quoted(out),
                             named                    ? "csv"
                             : dataset.can_be_drawn() ? "png"
                                                      : "npy"));
  }
  if (!trace) return;
  trace->write(profile.trace());
  trace->commit();
  if (!options.quiet) {
    const data::ConditionSpec condition = train::condition_of(config, dataset.condition);
    printer.note("\n" +
                 describe_profile(profile, config, train::model_spec(config, dataset.sample_shape, condition), device));
    printer.note(fmt::format("wrote {}; look at it in https://ui.perfetto.dev", options.profile));
  }
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("PRESET", options->preset, "Preset: the values to start from");
  app.add_option("--data", options->data, "Training data (gan data --help); with --resume, where the run's data is now")
      ->type_name("SOURCE");
  app.add_option("--out", options->out, "Folder of the run")->type_name("RUNDIR")->required();
  app.add_flag("--resume", options->resume, "Go on with the run in RUNDIR");
  app.add_option("--init", options->init, "Start from the weights of another model or run")->type_name("MODEL");
  app.add_option("--steps", options->steps, "Train this many steps")->type_name("N")->group("How long (give one)");
  app.add_option("--epochs", options->epochs, "Train this many passes over the data")
      ->type_name("N")
      ->group("How long (give one)");
  app.add_option("--time", options->time, "Train this long: 90s, 3m, 1h30m")
      ->type_name("TIME")
      ->group("How long (give one)");
  app.add_option("--batch", options->batch, "Samples in a batch")->type_name("N")->group("Values");
  app.add_option("--seed", options->seed, "Seed of all random numbers")->type_name("N")->group("Values");
  app.add_flag("--unconditional", options->unconditional, "Ignore the labels")->group("Values");
  app.add_option("--precision", options->precision, "auto takes bf16 where that is faster")
      ->type_name("auto|f32|bf16")
      ->group("Values");
  app.add_option("--config", options->config_file, "Values from a TOML file")->type_name("FILE.toml")->group("Values");
  app.add_option("--set", options->settings, "Set any value by its key, such as optim.lr=1e-4; repeat as needed")
      ->type_name("KEY=VALUE")
      ->group("Values");
  options->read = add_read_flags(app);
  app.add_option("--eval-every", options->eval_every, "Judge the model every N steps and keep the best")
      ->type_name("N")
      ->group("Running");
  app.add_option("--stop-when", options->stop_when, "End when the score has not risen for this many evaluations")
      ->type_name("PATIENCE")
      ->group("Running");
  app.add_option("--on-nan", options->on_nan, "When training diverges: go back and on with lower rates, or stop")
      ->type_name("retry|stop")
      ->group("Running");
  app.add_option("--threads", options->threads, "Threads to use; 0 = every processor")
      ->type_name("N")
      ->group("Running");
  add_device_option(app, options->device)->group("Running");
  app.add_flag("--tensorboard", options->tensorboard, "Write losses, pictures and values to RUNDIR/tensorboard, too")
      ->group("Running");
  app.add_option("--profile", options->profile, "Time every part: tables at the end, a trace in this file")
      ->type_name("FILE.json")
      ->group("Running");
  app.add_option("--cache", options->cache, "Folder of data that was fetched or decoded, classifiers and GPU kernels")
      ->type_name("DIR")
      ->group("Running");
  app.add_flag("--quiet", options->quiet, "Print nothing but warnings, on standard error")->group("Running");
  app.add_flag("--json", options->json, "Print progress as lines of JSON")->group("Running");
  app.footer(kTrainHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command train_command;
const Command train_command = {"train", "Train a model", setup};

}  // namespace gan::cli
