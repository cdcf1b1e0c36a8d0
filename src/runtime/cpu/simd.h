#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/chain.h"

/// Loops over elements in memory, compiled for several instruction sets; the best one is chosen at run time.
namespace gan::runtime::cpu::simd {

using graph::ElementwiseOp;

/// Elements of a full block: 512 bytes of f32. Small enough that out-of-order execution loads the next block during
/// this one; large enough to amortize the calls.
constexpr std::size_t kBlock = 128;

/// Copies of a single value, for loading it as a vector of any size.
constexpr std::size_t kBroadcast = 64;
alignas(64) inline constexpr float kZeros[kBroadcast] = {};

/// A source: contiguous elements, or a single value that is broadcast.
struct Source {
  const float* data = kZeros;  ///< for a single value: kBroadcast copies of it
  std::size_t mask = 0;        ///< mask of the index: 0 for a single value, else all bits
};

/// The operands and the result of an operation.
struct Operands {
  Source a, b, c;
  float* dst = nullptr;  ///< may be a, b or c
  float alpha = 0;
};

/// Computes `count` elements, at most kBlock.
using BlockFunction = void (*)(const Operands& operands, std::size_t count);

/// dst = op(a, b); if `then` is not none, dst = then(op(a, b), c) or, swapped, then(c, op(a, b)). Each result is
/// rounded separately: no fused multiply-add.
BlockFunction block_function(ElementwiseOp op, ElementwiseOp then = ElementwiseOp::none, bool swapped = false);

/// Rounds to nearest even. A NaN stays a NaN, and denormal numbers become zero, as with vcvtneps2bf16.
void round_to_bf16(const float* src, std::uint16_t* dst, std::size_t count);
void widen(const std::uint16_t* bf16, float* dst, std::size_t count);
void widen(const std::int32_t* src, float* dst, std::size_t count);
void widen(const float* src, float* dst, std::size_t count);

/// dst += src
void accumulate(const float* src, float* dst, std::size_t count);
float sum(const float* src, std::size_t count);

}  // namespace gan::runtime::cpu::simd
