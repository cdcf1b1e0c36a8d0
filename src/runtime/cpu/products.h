#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/spec.h"
#include "runtime/backend.h"
#include "runtime/cpu/chain.h"
#include "runtime/cpu/workspace.h"

namespace gan::runtime::cpu {

/// A matrix product with the addresses of its operands.
struct BoundMatmul : graph::Matmul {
  const void* a = nullptr;
  const void* b = nullptr;
  bool frozen_b = false;  ///< b has its final value: kernels may keep it in another layout
};

/// A convolution with the addresses of its operands (graph::Convolution::Kind).
struct BoundConvolution : graph::Convolution {
  const void* a = nullptr;
  const void* b = nullptr;
};

/// A matrix product or a convolution with the chain that is its epilogue. A kernel without epilogue stores f32 at
/// dst().
struct Product {
  std::optional<BoundMatmul> matmul;
  std::optional<BoundConvolution> convolution;
  BoundChain epilogue;
  std::int64_t compact_rows = 0;  ///< Launch::compact_rows
  bool use_machine_code = true;

  graph::DType operands() const { return matmul ? matmul->operands : convolution->operands; }
  std::int64_t elements() const { return epilogue.elements; }
  /// Length of a row of the result: columns of a matrix, innermost axis of a convolution.
  std::int64_t columns() const { return matmul ? matmul->n : convolution->result_shape().back(); }
  /// The address of the result if the epilogue only stores f32.
  float* dst() const { return static_cast<float*>(epilogue.results[0].data); }
};

/// The epilogues that a kernel computes itself.
enum class Epilogue {
  none,    ///< none but storing f32
  linear,  ///< sequences of ops (is_linear)
  pieces,  ///< those that machine code supports, run on each piece of the result while it is in the cache
};

/// A kernel that computes a product.
struct MadeProduct {
  std::function<void()> run;  ///< empty: the kernel does not support the product after all
  std::shared_ptr<void> detail = {};
};

/// The fewest operations of a thread, low for the reason given at kElementwiseGrain.
inline constexpr double kOperationsOfAThread = 2.5e5;

/// A row of the table of products: a kernel, when it applies and what it costs.
struct ProductRow {
  std::string_view name, reason;
  Epilogue epilogue;
  bool (*applies)(const Product& product);
  /// Time of a multiply-add relative to that in f32 by `sgemm`; the cheapest row that applies is taken. Rounded from
  /// docs/performance.md; only the order matters.
  double cost;
  /// Bytes of workspace, not counting what a separate kernel of the epilogue needs.
  std::size_t (*workspace)(const Product& product);
  MadeProduct (*make)(const Product& product, Workspace& workspace);
  bool onednn = false;  ///< runs oneDNN's code, during which no signal handler may run
};

/// All rows.
std::span<const ProductRow> product_rows();

/// The kernel of a product, chosen without the disabled rows. Throws a run error if none is left.
Kernel product_kernel(const Product& product, Workspace& workspace, const std::set<std::string>& disabled);
std::size_t product_workspace(const Product& product, const std::set<std::string>& disabled);

}  // namespace gan::runtime::cpu
