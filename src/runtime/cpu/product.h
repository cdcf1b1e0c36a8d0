#pragma once

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

/// A matrix product and where its operands lie.
struct BoundMatmul : graph::Matmul {
  const void* a = nullptr;
  const void* b = nullptr;
  bool frozen_b = false;  ///< b holds already what it holds in every run: kernels may keep it in a form of theirs
};

/// A convolution and where its operands lie (graph::Convolution says which these are).
struct BoundConvolution : graph::Convolution {
  const void* a = nullptr;
  const void* b = nullptr;
};

/// A matrix product or a convolution and the chain that follows it. A kernel that works without the chain stores f32 at
/// `dst` instead.
struct Product {
  std::optional<BoundMatmul> matmul;
  std::optional<BoundConvolution> convolution;
  BoundChain tail;
  bool compact = false;  ///< Launch::compact

  graph::DType operands() const { return matmul ? matmul->operands : convolution->operands; }
  std::int64_t elements() const { return tail.elements; }
  /// Elements of a row of the result: columns of a matrix, channels of an image.
  std::int64_t columns() const { return matmul ? matmul->n : convolution->result_shape().back(); }
  /// Where a tail that only stores f32 stores it.
  float* dst() const { return static_cast<float*>(tail.results[0].data); }
};

/// How much of a product's tail a kernel computes with it.
enum class Tail {
  none,    ///< it stores f32
  linear,  ///< one op after the other (is_linear)
  pieces,  ///< what can run as machine code, piece by piece while a piece is in the caches
  any,
};

/// A kernel of products.
struct MadeProduct {
  std::function<void()> run;  ///< empty: this kernel cannot compute the product after all
  std::shared_ptr<void> detail = {};
};

/// A row of the table of products: a kernel, when it applies, what it costs.
struct ProductRow {
  std::string_view name, reason;
  Tail tail;
  bool (*applies)(const Product& product);
  /// Seconds of a multiply-add, relative to those of an f32 product by `sgemm`; of the rows that apply the cheapest is
  /// taken. The figures are rounded from docs/performance.md; only their order matters.
  double cost;
  /// Bytes of workspace, without what the tail needs.
  std::size_t (*workspace)(const Product& product);
  MadeProduct (*make)(const Product& product, Workspace& workspace);
};

/// All rows.
std::span<const ProductRow> product_rows();

/// The kernel of a product without the rows and parts that are disabled. Throws a run error if none is left.
Kernel product_kernel(const Product& product, Workspace& workspace, const std::set<std::string>& disabled);
std::size_t product_workspace(const Product& product, const std::set<std::string>& disabled);

/// Not a row, but a part that can be disabled like one: chains as machine code.
inline constexpr const char* kMachineCode = "machine-code";
/// Products of one row that follow each other run in turns (row_product.h).
inline constexpr const char* kRowPairs = "row-pairs";

}  // namespace gan::runtime::cpu
