#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "graph/type.h"

namespace gan::runtime {

/// A contraction of bf16 operands computed in f32, for processors whose bf16 oneDNN does not know (without AVX-512):
/// to the last bit what it would be but for the order of sums, and slower than f32.
class InF32 {
 public:
  InF32();

  /// Where the kernel finds `count` numbers of bf16 in f32.
  const float* operand(const void* bf16, std::int64_t count);
  /// Where the kernel puts `count` numbers that are to be stored as this type.
  float* result(void* dst, graph::DType dtype, std::int64_t count);
  /// The kernel, which computes in f32, with its operands widened before and its result rounded after it.
  std::function<void()> around(std::function<void()> kernel) const;

 private:
  struct Copies;
  std::shared_ptr<Copies> copies_;
};

/// Whether contractions of this type of operands must be computed so.
bool needs_f32(graph::DType operands);

}  // namespace gan::runtime
