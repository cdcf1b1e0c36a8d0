#include "runtime/cpu/products.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "runtime/cpu/dnnl/kernels.h"
#include "runtime/cpu/f32_product.h"
#include "runtime/cpu/in_f32.h"
#include "runtime/cpu/machine_code.h"
#include "runtime/cpu/matvec.h"
#include "runtime/cpu/packed_product.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/row_product.h"
#include "runtime/cpu/unfolded.h"

// The table of products, which chooses the kernel of each product.
namespace gan::runtime::cpu {

namespace {

using graph::DType;

bool is_matmul(const Product& p, DType operands) { return p.matmul && p.operands() == operands; }
bool is_vector(const Product& p) { return p.matmul && (p.matmul->m == 1 || p.matmul->n == 1); }
bool onednn_has_bf16() { return instruction_set().find("avx512") != std::string::npos; }

std::size_t nothing(const Product&) { return 0; }

// oneDNN 2.6 computes some post-ops of convolutions wrongly on AArch64.
#ifdef __x86_64__
constexpr Epilogue kEpilogueOfConvolutions = Epilogue::linear;
#else
constexpr Epilogue kEpilogueOfConvolutions = Epilogue::none;
#endif

template <Multiplier with>
bool is_packed(const Product& p) {
  return is_matmul(p, DType::bf16) && !is_vector(p) && multiplier() == with;
}

MadeProduct make_packed(const Product& p, Workspace& workspace) {
  BoundChain pieces = p.epilogue;
  auto sums = std::make_shared<const ChainSums>(pieces, /*afterwards=*/false, workspace);
  PieceFunction code = machine_code(pieces, p.columns());
  if (!code) return {};
  return {[sums, run = packed_product_kernel(*p.matmul, std::move(code))] {
    run();
    sums->add_up();
  }};
}

constexpr ProductRow kProductRows[] = {
    {"int16-row", "one row by frozen weights that may be rounded to 16 bits: half as many bytes to read",
     Epilogue::linear, RowProduct::applies, 0.5, nothing, RowProduct::make},
    {"int16-rows", "several rows by such weights, each as if it were alone", Epilogue::none,
     RowProduct::applies_to_rows, 0.5, nothing, RowProduct::make},
    {"vector-rows", "several rows by weights that 16 bits would change too much, each as if it were alone",
     Epilogue::none, is_matvec_by_rows, 0.7, matvec_by_rows_workspace, matvec_by_rows},
    {"vector", "one row or one column: dot products, bound by reading the matrix", Epilogue::none, is_vector, 0.9,
     matvec_workspace, matvec_kernel},
    {"amx", "bf16 matrices by tiles; the epilogue runs piece by piece", Epilogue::pieces, is_packed<Multiplier::amx>,
     0.1, nothing, make_packed},
    {"avx512-fp16", "bf16 matrices by vectors of fp16; the epilogue runs piece by piece", Epilogue::pieces,
     is_packed<Multiplier::fp16>, 0.3, nothing, make_packed},
    {"avx512-bf16", "bf16 matrices by vectors of bf16; the epilogue runs piece by piece", Epilogue::pieces,
     is_packed<Multiplier::bf16>, 0.5, nothing, make_packed},
    {"avx2-f32", "f32 matrices by vectors of AVX2", Epilogue::none, is_f32_product, 0.8, nothing, f32_product},
    {"sgemm", "f32 with the second operand not transposed: oneDNN's sgemm", Epilogue::none,
     [](const Product& p) { return is_matmul(p, DType::f32) && !p.matmul->transpose_b; }, 1, nothing, onednn::sgemm,
     true},
    {"onednn", "oneDNN's primitive, with the epilogue as post-ops", Epilogue::linear,
     [](const Product& p) { return is_matmul(p, DType::f32) || (is_matmul(p, DType::bf16) && onednn_has_bf16()); }, 1.1,
     nothing, onednn::matmul, true},
    {"f32-copies", "bf16 without AVX-512, where oneDNN has no bf16: f32 copies of the operands", Epilogue::none,
     [](const Product& p) { return p.operands() == DType::bf16; }, 3, in_f32_workspace, in_f32, true},
    {"unfolded", "a convolution of bf16 as a product with the unfolded images", Epilogue::pieces, is_unfolded, 0.3,
     unfolded_workspace, unfolded_kernel},
    {"onednn-convolution", "oneDNN's convolution, with the epilogue as post-ops", kEpilogueOfConvolutions,
     [](const Product& p) { return p.convolution && (p.operands() == DType::f32 || onednn_has_bf16()); }, 1, nothing,
     onednn::convolution, true},
};

/// Whether the kernel of a row may compute the epilogue of a product.
bool computes_epilogue(const ProductRow& row, const Product& product) {
  const bool gradient = product.convolution && product.convolution->kind != graph::Convolution::Kind::forward;
  if (gradient && !only_stores_f32(product.epilogue)) return false;
  switch (row.epilogue) {
    case Epilogue::none:
      return only_stores_f32(product.epilogue);
    case Epilogue::linear:
      return is_linear(product.epilogue);
    case Epilogue::pieces:
      return product.use_machine_code;
  }
  return false;
}

/// The rows that apply, the cheapest first.
std::vector<const ProductRow*> choices(const Product& product, const std::set<std::string>& disabled) {
  std::vector<const ProductRow*> rows;
  for (const ProductRow& row : kProductRows) {
    if (row.epilogue == Epilogue::pieces && !product.use_machine_code) continue;
    if (!disabled.count(std::string(row.name)) && row.applies(product)) rows.push_back(&row);
  }
  std::ranges::stable_sort(rows, {}, &ProductRow::cost);
  return rows;
}

/// The product stored as f32 at dst, without its epilogue.
Product without_epilogue(const Product& product, float* dst) {
  Product plain = product;
  plain.epilogue = store_chain(dst, DType::f32, product.elements());
  return plain;
}

}  // namespace

std::span<const ProductRow> product_rows() { return kProductRows; }

std::size_t product_workspace(const Product& product, const std::set<std::string>& disabled) {
  const bool stores_only = only_stores_f32(product.epilogue);
  std::size_t most = 0;  // for all candidates: a kernel may turn out not to support the product
  for (const ProductRow* row : choices(product, disabled)) {
    std::size_t bytes = row->workspace(product);
    const bool with_epilogue =
        computes_epilogue(*row, product) &&
        (row->epilogue != Epilogue::pieces || runs_as_machine_code(product.epilogue, product.columns()));
    if (with_epilogue && row->epilogue == Epilogue::pieces)
      bytes += ChainSums::workspace(product.epilogue, /*afterwards=*/false);
    else if (!stores_only && !with_epilogue)
      bytes +=
          Workspace::bytes_of<float>(product.elements()) + chain_workspace(product.epilogue, product.use_machine_code);
    most = std::max(most, bytes);
    if (row->make != RowProduct::make) break;
  }
  return most;
}

Kernel product_kernel(const Product& product, Workspace& workspace, const std::set<std::string>& disabled) {
  for (const ProductRow* row : choices(product, disabled)) {
    MadeProduct made;
    Workspace room = workspace;
    if (computes_epilogue(*row, product)) made = row->make(product, room);
    if (!made.run && !only_stores_f32(product.epilogue)) {
      // The epilogue runs as a kernel of its own and reads the product from memory.
      room = workspace;
      float* const dst = room.take<float>(product.elements());
      made = row->make(without_epilogue(product, dst), room);
      if (!made.run) continue;
      made = {[multiply = std::move(made.run),
               follow = chain_kernel(with_product_at(product.epilogue, dst), room, product.use_machine_code)] {
        multiply();
        follow();
      }};
    }
    if (!made.run) continue;
    Kernel kernel;
    kernel.run = std::move(made.run);
    kernel.detail = std::move(made.detail);
    kernel.row = row->name;
    kernel.blocks_signals = row->onednn;
    kernel.reason = row->reason;
    return kernel;
  }
  base::fail_run("no kernel is left for a product of {}", name_of(product.operands()));
}

}  // namespace gan::runtime::cpu
