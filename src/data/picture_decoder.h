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
  std::int64_t height = 0, width = 0;  ///< 0: those of the pictures, which must all have one size
  Fit fit = Fit::crop;
  std::int64_t channels = 0;                              ///< 0: the number that most pictures have
  std::optional<std::array<std::uint8_t, 3>> background;  ///< blended with alpha; none: alpha stays a channel
  bool transpose = false;
  bool skip_broken = false;

  /// The plan that the options ask for. Throws a usage error if one of them is not understood.
  explicit PicturePlan(const ReadOptions& options);
};

/// Converts a picture to this number of channels. Grey becomes RGB by repetition, RGB becomes grey by ITU-R 601-2 in 16
/// bits, as in Pillow; missing alpha is 255; alpha that is dropped is blended with the background, black if there is
/// none.
void convert_channels(io::DecodedPicture& picture, std::int64_t channels,
                      const std::optional<std::array<std::uint8_t, 3>>& background);

/// Sets the condition of a data set whose samples are the pictures with these indices.
using SetCondition = std::function<void(std::span<const std::uint32_t> files, Dataset& dataset)>;

/// Decodes all files, on all threads, into a data set of images. Their pixels go to the cache under this key; if it
/// cannot be written, to memory, with a note. Throws a data error if pictures are broken and are not to be skipped, or
/// none is left, and if their sizes differ and the plan has no size.
Dataset decode_pictures(const PictureFolder& folder, PicturePlan plan, const SourceOptions& options,
                        const std::string& cache_key, const SetCondition& set_condition);

}  // namespace gan::data
