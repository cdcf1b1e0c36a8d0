#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "exchange/import_pytorch.h"

namespace gan::cli {
namespace {

constexpr const char* kImportHelp =
    R"(Reads a state dict of the tutorial's generator as PyTorch names it: embedding.weight, model.N.weight, model.N.bias; with
spectral norm weight_orig, weight_u and weight_v, or the names of parametrizations. A .pt file becomes a safetensors file
by the line of Python that gan import prints when it is given one. --discriminator takes that of the tutorial's
discriminator, too, so that training can go on; without it D gets random weights.

Examples:
  gan import generator.safetensors --image-size 1,28,28 --out imported.safetensors
  gan sample imported.safetensors --per-class 20 --out digits.png
  gan import g.safetensors --discriminator d.safetensors --image-size 1,28,28 --out both.safetensors
  gan train tutorial-lsgan --data mnist --init both.safetensors --out runs/a)";

struct Options {
  std::string state, discriminator, size, out, activation = "relu";
};

graph::Shape image_of(const std::string& text) {
  graph::Shape shape;
  for (const std::string& part : base::split(text, ','))
    shape.push_back(base::parse_number<std::int64_t>(base::trimmed(part)).value_or(0));
  for (const std::int64_t length : shape)
    if (shape.size() != 3 || length < 1 || length > 1 << 14)
      base::fail_usage("--image-size {}: expected channels, height and width, such as 1,28,28", text);
  return shape;
}

void run(const Options& options) {
  refuse_standard_output("--out", options.out);
  const train::Model model =
      exchange::import_pytorch(options.state, options.discriminator, image_of(options.size), options.activation);
  train::save_model(options.out, model);
  say_written(options.out, "; draw with: gan sample " + base::shell_quoted(options.out) + " --out samples.png");
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("STATE", options->state, "State dict as a safetensors file")->required();
  app.add_option("--discriminator", options->discriminator, "State dict of the discriminator")->type_name("FILE");
  app.add_option("--image-size", options->size, "Channels, height and width of what it draws")
      ->required()
      ->type_name("C,H,W");
  app.add_option("--out", options->out, "Model file to write")->required()->type_name("FILE");
  app.add_option("--activation", options->activation, "What follows each hidden layer of the generator (default relu)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"relu", "leaky_relu", "tanh"}));
  app.footer(kImportHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command import_command;
const Command import_command = {"import", "Make a model file of a PyTorch state dict", setup};

}  // namespace gan::cli
