#include "runtime/cpu/chain.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/parallel.h"
#include "runtime/cpu/machine_code.h"
#include "runtime/cpu/simd.h"
#include "runtime/cpu/sums.h"

namespace gan::runtime::cpu {

namespace {

/// The row length of a chain: the shortest period of operands and of sums, or all elements if there is none.
std::int64_t row_length(const BoundChain& chain) {
  std::int64_t length = chain.elements;
  for (const BoundOperand& operand : chain.operands)
    if (operand.access == Access::row || operand.access == Access::column) length = std::min(length, operand.period);
  for (const BoundResult& result : chain.results)
    if (result.access == Access::sum) length = std::min(length, result.period);
  return length;
}

/// Runs elements [begin, end) as pieces: the rest of a row, whole rows, the start of a row.
void run_range(const PieceFunction& code, std::int64_t columns, std::int64_t begin, std::int64_t end) {
  while (begin < end) {
    Piece piece{.row = begin / columns, .column = begin % columns, .column_end = columns};
    const std::int64_t rows = piece.column > 0 ? 1 : std::max<std::int64_t>((end - begin) / columns, 1);
    piece.row_end = piece.row + rows;
    if (rows == 1) piece.column_end = std::min(columns, piece.column + end - begin);
    code(piece);
    begin = (piece.row_end - 1) * columns + piece.column_end;
  }
}

bool has_sums(const BoundChain& chain) {
  return std::ranges::any_of(chain.results, [](const BoundResult& r) { return r.access == Access::sum; });
}

}  // namespace

BoundChain bind_chain(const graph::Chain& chain, std::span<const std::byte* const> operands,
                      std::span<std::byte* const> results) {
  BoundChain bound{chain.elements, {}, chain.constants, chain.instructions, {}};
  for (std::size_t i = 0; i < chain.operands.size(); ++i) bound.operands.push_back({chain.operands[i], operands[i]});
  for (std::size_t i = 0; i < chain.results.size(); ++i) bound.results.push_back({chain.results[i], results[i]});
  return bound;
}

BoundChain store_chain(void* dst, graph::DType dtype, std::int64_t elements) {
  return {.elements = elements,
          .operands = {{{.access = Access::product}, nullptr}},
          .constants = {},
          .instructions = {{.op = ElementwiseOp::copy, .a = 0, .b = 0, .dst = 1}},
          .results = {{{.source = 1, .dtype = dtype}, dst}}};
}

bool only_stores_f32(const BoundChain& chain) {
  return chain.instructions.size() == 1 && chain.instructions[0].op == ElementwiseOp::copy &&
         chain.instructions[0].a == 0 && chain.operands[0].access == Access::product && is_linear(chain) &&
         chain.results[0].dtype == graph::DType::f32;
}

bool is_linear(const BoundChain& chain) {
  const auto first_result = static_cast<int>(chain.operands.size() + chain.constants.size());
  int last = 0;
  for (const Instruction& instruction : chain.instructions) {
    const int other = instruction.a == last ? instruction.b : instruction.a;
    if (instruction.a != last && instruction.b != last) return false;
    if (graph::is_binary(instruction.op) && (other < 1 || other >= first_result)) return false;
    last = instruction.dst;
  }
  const auto unsupported = [](const BoundOperand& operand) {
    return operand.access == Access::column || operand.access == Access::strided || operand.dtype != graph::DType::f32;
  };
  return !chain.instructions.empty() && chain.results.size() == 1 && chain.results[0].source == last &&
         chain.results[0].access == Access::full && std::ranges::none_of(chain.operands, unsupported);
}

BoundChain with_product_at(BoundChain chain, const void* data) {
  for (BoundOperand& operand : chain.operands)
    if (operand.access == Access::product) operand = {graph::ChainOperand(), data};
  return chain;
}

BoundChain part_of(BoundChain chain, std::int64_t first, std::int64_t count) {
  const auto moved = [&](auto* data, graph::DType dtype) {
    return data + first * static_cast<std::int64_t>(size_of(dtype));
  };
  chain.elements = count;
  for (BoundOperand& operand : chain.operands)
    if (operand.access == Access::full)
      operand.data = moved(static_cast<const std::byte*>(operand.data), operand.dtype);
  for (BoundResult& result : chain.results) result.data = moved(static_cast<std::byte*>(result.data), result.dtype);
  return chain;
}

ChainSums::ChainSums(BoundChain& chain, bool afterwards, Workspace& workspace) : afterwards_(afterwards) {
  for (BoundResult& result : chain.results) {
    if (result.access != Access::sum) continue;
    const std::int64_t rows = chain.elements / result.period;
    Sum& sum = sums_.emplace_back();
    sum.dst = static_cast<float*>(result.data);
    sum.columns = result.period;
    sum.rows = afterwards ? rows : (rows + kSumRows - 1) / kSumRows;
    sum.memory = workspace.take<float>(sum.rows * sum.columns);
    result.data = sum.memory;
    if (afterwards) result.access = Access::full;
  }
}

std::size_t ChainSums::workspace(const BoundChain& chain, bool afterwards) {
  std::size_t bytes = 0;
  for (const BoundResult& result : chain.results) {
    if (result.access != Access::sum) continue;
    const std::int64_t rows = chain.elements / result.period;
    bytes += Workspace::bytes_of<float>((afterwards ? rows : (rows + kSumRows - 1) / kSumRows) * result.period);
  }
  return bytes;
}

void ChainSums::add_up() const {
  for (const Sum& sum : sums_) {
    if (afterwards_) {
      sum_over_rows(sum.memory, sum.dst, sum.rows, sum.columns);
      continue;
    }
    base::parallel_for(sum.columns, kElementwiseGrain / sum.rows + 1, [&](std::int64_t begin, std::int64_t end) {
      std::fill(sum.dst + begin, sum.dst + end, 0.0f);
      for (std::int64_t row = 0; row < sum.rows; ++row)
        simd::accumulate(sum.memory + row * sum.columns + begin, sum.dst + begin,
                         static_cast<std::size_t>(end - begin));
    });
  }
}

std::size_t chain_workspace(const BoundChain& chain, bool use_machine_code) {
  if (!has_sums(chain)) return 0;
  const bool fused = use_machine_code && runs_as_machine_code(chain, row_length(chain));
  return ChainSums::workspace(chain, /*afterwards=*/!fused);
}

std::function<void()> chain_kernel(BoundChain chain, Workspace& workspace, bool use_machine_code) {
  const bool sums_rows = has_sums(chain);
  // First choice: the machine code adds up rows. Second: it stores the summands, as it must if the row lengths of sums
  // and operands differ.
  for (const bool afterwards : {false, true}) {
    if (!use_machine_code || (afterwards && !sums_rows)) break;
    BoundChain pieces = chain;
    Workspace room = workspace;
    auto sums = std::make_shared<const ChainSums>(pieces, afterwards, room);
    const std::int64_t columns = row_length(pieces);
    PieceFunction code = machine_code(pieces, columns);
    if (!code) continue;
    workspace = room;
    // Rows of one partial sum are not divided between threads.
    const std::int64_t unit = sums_rows && !afterwards ? kSumRows * columns : 1, elements = chain.elements;
    return [elements, unit, columns, sums, code = std::move(code)] {
      base::parallel_for((elements + unit - 1) / unit, std::max<std::int64_t>(kElementwiseGrain / unit, 1),
                         [&](std::int64_t begin, std::int64_t end) {
                           run_range(code, columns, begin * unit, std::min(end * unit, elements));
                         });
      sums->add_up();
    };
  }
  auto sums = std::make_shared<const ChainSums>(chain, /*afterwards=*/true, workspace);
  return [sums, run = block_engine(std::move(chain))] {
    run();
    sums->add_up();
  };
}

}  // namespace gan::runtime::cpu
