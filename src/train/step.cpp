#include "train/step.h"

#include <algorithm>
#include <functional>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/random.h"
#include "losses/loss.h"
#include "models/condition.h"
#include "nn/augment.h"
#include "ops/ops.h"
#include "optim/optimizer.h"

namespace gan::train {

using namespace ops;
using models::Condition;
using nn::Role;
using nn::Scope;
using nn::Variable;
using nn::Variables;

models::ModelSpec model_spec(const Config& config, const graph::Shape& sample, const data::ConditionSpec& condition) {
  return {config.model, sample, condition};
}

data::ConditionSpec condition_of(const Config& config, const data::ConditionSpec& data) {
  return config.data.unconditional ? data::ConditionSpec() : data;
}

std::string column_input(const std::string& name, const data::ConditionColumn& column) {
  return column.name == "label" ? name : name + "." + column.name;
}

std::vector<runtime::Array> condition_inputs(const runtime::State& state, const std::string& name,
                                             const data::ConditionSpec& spec) {
  std::vector<runtime::Array> inputs;
  for (const data::ConditionColumn& column : spec.columns)
    inputs.push_back(state.at(column_input(name, column)).share());
  return inputs;
}

void write_condition(std::span<runtime::Array> inputs, const data::ConditionSpec& spec,
                     const data::ConditionRows& rows) {
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.columns[c];
    const runtime::Writing input(inputs[c]);
    if (!column.is_numeric()) {
      std::ranges::copy(rows.categories(c), input.i32().begin());
      continue;
    }
    float* features = input.f32().data();
    for (const float value : rows.numbers(c)) {
      column.number.copy_features(static_cast<double>(value), features);
      features += column.width();
    }
  }
}

void write_condition(std::span<runtime::Array> inputs, const data::ConditionSpec& spec, const ConditionBlend& blend) {
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const data::ConditionColumn& column = spec.columns[c];
    const runtime::Writing input(inputs[c]);
    const std::span<float> all = input.f32();
    if (!column.is_numeric()) std::ranges::fill(all, 0.0f);
    for (std::size_t i = 0; i < blend.share.size(); ++i) {
      const std::span<float> row = all.subspan(i * static_cast<std::size_t>(column.width()));
      const float share = blend.share[i];
      if (column.is_numeric()) {
        column.number.copy_features(column.number.between(blend.from.numbers(c)[i], blend.to.numbers(c)[i], share),
                                    row.data());
      } else {
        row[static_cast<std::size_t>(blend.from.categories(c)[i])] += 1 - share;
        row[static_cast<std::size_t>(blend.to.categories(c)[i])] += share;
      }
    }
  }
}

StepVariant variant_of_step(const Config& config, std::int64_t step) {
  const bool penalized = step % config.penalty.every == 0;
  const bool update_g = (step + 1) % config.train.d_steps == 0;
  return {penalized, update_g};
}

namespace {

Shape batch_shape(std::int64_t batch, const Shape& sample) {
  Shape shape{batch};
  shape.insert(shape.end(), sample.begin(), sample.end());
  return shape;
}

/// Declares the graph input of a name and type.
using Input = std::function<Tensor(const std::string& name, const graph::TensorType& type)>;

Condition condition_inputs(const Input& input, const std::string& name, const models::ModelSpec& spec,
                           std::int64_t batch, bool shares = false) {
  Condition y;
  for (const data::ConditionColumn& column : spec.condition.columns)
    y.columns.push_back(input(column_input(name, column), shares || column.is_numeric()
                                                              ? graph::TensorType{DType::f32, {batch, column.width()}}
                                                              : graph::TensorType{DType::i32, {batch}}));
  return y;
}

/// Inputs of the graph itself.
Input inputs_of(Graph& graph) {
  return [&graph](const std::string& name, const graph::TensorType& type) { return graph.input(name, type); };
}

/// The rows of a condition, twice in sequence.
Condition repeated(const Condition& y) {
  Condition twice;
  for (const Tensor& column : y.columns) twice.columns.push_back(concat({column, column}, 0));
  return twice;
}

Tensor draw_latents(const Config& config, const Variables& variables, const Shape& shape) {
  if (config.model.latent_distribution == "uniform") return variables.uniform("latents", shape) * 2.0 - 1.0;
  return variables.normal("latents", shape);
}

Tensor gradient_norm(const std::vector<Tensor>& gradients) {
  Tensor squares = sum(square(gradients[0]));
  for (std::size_t i = 1; i < gradients.size(); ++i) squares = squares + sum(square(gradients[i]));
  return sqrt(squares);
}

/// The graph input that Stepper::run sets for a schedule that depends on the budget.
std::optional<Tensor> budget_done(Graph& graph, const Config& config) {
  if (config.optim.schedule != "budget") return std::nullopt;
  return graph.input("budget.done", {DType::f32, {}});
}

optim::OptimizerSpec optimizer_spec(const Config& config, double lr, const std::optional<Tensor>& done) {
  const Config::Optim& o = config.optim;
  return {.lr = lr,
          .schedule = {.name = o.schedule,
                       .start = static_cast<double>(o.schedule_start),
                       .steps = static_cast<double>(o.schedule_steps),
                       .final = o.schedule_final,
                       .warmup = static_cast<double>(o.warmup),
                       .share = o.schedule_share,
                       .done = done},
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .epsilon = o.epsilon,
          .epsilon_final = o.epsilon_final,
          .momentum = o.momentum,
          .momentum_final = o.momentum_final,
          .momentum_steps = static_cast<double>(o.momentum_steps),
          .weight_decay = o.weight_decay};
}

/// Computes the gradient of one network's loss with respect to its parameters, updates them if `update` is set, and
/// adds the outputs that `options` select. t: the number of updates of this network so far; done: of the budget.
/// `means`: scalars of this part of the batch, first the loss, which become those of the whole batch; they join the
/// parts together with the gradients.
void train_network(Variables& variables, const Config& config, const StepOptions& options, const std::string& network,
                   double lr, std::vector<Tensor>& means, Tensor t, const std::optional<Tensor>& done, bool update) {
  Graph& graph = variables.graph();
  const std::vector<Variable> parameters = variables.select(network + ".", Role::parameter);
  std::vector<Tensor> values;
  for (const Variable& parameter : parameters) values.push_back(parameter.value);
  std::vector<Tensor> gradients = autodiff::gradient(means[0], values);
  gradients.insert(gradients.end(), means.begin(), means.end());
  gradients = variables.joint_means(gradients);
  means.assign(gradients.begin() + std::ssize(parameters), gradients.end());
  gradients.resize(parameters.size());
  if (update)
    optim::find_optimizer(config.optim.name)
        .apply(variables, optimizer_spec(config, lr, done), parameters, gradients, t);
  const std::string letter = network.substr(0, 1);
  graph.output("loss." + letter, means[0]);
  if (options.gradient_norms) graph.output("norm." + letter, gradient_norm(gradients));
  if (options.gradient_outputs)
    for (std::size_t i = 0; i < gradients.size(); ++i) graph.output("grad." + parameters[i].name, gradients[i]);
}

/// D's verdicts on real rows and on fakes.
struct VerdictPair {
  models::Verdicts real, fake;
  std::optional<Tensor> together;  ///< the logits of both, real ones first, if D judged them in one pass
};

/// D in a training step: samples are augmented, then judged with the batch's labels. Each pass has a name. Passes of
/// one name draw equal random elements, so that both losses share D's forward pass over the fakes.
struct Discriminator {
  const Config& config;
  const models::Model& model;
  const models::ModelSpec& spec;
  Condition y;
  Tensor t;  ///< steps done
  Variables& variables;

  models::Verdicts judge(Tensor samples, const std::string& pass) const { return forward(augmented(samples, pass), y); }

  /// Judges both in one pass of twice the rows if `may_join` is set and D allows it, which is faster per row.
  VerdictPair judge_both(Tensor real, Tensor fake, bool may_join) const {
    // Dropout draws for each pass, and with a classifier G's loss would compute gradients for real rows too.
    if (!may_join || spec.d.dropout > 0 || spec.d.condition == "auxiliary")
      return {judge(real, "real"), judge(fake, "fake"), std::nullopt};
    const Tensor samples = concat({augmented(real, "real"), augmented(fake, "fake")}, 0);
    const Tensor logits = forward(samples, repeated(y)).logits;
    const std::int64_t rows = logits.dim(0) / 2;
    return {{slice(logits, 0, 0, rows), {}}, {slice(logits, 0, rows, rows), {}}, logits};
  }

 private:
  models::Verdicts forward(Tensor samples, const Condition& condition) const {
    Scope scope(variables, kDiscriminator);
    return model.discriminator(scope, spec, samples, condition);
  }

  Tensor augmented(Tensor samples, const std::string& pass) const {
    variables.begin_pass(pass);
    const Scope scope(variables, kDiscriminator);
    const Config::Augment& augment = config.augment;
    if (augment.any()) {
      if (!spec.bounded()) base::fail_usage("augment.translation, cutout and brightness are for images");
      samples = nn::augment(scope, samples, augment);
    }
    if (augment.noise == 0) return samples;
    Tensor deviation = constant(*samples.graph, augment.noise);
    if (augment.noise_steps > 0)
      deviation = deviation * (1.0 - optim::progress(t, 0, static_cast<double>(augment.noise_steps)));
    return samples + scope.normal("noise", samples.shape()) * deviation;
  }
};

/// The weighted sum of the penalties; nullopt if all weights are 0.
std::optional<Tensor> penalties(const Config& config, const losses::PenaltyInput& input) {
  std::optional<Tensor> total;
  for (const losses::Penalty* penalty : losses::penalty_table()) {
    const double weight = config.penalty.weight(penalty->name) * static_cast<double>(config.penalty.every);
    if (weight == 0) continue;
    const Tensor term = penalty->term(input) * weight;
    total = total ? *total + term : term;
  }
  return total;
}

/// Keeps in the state whether a loss has ever diverged (kLargestLoss) and how many steps came before, so that the
/// losses need not be read after each step.
void watch_losses(Graph& graph, const std::vector<std::pair<std::string, Tensor>>& losses) {
  const auto state = [&](const std::string& name) { return graph.input(name, {DType::f32, {}}); };
  std::optional<Tensor> lost;
  for (const auto& [letter, loss] : losses) {
    const Tensor magnitude = maximum(loss, loss * -1.0), sound = ops::step(kLargestLoss - magnitude);  // 0 for NaN
    const Tensor now = maximum(state("lost." + letter), 1.0 - sound);
    graph.output("lost." + letter, now);
    lost = lost ? maximum(*lost, now) : now;
  }
  graph.output("sound_steps", state("sound_steps") + (1.0 - *lost));
}

/// What differs from step to step: inputs that are written before each, or rows of inputs that hold many steps.
struct BatchInputs {
  Tensor step, x;
  Condition y;
};

BatchInputs batch_inputs(Graph& graph, const models::ModelSpec& spec, const StepOptions& options) {
  const Shape samples = batch_shape(options.batch, spec.sample);
  const Input input = inputs_of(graph);
  if (options.data_rows == 0)
    return {.step = input("step", {DType::i32, {1}}),
            .x = input("batch.x", {DType::f32, samples}),
            .y = condition_inputs(input, "batch.y", spec, options.batch)};
  const Tensor at = input("queue.at", {DType::i32, {1}});
  const Input queued = [&](const std::string& name, const graph::TensorType& type) {
    const Tensor queue = input(name, {type.dtype, {options.queue, graph::element_count(type.shape)}});
    return reshape(gather(queue, at), type.shape);
  };
  graph.output("queue.at", queued("queue.next", {DType::i32, {1}}));
  const Tensor data = input("data.x", {DType::f32, {options.data_rows, graph::element_count(spec.sample)}});
  return {.step = queued("queue.steps", {DType::i32, {1}}),
          .x = reshape(gather(data, queued("batch.rows", {DType::i32, {options.batch}})), samples),
          .y = condition_inputs(queued, "batch.y", spec, options.batch)};
}

}  // namespace

std::vector<Variable> build_step(Graph& graph, const Config& config, const models::ModelSpec& spec,
                                 const StepOptions& options) {
  Variables variables(graph, /*training=*/true);
  const models::Model& model = models::find_model(config.model.kind);
  const losses::Loss& loss = losses::find_loss(config.loss.name);
  const BatchInputs inputs = batch_inputs(graph, spec, options);
  const Tensor step = inputs.step, x = inputs.x;
  const Condition& y = inputs.y;
  RandomSource random{graph.input(nn::kRandomKey, {DType::i32, {2}}), step};
  if (options.parts > 1) random.part = graph.input("batch.part", {DType::i32, {1}});
  variables.set_random(random);
  variables.set_parts(options.parts);
  const Tensor t = cast(reshape(step, {}), DType::f32);
  const std::optional<Tensor> done = budget_done(graph, config);
  const auto d_steps = static_cast<double>(config.train.d_steps);
  const Tensor t_g = d_steps == 1 ? t : (t + 1.0) * (1.0 / d_steps) - 1.0;  // updates of G before this one
  const Shape latent_shape{options.batch, spec.latent};
  const Tensor z = options.latent_input ? graph.input("batch.z", {DType::f32, latent_shape})
                                        : draw_latents(config, variables, latent_shape);

  variables.begin_pass("generate");
  Scope scope(variables, kGenerator);
  const Tensor fake = model.generator(scope, spec, z, y);
  const Tensor detached = stop_gradient(fake);
  const Discriminator d{config, model, spec, y, t, variables};
  // R1 or R2 alone needs second derivatives for half of the rows only, so real rows and fakes are judged apart. With a
  // paired loss, joint sums would leave rounding noise where pairs cancel, and Adam scales noise up to whole steps.
  const bool one_sided =
      options.variant.penalties && (config.penalty.weight("r1") > 0) != (config.penalty.weight("r2") > 0);
  // A single row is never joined, since only products of several rows are rounded to bf16 and all steps must agree.
  const bool may_join = !one_sided && !loss.paired && options.batch > spec.pack;
  const VerdictPair verdicts = d.judge_both(x, fake, may_join), detached_verdicts = d.judge_both(x, detached, may_join);
  const Tensor real_logits = detached_verdicts.real.logits, detached_logits = detached_verdicts.fake.logits;

  Tensor loss_g = loss.generator(config.loss, verdicts.real.logits, verdicts.fake.logits);
  Tensor loss_d = loss.discriminator(config.loss, real_logits, detached_logits);
  if (!verdicts.real.predictions.empty()) {
    const auto condition_loss = [&](const models::Verdicts& judged) {
      return models::auxiliary_loss(spec, judged, y) * config.loss.auxiliary;
    };
    loss_g = loss_g + condition_loss(verdicts.fake);
    loss_d = loss_d + condition_loss(detached_verdicts.real) + condition_loss(detached_verdicts.fake);
  }
  if (options.variant.penalties) {
    variables.begin_pass("penalty");
    std::vector<Tensor> squares;  // of real rows and of fakes, if they were judged in one pass
    const auto squares_of = [&](std::size_t index, Tensor samples, Tensor logits) {
      if (!detached_verdicts.together) return losses::squared_gradients(logits, samples);
      if (squares.empty()) squares = losses::squared_gradients(*detached_verdicts.together, {x, detached});
      return squares[index];
    };
    const losses::PenaltyInput input{
        .real = x,
        .fake = detached,
        .real_squares = [&] { return squares_of(0, x, real_logits); },
        .fake_squares = [&] { return squares_of(1, detached, detached_logits); },
        .discriminate = [&](Tensor samples) { return d.judge(samples, "penalty").logits; },
        .uniform = [&](std::string_view name,
                       const Shape& shape) { return variables.uniform(std::string(name), shape); },
        .batch_mean = [&](Tensor samples) { return variables.joint_means({mean(samples)})[0]; }};
    if (const std::optional<Tensor> penalty = penalties(config, input)) loss_d = loss_d + *penalty;
  }

  const auto mean_verdict = [&](Tensor logits) { return mean(loss.verdict(config.loss, logits)); };
  std::vector<Tensor> means_g{loss_g}, means_d{loss_d, mean_verdict(real_logits), mean_verdict(detached_logits)};
  const bool update_g = options.variant.update_g;
  if (update_g || options.gradient_norms)  // G's loss is logged in steps without its update, too
    train_network(variables, config, options, kGenerator, config.optim.g.lr, means_g, t_g, done, update_g);
  if (update_g && config.train.ema > 0) {
    const std::string prefix = std::string(kGenerator) + ".";
    for (const Role role : {Role::parameter, Role::statistic})
      optim::average(variables, variables.select(prefix, role), config.train.ema, config.train.ema_warmup, t_g);
  }
  train_network(variables, config, options, kDiscriminator, config.optim.d.lr, means_d, t, done, true);
  std::vector<std::pair<std::string, Tensor>> watched{{"d", means_d[0]}};
  if (update_g || options.gradient_norms) watched.emplace_back("g", means_g[0]);
  watch_losses(graph, watched);
  graph.output("verdict.real", means_d[1]);
  graph.output("verdict.fake", means_d[2]);
  graph.output("logits.real", real_logits);
  graph.output("logits.fake", detached_logits);
  graph.output("fake", fake);
  variables.finish();
  return variables.all();
}

std::vector<Variable> build_sampler(Graph& graph, const Config& config, const models::ModelSpec& spec,
                                    std::int64_t batch, bool shares) {
  Variables variables(graph, /*training=*/false);
  const Tensor z = graph.input("z", {DType::f32, {batch, spec.latent}});
  const Condition y = condition_inputs(inputs_of(graph), "y", spec, batch, shares);
  Scope scope(variables, kGenerator);
  graph.output("samples", models::find_model(config.model.kind).generator(scope, spec, z, y));
  return variables.all();
}

JudgedSamples build_discriminator(Graph& graph, const Config& config, const models::ModelSpec& spec, Tensor x,
                                  const Condition& y) {
  Variables variables(graph, /*training=*/false);
  Scope scope(variables, kDiscriminator);
  models::Verdicts verdicts = models::find_model(config.model.kind).discriminator(scope, spec, x, y);
  return {std::move(verdicts), variables.all()};
}

std::vector<Variable> discriminator_variables(const Config& config, const models::ModelSpec& spec) {
  Graph graph;
  const Tensor x = graph.input("x", {DType::f32, batch_shape(spec.pack, spec.sample)});
  return build_discriminator(graph, config, spec, x, condition_inputs(inputs_of(graph), "y", spec, spec.pack))
      .variables;
}

}  // namespace gan::train
