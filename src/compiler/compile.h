#pragma once

#include <functional>
#include <set>
#include <string>

#include "graph/graph.h"
#include "runtime/profile.h"
#include "runtime/program.h"

namespace gan::compiler {

/// The type to which the operands of contractions are rounded.
enum class Precision { f32, bf16 };

/// "f32", "bf16", or "auto": bf16 where the backend (null: the CPU's) multiplies it faster, else f32. Throws a usage
/// error for other texts, and for bf16 on a backend without it.
Precision choose_precision(const std::string& text, const runtime::Backend* backend = nullptr);

struct Options {
  Precision precision = Precision::f32;
  /// Names of passes, fusions and parts of the backend to leave out; "all" leaves out every pass and fusion.
  std::set<std::string> disabled = {};
  runtime::Frozen frozen = {};  ///< inputs that never change; nodes that depend on them only are computed at once
  runtime::Parts parts = {};    ///< of a batch, which the program computes one after the other
  runtime::Profile* profile = nullptr;  ///< times every pass
  /// Null: the CPU backend. Must outlive the programs.
  const runtime::Backend* backend = nullptr;
};

/// Names of the passes in order, then of the two fusions, then "machine-code": chains compiled to machine code, also as
/// epilogues of products.
std::vector<std::string> pass_names();
/// The parts of the CPU backend among the names of what is disabled.
std::set<std::string> disabled_parts(const std::set<std::string>& disabled);
/// The CPU backend without the parts that are disabled. Backends are cached by their set of parts.
const runtime::Backend& cpu_backend(const std::set<std::string>& disabled);

/// Runs the passes over a graph, in place, and schedules it for a target. `after`, if set, gets the name of each pass
/// and the dump of the graph after it. Throws a usage error if `options` names a pass that does not exist.
graph::Schedule optimize(graph::Graph& graph, const Options& options, const graph::Target& target,
                         const std::function<void(const std::string& pass, const std::string& dump)>& after = nullptr);

/// Optimizes a graph in place, after which its Tensors are invalid, and lowers it to a program. Entries of the state
/// that are missing are made. Throws what optimize and Program throw.
runtime::Program compile(graph::Graph& graph, const Options& options, runtime::State& state, runtime::Arena& arena);

}  // namespace gan::compiler
