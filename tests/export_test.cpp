#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "exchange/c_source.h"
#include "exchange/import_pytorch.h"
#include "exchange/onnx.h"
#include "exchange/pytorch.h"
#include "io/safetensors.h"
#include "program.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;
using data::ConditionColumn;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kSamples = 3;

/// A generator, what it is drawn from, and what it draws.
struct Case {
  std::string name;
  train::Model model;
  std::vector<float> z;
  data::ConditionRows y;
  std::vector<float> samples = {};  // in the data's units
  bool small = true;                // compiles quickly with its weights inside
};

/// The label, a number with a period, one with a logarithm, and another category with names.
data::ConditionSpec mixed_condition() {
  data::ConditionSpec condition = data::label_condition(10);
  condition.columns.push_back(
      {.name = "angle", .number = {.name = "angle", .maximum = 360, .period = 360, .fourier = 2}});
  condition.columns.push_back({.name = "price",
                               .number = {.name = "price",
                                          .minimum = 0.5,
                                          .maximum = 900,
                                          .scaling = {.kind = "log", .offset = 3, .scale = 2},
                                          .fourier = 1}});
  condition.columns.push_back({.name = "colour, or so", .categories = 2, .names = {"red", "*/ blue"}});
  condition.columns.push_back({.name = "value.1", .categories = 3});  // as the exported files call values of theirs
  return condition;
}

/// Three rows of a condition.
data::ConditionRows rows_of(const data::ConditionSpec& condition) {
  data::ConditionRows rows;
  for (const ConditionColumn& column : condition.columns) {
    if (!column.is_numeric()) {
      rows.columns.emplace_back(std::vector<std::int32_t>{0, column.categories - 1, column.categories / 2});
      continue;
    }
    const auto low = static_cast<float>(column.number.minimum), high = static_cast<float>(column.number.maximum);
    rows.columns.emplace_back(std::vector<float>{low, high, low + 0.3f * (high - low)});
  }
  return rows;
}

Case make_case(const std::string& name, train::Model model) {
  Case made{name, std::move(model), {}, {}};
  train::Sampler sampler(made.model, "f32");
  made.z.resize(static_cast<std::size_t>(kSamples * made.model.config.model.latent));
  sampler.latents(/*seed=*/4, 0, made.z);
  made.y = rows_of(made.model.condition);
  made.samples.resize(static_cast<std::size_t>(kSamples * graph::element_count(made.model.sample_shape)));
  sampler.sample(made.z, made.y, made.samples);
  made.model.units.undo(made.samples, made.model.sample_shape);
  return made;
}

/// Every preset for images, every way in of a condition, other units of images, and vectors.
std::vector<Case> cases() {
  constexpr float kAsTrained = 2;
  std::vector<Case> all;
  for (const train::EmbeddedPreset& preset : train::embedded_presets())
    if (preset.name != "vector") {
      const std::string name(preset.name);
      all.push_back(make_case(name, untrained_model(name.c_str(), kAsTrained)));
      all.back().small = false;
    }
  for (const char* way : {"embedding", "one_hot", "batch_norm"})
    for (const char* preset : {"lsgan-r1r2", "conv"}) {
      train::Model model = untrained_model(preset, kAsTrained, mixed_condition(), [&](train::Config& config) {
        config.model.g.condition = way;
        config.model.g.widths = {24, 16};
      });
      model.units = {.low = -1000, .high = 3000};
      all.push_back(make_case(std::string(preset) + "-" + way, std::move(model)));
    }
  all.push_back(make_case("unconditional", untrained_model("lsgan-r1r2", kAsTrained, {})));
  const std::pair<const char*, std::vector<const char*>> tables[] = {
      {"standard", {"standard", "none"}}, {"mixed", {"log", "minmax"}}, {"logs", {"log", "log"}}};
  for (const auto& [name, kinds] : tables) {
    train::Model model = untrained_model("vector", 1, mixed_condition(), {}, {2});
    for (const char* kind : kinds)
      model.units.columns.push_back({.name = kind, .scaling = {.kind = kind, .offset = 1.5, .scale = 0.25}});
    all.push_back(make_case(std::string("vector-") + name, std::move(model)));
  }
  return all;
}

Json tensor_json(const char* type, const graph::Shape& shape, const auto& values) {
  return {{"type", type}, {"dims", shape}, {"data", values}};
}

/// The inputs and the samples of a case, for programs that check its exported form.
Json json_of(const Case& one) {
  Json inputs;
  inputs["z"] = tensor_json("float32", {kSamples, one.model.config.model.latent}, one.z);
  for (std::size_t c = 0; c < one.y.columns.size(); ++c) {
    const ConditionColumn& column = one.model.condition.columns[c];
    inputs[column.name] = column.is_numeric() ? tensor_json("float32", {kSamples}, one.y.numbers(c))
                                              : tensor_json("int64", {kSamples}, one.y.categories(c));
  }
  graph::Shape shape{kSamples};
  shape.insert(shape.end(), one.model.sample_shape.begin(), one.model.sample_shape.end());
  return {{"inputs", inputs}, {"samples", tensor_json("float32", shape, one.samples)}};
}

/// The cases as ONNX with a fixed and with any batch, and as PyTorch; in the folder GAN_EXPORTS if that is set, for
/// tests/exports/check_pytorch.py.
class ExportedModels : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    for (const Case& one : cases()) {
      for (const auto& [suffix, batch] : {std::pair{"", 0}, std::pair{"-fixed", 3}}) {
        put(path(one.name + suffix + ".onnx"), exchange::onnx_of(one.model, batch));
        put(path(one.name + suffix + ".json"), json_of(one).dump());
      }
      exchange::write_pytorch(path(one.name), one.model);
    }
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string root() {
    const char* const given = std::getenv("GAN_EXPORTS");
    return given ? std::string(given) : folder_->path();
  }
  static std::string path(const std::string& name) { return root() + "/" + name; }

 private:
  static Folder* folder_;
};
Folder* ExportedModels::folder_ = nullptr;

TEST_F(ExportedModels, OnnxRuntimeDrawsTheSame) {
  const Folder folder;
  const Result result =
      shell(folder, "NODE_PATH=" GAN_EXPORTS_DIR "/node_modules node " GAN_EXPORTS_DIR "/check_onnx.js " + root());
  EXPECT_EQ(result.code, 0) << result.out << result.err << "(scripts/deps.sh --test installs what this needs)";
  EXPECT_EQ(result.err, "");
}

TEST_F(ExportedModels, OnnxCheckerAccepts) {
  const Folder folder;
  const Result result = shell(folder, "/usr/bin/python3 " GAN_EXPORTS_DIR "/check_onnx.py " + root());
  EXPECT_EQ(result.code, 0) << result.out << result.err;
}

TEST(ExportedModel, CompiledCDrawsTheSame) {
  const Folder folder;
  for (const Case& one : cases())
    for (const bool apart : {false, true}) {
      if (!apart && !one.small) continue;
      SCOPED_TRACE(one.name + (apart ? ", weights apart" : ""));
      const exchange::CSource source = exchange::c_source_of(one.model, "draw", apart);
      put(folder / "draw.c", source.code);
      const std::string library = folder / (one.name + (apart ? "-apart.so" : ".so"));
      const Result compiled = shell(folder,
                                    "cc -std=c11 -O1 -Wall -Wextra -Wpedantic -Wconversion -Werror -shared -fPIC "
                                    "draw.c -o '" +
                                        library + "' -lm");
      ASSERT_EQ(compiled.code, 0) << compiled.err;
      void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
      ASSERT_NE(handle, nullptr) << ::dlerror();
      using Draw = void (*)(const float* z, const float* condition, float* out);
      const auto draw = reinterpret_cast<Draw>(::dlsym(handle, "draw"));
      if (apart) {
        EXPECT_LT(source.code.size(), 20'000U);
        *static_cast<const float**>(::dlsym(handle, "draw_weights")) =
            reinterpret_cast<const float*>(source.weights.data());
      }
      const std::size_t size = one.samples.size() / kSamples, latent = one.z.size() / kSamples;
      float scale = 1;
      for (const float value : one.samples) scale = std::max(scale, std::abs(value));
      for (std::size_t i = 0; i < kSamples; ++i) {
        std::vector<float> condition, out(size);
        for (std::size_t c = 0; c < one.y.columns.size(); ++c)
          condition.push_back(one.model.condition.columns[c].is_numeric() ? one.y.numbers(c)[i]
                                                                          : static_cast<float>(one.y.categories(c)[i]));
        draw(one.z.data() + i * latent, condition.data(), out.data());
        for (std::size_t k = 0; k < size; ++k)
          ASSERT_NEAR(out[k], one.samples[i * size + k], 1e-5 * scale) << i << " " << k;
      }
      ::dlclose(handle);
    }
}

TEST(ExportedModel, NamesOfAModelFileStayInComments) {
  data::ConditionSpec condition = data::label_condition(3);
  condition.columns[0].name = "a */ int b; /* \"\"\"\nimport os\\";
  train::Model model =
      untrained_model("lsgan-r1r2", 1, condition, [](train::Config& config) { config.model.g.widths = {8}; });
  model.config.preset = "*/ \"\"\" {x}";
  const Folder folder;
  put(folder / "draw.c", exchange::c_source_of(model, "draw", true).code);
  EXPECT_EQ(shell(folder, "cc -std=c11 -Wall -Werror -c draw.c").err, "");
  exchange::write_pytorch(folder / "p", model);
  EXPECT_EQ(shell(folder, "/usr/bin/python3 -m py_compile p/generator.py").err, "");
  EXPECT_EQ(base::read_file(folder / "p/generator.py").find("\nimport os"), std::string::npos);
}

TEST(ExportedModel, NamesOfFunctions) {
  EXPECT_EQ(exchange::c_identifier("a/my-digits.c"), "my_digits");
  EXPECT_EQ(exchange::c_identifier("7.c"), "gan_7");
  EXPECT_EQ(exchange::c_identifier("for.c"), "gan_for");
  EXPECT_EQ(exchange::c_identifier("-"), "gan__");
}

/// The names that PyTorch gives to the tensors of a linear layer with spectral norm.
struct Naming {
  const char *weight, *u, *v;
};

/// The generator's tensors as a state dict, without the scope.
std::map<std::string, runtime::Array> state_dict(const train::Model& model, const Naming& naming) {
  std::map<std::string, runtime::Array> state;
  for (const auto& [name, array] : model.weights) {
    if (!name.starts_with("generator.")) continue;
    std::string theirs = name.substr(10);
    const std::pair<std::string_view, const char*> endings[] = {
        {"weight_orig", naming.weight}, {"weight_u", naming.u}, {"weight_v", naming.v}};
    for (const auto& [ending, other] : endings)
      if (theirs.ends_with(ending)) theirs.replace(theirs.size() - ending.size(), ending.size(), other);
    state[theirs] = array.share();
  }
  return state;
}

std::string put_state(const std::string& path, const std::map<std::string, runtime::Array>& state) {
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : state) tensors.push_back({name, &array});
  io::write_safetensors(path, {}, tensors);
  return path;
}

TEST(ImportedModel, DrawsTheSame) {
  const Folder folder;
  const Naming older{"weight_orig", "weight_u", "weight_v"},
      newer{"parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"};
  const train::Model normed = untrained_model("tutorial-lsgan"),
                     plain = untrained_model("tutorial-lsgan", 1, {}, [](train::Config&config) {
                       config.model.g.spectral_norm = false;
                       config.model.g.widths = {40, 24};
                     });
  for (const auto& [model, naming] : {std::pair{&normed, older}, std::pair{&normed, newer}, std::pair{&plain, older}}) {
    const std::string state = put_state(folder / "state.safetensors", state_dict(*model, naming));
    expect_done(folder, {"import", state, "--image-size", "1,28,28", "--out", folder / "m.safetensors"});
    const Case expected = make_case("", model->share()),
               found = make_case("", train::load_model(folder / "m.safetensors"));
    EXPECT_EQ(found.model.condition, model->condition);
    EXPECT_EQ(found.samples, expected.samples);
  }
}

TEST(ImportedModel, BadInput) {
  const Folder folder;
  const train::Model model = untrained_model("tutorial-lsgan", 1, data::label_condition(10),
                                             [](train::Config& config) { config.model.g.widths = {8}; });
  const auto state = state_dict(model, {"weight_orig", "weight_u", "weight_v"});
  const auto refuse = [&](const std::string& message, auto change) {
    auto changed = state_dict(model, {"weight_orig", "weight_u", "weight_v"});
    change(changed);
    put_state(folder / "s.safetensors", changed);
    expect_error(base::ErrorKind::data, message, [&] {
      exchange::import_pytorch(folder / "s.safetensors", {1, 28, 28}, "relu");
    });
  };
  const auto tensor = [](graph::Shape shape) { return runtime::Array({graph::DType::f32, std::move(shape)}); };
  refuse("no tensor \"model.0.weight_u\"", [](auto& s) { s.erase("model.0.weight_u"); });
  refuse("\"model.2.weight_orig\" is f32[784, 9], expected f32[784, 8]", [&](auto& s) {
    s["model.2.weight_orig"] = tensor({784, 9});
  });
  refuse("expected f32[784, 8]", [&](auto& s) { s["model.2.weight_orig"] = tensor({100, 8}); });
  refuse("none is left for the latents", [&](auto& s) { s["embedding.weight"] = tensor({10, 500}); });
  refuse("a tensor \"model.1.running_mean\", which", [&](auto& s) { s["model.1.running_mean"] = tensor({8}); });
  refuse("no tensor \"model.N.bias\"", [](auto& s) { s.erase("model.0.bias"), s.erase("model.2.bias"); });
  refuse("holds nan", [&](auto& s) { (s["model.0.bias"] = tensor({8})).f32()[3] = NAN; });
  const std::string state_path = put_state(folder / "good.safetensors", state);
  expect_refused(folder, {"import", state_path, "--image-size", "28,28", "--out", "m"}, 2,
                 "channels, height and width");
  expect_refused(folder, {"import", state_path, "--image-size", "3,32,32", "--out", "m"}, 3, "expected f32[3072, 8]");
}

TEST(SafetensorsBadInput, ForeignFilesAreCalledByTheirNames) {
  const Folder folder;
  const std::pair<std::string, const char*> files[] = {
      {"PK\x03\x04 and more", "torch.load('"}, {"\x80\x02}q.X....", "a pickle of Python"},
      {"\x93NUMPY\x01....", "a .npy file"},    {"\x89HDF\r\n\x1a\n", "an HDF5 file"},
      {"GGUF\x03.....", "a GGUF file"},        {exchange::onnx_of(untrained_model("lsgan-r1r2"), 0), "an ONNX file"}};
  for (const auto& [content, name] : files) {
    const std::string path = put(folder / "model", content);
    expect_error(base::ErrorKind::data, name, [&] { io::read_safetensors(path); });
  }
}

TEST(ExportedModel, BadInput) {
  const train::Model model = untrained_model("lsgan-r1r2");
  expect_error(base::ErrorKind::usage, "no name of a function", [&] { exchange::c_source_of(model, "a b", false); });
  data::ConditionSpec condition = data::label_condition(10);
  condition.columns[0].name = "z";
  expect_error(base::ErrorKind::usage, "is called z",
               [&] { exchange::onnx_of(untrained_model("lsgan-r1r2", 1, condition), 0); });
  condition.columns[0].name = "a.b";
  condition.columns.push_back({.name = "a_b", .categories = 2});
  const Folder folder;
  expect_error(base::ErrorKind::usage, "differ by . and _ alone",
               [&] { exchange::write_pytorch(folder / "p", untrained_model("lsgan-r1r2", 1, condition)); });
  train::Model both = untrained_model("lsgan-r1r2");
  give_random_weights(both);
  train::save_model(folder / "m.safetensors", both);
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "c", "x.c", "--batch", "2"}, 2, "--batch is for");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "onnx", "x", "--batch", "0"}, 2, "--batch 0");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "onnx", "x", "--weights", "w"}, 2,
                 "--weights is");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "tflite", "x"}, 2, "tflite");
  expect_refused(folder, {"export", folder / "none", "--to", "onnx", "x"}, 3, "none");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "c", folder / "no/x.c"}, 3, "no/x.c");
}

}  // namespace
}  // namespace gan::test
