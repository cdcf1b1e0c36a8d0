#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "graph/chain.h"
#include "runtime/cpu/workspace.h"

namespace gan::runtime::cpu {

using graph::Access;
using graph::ElementwiseOp;
using graph::Instruction;

/// An operand of a chain with its address.
struct BoundOperand : graph::ChainOperand {
  const void* data = nullptr;
};

/// A result of a chain with its address.
struct BoundResult : graph::ChainResult {
  void* data = nullptr;
};

/// A graph::Chain with the addresses of its operands and results.
using BoundChain = graph::BasicChain<BoundOperand, BoundResult>;

BoundChain bind_chain(const graph::Chain& chain, std::span<const std::byte* const> operands,
                      std::span<std::byte* const> results);

/// The chain that stores `elements` elements of a product and computes nothing.
BoundChain store_chain(void* dst, graph::DType dtype, std::int64_t elements);
/// Whether a chain only stores the product as f32.
bool only_stores_f32(const BoundChain& chain);
/// Whether each instruction reads the result of the one before it (the first: the product), and the last result alone
/// is stored, in full. Only such chains can be post-ops of oneDNN.
bool is_linear(const BoundChain& chain);
/// The chain with the product read from memory at `data`, f32.
BoundChain with_product_at(BoundChain chain, const void* data);
/// The part of a linear chain that computes `count` elements from `first` on, a multiple of the row length.
BoundChain part_of(BoundChain chain, std::int64_t first, std::int64_t count);

/// Fewest elements per thread of an elementwise loop or a sum. Small, because idle threads soon fall asleep, and waking
/// them takes longer than many kernels.
inline constexpr std::int64_t kElementwiseGrain = 4096;

/// A function that runs a chain on all threads: as machine code (machine_code.h) if that is enabled and supports the
/// chain, else by the block engine. Needs chain_workspace bytes of workspace.
std::function<void()> chain_kernel(BoundChain chain, Workspace& workspace, bool use_machine_code = true);
std::size_t chain_workspace(const BoundChain& chain, bool use_machine_code = true);

/// A function that runs a chain on all threads, block by block and op by op. Does not support results of access `sum`.
std::function<void()> block_engine(BoundChain chain);

/// The sums over rows among the results of a chain, with the workspace of their partial sums.
class ChainSums {
 public:
  /// Redirects these results of `chain` to workspace, to which the chain writes one partial sum per kSumRows rows, or,
  /// with `afterwards`, the summands themselves.
  ChainSums(BoundChain& chain, bool afterwards, Workspace& workspace);
  static std::size_t workspace(const BoundChain& chain, bool afterwards);

  /// Computes the sums from the workspace, after the chain has run.
  void add_up() const;

 private:
  struct Sum {
    float *dst, *memory;
    std::int64_t rows, columns;  // of `memory`
  };
  std::vector<Sum> sums_;
  bool afterwards_;
};

}  // namespace gan::runtime::cpu
