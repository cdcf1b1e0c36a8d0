#include "train/step.h"

#include "autodiff/gradient.h"
#include "base/random.h"
#include "losses/loss.h"
#include "ops/ops.h"
#include "optim/optimizer.h"

namespace gan::train {

using namespace ops;
using nn::Role;
using nn::Scope;
using nn::Variable;
using nn::Variables;

models::ModelSpec model_spec(const Config& config, const graph::Shape& sample, std::int64_t classes) {
  return {.sample = sample,
          .classes = classes,
          .latent = config.model.latent,
          .embedding = config.model.embedding,
          .g = config.model.g,
          .d = config.model.d};
}

namespace {

Shape batch_shape(std::int64_t batch, const Shape& sample) {
  Shape shape{batch};
  shape.insert(shape.end(), sample.begin(), sample.end());
  return shape;
}

std::optional<Tensor> labels(Graph& graph, const std::string& name, const models::ModelSpec& spec, std::int64_t batch) {
  if (spec.classes == 0) return std::nullopt;
  return graph.input(name, {DType::i32, {batch}});
}

Tensor draw_latents(Graph& graph, const Config& config, Tensor step, const Shape& shape) {
  const Tensor key = graph.input("random.key", {DType::i32, {2}});
  const std::uint32_t stream = base::stream_of("latents");
  if (config.model.latent_distribution == "uniform") return random_uniform(key, step, stream, shape) * 2.0 - 1.0;
  return random_normal(key, step, stream, shape);
}

Tensor gradient_norm(const std::vector<Tensor>& gradients) {
  Tensor squares = sum(square(gradients[0]));
  for (std::size_t i = 1; i < gradients.size(); ++i) squares = squares + sum(square(gradients[i]));
  return sqrt(squares);
}

/// The gradient of one network's loss by its parameters, their next values, and what was asked for beside.
void train_network(Variables& variables, const Config& config, const StepOptions& options, const std::string& network,
                   double lr, Tensor loss, Tensor step) {
  Graph& graph = variables.graph();
  const std::vector<Variable> parameters = variables.select(network + ".", Role::parameter);
  std::vector<Tensor> values;
  for (const Variable& parameter : parameters) values.push_back(parameter.value);
  const std::vector<Tensor> gradients = autodiff::gradient(loss, values);
  const optim::OptimizerSpec spec{.lr = lr,
                                  .beta1 = config.optim.beta1,
                                  .beta2 = config.optim.beta2,
                                  .epsilon = config.optim.epsilon,
                                  .momentum = config.optim.momentum,
                                  .weight_decay = config.optim.weight_decay};
  optim::find_optimizer(config.optim.name).apply(variables, spec, parameters, gradients, step);
  const std::string letter = network.substr(0, 1);
  graph.output("loss." + letter, loss);
  if (options.gradient_norms) graph.output("norm." + letter, gradient_norm(gradients));
  if (options.gradient_outputs)
    for (std::size_t i = 0; i < gradients.size(); ++i) graph.output("grad." + parameters[i].name, gradients[i]);
}

}  // namespace

std::vector<Variable> build_step(Graph& graph, const Config& config, const models::ModelSpec& spec,
                                 const StepOptions& options) {
  Variables variables(graph, /*training=*/true);
  const models::Model& model = models::find_model(config.model.kind);
  const losses::Loss& loss = losses::find_loss(config.loss.name);
  const losses::LossSpec loss_spec{.saturating = config.loss.saturating,
                                   .sigmoid = config.loss.sigmoid,
                                   .a = config.loss.a,
                                   .b = config.loss.b,
                                   .c = config.loss.c};
  const Tensor step = graph.input("step", {DType::i32, {1}});
  const Tensor x = graph.input("batch.x", {DType::f32, batch_shape(options.batch, spec.sample)});
  const std::optional<Tensor> y = labels(graph, "batch.y", spec, options.batch);
  const Shape latent_shape{options.batch, spec.latent};
  const Tensor z = options.latent_input ? graph.input("batch.z", {DType::f32, latent_shape})
                                        : draw_latents(graph, config, step, latent_shape);
  const auto discriminate = [&](Tensor samples) {
    Scope scope(variables, kDiscriminator);
    return model.discriminator(scope, spec, samples, y);  // [N, 1]
  };

  Scope scope(variables, kGenerator);
  const Tensor fake = model.generator(scope, spec, z, y);
  const Tensor detached = stop_gradient(fake);
  const Tensor real_logits = discriminate(x), fake_logits = discriminate(fake),
               detached_logits = discriminate(detached);

  const Tensor loss_g = loss.generator(loss_spec, real_logits, fake_logits);
  Tensor loss_d = loss.discriminator(loss_spec, real_logits, detached_logits);
  if (config.penalty.r1 > 0) loss_d = loss_d + losses::gradient_penalty(real_logits, x) * (config.penalty.r1 / 2);
  if (config.penalty.r2 > 0)
    loss_d = loss_d + losses::gradient_penalty(detached_logits, detached) * (config.penalty.r2 / 2);

  train_network(variables, config, options, kGenerator, config.optim.g.lr, loss_g, step);
  train_network(variables, config, options, kDiscriminator, config.optim.d.lr, loss_d, step);
  if (config.train.ema > 0) {
    const std::string prefix = std::string(kGenerator) + ".";
    optim::average(variables, variables.select(prefix, Role::parameter), config.train.ema);
    optim::average(variables, variables.select(prefix, Role::statistic), config.train.ema);
  }
  graph.output("verdict.real", mean(loss.verdict(loss_spec, real_logits)));
  graph.output("verdict.fake", mean(loss.verdict(loss_spec, fake_logits)));
  graph.output("logits.real", real_logits);
  graph.output("logits.fake", fake_logits);
  graph.output("fake", fake);
  variables.finish();
  return variables.all();
}

std::vector<Variable> build_sampler(Graph& graph, const Config& config, const models::ModelSpec& spec,
                                    std::int64_t batch) {
  Variables variables(graph, /*training=*/false);
  const Tensor z = graph.input("z", {DType::f32, {batch, spec.latent}});
  const std::optional<Tensor> y = labels(graph, "y", spec, batch);
  Scope scope(variables, kGenerator);
  graph.output("samples", models::find_model(config.model.kind).generator(scope, spec, z, y));
  return variables.all();
}

std::vector<Variable> discriminator_variables(const Config& config, const models::ModelSpec& spec) {
  Graph graph;
  Variables variables(graph, /*training=*/false);
  const Tensor x = graph.input("x", {DType::f32, batch_shape(1, spec.sample)});
  const std::optional<Tensor> y = labels(graph, "y", spec, 1);
  Scope scope(variables, kDiscriminator);
  models::find_model(config.model.kind).discriminator(scope, spec, x, y);
  return variables.all();
}

}  // namespace gan::train
