#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "compiler/compile.h"
#include "data/condition_json.h"
#include "io/safetensors.h"
#include "runtime/reference/reference.h"
#include "train/preset.h"
#include "train/step.h"
#include "walled_backend.h"

// The system against PyTorch: tests/golden/README.md says what the files hold.
namespace gan::test {
namespace {

using graph::DType;
using graph::Graph;
using runtime::Array;
using runtime::ReferenceValues;
using train::Config;

std::vector<std::int64_t> integers(const std::string& list) {
  std::vector<std::int64_t> values;
  std::stringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) values.push_back(std::stoll(item));
  return values;
}

std::vector<double> doubles(const Array& anywhere) {
  const Array array = anywhere.on_host();
  if (array.type().dtype == DType::i32) return {array.i32().begin(), array.i32().end()};
  return {array.f32().begin(), array.f32().end()};
}

double norm(const std::vector<double>& values) {
  double squares = 0;
  for (double value : values) squares += value * value;
  return std::sqrt(squares);
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> difference(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return norm(difference);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

/// A golden file and the model it describes: make_parts.py writes the program's own settings, make_golden.py keys.
struct Golden {
  explicit Golden(const std::string& name)
      : file(io::read_safetensors(std::string(GAN_GOLDEN_DIR) + "/" + name + ".safetensors")) {
    const auto text = [&](const char* key) { return file.metadata.at(key); };
    const auto number = [&](const char* key) { return std::stod(text(key)); };
    batch = std::stoll(text("batch"));
    steps = std::stoll(text("steps"));
    vanishing = text("vanishing");
    if (file.metadata.count("settings")) {
      random_seed = std::stoull(text("random_seed"));
      train::apply_settings(config, lines(text("settings")));
      train::validate(config);
      const auto described = file.metadata.find("condition");
      spec = train::model_spec(config, integers(text("image")),
                               described == file.metadata.end()
                                   ? data::label_condition(std::stoi(text("classes")))
                                   : data::condition_of_json(nlohmann::ordered_json::parse(described->second), name));
      return;
    }
    config.model.latent = std::stoll(text("latent"));
    config.model.embedding = std::stoll(text("embedding"));
    config.model.g = {.widths = integers(text("g_widths")),
                      .activation = text("g_activation"),
                      .spectral_norm = text("spectral_norm") == "true",
                      .gain = text("gain") == "true",
                      .batch_norm = text("batch_norm") == "true"};
    config.model.d = {.widths = integers(text("d_widths")), .activation = text("d_activation")};
    config.loss.name = text("loss") == "bce" ? "bce" : "least_squares";
    config.loss.sigmoid = text("sigmoid") == "true";
    config.loss.a = number("a");
    config.loss.b = number("b");
    config.loss.c = number("c");
    config.penalty.weights["r1"] = number("r1");
    config.penalty.weights["r2"] = number("r2");
    config.optim.name = text("optimizer");
    config.optim.g.lr = number("lr_g");
    config.optim.d.lr = number("lr_d");
    config.optim.beta1 = number("beta1");
    config.optim.beta2 = number("beta2");
    config.optim.epsilon = number("eps");
    config.optim.momentum = number("momentum");
    config.optim.weight_decay = number("weight_decay");
    config.train.ema = number("ema");
    spec = train::model_spec(config, integers(text("image")), data::label_condition(std::stoi(text("classes"))));
  }

  const Array& at(const std::string& name) const { return file.tensors.at(name); }
  bool vanishes(const std::string& name) const {
    return ("," + vanishing + ",").find("," + name + ",") != std::string::npos;
  }
  std::vector<nn::Variable> build(Graph& graph, const train::StepVariant& variant = {}) const {
    return train::build_step(graph, config, spec,
                             {.batch = batch, .variant = variant, .gradient_outputs = true, .latent_input = true});
  }
  /// The parts of the batch of a step: "x", "z" and the condition, numbers as their features.
  runtime::State batch_of(std::int64_t step) const {
    runtime::State parts;
    for (const char* part : {"x", "z"}) {
      const Array& values = at(fmt::format("{}.{}", part, step));
      parts[part] = Array(values.type().shape, values.f32());
    }
    data::ConditionRows rows;
    for (const data::ConditionColumn& column : spec.condition.columns) {
      const std::string name = train::column_input("y", column);
      const Array& values = at(fmt::format("{}.{}", name, step));
      parts[name] = column.is_numeric() ? Array({DType::f32, {batch, column.width()}}) : Array({DType::i32, {batch}});
      if (column.is_numeric())
        rows.columns.emplace_back(std::vector<float>(values.f32().begin(), values.f32().end()));
      else
        rows.columns.emplace_back(std::vector<std::int32_t>(values.i32().begin(), values.i32().end()));
    }
    std::vector<Array> inputs = train::condition_inputs(parts, "y", spec.condition);
    train::write_condition(inputs, spec.condition, rows);
    return parts;
  }
  /// The words of the seed, "random.key".
  std::vector<double> random_key() const {
    return {static_cast<double>(random_seed & 0xFFFFFFFF), static_cast<double>(random_seed >> 32)};
  }

  io::Safetensors file;
  Config config;
  models::ModelSpec spec;
  std::int64_t batch = 0, steps = 0;
  std::uint64_t random_seed = 0;
  std::string vanishing;
};

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  /// Checks the outputs of step 0: images, logits, losses and every gradient.
  void check_step(const Golden& golden, const std::function<std::vector<double>(const std::string&)>& output,
                  double tolerance) {
    int gradients = 0;
    for (const auto& [name, expected] : golden.file.tensors) {
      const bool gradient = name.starts_with("grad.");
      static const std::map<std::string, std::string> kNames{{"fake", "fake"},
                                                             {"loss_g", "loss.g"},
                                                             {"loss_d", "loss.d"},
                                                             {"d_real", "logits.real"},
                                                             {"d_fake", "logits.fake"}};
      const auto renamed = kNames.find(name);
      if (!gradient && renamed == kNames.end()) continue;
      const std::vector<double> actual = output(gradient ? name : renamed->second);
      double scale = norm(doubles(expected));
      if (gradient && golden.vanishes(name.substr(5))) {
        // Zero by cancellation: against the gradient of the weight beside it.
        const std::string layer = name.substr(0, name.rfind('.'));
        const bool spectral = golden.file.tensors.count(layer + ".weight_orig") > 0;
        scale = norm(doubles(golden.at(layer + (spectral ? ".weight_orig" : ".weight"))));
      }
      EXPECT_LE(distance(actual, doubles(expected)), tolerance * scale) << name;
      gradients += gradient;
    }
    EXPECT_GE(gradients, 10);
  }
};

TEST_P(GoldenTest, ReferenceStepIsExact) {
  const Golden golden(GetParam());
  Graph graph;
  golden.build(graph);
  ReferenceValues inputs;
  for (const auto& [name, id] : graph.inputs()) {
    inputs[name].assign(static_cast<std::size_t>(graph.node(id).type.elements()), 0.0);
    const auto stored = golden.file.tensors.find(name);
    if (stored != golden.file.tensors.end()) inputs[name] = doubles(stored->second);
  }
  for (const auto& [part, values] : golden.batch_of(0)) inputs["batch." + part] = doubles(values);
  inputs["random.key"] = golden.random_key();
  const ReferenceValues outputs = runtime::evaluate_reference(graph, inputs);
  check_step(
      golden, [&](const std::string& name) { return outputs.at(name); }, 2e-7);
  for (const auto& [name, expected] : golden.file.tensors) {
    if (!name.starts_with("step0.")) continue;
    EXPECT_LE(distance(outputs.at(name.substr(6)), doubles(expected)), 2e-7 * norm(doubles(expected))) << name;
  }
}

TEST_P(GoldenTest, StepsFollowPyTorch) {
  const Golden golden(GetParam());
  std::vector<compiler::Options> settings{{.disabled = {"all"}}};
  for (const runtime::Backend* backend : all_backends()) settings.push_back({.disabled = {}, .backend = backend});
  std::map<std::string, std::vector<double>> gradients;  // of the CPU's first step
  for (const compiler::Options& options : settings) {
    runtime::State state;
    runtime::Arena arena;
    std::map<train::StepVariant, runtime::Program> programs;
    Graph whole;
    const std::vector<nn::Variable> variables = golden.build(whole);
    for (const nn::Variable& variable : variables) {
      const auto stored = golden.file.tensors.find(variable.name);
      if (stored != golden.file.tensors.end()) state[variable.name] = Array(variable.shape, stored->second.f32());
    }
    for (const nn::Variable& variable : variables)
      if (variable.name.starts_with("ema."))
        state[variable.name] = Array(variable.shape, golden.at(variable.name.substr(4)).f32());
    programs.emplace(train::StepVariant{}, compiler::compile(whole, options, state, arena));
    for (std::size_t i : {0, 1})
      runtime::Writing(state.at("random.key")).i32()[i] = static_cast<std::int32_t>(golden.random_seed >> (32 * i));

    for (int step = 0; step < golden.steps; ++step) {
      for (const auto& [part, from] : golden.batch_of(step)) {
        Array& to = state.at("batch." + part);
        to.memory().write(from.bytes(), to.bytes(), from.size_bytes());
      }
      runtime::Writing(state.at("step")).i32()[0] = step;
      const train::StepVariant variant = train::variant_of_step(golden.config, step);
      if (!programs.count(variant)) {
        Graph graph;
        golden.build(graph, variant);
        programs.emplace(variant, compiler::compile(graph, options, state, arena));
      }
      programs.at(variant).run();
      for (const std::string network : {"g", "d"}) {
        if (network == "g" && !variant.update_g) continue;
        const auto expected = static_cast<double>(golden.at("curve." + network).f32()[static_cast<std::size_t>(step)]);
        EXPECT_NEAR(state.at("loss." + network).on_host().f32()[0], expected, 1e-5 * std::abs(expected))
            << network << " step " << step;
      }
      if (step > 0 || !variant.update_g) continue;
      const auto output = [&](const std::string& name) {
        const std::vector<double> values = doubles(state.at(name));
        if (name.starts_with("grad.") && !golden.vanishes(name.substr(5))) {
          const std::vector<double>& first = gradients.emplace(name, values).first->second;
          // Both sides are some 1e-6 from float64; biases of the residual network sum values that nearly cancel.
          EXPECT_LE(distance(values, first), (GetParam() == "residual" ? 1e-5 : 4e-6) * norm(first)) << name;
        }
        return values;
      };
      check_step(golden, output, 1e-5);
    }
    for (const auto& [name, expected] : golden.file.tensors) {
      if (!name.starts_with("final.") || name.ends_with("fake")) continue;
      const std::string variable = name.substr(6);
      const std::string plain = variable.starts_with("ema.") ? variable.substr(4) : variable;
      // Adam makes steps of rounding noise, see README.md; our averages include the running statistics, those of
      // make_golden.py copy them.
      if (golden.vanishes(plain)) continue;
      if (!golden.file.metadata.count("settings") && plain.find(".running_") != std::string::npos) continue;
      if (variable.starts_with("ema.") && !state.count(variable)) continue;
      // Where gradients are rounding noise in f32, steps in float64 go elsewhere.
      const double tolerance = options.backend && options.backend != &runtime::default_backend() ? 1e-3 : 1e-5;
      EXPECT_LE(distance(doubles(state.at(variable)), doubles(expected)), tolerance * norm(doubles(expected))) << name;
    }
  }
}

// The generator as it is used after training: stored power-iteration vectors, running statistics, averages.
TEST_P(GoldenTest, SamplesFollowPyTorch) {
  const Golden golden(GetParam());
  for (const runtime::Backend* backend : all_backends())
    for (const std::string prefix : {"final.", "final.ema."}) {
      if (!golden.file.tensors.count(prefix + "fake")) continue;
      Graph graph;
      runtime::State state;
      for (const nn::Variable& variable : train::build_sampler(graph, golden.config, golden.spec, golden.batch))
        state[variable.name] = Array(variable.shape, golden.at(prefix + variable.name).f32());
      runtime::Arena arena;
      const runtime::Program program = compiler::compile(graph, {.backend = backend}, state, arena);
      for (const auto& [part, from] : golden.batch_of(golden.steps - 1))
        if (part != "x") state.at(part).memory().write(from.bytes(), state.at(part).bytes(), from.size_bytes());
      program.run();
      const std::vector<double> expected = doubles(golden.at(prefix + "fake"));
      EXPECT_LE(distance(doubles(state.at("samples")), expected), 1e-5 * norm(expected)) << prefix;
    }
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest,
                         testing::Values("bce_sn", "lsgan_sigmoid_sn", "bce_plain", "lsgan_pearson", "lsgan_r1_r2",
                                         "bce_sgd", "bce_gain_bn_ema", "conv_hinge", "conv_auxiliary",
                                         "conv_relativistic", "conv_pack", "residual", "mlp_pack", "paper",
                                         "paper_pack", "mlp_random", "vector_near", "vector_schedule", "conv_columns",
                                         "mlp_columns"),
                         [](const auto& info) { return info.param; });

// ---- bf16 ----

/// The values of bf16_errors.json's tensors: uniform numbers of SplitMix64 (Steele et al. 2014).
std::vector<float> made(std::uint64_t tensor, const graph::Shape& shape, double scale, bool normalise) {
  std::vector<float> values(static_cast<std::size_t>(graph::element_count(shape)));
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint64_t s = (tensor << 32) + i + 0x9E3779B97F4A7C15;
    s = (s ^ (s >> 30)) * 0xBF58476D1CE4E5B9;
    s = (s ^ (s >> 27)) * 0x94D049BB133111EB;
    s ^= s >> 31;
    values[i] = (static_cast<float>(s >> 40) / 16777216.0f * 2 - 1) * static_cast<float>(scale);
    squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  if (normalise)
    for (float& value : values) value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
  return values;
}

class Bf16Test : public testing::TestWithParam<std::string> {};

/// The graph of a step of the tutorial's networks with its gradients as outputs, and the state of a draw.
struct Bf16Step {
  Bf16Step(const nlohmann::json& golden, const std::string& loss, int draw) {
    Config config;  // the tutorial's networks
    config.model.g.spectral_norm = true;
    config.loss.name = loss == "bce" ? "bce" : "least_squares";
    config.loss.sigmoid = loss != "bce";
    config.train.ema = 0;
    const std::int64_t batch = golden["batch"];
    const models::ModelSpec spec = train::model_spec(config, {1, 28, 28}, data::label_condition(10));
    train::build_step(graph, config, spec,
                      {.batch = batch, .variant = {}, .gradient_outputs = true, .latent_input = true});
    for (const auto& tensor : golden["tensors"]) {
      std::string name = tensor["name"];
      if (name.size() == 1) name = "batch." + name;
      const graph::Shape shape = tensor["shape"];
      state[name] = Array(shape, made(tensor["t"].get<std::uint64_t>() + 1000 * static_cast<std::uint64_t>(draw), shape,
                                      tensor["scale"], tensor["normalise"]));
    }
    state["batch.y"] = Array({DType::i32, {batch}});
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i)
      state["batch.y"].i32()[i] = static_cast<int>(i % 10);
  }
  ReferenceValues exact() const {
    ReferenceValues inputs;
    for (const auto& [name, id] : graph.inputs()) {
      const auto made_here = state.find(name);
      inputs[name] = made_here != state.end()
                         ? doubles(made_here->second)
                         : std::vector<double>(static_cast<std::size_t>(graph.node(id).type.elements()), 0.0);
    }
    return runtime::evaluate_reference(graph, inputs);
  }

  Graph graph;
  runtime::State state;
};

// No gradient of a whole step in bf16 is further from float64 than 1.2 times PyTorch's autocast is (medians of draws).
TEST_P(Bf16Test, NoWorseThanAutocast) {
  const auto golden = nlohmann::json::parse(std::ifstream(std::string(GAN_GOLDEN_DIR) + "/bf16_errors.json"));
  const auto& loss = golden["losses"][GetParam()];
  std::map<std::pair<std::string, std::string>, std::vector<double>> errors;  // by backend and gradient
  const int draws = golden["draws"];
  for (int draw = 0; draw < draws; ++draw) {
    const ReferenceValues exact = Bf16Step(golden, GetParam(), draw).exact();
    for (const runtime::Backend* backend : all_backends()) {
      const std::string target = backend->target().name;
      // The processor always; of the others those that do not multiply as the reference does, with one loss.
      const bool suffices = backend->has_bf16() && !target.starts_with("walled") && GetParam() == "bce";
      if (backend != &runtime::default_backend() && !suffices) continue;
      Bf16Step step(golden, GetParam(), draw);
      runtime::Arena arena;
      const compiler::Options options{.precision = compiler::Precision::bf16, .disabled = {}, .backend = backend};
      compiler::compile(step.graph, options, step.state, arena).run();
      for (const auto& [name, entry] : loss["gradients"].items()) {
        const std::vector<double>& expected = exact.at(name);
        const double expected_norm = entry["norm"][static_cast<std::size_t>(draw)];
        EXPECT_NEAR(norm(expected), expected_norm, 1e-6 * expected_norm) << name;
        errors[{target, name}].push_back(distance(doubles(step.state.at(name)), expected) / norm(expected));
      }
    }
  }
  for (auto& [key, values] : errors) {
    const auto& [target, name] = key;
    std::sort(values.begin(), values.end());
    const double ours = values[values.size() / 2], theirs = loss["gradients"][name]["median_error"];
    RecordProperty(target + " " + name, fmt::format("{:.5f} against {:.5f}", ours, theirs));
    EXPECT_LE(ours, 1.2 * theirs) << target << " " << name;
    EXPECT_GT(ours, 0) << target << " " << name << ": nothing was rounded";
  }
}

// Weights that are rounded as they are written are those that are rounded when they are read.
TEST(Bf16, CarriedWeightsChangeNothing) {
  std::map<std::string, std::vector<double>> results[2];
  for (const bool carried : {false, true}) {
    const train::Config config = train::load_preset("lsgan-r1r2");
    Graph graph;
    const auto variables = train::build_step(
        graph, config, train::model_spec(config, {1, 4, 5}, data::label_condition(3)), {.batch = 8, .variant = {}});
    runtime::State state;
    nn::initialize(variables, /*seed=*/5, state);
    runtime::Arena arena;
    compiler::Options options{.precision = compiler::Precision::bf16, .disabled = {}};
    if (!carried) options.disabled = {"carry"};
    const runtime::Program program = compiler::compile(graph, options, state, arena);
    EXPECT_EQ(state.count("discriminator.model.0.weight.bf16"), carried ? 1u : 0u);
    for (float& x : state.at("batch.x").f32()) x = 0.25f;
    for (int step = 0; step < 3; ++step) program.run();
    for (const nn::Variable& variable : variables) results[carried][variable.name] = doubles(state.at(variable.name));
  }
  EXPECT_EQ(results[0], results[1]);
}

INSTANTIATE_TEST_SUITE_P(Losses, Bf16Test, testing::Values("bce", "lsgan_sigmoid"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace gan::test
