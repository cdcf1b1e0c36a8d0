#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/output.h"
#include "cli/threads.h"
#include "draw/interpolate.h"
#include "draw/output.h"
#include "draw/plan.h"
#include "io/npy.h"
#include "runtime/launcher.h"
#include "train/model_file.h"
#include "train/sampler.h"

namespace gan::cli {
namespace {

using draw::SampleFormat;
using draw::SampleOptions;
using draw::SampleOutput;
using draw::SamplePlan;

constexpr const char* kSampleHelp =
    R"(MODEL is a model.safetensors or the folder of a run; `gan info MODEL` lists the columns of its condition.

What is drawn: all combinations of the values of the columns, --count samples of each (default 8; 1 if two columns vary
or a range is given). --condition chooses values by NAME=VALUE, several as NAME=A|B, numbers also as a range
NAME=FROM:TO:COUNT with both ends (of a column with a period, without the end if that is whole periods away); several
columns with commas, or the option again. A value in double quotes is taken as it stands: 'name="a|b"'. A column that is
not chosen takes every class, or 8 numbers over the range seen in training.
Columns vary in the order of the options, the last one fastest. A picture has a row for each value of one column, or a
row of the values of a range, or the last column that varies along its rows.

Sample number I of a seed has the same latents whatever else is drawn: --first I --count 1 draws it again.

FILE.png is a grid. FILE.npy holds f32: images [N, C, H, W] in [-1, 1] (byte / 127.5 - 1) or, if the data did not come
as bytes, in its units; vectors [N, D] in the units of their data. FILE.npz holds the same as array x, and an array for
each column of the condition. FILE.csv holds vectors and their conditions. DIR/ receives a picture LABEL-INDEX.png for
each image; INDEX counts from 0 within its label (sample-INDEX.png if the condition is not one label), with leading
zeros, and metadata.csv, with the condition, seed and index of each picture, which is written last: a folder without it
is not whole. `--data DIR` reads such a folder. FILE.zip holds what DIR/ would.
The same model, seed and options give the same bytes.

--interpolate latent goes through --count latents (default 2) for each combination of values, --interpolate condition
through the values, in their order, for each of --count latents (default 1). FILE.png has a row for each way, FILE.apng
is an animation, DIR/ receives its pictures, FILE.npy holds the ways one after another.

Examples:
  gan sample runs/a --label 7 --count 64 --out sevens.png
  gan sample runs/a --per-class 20 --out digits.png
  gan sample runs/a --labels 0,3,7 --count 1000 --seed 5 --out x.npz
  gan sample runs/b --condition 'digit=3|7,angle=0:360:24' --same-latents --out turn.png
  gan sample runs/b --conditions-file wanted.csv --out pictures/
  gan sample runs/a --label 7 --interpolate latent --steps 24 --spherical --out sevens.apng
  gan sample runs/a --balance photos/ --out more/           fills the rare classes of photos/)";

constexpr std::int64_t kFewSamples = 100;  // so many are drawn one by one, sooner than a program for all is compiled

/// The latents of --noise, [N, latent]; an empty array if the option is not given.
runtime::Array read_noise(const SampleOptions& options, const train::Model& model) {
  if (options.noise.empty()) return {};
  runtime::Array noise = io::read_npy_f32(options.noise);
  const graph::Shape& shape = noise.type().shape;
  if (shape.size() != 2 || shape[0] < 1 || shape[1] != model.config.model.latent) {
    base::fail_data("--noise {}: found shape {}, expected [N, {}]", options.noise, graph::to_string(shape),
                    model.config.model.latent);
  }
  for (const float value : noise.f32()) {
    if (!std::isfinite(value)) base::fail_data("--noise {}: found {}, expected finite numbers", options.noise, value);
  }
  return noise;
}

/// The number of samples that are drawn before they are written: whole batches of the sampler, up to 64 MB.
std::int64_t samples_at_once(const train::Model& model) {
  constexpr std::int64_t kMostSamplesHeld = 4096, kElementsHeld = 1 << 24;
  const std::int64_t batch = train::Sampler::kLargestBatch;
  return std::clamp(kElementsHeld / graph::element_count(model.sample_shape) / batch * batch, batch, kMostSamplesHeld);
}

/// Draws all samples, the batches in turn on all ranks. Rank 0, which alone has an output, writes them.
void draw_all(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
              std::span<const float> noise, runtime::Communicator& ranks, SampleOutput* output) {
  train::Sampler sampler(model, options.precision, {}, options.backend);
  const std::int64_t latent = model.config.model.latent, size = graph::element_count(model.sample_shape);
  const std::int64_t most = std::min(samples_at_once(model), plan.total);
  std::vector<float> z(static_cast<std::size_t>(most * latent)), samples(static_cast<std::size_t>(most * size));
  for (std::int64_t first = 0, shown = 0; first < plan.total; first += most) {
    const std::int64_t count = std::min(most, plan.total - first);
    z.resize(static_cast<std::size_t>(count * latent));
    samples.resize(static_cast<std::size_t>(count * size));
    draw::fill_latents(options, plan, noise, sampler, latent, first, z);
    const data::ConditionRows rows = plan.rows(first, count);
    const std::int64_t at_once = plan.total <= kFewSamples ? 1 : std::min(count, train::Sampler::kLargestBatch);
    for (std::int64_t i = at_once * ranks.rank(); i < count; i += at_once * ranks.ranks()) {
      base::throw_if_interrupted();
      const std::int64_t n = std::min(at_once, count - i);
      const auto part = [&](std::vector<float>& values, std::int64_t width) {
        return std::span(values).subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(n * width));
      };
      sampler.sample(part(z, latent), rows.slice(i, n), part(samples, size));
    }
    runtime::collect_pieces(ranks, std::as_writable_bytes(std::span(samples)),
                            static_cast<std::size_t>(at_once * size) * sizeof(float), /*on_all=*/false);
    if (!output) continue;
    sampler.require_finite(samples, first);
    output->write(samples, rows);
    const std::int64_t percent = 100 * (first + count) / plan.total;
    if (options.show_progress && percent > shown)
      say_progress(fmt::format("{:5}%  of {}", shown = percent, base::counted(plan.total, "sample")));
  }
}

/// Throws a run error on all ranks unless they would draw the same.
void require_same(runtime::Communicator& ranks, const SampleOptions& options, const train::Model& model) {
  std::vector<runtime::Fact> facts = runtime::facts_of_program();
  facts.emplace_back("the command", command_line());
  facts.emplace_back(options.model + " with the sha256", runtime::hash_of(model.weights));
  runtime::require_agreement(ranks, facts);
}

/// Runs `function`, which writes to `out`, until it is done or interrupted.
template <typename Function>
void run_until_interrupted(const std::string& note, const Function& function) {
  base::watch_interrupts();
  try {
    function();
  } catch (const base::Interrupted& interrupted) {
    fmt::print(stderr, "{}", note);
    base::end_by(interrupted);
  }
}

void run(SampleOptions options) {
  runtime::Communicator& ranks = runtime::all_ranks();
  const bool is_first = ranks.rank() == 0;
  const std::string out = output_path(options.out);
  const bool interpolates = !options.interpolate.empty();
  if (interpolates && options.count == 0 && options.per_class == 0 && options.noise.empty())
    options.count = options.interpolate == "latent" ? 2 : 1;
  std::optional<SampleFormat> format;  // --interpolate has formats of its own
  if (!interpolates) format = draw::sample_format(out, options.format);
  const train::Model model = train::load_model(options.model, train::Networks::generator);
  if (ranks.ranks() > 1) require_same(ranks, options, model);
  options.show_progress = options.show_progress && is_first;
  const runtime::Array noise = read_noise(options, model);
  const bool has_noise = !options.noise.empty();
  if (options.truncation < 0) base::fail_usage("--truncation {}: expected a number above 0", options.truncation);
  options.backend = use_device(options.device, "", ranks);
  if (is_first) options.progress = say_progress;
  options.throw_if_cancelled = base::throw_if_interrupted;
  const SamplePlan plan = draw::make_sample_plan(options, model, has_noise ? noise.type().shape[0] : 0);
  if (plan.grid && is_first)
    for (const std::string& note : data::outside_notes(model.condition, *plan.grid))
      fmt::print(stderr, "gan: warning: {}\n", note);
  if (plan.total == 0) {
    if (is_first) fmt::print(stderr, "gan: note: {}, so there is nothing to draw\n", plan.note);
    return;
  }
  const bool few = plan.total <= kFewSamples && !interpolates;
  use_threads(options.threads == 0 && few ? 1 : runtime::threads_of_rank(ranks, options.threads));
  if (options.device == "auto" && ranks.ranks() == 1 && options.precision != "int16" && !few)
    options.backend = use_choice(choose_for_samples(model, plan.total, ""));
  const std::span<const float> latents = has_noise ? std::span<const float>(noise.f32()) : std::span<const float>();
  std::string written = ": " + base::counted(plan.total, "sample") + plan.note;
  const bool folder = format == SampleFormat::folder;
  run_until_interrupted(
      folder ? fmt::format("gan: interrupted; {} has no metadata.csv, as it is not whole\n", out) : "", [&] {
        if (interpolates) {
          if (is_first) written = draw::interpolate(options, plan, model, latents, out);
          return;
        }
        std::unique_ptr<SampleOutput> output;
        if (is_first) output = draw::open_sample_output(out, *format, options, plan, model);
        draw_all(options, plan, model, latents, ranks, output.get());
        if (output) output->finish();
      });
  if (is_first) say_written(out, written);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<SampleOptions>();
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type);
  };
  const auto add_count = [&](const char* name, std::int64_t& value, const char* help, std::int64_t least,
                             std::int64_t most) { return add(name, value, help, "N")->check(CLI::Range(least, most)); };
  app.add_option("MODEL", options->model, "A model.safetensors, or the folder of a run")->required();
  add("--out", options->out, "FILE.png, .npy, .npz, .csv or .zip, - (as .npy) or DIR/", "PATH")->required();
  add("--format", options->format, "png, npy, npz, csv or zip, whatever the name ends in", "F")
      ->check(CLI::IsMember({"png", "npy", "npz", "csv", "zip"}));
  app.add_flag("--overwrite", options->overwrite, "Replace the pictures and metadata.csv of a folder");
  app.add_flag("--progress", options->show_progress, "Print the share that is drawn to standard error");
  CLI::Option* condition =
      add("--condition", options->conditions, "Draw these values of a column; may be repeated", "NAME=VALUE,...")
          ->allow_extra_args(false);
  CLI::Option* label = add("--label", options->label, "Draw this class: --condition label=K", "K");
  CLI::Option* labels = add("--labels", options->labels, "Draw these classes, such as 0,3,7", "K,K,...");
  CLI::Option* per_class =
      add_count("--per-class", options->per_class, "Draw N samples of every class", 1, draw::kMostSamples);
  CLI::Option* labels_file = add("--labels-file", options->labels_file,
                                 "The label of each sample: [N], names, or integers: names that are numbers, else "
                                 "positions among the sorted names",
                                 "Y.npy");
  CLI::Option* conditions_file =
      add("--conditions-file", options->conditions_file,
          "The condition of each sample: a table with the columns' names, or [N, columns]", "X.csv|npy");
  CLI::Option* balance =
      add("--balance", options->balance,
          "Draw what the classes of this data lack, as the model's was read, up to the largest", "SOURCE");
  add_count("--to", options->to, "Samples that --balance brings each class to", 1, draw::kMostSamples)->needs(balance);
  CLI::Option* count =
      add_count("--count", options->count, "Samples of each combination of values; in total if unconditional", 1,
                draw::kMostSamples);
  add_count("--seed", options->seed, "Seed of the latents (default 1)", 0, std::numeric_limits<std::int64_t>::max());
  CLI::Option* first =
      add_count("--first", options->first, "Begin with sample number I of the seed (default 0)", 0, draw::kMostFirst);
  CLI::Option* same =
      app.add_flag("--same-latents", options->same_latents, "Draw each combination from the same latents");
  CLI::Option* noise = add("--noise", options->noise, "The latents [N, latent], f32 or f64", "Z.npy")
                           ->excludes(app.get_option("--seed"))
                           ->excludes(first);
  add("--truncation", options->truncation,
      "Draw latents beyond R from 0 again, R at least 0.05: better samples that vary less", "R")
      ->excludes(noise);
  add_count("--threads", options->threads, "Threads to use; 0 = every processor, one for few samples", 0, 4096);
  add("--precision", options->precision,
      "f32 (auto means f32, too); int16, on the CPU: single samples are faster, values in [-1, 1] differ by about "
      "1e-3; bf16: faster, they differ by about 1e-2",
      "P")
      ->check(CLI::IsMember(train::Sampler::kPrecisions));
  add_device_option(app, options->device);
  CLI::Option* interpolated =
      add("--interpolate", options->interpolate, "Draw the way from latent to latent, or from value to value", "WHAT")
          ->check(CLI::IsMember({"latent", "condition"}))
          ->excludes(balance)
          ->excludes(app.get_option("--format"))
          ->excludes(app.get_option("--overwrite"));
  CLI::Option* steps = add_count("--steps", options->steps, "Samples from one to the next, both included", 2, 100'000);
  interpolated->needs(steps);
  steps->needs(interpolated);
  app.add_flag("--spherical", options->spherical, "Go from latent to latent on a great circle")->needs(interpolated);
  add_count("--rate", options->rate, "Pictures a second of FILE.apng (default 12)", 1, 1000)->needs(interpolated);
  label->excludes(labels)->excludes(per_class)->excludes(labels_file)->excludes(conditions_file);
  labels->excludes(per_class)->excludes(labels_file)->excludes(conditions_file);
  per_class->excludes(labels_file)->excludes(conditions_file)->excludes(count);
  labels_file->excludes(conditions_file)->excludes(count);
  conditions_file->excludes(count);
  for (CLI::Option* other : {condition, label, labels, per_class, labels_file, conditions_file, count, same, noise})
    balance->excludes(other);
  app.footer(kSampleHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command sample_command;
const Command sample_command = {"sample", "Draw samples from a model", setup};

}  // namespace gan::cli
