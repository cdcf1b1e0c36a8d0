#pragma once

#include <cstdint>
#include <functional>

#include "runtime/cpu/chain.h"

namespace gan::runtime::cpu {

/// Rows [row, row_end) and columns [column, column_end) of the elements of a chain. If the chain follows a product,
/// element (row, column) of it is at `product`, and rows are product_stride elements apart. If the chain sums over
/// rows, `row` is a multiple of kSumRows.
struct Piece {
  std::int64_t row = 0, row_end = 0, column = 0, column_end = 0;
  const float* product = nullptr;
  std::int64_t product_stride = 0;
};

/// Computes a piece of a chain.
using PieceFunction = std::function<void(const Piece&)>;

/// Compiles a chain over rows of `columns` elements to machine code for this processor: one loop that keeps
/// intermediate values in registers. Results equal those of the block engine bit for bit. A result of access `sum` gets
/// one row for each kSumRows rows: their sum. Returns an empty function where only the block engine works: without
/// AVX2, for bf16 without AVX-512, for exponentials and logarithms, strided operands, rows of another length, or chains
/// that need too many registers.
PieceFunction machine_code(const BoundChain& chain, std::int64_t columns);
/// Whether machine_code supports the chain; its addresses do not matter.
bool runs_as_machine_code(BoundChain chain, std::int64_t columns);

}  // namespace gan::runtime::cpu
