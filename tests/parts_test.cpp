#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <sstream>

#include "autodiff/gradient.h"
#include "compiler/compile.h"
#include "io/safetensors.h"
#include "losses/loss.h"
#include "models/condition.h"
#include "nn/augment.h"
#include "nn/layers.h"
#include "optim/optimizer.h"
#include "runtime/reference/reference.h"
#include "train/step.h"

// Losses, penalties, conditions, random layers, schedules and averages by themselves: against PyTorch
// (tests/golden/README.md says what parts.safetensors and conditions.safetensors hold) or closed forms, in the float64
// reference and compiled, with all passes and with none.
namespace gan::test {
namespace {

using namespace ops;
using Values = std::vector<double>;

/// Both files, whose names differ.
const io::Safetensors& golden() {
  static const io::Safetensors file = [] {
    io::Safetensors both = io::read_safetensors(std::string(GAN_GOLDEN_DIR) + "/parts.safetensors");
    both.tensors.merge(io::read_safetensors(std::string(GAN_GOLDEN_DIR) + "/conditions.safetensors").tensors);
    return both;
  }();
  return file;
}

Values golden_values(const std::string& name) {
  const runtime::Array& array = golden().tensors.at(name);
  if (array.type().dtype == DType::i32) return {array.i32().begin(), array.i32().end()};
  return {array.f32().begin(), array.f32().end()};
}

Tensor golden_input(Graph& g, const std::string& name) { return g.input(name, golden().tensors.at(name).type()); }

/// What a graph computes in one of the three ways.
struct Results {
  const char* how;
  double tolerance;
  runtime::ReferenceValues values;
};

/// Evaluates the graph that `build` makes: in float64, compiled, and compiled without passes. Inputs that are not
/// given come from the golden files.
std::vector<Results> evaluate(const std::function<void(Graph&)>& build, runtime::ReferenceValues inputs = {}) {
  std::vector<Results> results;
  for (const char* how : {"reference", "compiled", "no passes"}) {
    Graph g;
    build(g);
    runtime::State state;
    for (const auto& [name, id] : g.inputs()) {
      if (!inputs.count(name)) inputs[name] = golden_values(name);
      runtime::Array& array = state[name] = runtime::Array(g.node(id).type);
      for (std::size_t i = 0; i < inputs[name].size(); ++i) {
        if (array.type().dtype == DType::i32)
          array.i32()[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(inputs[name][i]));
        else
          array.f32()[i] = static_cast<float>(inputs[name][i]);
      }
    }
    if (how == std::string("reference")) {
      results.push_back({how, 2e-7, runtime::evaluate_reference(g, inputs)});
      continue;
    }
    std::vector<std::string> outputs;
    for (const auto& [name, id] : g.outputs()) outputs.push_back(name);
    runtime::Arena arena;
    compiler::Options options;
    if (how == std::string("no passes")) options.disabled = {"all"};
    compiler::compile(g, options, state, arena).run();
    results.push_back({how, 5e-6, {}});
    for (const std::string& name : outputs) {
      const std::span<const float> values = state.at(name).f32();
      results.back().values[name] = Values(values.begin(), values.end());
    }
  }
  return results;
}

/// Expects each output to be the golden tensor of its name.
void expect_golden(const std::vector<Results>& results, std::size_t outputs) {
  for (const auto& [how, tolerance, values] : results) {
    EXPECT_EQ(values.size(), outputs) << how;
    for (const auto& [name, actual] : values) {
      const Values expected = golden_values(name);
      ASSERT_EQ(actual.size(), expected.size()) << name;
      double difference = 0, scale = 0;
      for (std::size_t i = 0; i < actual.size(); ++i) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        scale += expected[i] * expected[i];
      }
      EXPECT_LE(std::sqrt(difference), tolerance * std::sqrt(scale)) << name << ", " << how;
    }
  }
}

/// Random numbers of the golden file's seed.
void set_random(nn::Variables& variables) {
  Graph& g = variables.graph();
  variables.set_random({g.input("key", {DType::i32, {2}}), g.input("step", {DType::i32, {1}})});
}

runtime::ReferenceValues random_inputs(std::int64_t step) {
  const std::uint64_t seed = std::stoull(golden().metadata.at("random_seed"));
  return {{"key", {static_cast<double>(seed & 0xFFFFFFFF), static_cast<double>(seed >> 32)}},
          {"step", {static_cast<double>(step)}}};
}

// ---- losses ----

TEST(LossParts, EveryLossAndItsGradientsFollowPyTorch) {
  std::set<std::string_view> checked;
  std::stringstream names(golden().metadata.at("losses"));
  for (std::string entry; std::getline(names, entry, ',');) {
    const std::string name = entry.substr(0, entry.find('.')), option = entry.substr(entry.find('.') + 1);
    losses::LossSpec spec;
    spec.saturating = option == "saturating";
    if (option == "smoothing") spec.smoothing = std::stod(golden().metadata.at("smoothing"));
    const losses::Loss& loss = losses::find_loss(name);
    checked.insert(loss.name);
    for (const bool of_g : {true, false}) {
      const std::string key = fmt::format("loss.{}.{}", entry, of_g ? "g" : "d");
      const auto build = [&](Graph& g) {
        const Tensor real = golden_input(g, "loss.real"), fake = golden_input(g, "loss.fake");
        const Tensor value = (of_g ? loss.generator : loss.discriminator)(spec, real, fake);
        const std::vector<Tensor> gradients = autodiff::gradient(value, {real, fake});
        g.output(key, value);
        g.output(key + ".by_real", gradients[0]);
        g.output(key + ".by_fake", gradients[1]);
      };
      expect_golden(evaluate(build), 3);
    }
  }
  EXPECT_EQ(checked.size(), losses::loss_table().size()) << "a loss without golden values";
}

TEST(LossParts, SoftmaxCrossEntropyFollowsPyTorch) {
  const auto build = [](Graph& g) {
    const Tensor logits = golden_input(g, "entropy.logits");
    const Tensor value = nn::softmax_cross_entropy(logits, golden_input(g, "entropy.labels"));
    g.output("entropy", value);
    g.output("entropy.by_logits", autodiff::gradient(value, {logits})[0]);
  };
  expect_golden(evaluate(build), 2);
}

// ---- penalties ----

/// D(x) = tanh(x W1 + b) W2 on samples in packs.
struct SmallDiscriminator {
  Tensor w1, b, w2;
  Tensor operator()(Tensor x) const {
    const std::int64_t rows = x.elements() / w1.dim(0);
    return matmul(tanh(matmul(reshape(x, {rows, w1.dim(0)}), w1) + b), w2);
  }
};

TEST(PenaltyParts, EveryPenaltyAndItsGradientsFollowPyTorch) {
  for (const losses::Penalty* penalty : losses::penalty_table()) {
    for (const int pack : {1, 2}) {
      const auto build = [&](Graph& g) {
        const std::string prefix = fmt::format("penalty.pack{}.", pack), key = prefix + std::string(penalty->name);
        const SmallDiscriminator d{golden_input(g, prefix + "w1"), golden_input(g, prefix + "b"),
                                   golden_input(g, prefix + "w2")};
        const Tensor real = golden_input(g, "penalty.real"), fake = golden_input(g, "penalty.fake");
        const Tensor term = penalty->term({.real = real,
                                           .fake = fake,
                                           .real_squares = [&] { return losses::squared_gradients(d(real), real); },
                                           .fake_squares = [&] { return losses::squared_gradients(d(fake), fake); },
                                           .discriminate = d,
                                           .uniform =
                                               [&](std::string_view name, const graph::Shape& shape) {
                                                 const Tensor u = golden_input(g, "penalty." + std::string(name));
                                                 EXPECT_EQ(u.shape(), shape);
                                                 return u;
                                               },
                                           .batch_mean = [](Tensor x) { return mean(x); }});
        const std::vector<Tensor> gradients = autodiff::gradient(term, {d.w1, d.b, d.w2});
        g.output(key, term);
        g.output(key + ".by_w1", gradients[0]);
        g.output(key + ".by_b", gradients[1]);
        g.output(key + ".by_w2", gradients[2]);
      };
      expect_golden(evaluate(build), 4);
    }
  }
}

TEST(PenaltyParts, LengthPenaltyOfADeadDiscriminatorIsOneAndHasNoGradient) {
  const auto build = [](Graph& g) {
    const Tensor x = g.input("x", {DType::f32, {4, 3}}), w = g.input("w", {DType::f32, {3, 1}});
    const Tensor bias = g.input("bias", {DType::f32, {1, 1}});
    const Tensor term = losses::gradient_length_penalty(relu(matmul(x, w) + bias), x, 1);
    g.output("term", term);
    g.output("by_w", autodiff::gradient(term, {w})[0]);
  };
  // All weights zero; and a unit that no row turns on.
  for (const Values& w : {Values{0, 0, 0}, Values{1, 2, 3}}) {
    for (const auto& [how, _, values] : evaluate(build, {{"x", Values(12, 0.5)}, {"w", w}, {"bias", {-9}}})) {
      EXPECT_NEAR(values.at("term")[0], 1, 3e-6) << how;
      for (double gradient : values.at("by_w")) EXPECT_EQ(gradient, 0) << how;
    }
  }
  // Zero weights of a unit that is on: the gradient by x is 0 there, that of the penalty too, and not NaN.
  for (const auto& [how, _, values] : evaluate(build, {{"x", Values(12, 0.5)}, {"w", {0, 0, 0}}, {"bias", {9}}})) {
    EXPECT_NEAR(values.at("term")[0], 1, 3e-6) << how;
    for (double gradient : values.at("by_w")) EXPECT_EQ(gradient, 0) << how;
  }
}

// ---- conditions ----

/// Categories, a number and a periodic number, as make_parts.py has them.
data::ConditionSpec three_columns() {
  data::ConditionColumn size{.name = "size"}, angle{.name = "angle"};
  size.number = {.minimum = -2, .maximum = 13, .scaling = {.kind = "standard", .offset = 4.25, .scale = 3.5}};
  angle.number = {.maximum = 350, .period = 360, .fourier = 1};
  return {{{.name = "colour", .categories = 5}, size, angle}};
}

TEST(ConditionParts, FeaturesOfNumbersFollowNumpy) {
  for (const data::ConditionColumn& column : three_columns().columns) {
    if (!column.is_numeric()) continue;
    const Values values = golden_values("condition.y." + column.name);
    const Values expected = golden_values("condition.features." + column.name);
    const auto width = static_cast<std::size_t>(column.width());
    ASSERT_EQ(expected.size(), values.size() * width);
    std::vector<float> features(width);
    for (std::size_t row = 0; row < values.size(); ++row) {
      column.number.copy_features(values[row], features.data());
      for (std::size_t k = 0; k < width; ++k) EXPECT_NEAR(features[k], expected[row * width + k], 1e-7) << column.name;
    }
  }
}

/// A scalar of the condition and x as make_parts.py has it, in the scope of the way in.
Tensor value_of(const std::string& way, nn::Variables& variables, Tensor x, const models::Condition& y) {
  Graph& g = variables.graph();
  models::ModelSpec spec;
  spec.embedding = 2;
  spec.condition = three_columns();
  spec.g.activation = "tanh";
  spec.g.batch_norm = way == "norm";
  spec.g.condition = way == "norm" ? "batch_norm" : way;
  spec.d = spec.g;
  nn::Scope s(variables, way);
  if (way == "embedding" || way == "one_hot") {
    const Tensor joined = models::join_condition(s, spec, spec.g, x, y);
    return sum(tanh(matmul(joined, golden_input(g, "condition.joined"))) * golden_input(g, "condition.weights"));
  }
  const Tensor h = matmul(x, golden_input(g, "condition.hidden"));
  if (way == "norm") return sum(models::finish_hidden(s, spec, spec.g, h, y) * golden_input(g, "condition.weights"));
  const models::Verdicts verdicts = models::judge_features(s, spec, tanh(h), y);
  const Tensor logits = sum(verdicts.logits);
  return way == "auxiliary" ? models::auxiliary_loss(spec, verdicts, y) + logits : logits;
}

// First derivatives, and those of half the squared gradient by x, as R1 has it.
TEST(ConditionParts, EveryWayInAndItsGradientsFollowPyTorch) {
  for (const std::string way : {"embedding", "one_hot", "norm", "projection", "auxiliary"}) {
    std::size_t outputs = 0;
    const auto build = [&](Graph& g) {
      nn::Variables variables(g, true);
      const Tensor x = golden_input(g, "condition.x");
      const models::Condition y{{golden_input(g, "condition.y.colour"), golden_input(g, "condition.features.size"),
                                 golden_input(g, "condition.features.angle")}};
      const Tensor value = value_of(way, variables, x, y);
      std::vector<std::string> names{way + ".x", way + ".size", way + ".angle"};
      std::vector<Tensor> of{x, y.columns[1], y.columns[2]};
      for (const nn::Variable& parameter : variables.select(way, nn::Role::parameter)) {
        names.push_back(parameter.name);
        of.push_back(parameter.value);
      }
      const std::vector<Tensor> first = autodiff::gradient(value, of);
      const Tensor steepness = sum(square(first[0])) * 0.5;
      const std::vector<Tensor> second = autodiff::gradient(steepness, of);
      g.output("value." + way, value);
      g.output("steepness." + way, steepness);
      for (std::size_t i = 0; i < of.size(); ++i) {
        g.output("by." + names[i], first[i]);
        g.output("steepness.by." + names[i], second[i]);
      }
      outputs = 2 + 2 * of.size();
    };
    runtime::ReferenceValues statistics;  // which training does not read
    if (way == "norm") statistics = {{"norm.model.0.running_mean", Values(4)}, {"norm.model.0.running_var", Values(4)}};
    const std::vector<Results> results = evaluate(build, statistics);
    std::size_t stored = 0;
    for (const auto& [name, tensor] : golden().tensors)
      stored += name.find("value." + way) == 0 || name.find("steepness." + way) == 0 ||
                name.find("by." + way + ".") != std::string::npos;
    EXPECT_EQ(outputs, stored) << way;  // no parameter is missing
    expect_golden(results, outputs);
  }
}

// ---- random layers ----

TEST(AugmentParts, EveryChangeAndItsGradientFollowPyTorch) {
  struct Case {
    const char* name;
    nn::AugmentOptions options;
  };
  for (const auto& [name, options] : {Case{"translation", {.translation = 0.3}}, Case{"cutout", {.cutout = 0.5}},
                                      Case{"brightness", {.brightness = 0.8}}, Case{"all", {0.3, 0.5, 0.8}}}) {
    const auto build = [&, key = std::string("augment.") + name, options = options](Graph& g) {
      nn::Variables variables(g, true);
      set_random(variables);
      variables.begin_pass("real");
      const Tensor x = golden_input(g, "augment.x");
      const Tensor y = nn::augment(nn::Scope(variables, "discriminator"), x, options);
      g.output(key, y);
      g.output(key + ".by_x", autodiff::gradient(sum(y * golden_input(g, "augment.weights")), {x})[0]);
    };
    expect_golden(evaluate(build, random_inputs(3)), 2);
  }
}

TEST(AugmentParts, MovesAndBoxesReachTheirEnds) {
  const auto build = [](Graph& g) {
    const Tensor x = golden_input(g, "augment.x"), u = golden_input(g, "augment.u");
    for (const auto& [y, x_] : {std::pair{0, 1}, {2, 3}, {9, 4}})
      g.output(fmt::format("augment.shift.{}.{}", y, x_), shift_images(x, u, y, x_));
    for (const auto& [height, width] : {std::pair{3, 2}, {2, 1}, {7, 4}, {0, 3}})
      g.output(fmt::format("augment.box.{}.{}", height, width), cutout_mask(u, 7, 4, height, width));
  };
  expect_golden(evaluate(build), 7);
}

TEST(RandomLayers, PassesOfOneNameDrawAlikeAndOthersDoNot) {
  const auto build = [](Graph& g) {
    nn::Variables variables(g, true);
    set_random(variables);
    const Tensor x = golden_input(g, "augment.x");
    int use = 0;
    for (const char* pass : {"fake", "fake", "real"}) {
      variables.begin_pass(pass);
      const nn::Scope scope(variables, "discriminator");
      g.output(fmt::format("augmented.{}", use), nn::augment(scope, x, {0.3, 0.5, 0.8}));
      g.output(fmt::format("dropped.{}", use), nn::dropout(scope, x, 0.4));
      g.output(fmt::format("noise.{}", use++), scope.normal("noise", x.shape()));
    }
  };
  const std::vector<Results> first = evaluate(build, random_inputs(7)), later = evaluate(build, random_inputs(8));
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (const std::string name : {"augmented.", "dropped.", "noise."}) {
      const auto& values = first[i].values;
      EXPECT_EQ(values.at(name + "0"), values.at(name + "1")) << first[i].how;
      EXPECT_NE(values.at(name + "0"), values.at(name + "2")) << first[i].how;
      EXPECT_NE(values.at(name + "0"), later[i].values.at(name + "0")) << first[i].how;
    }
  }
}

TEST(Dropout, KeepsItsShareDividesByItAndStandsAsideAfterTraining) {
  constexpr double kRate = 0.3;
  constexpr std::size_t kCount = 40000;
  for (const bool training : {true, false}) {
    const auto build = [&](Graph& g) {
      nn::Variables variables(g, training);
      set_random(variables);
      const Tensor x = g.input("x", {DType::f32, {200, 200}});
      const Tensor y = nn::dropout(nn::Scope(variables, "layer"), x, kRate);
      g.output("y", y);
      g.output("by_x", autodiff::gradient(sum(square(y)), {x})[0]);
    };
    runtime::ReferenceValues inputs = random_inputs(0);
    inputs["x"] = Values(kCount, 3.5);
    for (const auto& [how, tolerance, values] : evaluate(build, inputs)) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < kCount; ++i) {
        const double y = values.at("y")[i], scale = training && y != 0 ? 1 / (1 - kRate) : 1;
        if (y == 0) {
          ASSERT_EQ(values.at("by_x")[i], 0) << how;
          continue;
        }
        ++kept;
        ASSERT_NEAR(y, 3.5 * scale, 3.5 * tolerance) << how;
        ASSERT_NEAR(values.at("by_x")[i], 2 * 3.5 * scale * scale, 15 * tolerance) << how;
      }
      if (training)  // within five standard deviations
        EXPECT_NEAR(static_cast<double>(kept) / kCount, 1 - kRate, 5 * std::sqrt(kRate * (1 - kRate) / kCount)) << how;
      else
        EXPECT_EQ(kept, kCount) << how;
    }
  }
}

// ---- schedules and averages ----

/// The value of a scalar graph of t, in each of the three ways.
void expect_at(double t, double expected, const std::function<Tensor(Tensor t)>& build) {
  const auto of_t = [&](Graph& g) { g.output("value", build(g.input("t", {DType::f32, {}}))); };
  for (const auto& [how, tolerance, values] : evaluate(of_t, {{"t", {t}}}))
    EXPECT_NEAR(values.at("value")[0], expected, tolerance * std::abs(expected)) << "t = " << t << ", " << how;
}

TEST(Schedules, GoAlongTheirClosedForms) {
  for (const double warmup : {0.0, 4.0}) {
    for (int t = 0; t < 20; ++t) {
      const double over = std::clamp((t - 6) / 8.0, 0.0, 1.0);
      const double rise = warmup > 0 ? std::min((t + 1) / warmup, 1.0) : 1.0;
      const std::map<std::string, double> shapes{
          {"constant", 1}, {"linear", 1 - 0.8 * over}, {"exponential", std::pow(0.2, over)}};
      for (const auto& [name, shape] : shapes) {
        const optim::OptimizerSpec spec{
            .lr = 0.03, .schedule = {.name = name, .start = 6, .steps = 8, .final = 0.2, .warmup = warmup}};
        expect_at(t, 0.03 * rise * shape, [&](Tensor now) { return optim::learning_rate(spec, now); });
      }
    }
  }
}

TEST(Schedules, RatesFallOverTheEndOfTheBudget) {
  for (const auto& [done, factor] : std::map<double, double>{{0, 1}, {0.75, 1}, {0.875, 0.6}, {1, 0.2}})
    expect_at(done, 0.03 * factor, [](Tensor now) {
      const optim::Schedule schedule{.name = "budget", .final = 0.2, .share = 0.25, .done = now};
      return optim::learning_rate({.lr = 0.03, .schedule = schedule}, now);
    });
}

TEST(Schedules, MomentumMovesAndThenStays) {
  // w = 0 and a gradient of 1: the first velocity is momentum(t) * buffer + 1, the step -lr times it.
  for (const double t : {0.0, 1.0, 3.0, 4.0, 9.0}) {
    const double momentum = 0.5 + (0.9 - 0.5) * std::min(t / 4, 1.0);
    const auto build = [](Graph& g) {
      nn::Variables variables(g, true);
      const Tensor w = variables.declare("w", {1}, nn::Init::constant(0), nn::Role::parameter);
      const optim::OptimizerSpec spec{
          .lr = 0.1, .schedule = {}, .momentum = 0.5, .momentum_final = 0.9, .momentum_steps = 4};
      optim::find_optimizer("sgd").apply(variables, spec, {{"w", {1}, {}, nn::Role::parameter, w}},
                                         {constant(g, 1, {1})}, g.input("t", {DType::f32, {}}));
      variables.finish();
    };
    for (const auto& [how, tolerance, values] : evaluate(build, {{"t", {t}}, {"w", {0}}, {"sgd.momentum.w", {2}}})) {
      EXPECT_NEAR(values.at("sgd.momentum.w")[0], 2 * momentum + 1, 3 * tolerance) << how;
      EXPECT_NEAR(values.at("w")[0], -0.1 * (2 * momentum + 1), tolerance) << how;
    }
  }
}

TEST(Schedules, EpsilonMovesWithTheRates) {
  // Without decay the moments are the gradient, 3, and its square: the step is -lr * 3 / (3 + epsilon(t)).
  for (const auto& [name, end] : std::map<std::string, double>{{"linear", 7}, {"exponential", 7}, {"constant", 1}}) {
    for (const double t : {0.0, 2.0, 4.0, 6.0, 9.0}) {
      const double share = std::clamp((t - 2) / 4, 0.0, 1.0), epsilon = 1 + (end - 1) * share;
      const auto build = [&](Graph& g) {
        nn::Variables variables(g, true);
        const Tensor w = variables.declare("w", {1}, nn::Init::constant(0), nn::Role::parameter);
        const optim::OptimizerSpec spec{.lr = 0.1,
                                        .schedule = {.name = name, .start = 2, .steps = 4},
                                        .beta1 = 0,
                                        .beta2 = 0,
                                        .epsilon = 1,
                                        .epsilon_final = 7};
        optim::find_optimizer("adam").apply(variables, spec, {{"w", {1}, {}, nn::Role::parameter, w}},
                                            {constant(g, 3, {1})}, g.input("t", {DType::f32, {}}));
        variables.finish();
      };
      for (const auto& [how, tolerance, values] : evaluate(build, {{"t", {t}}, {"w", {0}}, {"adam.v.w", {0}}}))
        EXPECT_NEAR(values.at("w")[0], -0.1 * 3 / (3 + epsilon), tolerance) << how << ", " << name << ", t = " << t;
    }
  }
}

TEST(Averages, WarmUpUntilTheDecayIsReached) {
  for (const bool warmup : {true, false}) {
    for (const double t : {0.0, 1.0, 9.0, 79.0, 82.0, 5000.0}) {  // (1 + 80) / (10 + 80) = 0.9
      const double decay = warmup ? std::min(0.9, (1 + t) / (10 + t)) : 0.9;
      const auto build = [&](Graph& g) {
        nn::Variables variables(g, true);
        const Tensor w = variables.declare("w", {1}, nn::Init::constant(0), nn::Role::parameter);
        variables.update("w", w * 2.0);  // the average follows the value behind the update
        optim::average(variables, variables.select("w", nn::Role::parameter), 0.9, warmup,
                       g.input("t", {DType::f32, {}}));
        variables.finish();
      };
      for (const auto& [how, tolerance, values] : evaluate(build, {{"t", {t}}, {"w", {3}}, {"ema.w", {-1}}}))
        EXPECT_NEAR(values.at("ema.w")[0], -decay + 6 * (1 - decay), 7 * tolerance) << how << ", t = " << t;
    }
  }
}

TEST(StepVariants, PenaltiesComeFirstAndTheGeneratorLast) {
  train::Config config;
  config.penalty.every = 3;
  config.train.d_steps = 2;
  for (std::int64_t step = 0; step < 12; ++step) {
    const train::StepVariant variant = train::variant_of_step(config, step);
    EXPECT_EQ(variant.penalties, step % 3 == 0) << step;
    EXPECT_EQ(variant.update_g, step % 2 == 1) << step;
  }
}

// A step in which G rests leaves its weights, moments and averages alone and trains D as the whole step does, but for
// the rounding of products that only the whole step shares.
TEST(StepVariants, ARestingGeneratorIsLeftAlone) {
  train::Config config;
  config.model.latent = 3;
  config.model.g.widths = config.model.d.widths = {5};
  config.penalty.weights["r1"] = 0.5;
  const models::ModelSpec spec = train::model_spec(config, {2}, data::label_condition(3));
  Graph whole;
  const std::vector<nn::Variable> variables = train::build_step(whole, config, spec, {.batch = 6});
  const auto state_after = [&](const train::StepVariant& variant) {
    runtime::State state;
    nn::initialize(variables, 5, state);
    Graph g;
    train::build_step(g, config, spec, {.batch = 6, .variant = variant});
    runtime::Arena arena;
    compiler::compile(g, {}, state, arena).run();
    return state;
  };
  runtime::State start;
  nn::initialize(variables, 5, start);
  const runtime::State trained = state_after({}), rested = state_after({.update_g = false});
  int of_g = 0;
  for (const nn::Variable& variable : variables) {
    const bool resting = variable.name.find("generator.") != std::string::npos;
    of_g += resting;
    const std::span<const float> expected = (resting ? start : trained).at(variable.name).f32();
    const std::span<const float> actual = rested.at(variable.name).f32(), moved = trained.at(variable.name).f32();
    if (!resting) {
      double error = 0, norm = 0;
      for (std::size_t i = 0; i < actual.size(); ++i) {
        error += std::pow(actual[i] - expected[i], 2);
        norm += std::pow(expected[i], 2);
      }
      EXPECT_LE(error, 1e-12 * norm) << variable.name;
      continue;
    }
    EXPECT_TRUE(std::equal(actual.begin(), actual.end(), expected.begin())) << variable.name;
    EXPECT_FALSE(std::equal(moved.begin(), moved.end(), expected.begin())) << variable.name;
  }
  EXPECT_EQ(of_g, 5 * 4);  // an embedding and two layers: weights, two moments, averages
}

}  // namespace
}  // namespace gan::test
