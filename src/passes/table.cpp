#include "passes/pass.h"

namespace gan::passes {

namespace {
template <void (*pass)(graph::Graph&)>
void on_any_target(graph::Graph& graph, const graph::Target&) {
  pass(graph);
}
}  // namespace

std::span<const Pass> pass_table() {
  static constexpr Pass kPasses[] = {
      {"fold", "apply each op's algebraic simplifications", on_any_target<fold>},
      {"cse", "compute equal expressions once", on_any_target<cse>},
      {"dce", "remove what no output needs", on_any_target<dce>},
      {"sink", "share backward passes that differ by a factor for each row", on_any_target<sink>},
      {"narrow", "shrink matrix products to what is read", on_any_target<narrow>},
      {"sums", "sum matrices over rows first", sums},
      {"precision", "round the operands of contractions to bf16", on_any_target<precision>, /*bf16_only=*/true},
      {"carry", "keep rounded weights from step to step", on_any_target<carry>, /*bf16_only=*/true},
  };
  return kPasses;
}

}  // namespace gan::passes
