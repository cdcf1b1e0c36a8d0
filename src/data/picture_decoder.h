#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/picture_folder.h"
#include "data/reader.h"
#include "data/resize.h"
#include "io/picture_file.h"

namespace gan::data {

/// How each picture is prepared: its channels are converted, then it is fitted into a size.
struct PicturePlan {
  std::int64_t height = 0, width = 0;  ///< 0: as the pictures are, which then agree
  Fit fit = Fit::crop;
  std::int64_t channels = 0;                              ///< 0: as most pictures have
  std::optional<std::array<std::uint8_t, 3>> background;  ///< on which alpha is laid; none: alpha is a channel
  bool transpose = false;
  bool skip_broken = false;

  /// The plan that the options ask for. Throws a usage error if one of them is not understood.
  explicit PicturePlan(const ReadOptions& options);
};

/// The picture with these channels. Grey becomes RGB by repetition, RGB grey by ITU-R 601-2 in 16 bits, as Pillow does
/// it; missing alpha is 255; alpha that gets lost is laid on the background, black if there is none.
void convert_channels(io::DecodedPicture& picture, std::int64_t channels,
                      const std::optional<std::array<std::uint8_t, 3>>& background);

/// Sets the condition of a data set whose samples are these files, given by their indices.
using SetCondition = std::function<void(std::span<const std::uint32_t> files, Dataset& dataset)>;

/// Decodes all files on all threads into a data set of images, whose pixels go to the cache under this key, or to
/// memory with a note if it cannot be written. Throws a data error that names the first and counts all if pictures are
/// broken and are not to be skipped, or none is left; that lists the sizes if they differ and none is given.
Dataset decode_pictures(const PictureFolder& folder, PicturePlan plan, const SourceOptions& options,
                        const std::string& cache_key, const SetCondition& set_condition);

}  // namespace gan::data
