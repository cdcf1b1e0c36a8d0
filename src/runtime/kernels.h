#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/type.h"

namespace gan::runtime {

/// Elementwise operations on tiles of f32: dst = op(a, b), with the constant alpha where one is named.
enum class TileOp : std::uint8_t {
  none,
  copy,
  add,
  sub,
  mul,
  div,
  maximum,
  square,
  sqrt,
  exp,
  expm1,
  log,
  tanh,
  sigmoid,   ///< 1 / (1 + exp(-a))
  softplus,  ///< log(1 + exp(a))
  relu,
  step,        ///< 1 where a > 0, else 0
  leaky_relu,  ///< a where a > 0, else alpha * a
  leaky_step,  ///< 1 where a > 0, else alpha
};

/// How an operand smaller than the result is read: at result index i its element is
/// full i, scalar 0, row i % period, column i / period, strided: by the strides of the axes. `product`: it is element i
/// of the product that the chain follows, which is handed over piece by piece. `sum` is for results alone: element i is
/// added to number i % period, where the period is the length of a row.
enum class Access : std::uint8_t { full, scalar, row, column, strided, product, sum };

/// An operand of an elementwise kernel.
struct TileOperand {
  const void* data = nullptr;
  graph::DType dtype = graph::DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
  std::vector<std::int64_t> lengths, strides;  ///< strided only: of the result's axes, 0 where repeated
};

/// One operation of a chain: registers are tiles, numbered operands first, then constants, then results of
/// instructions.
struct TileInstruction {
  TileOp op = TileOp::copy;
  int a = 0, b = 0;  ///< registers
  int dst = 0;       ///< register
  float alpha = 0;
};

/// A register to be stored (access full) or added up over rows (access sum, f32): a result of an instruction.
struct TileResult {
  int source = 0;  ///< register
  void* data = nullptr;
  graph::DType dtype = graph::DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
};

/// A chain of elementwise operations over `elements` elements, run a tile at a time so that what lies between its ends
/// stays in the L1 cache. A result may overwrite an operand of full access.
struct TileProgram {
  std::int64_t elements = 0;
  std::vector<TileOperand> operands;
  std::vector<float> constants;
  std::vector<TileInstruction> instructions;
  std::vector<TileResult> results;
};

/// Elements of an elementwise loop or a sum that are worth a thread: few, since threads that wait for long fall asleep,
/// and waking them takes longer than many a kernel.
inline constexpr std::int64_t kElementwiseGrain = 4096;

/// Compiles a chain into a function that runs it on all threads: as machine code where that can be and is wanted
/// (machine_code.h), else tile by tile.
std::function<void()> tile_kernel(TileProgram program, bool use_machine_code = true);
/// Whether chains add up rows as they go, so that what is summed need not lie in memory.
bool chains_take_sums();

/// How to read an operand of this shape where the result has that shape. Sets access, period, lengths and strides.
TileOperand broadcast_operand(const graph::Shape& operand, const graph::Shape& result);

/// The element of an operand that belongs to element `i` of the result.
std::size_t operand_index(const TileOperand& operand, std::size_t i);

/// Rows that are added up to a sum of their own, which keeps the rounding error of long sums low.
inline constexpr std::int64_t kSumRows = 32;
/// dst[c] = sum over r of src[r, c] for [rows, columns]: of kSumRows rows at a time, then of these sums. The order does
/// not depend on the threads, and chains that take sums (Access::sum) keep to it.
void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns);
/// dst[r] = sum over c of src[r, c].
void sum_over_columns(const float* src, float* dst, std::int64_t rows, std::int64_t columns);

/// What a contraction does to its result before storing it: add, mul, relu, leaky_relu, tanh or sigmoid.
struct PostOp {
  TileOp op = TileOp::add;
  const float* data = nullptr;     ///< add, mul: the operand
  Access access = Access::scalar;  ///< add, mul: scalar, row or full
  float alpha = 0;                 ///< leaky_relu: the slope
};

/// dst[m, n] = post_ops(sum over k of a[m, k] b[k, n]); a transposed operand is stored [k, m] or [n, k].
struct MatmulSpec {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  graph::DType operand_dtype = graph::DType::f32, dst_dtype = graph::DType::f32;
  const void* a = nullptr;
  const void* b = nullptr;
  void* dst = nullptr;
  std::vector<PostOp> post_ops;
  bool frozen_b = false;  ///< b holds already what it holds in every run: kernels may keep it in a form of theirs
  bool compact = false;   ///< a frozen b may be rounded to 16 bits, within 1e-4 of its norm, if m is 1
};
/// Like every kernel here it divides its work among the threads that can be had when it is made, and must run with as
/// many (base::ScopedThreads, which programs hold).
std::function<void()> matmul_kernel(const MatmulSpec& spec);
/// Whether the kernel of this product applies post-ops. That of f32 products with b as it is does not, but is up to a
/// third faster; it is chosen by shapes alone, so that equal products are equal to the last bit in all
/// programs that do not freeze their operands.
bool matmul_takes_post_ops(const graph::TensorType& a, const graph::TensorType& product, bool transpose_b);

/// A product of matrices and the chain that follows it: operands of access `product` are the product's elements.
/// spec.dst and spec.post_ops are not used. Where the chain can run as machine code, the product never lies in memory.
std::function<void()> matmul_chain_kernel(const MatmulSpec& spec, TileProgram chain);
/// The same with the chain that spec.post_ops and spec.dst describe.
std::function<void()> matmul_chain_kernel(const MatmulSpec& spec);
/// Whether that is the better way: for bf16 operands, where we have a kernel of our own (packed_product.h).
bool matmul_takes_chain(const graph::TensorType& a, const graph::TensorType& product);

/// A convolution as deep learning defines it (cross-correlation) and its two gradients. Activations are channels last:
/// src [N, H, W, I], dst [N, H', W', O], H' = (H + 2 padding - KH) / stride + 1; weights [O, I, KH, KW].
struct ConvolutionSpec {
  enum class Kind : std::uint8_t { forward, data_gradient, weight_gradient };
  Kind kind = Kind::forward;
  graph::Shape src, weights, dst;
  std::int64_t stride = 1, padding = 0;
  graph::DType operand_dtype = graph::DType::f32, result_dtype = graph::DType::f32;
  const void* a = nullptr;  ///< forward: src, data gradient: diff_dst, weight gradient: src
  const void* b = nullptr;  ///< forward and data gradient: weights, weight gradient: diff_dst
  void* result = nullptr;
  std::vector<PostOp> post_ops;  ///< forward only
};
std::function<void()> convolution_kernel(const ConvolutionSpec& spec);

/// Whether this processor has instructions that multiply bf16 (AVX-512 BF16 or AMX). Without them training in bf16 is
/// not offered.
bool has_bf16();
/// Whether bf16 multiplies faster than f32: by kernels of our own it does; the vector instructions for it take twice as
/// long on some processors, half as long on others. That is measured, once, in less than a millisecond.
bool has_fast_bf16();
/// Leaves AVX-512 and what came after it unused from now on, to see what other x86 processors get. Must be called
/// before anything is computed; throws a usage error on processors that have no AVX2.
void pretend_avx2();
/// The instruction set oneDNN uses here, such as "avx512_core_bf16".
std::string instruction_set();

}  // namespace gan::runtime
