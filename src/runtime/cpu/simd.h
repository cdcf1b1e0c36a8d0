#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/chain.h"

/// Loops over numbers in memory, compiled for several instruction sets; the best one for this processor is chosen at
/// run time.
namespace gan::runtime::cpu::simd {

using graph::ElementwiseOp;

/// Elements of a full block: 512 bytes of f32. So few that the processor, which works ahead, reads the next block from
/// memory while it computes this one; many enough that choosing what to do costs little.
constexpr std::size_t kBlock = 128;

/// Copies that one number needs to be read as a vector.
constexpr std::size_t kBroadcast = 64;
alignas(64) inline constexpr float kZeros[kBroadcast] = {};

/// A place that is read: a row of numbers, or one number that stands for all.
struct Source {
  const float* data = kZeros;  ///< of one number: `kBroadcast` copies of it
  std::size_t mask = 0;        ///< of the index: 0 for one number, all bits for a row
};

/// Where an operation reads and writes.
struct Operands {
  Source a, b, c;
  float* dst = nullptr;  ///< may be a, b or c
  float alpha = 0;
};

/// Computes `count` elements, at most kBlock.
using BlockFunction = void (*)(const Operands& operands, std::size_t count);

/// dst = op(a, b), and then, if `then` is not none, dst = then(op(a, b), c) or, swapped, then(c, op(a, b)). Each is
/// rounded as if it were alone.
BlockFunction block_function(ElementwiseOp op, ElementwiseOp then = ElementwiseOp::none, bool swapped = false);

/// Rounds to nearest even; a NaN stays a NaN, and denormal numbers become zero, as the processor's own instruction
/// does.
void round_to_bf16(const float* src, std::uint16_t* dst, std::size_t count);
void widen(const std::uint16_t* bf16, float* dst, std::size_t count);
void widen(const std::int32_t* src, float* dst, std::size_t count);
void widen(const float* src, float* dst, std::size_t count);

/// dst += src
void accumulate(const float* src, float* dst, std::size_t count);
float sum(const float* src, std::size_t count);

}  // namespace gan::runtime::cpu::simd
