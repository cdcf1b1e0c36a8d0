#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "data/dataset.h"

namespace gan::data {

/// A part of a data set.
enum class Split { train, test };

/// Options for reading samples and conditions from a source. Model files keep them, so that later data is read in the
/// same way.
struct ReadOptions {
  std::string size = {};         ///< "HxW" for pictures of any size; "": as they are
  std::string fit = "crop";      ///< crop, pad or stretch pictures to that size
  std::int64_t channels = 0;     ///< 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; 0: the number that most pictures have
  std::string background = {};   ///< "#rrggbb", blended with pictures that have alpha; "": alpha is a channel
  bool transpose = false;        ///< swaps height and width of images, as EMNIST needs
  bool skip_broken = false;      ///< leaves out pictures that cannot be read
  std::string condition = {};    ///< names of columns with commas; "": the class label if there is one
  std::string target = {};       ///< columns of a table to generate; "": numeric columns that are not in the condition
  std::string categorical = {};  ///< columns whose numbers are categories
  std::string periodic = {};     ///< "angle:360,hour:24": columns of numbers with a period
  std::string scaling = {};      ///< "price:log,x:minmax"; scalings of other columns are chosen from the data
  std::string missing = "refuse";  ///< refuse or drop rows with missing values
  std::int64_t fourier = 0;        ///< Fourier frequencies of numeric conditions, see NumberColumn::features

  bool operator==(const ReadOptions&) const = default;
};

/// How to open a source.
struct SourceOptions {
  std::string cache = "";      ///< folder of fetched and decoded data; "": default_cache()
  Split split = Split::train;  ///< a source without a test part refuses Split::test
  std::uint64_t seed = 0;      ///< for synthetic sources
  bool labels = true;          ///< false: labels are not read and may be missing
  ReadOptions read = {};
  std::function<void(const std::string&)> progress = {};  ///< gets lines while files are read; may be empty
};

/// A kind of data source. Each lives in one file, which defines it as `extern const Reader NAME_reader`.
struct Reader {
  std::string_view name;  ///< the value of --data, or a name for a reader that accepts paths
  std::string_view help;  ///< one line
  /// Whether the reader accepts this path; null: it accepts only its name.
  bool (*accepts)(const std::string& spec) = nullptr;
  /// Reads the samples with every column of the source, from which open_source chooses. A reader may leave out columns
  /// that options.read.condition does not name.
  Dataset (*open)(const std::string& spec, const SourceOptions& options) = nullptr;
  /// Whether a source has a test part, other data for Split::test than for Split::train; null: never.
  bool (*has_test)(const std::string& spec) = nullptr;
  std::string_view default_condition = {};  ///< columns of the condition if the user chooses none; "": the class
  bool parameters = false;                  ///< whether parameters may follow the name: NAME:PARAMETERS
};

}  // namespace gan::data
