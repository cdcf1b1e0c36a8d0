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

/// A kernel as CUDA C++ and how it is launched. Everything but addresses is part of its text, so that kernels of one
/// text are compiled once.
struct SourceKernel {
  std::string name;  ///< of the function, made from its text
  std::string text;
  unsigned grid_x = 1, grid_y = 1;
  unsigned threads = 256;  ///< of a block
  std::vector<Address> arguments;
};

/// d[m, n] = sum over k of a[m, k] b[k, n], or d plus that; operands as in graph::Matmul, d f32.
struct Product {
  graph::Matmul shape;
  Address a = 0, b = 0, d = 0;
  bool accumulate = false;
};

using Work = std::variant<SourceKernel, Product>;

/// What a launch becomes: kernels and products, one after the other.
struct Lowered {
  std::vector<Work> work;
  std::size_t workspace = 0;  ///< bytes used behind launch.workspace
};

/// Lowers a launch. Without addresses (null pointers) only the workspace is of use. Throws a run error for a Spec that
/// this backend does not know.
Lowered lower(const Launch& launch);

/// A product by a generated kernel, where cuBLASLt has none.
SourceKernel product_kernel(const Product& product);

/// The beginning of every source, with what kernels call: loads, stores, bf16, random numbers.
std::string_view prelude();

}  // namespace gan::runtime::cuda
