#include "compiler/compile.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "passes/pass.h"

namespace gan::compiler {

namespace {
using runtime::kMachineCode;  // a part of the backend, not a pass

bool enabled(const Options& options, std::string_view name) {
  return !options.disabled.count("all") && !options.disabled.count(std::string(name));
}
}  // namespace

using runtime::Profile;
using Timer = Profile::Timer;

Precision choose_precision(const std::string& text, const runtime::Backend* chosen) {
  const runtime::Backend& backend = chosen ? *chosen : runtime::default_backend();
  if (text == "f32") return Precision::f32;
  if (text == "auto") return backend.has_fast_bf16() ? Precision::bf16 : Precision::f32;
  if (text != "bf16") base::fail_usage("precision {}: auto, f32 and bf16 are known", text);
  if (!backend.has_bf16())
    base::fail_usage("precision bf16: this {} ({}) does not multiply bf16; use f32",
                     backend.memory().is_host() ? "processor" : "GPU", backend.describe());
  return Precision::bf16;
}

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const passes::Pass& pass : passes::pass_table()) names.emplace_back(pass.name);
  names.emplace_back(passes::kFuseEpilogue);
  names.emplace_back(passes::kFuseElementwise);
  names.emplace_back(kMachineCode);
  return names;
}

std::set<std::string> disabled_parts(const std::set<std::string>& disabled) {
  std::set<std::string> parts;
  for (const runtime::BackendPart& part : runtime::backend_parts())
    if (disabled.count(part.name) || (disabled.count("all") && part.name == kMachineCode)) parts.insert(part.name);
  return parts;
}

const runtime::Backend& cpu_backend(const std::set<std::string>& disabled) {
  static std::map<std::set<std::string>, std::shared_ptr<runtime::Backend>> backends;
  const std::set<std::string> parts = disabled_parts(disabled);
  if (parts.empty()) return runtime::default_backend();
  std::shared_ptr<runtime::Backend>& backend = backends[parts];
  if (!backend) backend = runtime::make_cpu_backend(parts);
  return *backend;
}

graph::Schedule optimize(graph::Graph& graph, const Options& options, const graph::Target& target,
                         const std::function<void(const std::string&, const std::string&)>& after) {
  std::vector<std::string> names = pass_names();
  for (const runtime::BackendPart& part : runtime::backend_parts()) names.push_back(part.name);
  for (const std::string& name : options.disabled)
    if (name != "all" && std::find(names.begin(), names.end(), name) == names.end())
      base::fail_usage("no pass, fusion or kernel is called {}", name);
  graph.verify();
  for (const passes::Pass& pass : passes::pass_table()) {
    if ((pass.bf16_only && options.precision != Precision::bf16) || !enabled(options, pass.name)) continue;
    {
      const Timer timer(options.profile, Profile::Kind::pass, pass.name);
      pass.run(graph, target);
    }
    {
      const Timer timer(options.profile, Profile::Kind::pass, "(verify)");
      graph.verify();
    }
    if (after) after(std::string(pass.name), graph.dump());
  }
  const passes::Fusion fusion{.epilogue = enabled(options, passes::kFuseEpilogue),
                              .elementwise = enabled(options, passes::kFuseElementwise),
                              .chain = enabled(options, kMachineCode)};
  if (after && fusion.epilogue)
    after(std::string(passes::kFuseEpilogue), dump(graph, passes::schedule(graph, target, {.elementwise = false})));
  const auto scheduled = [&] {
    const Timer timer(options.profile, Profile::Kind::pass, "(schedule)");
    return passes::schedule(graph, target, fusion);
  };
  graph::Schedule schedule = scheduled();
  if (after && fusion.elementwise)
    after(std::string(passes::kFuseElementwise),
          dump(graph, passes::schedule(graph, target, {.epilogue = fusion.epilogue, .chain = false})));
  if (after && fusion.chain) after(std::string(kMachineCode), dump(graph, schedule));
  return schedule;
}

runtime::Program compile(graph::Graph& graph, const Options& options, runtime::State& state, runtime::Arena& arena) {
  const runtime::Backend& backend = options.backend ? *options.backend : cpu_backend(options.disabled);
  const graph::Schedule schedule = optimize(graph, options, backend.target());
  const Timer timer(options.profile, Profile::Kind::pass, "(kernels)");
  return runtime::Program(graph, schedule, state, arena, options.frozen, backend, options.parts);
}

}  // namespace gan::compiler
