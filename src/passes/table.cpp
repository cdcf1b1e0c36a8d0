#include "passes/pass.h"

namespace gan::passes {

std::span<const Pass> pass_table() {
  static constexpr Pass kPasses[] = {
      {"fold", "apply each op's algebraic simplifications", fold},
      {"cse", "compute equal expressions once", cse},
      {"dce", "drop what no output needs", dce},
      {"hoist", "share backward passes that differ by a factor for each row", hoist},
      {"narrow", "compute of matrix products only what is read", narrow},
      {"sums", "add up matrices row by row first", sums},
      {"precision", "round the operands of contractions to bf16", precision, /*bf16_only=*/true},
      {"carry", "keep rounded weights from step to step", carry, /*bf16_only=*/true},
  };
  return kPasses;
}

}  // namespace gan::passes
