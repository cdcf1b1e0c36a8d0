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

/// An operand of a chain and where it lies.
struct BoundOperand : graph::ChainOperand {
  const void* data = nullptr;
};

/// A result of a chain and where it lies.
struct BoundResult : graph::ChainResult {
  void* data = nullptr;
};

/// A graph::Chain with the addresses of its operands and results.
struct BoundChain {
  std::int64_t elements = 0;
  std::vector<BoundOperand> operands;
  std::vector<float> constants;
  std::vector<Instruction> instructions;
  std::vector<BoundResult> results;
};

BoundChain bind_chain(const graph::Chain& chain, std::span<const std::byte* const> operands,
                      std::span<std::byte* const> results);

/// The chain that stores `elements` elements of a product and computes nothing.
BoundChain store_chain(void* dst, graph::DType dtype, std::int64_t elements);
/// Whether a chain is that for f32.
bool only_stores_f32(const BoundChain& chain);
/// Whether every instruction works on the result of the one before it (the first on the product) and the last result
/// alone is stored, whole: what oneDNN's post-ops can say.
bool is_linear(const BoundChain& chain);
/// The chain with `data`, f32, in place of the product that it follows.
BoundChain with_product_at(BoundChain chain, const void* data);
/// The part of a linear chain that computes `count` elements from `first` on, a multiple of the rows' length.
BoundChain part_of(BoundChain chain, std::int64_t first, std::int64_t count);

/// Elements of an elementwise loop or a sum that are worth a thread: few, since threads that wait for long fall asleep,
/// and waking them takes longer than many a kernel.
inline constexpr std::int64_t kElementwiseGrain = 4096;

/// A function that runs a chain on all threads: as machine code where that can be and is wanted (machine_code.h), else
/// block by block. Workspace: chain_workspace bytes.
std::function<void()> chain_kernel(BoundChain chain, Workspace& workspace, bool use_machine_code = true);
std::size_t chain_workspace(const BoundChain& chain, bool use_machine_code = true);

/// Runs a chain on all threads block by block, op by op. Results of access `sum` are not for it.
std::function<void()> block_engine(BoundChain chain);

/// The results of a chain that are sums over rows, and memory to compute them in.
class ChainSums {
 public:
  /// Directs such results to memory that takes a row for each kSumRows rows, or, if the chain is to store what is to be
  /// added up (`afterwards`), each element.
  ChainSums(BoundChain& chain, bool afterwards, Workspace& workspace);
  static std::size_t workspace(const BoundChain& chain, bool afterwards);

  /// To be called when the chain has run.
  void add_up() const;

 private:
  struct Sum {
    float *dst, *memory;
    std::int64_t rows, columns;  // of the memory
  };
  std::vector<Sum> sums_;
  bool afterwards_;
};

}  // namespace gan::runtime::cpu
