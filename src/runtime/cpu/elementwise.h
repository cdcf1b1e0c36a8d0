#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "graph/chain.h"

namespace gan::runtime::cpu {

using graph::ElementwiseOp;

/// An argument of an instruction: the operands of the op, or a constant.
enum class Argument : std::uint8_t { a, b, zero, one, alpha, alpha_times_a };

/// The vector instruction that computes an op.
enum class VectorInstruction : std::uint8_t {
  none,  ///< not supported by machine code: chains with it run by the block engine
  move,
  add,
  subtract,
  multiply,
  divide,
  square_root,
  maximum,             ///< as vmaxps: the second argument if either is a NaN
  maximum_with_nan,    ///< a NaN if either argument is one
  select_by_sign,      ///< the first argument where a > 0, else the second
  hyperbolic_tangent,  ///< by the polynomials of tanh.h
};

/// The post-op of oneDNN that computes an op.
enum class PostOp : std::uint8_t { none, copy, add, mul, relu, tanh, logistic };

/// How the parts of this backend compute an elementwise op. Its SIMD code is in simd.cpp.
struct ElementwiseRow {
  ElementwiseOp op;
  VectorInstruction instruction;
  Argument first, second;  ///< of the instruction
  PostOp post_op;
  /// Whether simd.cpp has functions that fuse this op with another one behind it, or in front of it.
  bool leads, follows;
};

// clang-format off
inline constexpr auto kElementwise = [] {
  using enum ElementwiseOp;
  using V = VectorInstruction;
  using A = Argument;
  using P = PostOp;
  return std::to_array<ElementwiseRow>({
      // op        instruction            first    second            post-op      leads  follows
      {none,       V::none,               A::a,    A::a,             P::none,     false, false},
      {copy,       V::move,               A::a,    A::a,             P::copy,     false, false},
      {add,        V::add,                A::a,    A::b,             P::add,      true,  true},
      {sub,        V::subtract,           A::a,    A::b,             P::none,     true,  true},
      {mul,        V::multiply,           A::a,    A::b,             P::mul,      true,  true},
      {div,        V::divide,             A::a,    A::b,             P::none,     true,  true},
      {maximum,    V::maximum_with_nan,   A::a,    A::b,             P::none,     false, false},
      {square,     V::multiply,           A::a,    A::a,             P::none,     true,  false},
      {sqrt,       V::square_root,        A::a,    A::a,             P::none,     true,  false},
      {exp,        V::none,               A::a,    A::a,             P::none,     false, false},
      {expm1,      V::none,               A::a,    A::a,             P::none,     false, false},
      {log,        V::none,               A::a,    A::a,             P::none,     false, false},
      {tanh,       V::hyperbolic_tangent, A::a,    A::a,             P::tanh,     false, false},
      {sigmoid,    V::none,               A::a,    A::a,             P::logistic, false, false},
      {softplus,   V::none,               A::a,    A::a,             P::none,     false, false},
      {relu,       V::maximum,            A::zero, A::a,             P::relu,     false, false},
      {step,       V::select_by_sign,     A::one,  A::zero,          P::none,     true,  false},
      {leaky_relu, V::select_by_sign,     A::a,    A::alpha_times_a, P::relu,     false, false},
      {leaky_step, V::select_by_sign,     A::one,  A::alpha,         P::none,     true,  false},
  });
}();
// clang-format on

constexpr const ElementwiseRow& row_of(ElementwiseOp op) { return kElementwise[static_cast<std::size_t>(op)]; }

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < kElementwise.size(); ++i)
    if (kElementwise[i].op != static_cast<ElementwiseOp>(i)) return false;
  return kElementwise.size() == static_cast<std::size_t>(graph::kLastElementwiseOp) + 1;
}
static_assert(is_in_order());

/// With AVX2 an instruction of machine code has one constant at most; select_by_sign loads them one after the other.
static_assert(std::ranges::all_of(kElementwise, [](const ElementwiseRow& row) {
  const auto is_constant = [](Argument argument) {
    return argument == Argument::zero || argument == Argument::one || argument == Argument::alpha;
  };
  return row.instruction == VectorInstruction::select_by_sign || !is_constant(row.first) || !is_constant(row.second);
}));

}  // namespace gan::runtime::cpu
