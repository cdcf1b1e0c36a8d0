#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace gan::runtime::cpu {

/// Where the rows of a right operand [k, n] lie if not one behind the other, as numbers counted from its address:
/// number (r, c) is at rows[r] + blocks[c / kBlock] + c % kBlock. The rest of the last block may be read, too.
struct GatheredRows {
  static constexpr std::int64_t kLines = 16;
  std::vector<std::int64_t> rows, blocks;
};

// Operands are packed into registers of 16 lines of 64 bytes: of the left operand 16 rows of 32 numbers, of the right
// one 16 pairs of rows of 16 columns, the two numbers of a pair side by side.
constexpr std::int64_t kTileLines = 16;  // rows of the left operand, columns of the right one
constexpr std::int64_t kTileDepth = 32;  // numbers that a register sums over
constexpr std::int64_t kTileElements = kTileLines * kTileDepth;
constexpr std::int64_t kPairLines = 2 * kTileLines;  // lines of the two registers that are worked on together

/// What the numbers of an operand become.
enum class PackedForm : std::uint8_t {
  bf16,  ///< what they are
  fp16,  ///< of bf16 numbers fp16, each line scaled by a power of two
};

/// The largest half of a line is below 2^kLargestFp16.
constexpr std::int32_t kLargestFp16 = 3;

/// Of the 16 lines of a panel of halves, behind it: what was taken from the bits of a line's numbers to make its
/// largest one a half of that size, twice for the two numbers of 32 bits, and the power of two by which halves have to
/// be multiplied to be these numbers again, NaN if not all of them are finite. From 2^112 on sums may become infinite.
struct LineScales {
  std::int32_t shifts[kTileLines];
  float powers[kTileLines];
};

/// Numbers that a panel of halves has beyond its registers.
constexpr std::int64_t kPanelRoom = sizeof(LineScales) / sizeof(std::uint16_t);

/// An operand as lines (rows of the left one, columns of the right one) of `depth` numbers to be summed over.
struct PackedOperand {
  const void* data;
  std::int64_t lines, depth;
  bool along_lines;  ///< a line's numbers lie side by side
  bool left;
  PackedForm form;
  std::shared_ptr<const GatheredRows> gathered = nullptr;  ///< of a right operand not along lines: where its rows are

  /// Numbers from the operand's address to the first of a row of 16 lines.
  template <bool is_gathered>
  std::int64_t offset(std::int64_t row, std::int64_t line) const {
    if constexpr (!is_gathered) return row * lines + line;
    return gathered->rows[static_cast<std::size_t>(row)] +
           gathered->blocks[static_cast<std::size_t>(line / kTileLines)];
  }
};

/// Packs the pairs of panels [begin, end). A panel is 16 lines in all their depth, in whole registers, of halves
/// with kPanelRoom numbers behind; `panel` is the distance from one to the next. x86-64 processors with AVX-512 only,
/// halves those with its fp16.
void pack(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel, std::uint16_t* dst);

inline LineScales* scales_of(std::uint16_t* at, std::int64_t panel) {
  return reinterpret_cast<LineScales*>(at + panel - kPanelRoom);
}
inline const LineScales* scales_of(const std::uint16_t* at, std::int64_t panel) {
  return scales_of(const_cast<std::uint16_t*>(at), panel);
}

}  // namespace gan::runtime::cpu
