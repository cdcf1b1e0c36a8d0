#include "train/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "compiler/compile.h"
#include "train/step.h"

namespace gan::train {

Sampler::Sampler(const Model& model, const std::string& precision, const std::set<std::string>& disabled,
                 const runtime::Backend* backend)
    : model_(model.share()), precision_(precision), disabled_(disabled), backend_(backend) {
  require_precision(precision, backend);
}

void Sampler::require_precision(const std::string& precision, const runtime::Backend* backend) {
  if (std::ranges::find(kPrecisions, precision) == kPrecisions.end())
    base::fail_usage("precision {}: auto, f32, int16 and bf16 are known", precision);
  if (precision == "int16" && backend && backend != &runtime::default_backend())
    base::fail_usage("precision int16 is for the CPU (--device cpu)");
}

/// The program for a batch size, moved to the front; compiled again if it needs more threads than can start here.
Sampler::Compiled& Sampler::compiled(std::int64_t batch, bool blended) {
  const auto found =
      std::ranges::find_if(programs_, [&](const Compiled& p) { return p.batch == batch && p.blended == blended; });
  if (found != programs_.end()) {
    programs_.splice(programs_.begin(), programs_, found);
    if (found->program->can_run_here()) return *found;
    programs_.pop_front();
  }
  Compiled entry;
  entry.batch = batch;
  entry.blended = blended;
  compile(entry);
  if (programs_.size() == kProgramsKept) programs_.pop_back();
  return programs_.emplace_front(std::move(entry));
}

void Sampler::compile(Compiled& entry) const {
  const bool several = entry.batch > 1;
  graph::Graph graph;
  const models::ModelSpec spec = model_spec(model_);
  compiler::Options options{
      .precision = compiler::Precision::f32, .disabled = disabled_, .frozen = {}, .backend = backend_};
  if (precision_ == "bf16" && several && (backend_ ? *backend_ : runtime::default_backend()).has_bf16())
    options.precision = compiler::Precision::bf16;
  if (precision_ == "int16" || (precision_ == "bf16" && !several)) options.frozen.compact_rows = entry.batch;
  for (const nn::Variable& variable : build_sampler(graph, model_.config, spec, entry.batch, entry.blended)) {
    entry.state[variable.name] = model_.weights.at(variable.name).share();
    options.frozen.inputs.insert(variable.name);
  }
  entry.program = std::make_unique<runtime::Program>(compiler::compile(graph, options, entry.state, entry.arena));
  entry.z = entry.state.at("z").share();
  entry.y = condition_inputs(entry.state, "y", model_.condition);
  entry.samples = entry.state.at("samples").share();
}

/// Draws batch after batch; write(inputs, first, count) writes these rows of the condition.
template <typename Write>
void Sampler::draw(std::span<const float> z, std::span<float> out, bool blended, const Write& write) {
  const auto latent = static_cast<std::size_t>(model_.config.model.latent);
  const auto size = static_cast<std::size_t>(graph::element_count(model_.sample_shape));
  const std::size_t count = z.size() / latent;
  if (z.size() != count * latent || out.size() != count * size)
    base::fail_usage("{} latent and {} sample elements; expected {} and {} for each sample", z.size(), out.size(),
                     latent, size);
  for (std::size_t i = 0; i < z.size(); ++i)
    if (!std::isfinite(z[i]))
      base::fail_usage("latent {} of sample {} is {}, expected finite numbers", i % latent, i / latent, z[i]);

  for (std::size_t done = 0; done < count;) {
    const std::size_t batch = std::min<std::size_t>(count - done, kLargestBatch);
    Compiled& entry = compiled(static_cast<std::int64_t>(batch), blended);
    entry.z.memory().write(z.data() + done * latent, entry.z.bytes(), entry.z.size_bytes());
    write(entry.y, static_cast<std::int64_t>(done), static_cast<std::int64_t>(batch));
    entry.program->run();
    entry.samples.memory().read(entry.samples.bytes(), out.data() + done * size, entry.samples.size_bytes());
    done += batch;
  }
}

void Sampler::sample(std::span<const float> z, const data::ConditionRows& y, std::span<float> out) {
  const std::int64_t count = static_cast<std::int64_t>(z.size()) / model_.config.model.latent;
  data::require_rows(model_.condition, y, count);
  draw(z, out, false, [&](std::span<runtime::Array> inputs, std::int64_t first, std::int64_t rows) {
    if (rows == count)  // a single sample makes no copy of its condition
      write_condition(inputs, model_.condition, y);
    else
      write_condition(inputs, model_.condition, y.slice(first, rows));
  });
}

void Sampler::sample(std::span<const float> z, const ConditionBlend& y, std::span<float> out) {
  const std::int64_t count = static_cast<std::int64_t>(z.size()) / model_.config.model.latent;
  data::require_rows(model_.condition, y.from, count);
  data::require_rows(model_.condition, y.to, count);
  if (static_cast<std::int64_t>(y.share.size()) != count)
    base::fail_usage("{} shares for {}", y.share.size(), base::counted(count, "sample"));
  draw(z, out, true, [&](std::span<runtime::Array> inputs, std::int64_t first, std::int64_t rows) {
    const data::ConditionRows from = y.from.slice(first, rows), to = y.to.slice(first, rows);
    const auto shares = y.share.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
    write_condition(inputs, model_.condition, ConditionBlend{from, to, shares});
  });
}

void Sampler::latents(std::uint64_t seed, std::int64_t first, std::span<float> z, double truncation) const {
  const base::RandomStream random(seed, base::stream_of("sample"));
  const bool uniform = model_.config.model.latent_distribution == "uniform";
  if (truncation != 0 && uniform) base::fail_usage("truncation: the model's latents are uniform in [-1, 1] already");
  if (truncation != 0 && !(truncation >= kLeastTruncation))
    base::fail_usage("truncation {}: expected at least {}", truncation, kLeastTruncation);
  const auto drawn_again = [&](float value, std::int64_t index) {
    for (std::uint32_t attempt = 0; truncation > 0 && std::abs(static_cast<double>(value)) > truncation; ++attempt)
      value =
          base::RandomStream(seed, base::stream_of("truncation"), attempt).normal(static_cast<std::uint64_t>(index));
    return value;
  };
  const std::int64_t offset = first * model_.config.model.latent, count = static_cast<std::int64_t>(z.size());
  const std::int64_t first_block = offset / 4, blocks = count > 0 ? (offset + count - 1) / 4 - first_block + 1 : 0;
  base::parallel_for(blocks, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = first_block + begin; block < first_block + end; ++block) {
      const auto number = static_cast<std::uint64_t>(block);
      const std::array<float, 4> values = uniform ? random.uniforms(number) : random.normals(number);
      for (std::int64_t i = std::max(4 * block, offset); i < std::min(4 * block + 4, offset + count); ++i) {
        const float value = values[static_cast<std::size_t>(i - 4 * block)];
        z[static_cast<std::size_t>(i - offset)] = uniform ? 2 * value - 1 : drawn_again(value, i);
      }
    }
  });
}

void Sampler::require_finite(std::span<const float> samples, std::int64_t first) const {
  const auto bad = std::ranges::find_if_not(samples, [](float value) { return std::isfinite(value); });
  if (bad == samples.end()) return;
  const std::int64_t sample = (bad - samples.begin()) / graph::element_count(model_.sample_shape);
  base::fail_run("sample {} of the model holds {}; its training diverged, or its latents are too large", first + sample,
                 *bad);
}

}  // namespace gan::train
