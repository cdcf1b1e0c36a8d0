#include <memory>

#include "runtime/amx.h"
#include "runtime/array.h"
#include "runtime/kernels.h"
#include "runtime/machine_code.h"

namespace gan::runtime {

bool matmul_takes_chain(const graph::TensorType& a, const graph::TensorType& product) {
  return a.dtype == graph::DType::bf16 && graph::element_count(product.shape) > 1 && has_amx();
}

std::function<void()> matmul_chain_kernel(const MatmulSpec& spec, TileProgram chain) {
  if (has_amx())
    if (PieceFunction pieces = machine_code(chain, spec.n)) return amx_kernel(spec, std::move(pieces));
  // The product takes memory after all, and the chain reads it there.
  MatmulSpec stored = spec;
  auto product = std::make_shared<AlignedBytes>(static_cast<std::size_t>(spec.m * spec.n) * sizeof(float));
  stored.dst = product->data();
  stored.dst_dtype = graph::DType::f32;
  for (TileOperand& operand : chain.operands)
    if (operand.access == Access::product) {
      operand = TileOperand();
      operand.data = product->data();
    }
  return [product, multiply = matmul_kernel(stored), follow = tile_kernel(std::move(chain))] {
    multiply();
    follow();
  };
}

}  // namespace gan::runtime
