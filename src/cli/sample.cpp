#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/threads.h"
#include "data/dataset.h"
#include "io/npy.h"
#include "io/png.h"
#include "train/model_file.h"
#include "train/sampler.h"

namespace gan::cli {
namespace {

constexpr const char* kHelp =
    R"(MODEL is a model.safetensors or the folder of a run. Labels are numbers, or the names of classes if the data had them.
Without any label option a conditional model draws --count samples of every class, label by label.

FILE.png is a grid, with a row for each label. FILE.npy holds f32: images [N, C, H, W] in [-1, 1] (byte / 127.5 - 1),
vectors [N, D] in the units of their data; so does standard output, for --out -. DIR/ receives a picture LABEL-INDEX.png
for each image; INDEX counts from 0 within its label (an unconditional model writes sample-INDEX.png). Leading zeros
give all names the same length (007-0042.png), so that sorting by name sorts by label and index.
The same model, seed and options give the same bytes.

Examples:
  gan sample runs/a --label 7 --count 64 --out sevens.png
  gan sample runs/a --per-class 20 --out digits.png
  gan sample runs/a --labels 0,3,7 --count 1000 --seed 5 --out x.npy
  gan sample runs/a --labels-file y.npy --noise z.npy --out x.npy)";

constexpr std::int64_t kMaximumCount = 100'000'000;
constexpr std::int64_t kDefaultCount = 8;
constexpr std::int64_t kFewSamples = 100;  // so many are drawn one by one, sooner than a program for all is compiled

struct Options {
  std::string model, label, labels, labels_file, noise, out, precision = "auto";
  std::int64_t count = 0, per_class = 0, threads = 0;  // 0: not given
  std::int64_t seed = 1;
};

enum class Format { png, npy, folder };

Format format_of(const std::string& out) {
  const std::filesystem::path path(out);
  if (out.ends_with('/') || std::filesystem::is_directory(path)) return Format::folder;
  const std::string extension = path.extension().string();
  const bool stream = std::filesystem::exists(path) && !std::filesystem::is_regular_file(path);  // a pipe, a device
  if (extension.empty() && (stream || base::is_standard_output(out))) return Format::npy;
  if (extension == ".png") return Format::png;
  if (extension == ".npy") return Format::npy;
  if (extension.empty()) return Format::folder;
  base::fail_usage(
      "--out {}: \"{}\" files cannot be written; expected FILE.png, FILE.npy or a folder, or - for standard output",
      out, extension);
}

/// The samples to draw.
struct Plan {
  std::int64_t total = 0;
  std::int64_t columns = 0;          ///< of a grid
  std::vector<std::int32_t> labels;  ///< [total]; empty for an unconditional model
};

/// The number of samples for each label: --count or --per-class, else the rows of --noise over the labels, else 8.
std::int64_t count_per_label(const Options& options, std::int64_t labels, std::int64_t noise_rows) {
  const std::int64_t requested = std::max(options.count, options.per_class);
  if (noise_rows == 0) return requested > 0 ? requested : kDefaultCount;
  if (requested == 0 && noise_rows % labels != 0)
    base::fail_usage(
        "--noise {}: {} rows cannot be divided among {} labels; choose labels by --label, --labels or "
        "--labels-file",
        options.noise, base::grouped(static_cast<std::uint64_t>(noise_rows)), labels);
  const std::int64_t count = requested > 0 ? requested : noise_rows / labels;
  if (count * labels != noise_rows) {
    base::fail_usage("--noise {}: {} for {} of {} each; expected a row for every sample", options.noise,
                     base::counted(noise_rows, "row"), base::counted(labels, "label"), base::counted(count, "sample"));
  }
  return count;
}

std::vector<std::int32_t> chosen_labels(const Options& options, const train::Model& model) {
  std::vector<std::int32_t> labels;
  const data::ConditionColumn& column = model.condition.columns[0];
  if (!options.label.empty()) {
    labels.push_back(column.parse(options.label));
  } else if (!options.labels.empty()) {
    for (std::size_t begin = 0; begin <= options.labels.size();) {
      const std::size_t comma = std::min(options.labels.find(',', begin), options.labels.size());
      labels.push_back(column.parse(options.labels.substr(begin, comma - begin)));
      begin = comma + 1;
    }
  } else {
    for (int label = 0; label < column.categories; ++label) labels.push_back(label);
  }
  return labels;
}

Plan plan_of_file(const Options& options, const train::Model& model, std::int64_t noise_rows) {
  const runtime::Array file = io::read_npy_i32(options.labels_file);
  if (file.type().shape.size() != 1 || file.type().elements() == 0) {
    base::fail_data("--labels-file {}: found shape {}, expected [N] with N at least 1", options.labels_file,
                    graph::to_string(file.type().shape));
  }
  Plan plan;
  plan.labels.assign(file.i32().begin(), file.i32().end());
  plan.total = static_cast<std::int64_t>(plan.labels.size());
  for (std::size_t i = 0; i < plan.labels.size(); ++i) {
    if (plan.labels[i] >= 0 && plan.labels[i] < model.condition.classes()) continue;
    base::fail_data("--labels-file {}: label {} at index {}; the model has classes 0 to {}", options.labels_file,
                    plan.labels[i], i, model.condition.classes() - 1);
  }
  if (noise_rows > 0 && noise_rows != plan.total) {
    base::fail_usage("--noise {} has {} rows, --labels-file {} has {} labels; expected equal numbers", options.noise,
                     noise_rows, options.labels_file, plan.total);
  }
  return plan;
}

Plan make_plan(const Options& options, const train::Model& model, std::int64_t noise_rows) {
  Plan plan;
  if (model.condition.empty()) {
    if (!options.label.empty() || !options.labels.empty() || !options.labels_file.empty() || options.per_class > 0) {
      base::fail_usage("{} is unconditional and takes no labels; use --count", options.model);
    }
    plan.total = count_per_label(options, 1, noise_rows);
  } else if (!options.labels_file.empty()) {
    plan = plan_of_file(options, model, noise_rows);
  } else {
    const std::vector<std::int32_t> labels = chosen_labels(options, model);
    const std::int64_t count = count_per_label(options, static_cast<std::int64_t>(labels.size()), noise_rows);
    plan.total = count * static_cast<std::int64_t>(labels.size());
    if (plan.total <= kMaximumCount) {
      for (const std::int32_t label : labels)
        plan.labels.insert(plan.labels.end(), static_cast<std::size_t>(count), label);
    }
    if (labels.size() > 1) plan.columns = count;  // a row for each label
  }
  if (plan.total > kMaximumCount) {
    base::fail_usage("{} samples are too many at once; ask for at most {} and change --seed between calls",
                     base::grouped(static_cast<std::uint64_t>(plan.total)), base::grouped(kMaximumCount));
  }
  if (plan.columns == 0)
    plan.columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(plan.total))));
  return plan;
}

/// The latents of --noise, [N, latent]; an empty array if the option is not given.
runtime::Array read_noise(const Options& options, const train::Model& model) {
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

bool is_png(const std::filesystem::directory_entry& entry) { return entry.path().extension() == ".png"; }

/// Writes a PNG file for each sample; returns a note on other PNG files in the folder, or "".
std::string write_folder(const std::string& folder, const Plan& plan, int classes, const graph::Shape& shape,
                         std::span<const float> images) {
  base::create_folder(folder);
  std::map<std::int32_t, std::int64_t> counts, next;
  for (const std::int32_t label : plan.labels) ++counts[label];
  std::int64_t most = plan.labels.empty() ? plan.total : 0;
  for (const auto& [label, count] : counts) most = std::max(most, count);
  const std::size_t width = std::to_string(most - 1).size(), label_width = std::to_string(classes - 1).size();

  const auto size = static_cast<std::size_t>(graph::element_count(shape));
  for (std::size_t i = 0; i < static_cast<std::size_t>(plan.total); ++i) {
    const std::int32_t label = plan.labels.empty() ? 0 : plan.labels[i];
    const std::string name = plan.labels.empty() ? "sample" : fmt::format("{:0{}}", label, label_width);
    io::write_png((std::filesystem::path(folder) / fmt::format("{}-{:0{}}.png", name, next[label]++, width)).string(),
                  io::to_picture(images.subspan(i * size, size), shape));
  }
  const std::int64_t others = std::ranges::count_if(std::filesystem::directory_iterator(folder), is_png) - plan.total;
  if (others == 0) return "";
  return fmt::format("; {} other PNG file{} there from before", base::grouped(static_cast<std::uint64_t>(others)),
                     others == 1 ? " is" : "s are");
}

/// Writes the samples; returns a note for the user, or "".
std::string write(const std::string& out, Format format, const Plan& plan, const train::Model& model,
                  std::span<const float> samples) {
  graph::Shape shape = model.sample_shape;
  shape.insert(shape.begin(), plan.total);
  switch (format) {
    case Format::npy:
      io::write_npy(out, shape, samples);
      break;
    case Format::folder:
      return write_folder(out, plan, model.condition.classes(), model.sample_shape, samples);
    case Format::png:
      if (model.sample_shape.size() == 3) {
        io::write_grid(out, samples, shape, static_cast<int>(std::min<std::int64_t>(plan.columns, 1 << 20)));
      } else {
        io::write_png(out, io::make_scatter(samples, shape));
      }
      break;
  }
  return "";
}

void run(const Options& options) {
  const std::string out = output_path(options.out);
  const Format format = format_of(out);
  const train::Model model = train::load_model(options.model, train::Networks::generator);
  const graph::Shape& shape = model.sample_shape;
  if (shape.size() != 3 && (format == Format::folder || (format == Format::png && shape != graph::Shape{2}))) {
    base::fail_usage("--out {}: samples of shape {} cannot be drawn; expected FILE.npy", options.out,
                     graph::to_string(shape));
  }
  const runtime::Array noise = read_noise(options, model);
  const std::int64_t noise_rows = noise.type().shape.empty() ? 0 : noise.type().shape[0];
  const Plan plan = make_plan(options, model, noise_rows);
  const bool few = plan.total <= kFewSamples;
  use_threads(options.threads == 0 && few ? 1 : options.threads);

  train::Sampler sampler(model, options.precision);
  std::vector<float> drawn;
  if (noise_rows == 0) {
    drawn.resize(static_cast<std::size_t>(plan.total * model.config.model.latent));
    sampler.latents(static_cast<std::uint64_t>(options.seed), 0, drawn);
  }
  const std::span<const float> z = noise_rows > 0 ? noise.f32() : std::span<float>(drawn);
  std::vector<float> samples(static_cast<std::size_t>(plan.total * graph::element_count(shape)));
  const data::ConditionRows y = plan.labels.empty() ? data::ConditionRows() : data::ConditionRows(plan.labels);
  const auto total = static_cast<std::size_t>(plan.total), at_once = few ? 1 : total;
  for (std::size_t first = 0; first < total; first += at_once) {
    const auto part = [&](auto rows) {  // of [total, ...]
      return rows.subspan(first * (rows.size() / total), at_once * (rows.size() / total));
    };
    sampler.sample(part(z), y.slice(static_cast<std::int64_t>(first), static_cast<std::int64_t>(at_once)),
                   part(std::span(samples)));
  }
  sampler.require_finite(samples);
  const std::string note = write(out, format, plan, model, samples);
  say_written(out, ": " + base::counted(plan.total, "sample") + note);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "A model.safetensors, or the folder of a run")->required();
  app.add_option("--out", options->out, "FILE.png, FILE.npy, - (as .npy) or DIR/")->type_name("PATH")->required();
  CLI::Option* label = app.add_option("--label", options->label, "Draw this class")->type_name("K");
  CLI::Option* labels =
      app.add_option("--labels", options->labels, "Draw these classes, such as 0,3,7")->type_name("K,K,...");
  CLI::Option* per_class = app.add_option("--per-class", options->per_class, "Draw N samples of every class")
                               ->type_name("N")
                               ->check(CLI::Range(std::int64_t{1}, kMaximumCount));
  CLI::Option* labels_file =
      app.add_option("--labels-file", options->labels_file, "The label of each sample: [N], any integer type")
          ->type_name("Y.npy");
  CLI::Option* count =
      app.add_option("--count", options->count, "Samples of each chosen label (default 8), in total if unconditional")
          ->type_name("N")
          ->check(CLI::Range(std::int64_t{1}, kMaximumCount));
  CLI::Option* seed = app.add_option("--seed", options->seed, "Seed of the latents (default 1)")
                          ->type_name("N")
                          ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  app.add_option("--noise", options->noise, "The latents [N, latent], f32 or f64")->type_name("Z.npy")->excludes(seed);
  app.add_option("--threads", options->threads, "Threads to use; 0 = every processor, one for few samples")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  app.add_option("--precision", options->precision,
                 "f32 (auto means f32, too), or bf16: faster, changes values in [-1, 1] by about 1e-2")
      ->type_name("P")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  label->excludes(labels)->excludes(per_class)->excludes(labels_file);
  labels->excludes(per_class)->excludes(labels_file);
  per_class->excludes(labels_file)->excludes(count);
  labels_file->excludes(count);
  app.footer(kHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command sample_command;
const Command sample_command = {"sample", "Draw samples from a model", setup};

}  // namespace gan::cli
