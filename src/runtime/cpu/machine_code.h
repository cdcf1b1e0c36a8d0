#pragma once

#include <cstdint>
#include <functional>

#include "runtime/cpu/chain.h"

namespace gan::runtime::cpu {

/// Rows [row, row_end) and columns [column, column_end) of what a chain computes. A chain that follows a product finds
/// these elements of it at `product`, the beginnings of rows `product_stride` apart. If the chain adds up rows, a piece
/// begins with a multiple of kSumRows.
struct Piece {
  std::int64_t row = 0, row_end = 0, column = 0, column_end = 0;
  const float* product = nullptr;
  std::int64_t product_stride = 0;
};

/// Computes a piece of a chain.
using PieceFunction = std::function<void(const Piece&)>;

/// The chain over rows of `columns` elements as machine code, made now for this processor: one loop that keeps in
/// registers what lies between operands and results. Equal to the tile engine to the last bit. Empty where the tile
/// engine must do: without AVX-512, for exponentials and logarithms, for strided operands, for rows of another length,
/// for chains that need more registers than there are. Of a result of access `sum` a row is written for each kSumRows
/// rows: their sum.
PieceFunction machine_code(const BoundChain& chain, std::int64_t columns);
/// Whether it can be, wherever operands and results lie.
bool runs_as_machine_code(BoundChain chain, std::int64_t columns);

}  // namespace gan::runtime::cpu
