#pragma once

#include <memory>

#include "runtime/cuda/functions.h"
#include "runtime/cuda/source.h"

namespace gan::runtime::cuda {

/// Products by cuBLASLt on one stream: bf16 or f32 operands, f32 sums without TF32. The algorithm of a product is the
/// first of cuBLASLt's heuristic, a function of shape, alignment, device and library alone, so that bits repeat.
class Blas {
 public:
  /// `workspace`: kWorkspace bytes that only kernels of `stream` use. The functions must outlive this object.
  Blas(const Functions& functions, CUstream stream, Address workspace);

  /// A product with its addresses and its algorithm.
  struct Prepared;
  /// Null if cuBLASLt has no algorithm for the product.
  std::shared_ptr<const Prepared> prepare(const Product& product) const;
  void launch(const Prepared& prepared) const;
  /// The memory that it uses, the shared workspace included if its algorithm needs any.
  Touched touched(const Prepared& prepared) const;

  static constexpr std::size_t kWorkspace = 32 << 20;  ///< what NVIDIA recommends for compute capability 9.0

 private:
  const Functions& functions_;
  CUstream stream_;
  Address workspace_;
  cublasLtHandle_t handle_ = nullptr;
};

}  // namespace gan::runtime::cuda
