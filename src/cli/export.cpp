#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "exchange/c_source.h"
#include "exchange/onnx.h"
#include "exchange/pytorch.h"
#include "runs/files.h"
#include "train/model_file.h"
#include "train/step.h"

namespace gan::cli {
namespace {

constexpr const char* kExportHelp =
    R"(The generator leaves with its averaged weights; spectral norms, batch norms and the data's scaling are folded into
them. Samples are those of gan sample to 1e-5.

onnx: opset 17. Inputs: z, f32 [batch, latent], and the columns of the condition by name: categories as int64 [batch],
the position that gan info shows; numbers as f32 [batch] in their units. Output: samples, images [batch, C, H, W] in
[-1, 1] (or in the data's units, if the data were not bytes), vectors in the data's units.

c: one file of C11 with void NAME(const float* z, const float* condition, float* out), which draws one sample. NAME is
the file's stem. condition has one float for each column in the order of gan info: the position of a category, or a
number in its units. The function allocates nothing and may run on several threads at once. --weights FILE writes the
weights to a file of their own, to whose contents the program points NAME_weights.

pytorch: a folder with generator.safetensors and generator.py, whose class Generator is a torch.nn.Module.

--part discriminator writes the discriminator in place of the generator, as it is outside training: no augmentation, no
dropout. Inputs: samples, as the generator draws them, and the columns of the condition. Output: logits [batch], the
higher the more real, before any function of the loss. An auxiliary discriminator is given no condition and has an output
for each column. One that judges packs takes [batch, pack, ...] of each input, but not in C.

CLASSIFIER.safetensors, which gan eval keeps in the cache, may stand for MODEL. Input: samples, images in [-1, 1];
outputs: logits [batch, classes] and features [batch, 128]; of a regressor its numbers by name, and features.

Examples:
  gan export runs/a --to onnx digits.onnx
  gan export runs/a --to onnx one.onnx --batch 1
  gan export runs/a --to c digits.c
  gan export runs/a --to pytorch digits
  gan export runs/a --part discriminator --to onnx judge.onnx)";

struct Options {
  std::string model, part, format, out, batch, weights;
};

/// 0 for any.
std::int64_t batch_of(const std::string& text) {
  if (text.empty() || text == "dynamic") return 0;
  const auto batch = base::parse_number<std::int64_t>(text);
  if (!batch || *batch < 1 || *batch > 1'000'000)
    base::fail_usage("--batch {}: expected dynamic or a whole number from 1 to 1,000,000", text);
  return *batch;
}

std::string write_onnx(const exchange::Part& part, const Options& options, const std::string& out) {
  base::write_file(out, exchange::onnx_of(part, batch_of(options.batch)), base::Durability::unsynced);
  return "";
}

std::string write_c(const exchange::Part& part, const Options& options, const std::string& out) {
  const std::string name = exchange::c_identifier(out);
  const exchange::CSource source = exchange::c_source_of(part, name, !options.weights.empty());
  if (!options.weights.empty()) base::write_file(options.weights, source.weights, base::Durability::unsynced);
  base::write_file(out, source.code, base::Durability::unsynced);
  return fmt::format(": void {}(const float* {}, const float* condition, float* out)", name, part.input.name);
}

std::string write_pytorch(const exchange::Part& part, const Options&, const std::string& out) {
  exchange::write_pytorch(out, part);
  return fmt::format(": {0}.py and {0}.safetensors", part.name);
}

/// Writes a network in one format; returns what to say of the file.
using Write = std::string (*)(const exchange::Part& part, const Options& options, const std::string& out);
const std::map<std::string, Write> kExportFormats = {{"onnx", write_onnx}, {"c", write_c}, {"pytorch", write_pytorch}};

void write(const exchange::Part& part, const Options& options) {
  const std::string out = output_path(options.out);
  say_written(out, kExportFormats.at(options.format)(part, options, out));
}

/// The scores of this model in the folder of its run, as JSON; "" if it was not judged.
std::string scores_beside(const std::string& path, std::int64_t steps) {
  const std::filesystem::path model(path);
  const auto folder = std::filesystem::is_directory(model) ? model : model.parent_path();
  nlohmann::ordered_json numbers;
  const nlohmann::ordered_json scores = runs::scores_of(folder.string(), steps);
  for (const char* name : {"label_accuracy", "fd", "precision", "recall", "density", "coverage", "ks", "score"})
    if (const auto value = scores.is_object() ? scores.value(name, nlohmann::ordered_json()) : scores;
        value.is_number())
      numbers[name] = value;
    else if (value.is_object() && value.contains("mean"))  // of columns
      numbers[name] = value["mean"];
  return numbers.is_null() ? "" : numbers.dump();
}

void run(const Options& options) {
  if (!options.batch.empty() && options.format != "onnx") base::fail_usage("--batch is for --to onnx");
  if (!options.weights.empty() && options.format != "c") base::fail_usage("--weights is for --to c");
  refuse_standard_output("--weights", options.weights);
  if (options.format == "pytorch") refuse_standard_output("--to pytorch", options.out);
  if (eval::is_classifier(options.model)) {
    if (!options.part.empty())
      base::fail_usage("--part is for models of generator and discriminator; {} is a classifier", options.model);
    const eval::Classifier classifier = eval::load_classifier(options.model);
    return write(exchange::classifier_part(classifier), options);
  }
  const bool discriminator = options.part == train::kDiscriminator;
  const train::Model model =
      train::load_model(options.model, discriminator ? train::Networks::both : train::Networks::generator);
  exchange::Part part = discriminator ? exchange::discriminator_part(model) : exchange::generator_part(model);
  if (options.format == "onnx")
    if (const std::string scores = scores_beside(options.model, model.steps); !scores.empty())
      part.metadata.emplace_back("scores", scores);
  write(part, options);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  std::vector<std::string> names;
  for (const auto& [name, write] : kExportFormats) names.push_back(name);
  app.add_option("MODEL", options->model, "Model file or run directory; a classifier's file")->required();
  app.add_option("OUT", options->out, "File to write; a folder for pytorch")->required();
  app.add_option("--part", options->part, "generator (default) or discriminator")
      ->type_name("PART")
      ->check(CLI::IsMember({std::string(train::kGenerator), std::string(train::kDiscriminator)}));
  app.add_option("--to", options->format, "Format")->required()->type_name("FORMAT")->check(CLI::IsMember(names));
  app.add_option("--batch", options->batch, "Samples of a call: a number, or dynamic for any")->type_name("N|dynamic");
  app.add_option("--weights", options->weights, "A file of their own for the weights of C code")->type_name("FILE");
  app.footer(kExportHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command export_command;
const Command export_command = {"export", "Write a model for other programs: ONNX, PyTorch, C", setup};

}  // namespace gan::cli
