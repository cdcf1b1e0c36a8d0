#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "runtime/array.h"
#include "runtime/chain.h"
#include "runtime/kernels.h"
#include "runtime/machine_code.h"
#include "runtime/packed_product.h"
#include "runtime/simd.h"
#include "runtime/tile.h"

namespace gan::runtime {

namespace {

/// Elements of a row, by which operands are repeated and results are added up; all elements if none is. An operand may
/// stay the same for several rows.
std::int64_t row_length(const TileProgram& program) {
  std::int64_t length = program.elements;
  for (const TileOperand& operand : program.operands)
    if (operand.access == Access::row || operand.access == Access::column) length = std::min(length, operand.period);
  for (const TileResult& result : program.results)
    if (result.access == Access::sum) length = std::min(length, result.period);
  return length;
}

/// Elements [begin, end) as pieces: what is left of a row, whole rows, the start of a row.
void run_range(const PieceFunction& chain, std::int64_t columns, std::int64_t begin, std::int64_t end) {
  while (begin < end) {
    Piece piece{.row = begin / columns, .column = begin % columns, .column_end = columns};
    const std::int64_t rows = piece.column > 0 ? 1 : std::max<std::int64_t>((end - begin) / columns, 1);
    piece.row_end = piece.row + rows;
    if (rows == 1) piece.column_end = std::min(columns, piece.column + end - begin);
    chain(piece);
    begin = (piece.row_end - 1) * columns + piece.column_end;
  }
}

/// The results of a chain that are sums over rows, and memory to compute them in.
class Sums {
 public:
  /// Directs such results to memory that takes a row for each kSumRows rows, or, if the chain is to store what is to be
  /// added up, each element.
  Sums(TileProgram& program, bool afterwards) : afterwards_(afterwards) {
    for (TileResult& result : program.results) {
      if (result.access != Access::sum) continue;
      const std::int64_t rows = program.elements / result.period;
      Sum& sum = sums_.emplace_back();
      sum.dst = static_cast<float*>(result.data);
      sum.columns = result.period;
      sum.rows = afterwards ? rows : (rows + kSumRows - 1) / kSumRows;
      sum.memory = AlignedBytes(static_cast<std::size_t>(sum.rows * sum.columns) * sizeof(float));
      result.data = sum.memory.data();
      if (afterwards) result.access = Access::full;
    }
  }

  /// To be called when the chain has run.
  void add_up() const {
    for (const Sum& sum : sums_) {
      const auto* src = reinterpret_cast<const float*>(sum.memory.data());
      if (afterwards_) {
        sum_over_rows(src, sum.dst, sum.rows, sum.columns);
        continue;
      }
      base::parallel_for(sum.columns, kElementwiseGrain / sum.rows + 1, [&](std::int64_t begin, std::int64_t end) {
        std::fill(sum.dst + begin, sum.dst + end, 0.0f);
        for (std::int64_t row = 0; row < sum.rows; ++row)
          simd::accumulate(src + row * sum.columns + begin, sum.dst + begin, static_cast<std::size_t>(end - begin));
      });
    }
  }

 private:
  struct Sum {
    float* dst;
    std::int64_t rows, columns;  // of the memory
    AlignedBytes memory;
  };
  std::vector<Sum> sums_;
  bool afterwards_;
};

}  // namespace

std::function<void()> tile_kernel(TileProgram program, bool use_machine_code) {
  const bool adds_up =
      std::ranges::any_of(program.results, [](const TileResult& r) { return r.access == Access::sum; });
  // Rows may have another length for sums than for operands: then the chain stores what is to be added up.
  for (const bool afterwards : {false, true}) {
    if (!use_machine_code || (afterwards && !adds_up)) break;
    TileProgram pieces = program;
    auto sums = std::make_shared<const Sums>(pieces, afterwards);
    const std::int64_t columns = row_length(pieces);
    PieceFunction chain = machine_code(pieces, columns);
    if (!chain) continue;
    // Rows that are added up together stay together.
    const std::int64_t unit = adds_up && !afterwards ? kSumRows * columns : 1, elements = program.elements;
    return [elements, unit, columns, sums, chain = std::move(chain)] {
      base::parallel_for((elements + unit - 1) / unit, std::max<std::int64_t>(kElementwiseGrain / unit, 1),
                         [&](std::int64_t begin, std::int64_t end) {
                           run_range(chain, columns, begin * unit, std::min(end * unit, elements));
                         });
      sums->add_up();
    };
  }
  auto sums = std::make_shared<const Sums>(program, /*afterwards=*/true);
  return [sums, run = tile_engine(std::move(program))] {
    run();
    sums->add_up();
  };
}

TileProgram post_op_chain(const std::vector<PostOp>& post_ops, const TileOperand& src, void* dst, graph::DType dtype,
                          std::int64_t elements, std::int64_t columns) {
  TileProgram chain;
  chain.elements = elements;
  chain.operands.push_back(src);
  for (const PostOp& post_op : post_ops) {
    if (!post_op.data) continue;
    TileOperand& operand = chain.operands.emplace_back();
    operand.data = post_op.data;
    operand.access = post_op.access;
    operand.period = columns;
  }
  int last = 0, operand = 1, next = static_cast<int>(chain.operands.size());
  for (const PostOp& post_op : post_ops) {
    chain.instructions.push_back({post_op.op, last, post_op.data ? operand++ : last, next, post_op.alpha});
    last = next++;
  }
  if (post_ops.empty()) chain.instructions.push_back({.op = TileOp::copy, .a = 0, .b = 0, .dst = last = next});
  chain.results.push_back({last, dst, dtype});
  return chain;
}

namespace {

/// What the specification of a product says of its result, as a chain that follows the product.
TileProgram chain_behind(const MatmulSpec& spec) {
  TileOperand product;
  product.access = Access::product;
  return post_op_chain(spec.post_ops, product, spec.dst, spec.dst_dtype, spec.m * spec.n, spec.n);
}

}  // namespace

bool chains_take_sums() { return has_machine_code(); }

std::function<void()> matmul_chain_kernel(const MatmulSpec& spec) {
  return matmul_chain_kernel(spec, chain_behind(spec));
}

bool matmul_takes_chain(const graph::TensorType& a, const graph::TensorType& product) {
  return a.dtype == graph::DType::bf16 && product.shape[0] > 1 && product.shape[1] > 1 &&
         multiplier() != Multiplier::none;
}

std::function<void()> matmul_chain_kernel(const MatmulSpec& spec, TileProgram chain) {
  if (multiplier() != Multiplier::none) {
    TileProgram by_pieces = chain;
    auto sums = std::make_shared<const Sums>(by_pieces, /*afterwards=*/false);
    if (PieceFunction pieces = machine_code(by_pieces, spec.n))
      return [sums, run = packed_product_kernel(spec, std::move(pieces))] {
        run();
        sums->add_up();
      };
  }
  // The product takes memory after all, and the chain reads it there.
  MatmulSpec stored = spec;
  auto product = std::make_shared<AlignedBytes>(static_cast<std::size_t>(spec.m * spec.n) * sizeof(float));
  stored.dst = product->data();
  stored.dst_dtype = graph::DType::f32;
  stored.post_ops.clear();
  for (TileOperand& operand : chain.operands)
    if (operand.access == Access::product) {
      operand = TileOperand();
      operand.data = product->data();
    }
  PieceFunction copy = multiplier() != Multiplier::none ? machine_code(chain_behind(stored), spec.n) : PieceFunction();
  return [product, multiply = copy ? packed_product_kernel(stored, std::move(copy)) : matmul_kernel(stored),
          follow = tile_kernel(std::move(chain))] {
    multiply();
    follow();
  };
}

}  // namespace gan::runtime
