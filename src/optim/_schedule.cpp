#include <cmath>

#include "ops/ops.h"
#include "optim/optimizer.h"

namespace gan::optim {

using namespace ops;

namespace {

/// min(x, limit) for a scalar x.
Tensor at_most(Tensor x, double limit) { return maximum(x * -1.0, constant(*x.graph, -limit)) * -1.0; }

}  // namespace

Tensor progress(Tensor x, double from, double length) {
  return at_most(maximum((x - from) * (1.0 / length), constant(*x.graph, 0)), 1);
}

std::optional<Tensor> progress(const Schedule& schedule, Tensor t) {
  if (schedule.name == "constant") return std::nullopt;
  if (schedule.done) return progress(*schedule.done, 1 - schedule.share, schedule.share);
  return progress(t, schedule.start, schedule.steps);
}

Tensor learning_rate(const OptimizerSpec& spec, Tensor t) {
  const Schedule& schedule = spec.schedule;
  Tensor rate = constant(*t.graph, spec.lr);
  if (const auto share = progress(schedule, t))
    rate = rate * (schedule.name == "exponential" ? exp(*share * std::log(schedule.final))
                                                  : 1.0 + *share * (schedule.final - 1.0));
  if (schedule.warmup > 0) rate = rate * at_most((t + 1.0) * (1.0 / schedule.warmup), 1);
  return rate;
}

}  // namespace gan::optim
