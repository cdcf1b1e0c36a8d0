#include "runtime/cuda/blas.h"

#include <algorithm>
#include <cstdint>

namespace gan::runtime::cuda {

namespace {

/// An object of cuBLASLt, destroyed with its owner.
template <typename Object>
using Owned = std::shared_ptr<std::remove_pointer_t<Object>>;

/// The largest power of two up to 256 that divides an address.
std::uint32_t alignment_of(Address address) {
  constexpr Address kLargestAlignment = 256;
  return static_cast<std::uint32_t>((address | kLargestAlignment) & (~(address | kLargestAlignment) + 1));
}

void* pointer(Address address) { return reinterpret_cast<void*>(address); }

}  // namespace

struct Blas::Prepared {
  Product product;
  Owned<cublasLtMatmulDesc_t> operation;
  Owned<cublasLtMatrixLayout_t> left, right, result;
  cublasLtMatmulAlgo_t algorithm;
  std::size_t workspace = 0;  ///< bytes that the algorithm needs
};

Blas::Blas(const Functions& functions, CUstream stream, Address workspace)
    : functions_(functions), stream_(stream), workspace_(workspace) {
  check(functions.cublasLtCreate(&handle_), "cublasLtCreate");
}

// cuBLASLt's matrices are column-major: what it sees is the transpose of each of ours. It computes d^T = b^T a^T.
std::shared_ptr<const Blas::Prepared> Blas::prepare(const Product& product) const {
  const Functions& f = functions_;
  const graph::Matmul& s = product.shape;
  auto prepared = std::make_shared<Prepared>();
  prepared->product = product;
  cublasLtMatmulDesc_t operation = nullptr;
  check(f.cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  prepared->operation = Owned<cublasLtMatmulDesc_t>(operation, f.cublasLtMatmulDescDestroy);
  const auto describe = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    check(f.cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  };
  describe(CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  describe(CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (product.bias) {
    describe(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    describe(CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointer(product.bias));
  }
  /// The layout of a dense row-major matrix, as cuBLASLt sees it.
  const auto layout = [&](cudaDataType_t type, std::int64_t rows, std::int64_t columns) {
    cublasLtMatrixLayout_t made = nullptr;
    check(f.cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(columns),
                                       static_cast<std::uint64_t>(rows), columns),
          "cublasLtMatrixLayoutCreate");
    return Owned<cublasLtMatrixLayout_t>(made, f.cublasLtMatrixLayoutDestroy);
  };
  const cudaDataType_t type = s.operands == graph::DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
  prepared->left = layout(type, s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n);
  prepared->right = layout(type, s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k);
  prepared->result = layout(product.result == graph::DType::bf16 ? CUDA_R_16BF : CUDA_R_32F, s.m, s.n);

  cublasLtMatmulPreference_t made = nullptr;
  check(f.cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const Owned<cublasLtMatmulPreference_t> preference(made, f.cublasLtMatmulPreferenceDestroy);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check(f.cublasLtMatmulPreferenceSetAttribute(made, attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspace});
  // Parts of a long sum are added in f32, also where the result is bf16.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(product.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(product.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(product.d));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(product.d));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status =
      f.cublasLtMatmulAlgoGetHeuristic(handle_, operation, prepared->left.get(), prepared->right.get(),
                                       prepared->result.get(), prepared->result.get(), made, 1, &found, &count);
  // Versions differ in what they answer where they cannot add a bias.
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (product.bias && status == CUBLAS_STATUS_INVALID_VALUE)) return nullptr;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (count == 0 || found.state != CUBLAS_STATUS_SUCCESS) return nullptr;
  prepared->algorithm = found.algo;
  prepared->workspace = found.workspaceSize;
  return prepared;
}

Touched Blas::touched(const Prepared& prepared) const {
  Touched touched = prepared.product.touched();
  if (prepared.workspace > 0) touched.writes.push_back({workspace_, workspace_ + prepared.workspace});
  return touched;
}

void Blas::launch(const Prepared& prepared) const {
  const Product& product = prepared.product;
  const float alpha = 1, beta = product.accumulate ? 1 : 0;
  check(functions_.cublasLtMatmul(handle_, prepared.operation.get(), &alpha, pointer(product.b), prepared.left.get(),
                                  pointer(product.a), prepared.right.get(), &beta, pointer(product.d),
                                  prepared.result.get(), pointer(product.d), prepared.result.get(), &prepared.algorithm,
                                  prepared.workspace > 0 ? pointer(workspace_) : nullptr, prepared.workspace, stream_),
        "cublasLtMatmul");
}

}  // namespace gan::runtime::cuda
