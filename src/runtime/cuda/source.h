#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/backend.h"

namespace gan::runtime::cuda {

/// An address in the memory of a device, as the driver takes it (CUdeviceptr).
using Address = std::uint64_t;

/// Bytes [begin, end) of a device.
struct Range {
  Address begin = 0, end = 0;
};

/// The memory that a kernel or a product uses.
struct Touched {
  std::vector<Range> reads, writes;

  /// Whether this must wait for `earlier`: one of them writes what the other uses.
  bool depends_on(const Touched& earlier) const;
};

/// A kernel as CUDA C++ and how it is launched. Everything but addresses is part of its text, so that kernels of one
/// text are compiled once.
struct SourceKernel {
  std::string name;  ///< of the function, made from its text
  std::string text;
  unsigned grid_x = 1, grid_y = 1;
  unsigned threads = 256;  ///< of a block
  std::vector<Address> arguments;
  Touched touched;
};

/// d[m, n] = sum over k of a[m, k] b[k, n], or d plus that, or plus bias[n]; operands as in graph::Matmul, d f32 or
/// rounded to bf16.
struct Product {
  graph::Matmul shape;
  Address a = 0, b = 0, d = 0;
  bool accumulate = false;
  graph::DType result = graph::DType::f32;
  Address bias = 0;  ///< f32; 0: none

  Touched touched() const;
};

/// The most bytes of an unfolded batch, however large the memory is: larger products are no faster.
inline constexpr std::size_t kMostUnfolded = 256 << 20;

using Work = std::variant<SourceKernel, Product>;

/// What a launch becomes: kernels and products, one after the other.
struct Lowered {
  std::vector<Work> work;
  std::size_t workspace = 0;  ///< bytes used behind launch.workspace
};

struct LowerOptions {
  /// An unfolded batch takes at most so many bytes of workspace, or one image.
  std::size_t most_unfolded = kMostUnfolded;
  /// Matrix products are generated kernels, which compute the chain that follows, too.
  bool own_products = false;
};

/// Lowers a launch. Without addresses (null pointers) only the workspace is of use. Throws a run error for a Spec that
/// this backend does not know.
Lowered lower(const Launch& launch, const LowerOptions& options = {});

/// A product by a generated kernel, where cuBLASLt has none.
SourceKernel product_kernel(const Product& product);

/// The beginning of every source, with what kernels call: loads, stores, bf16, random numbers.
std::string_view prelude();

}  // namespace gan::runtime::cuda
