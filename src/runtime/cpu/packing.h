#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace gan::runtime::cpu {

/// The places of the rows of a right operand [k, n] that are not stored one after the other, in elements from its
/// address: element (r, c) is at rows[r] + blocks[c / kLines] + c % kLines. The kernel may read past the last column,
/// up to a multiple of kLines.
struct GatheredRows {
  static constexpr std::int64_t kLines = 16;
  std::vector<std::int64_t> rows, blocks;
};

// Operands are packed into tiles: 16 lines of 64 bytes, as AMX registers hold them. A tile of the left operand has 16
// rows of 32 elements; one of the right operand has 16 pairs of rows of 16 columns, the two elements of a pair side by
// side. The fp16 kernel reads the same layout.
constexpr std::int64_t kTileLines = 16;  // rows of the left operand, columns of the right one
constexpr std::int64_t kTileDepth = 32;  // elements along the summed axis
constexpr std::int64_t kTileElements = kTileLines * kTileDepth;
constexpr std::int64_t kPairLines = 2 * kTileLines;  // lines of the two tiles that are multiplied together

/// The type of packed elements.
enum class PackedForm : std::uint8_t {
  bf16,  ///< unchanged
  fp16,  ///< converted to fp16, each line scaled by a power of two
};

/// The largest fp16 magnitude of a line is below 2^kLargestFp16.
constexpr std::int32_t kLargestFp16 = 3;

/// The scales of the 16 lines of an fp16 panel, stored behind it. `shifts`: what is subtracted from the bits of the
/// bf16 elements of a line to scale its largest magnitude below 2^kLargestFp16, twice in 32 bits, for two elements.
/// `powers`: the power of two by which the fp16 elements are multiplied to undo that, NaN if not all of them are
/// finite. From 2^112 on, sums may become infinite.
struct LineScales {
  std::int32_t shifts[kTileLines];
  float powers[kTileLines];
};

/// Size of LineScales in fp16 elements.
constexpr std::int64_t kPanelRoom = sizeof(LineScales) / sizeof(std::uint16_t);

/// An operand as lines (rows of the left one, columns of the right one) of `depth` elements, the summed axis.
struct PackedOperand {
  const void* data;
  std::int64_t lines, depth;
  bool along_lines;  ///< the elements of a line are contiguous
  bool left;
  PackedForm form;
  std::shared_ptr<const GatheredRows> gathered = nullptr;  ///< needs along_lines = false

  /// The offset in elements from `data` to 16 lines, from `line` on, of a row.
  template <bool is_gathered>
  std::int64_t offset(std::int64_t row, std::int64_t line) const {
    if constexpr (!is_gathered) return row * lines + line;
    return gathered->rows[static_cast<std::size_t>(row)] +
           gathered->blocks[static_cast<std::size_t>(line / kTileLines)];
  }
};

/// Packs the pairs of panels [begin, end). A panel has 16 lines of whole tiles, and in fp16 kPanelRoom more elements
/// for its scales; consecutive panels are `panel` elements apart. Needs x86-64 with AVX-512, for fp16 also AVX-512
/// FP16.
void pack(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel, std::uint16_t* dst);

inline LineScales* scales_of(std::uint16_t* at, std::int64_t panel) {
  return reinterpret_cast<LineScales*>(at + panel - kPanelRoom);
}
inline const LineScales* scales_of(const std::uint16_t* at, std::int64_t panel) {
  return scales_of(const_cast<std::uint16_t*>(at), panel);
}

}  // namespace gan::runtime::cpu
