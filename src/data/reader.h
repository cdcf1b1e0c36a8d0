#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/dataset.h"

namespace gan::data {

/// A part of a data set.
enum class Split { train, test };

/// How to open a source.
struct SourceOptions {
  std::string cache = "";      ///< folder of fetched data; "": default_cache()
  Split split = Split::train;  ///< a source without a test part refuses Split::test
  std::uint64_t seed = 0;      ///< for synthetic sources
  bool labels = true;          ///< false: labels are not read and may be missing
};

/// A kind of data source. Each lives in one file, which defines it as `extern const Reader NAME_reader`.
struct Reader {
  std::string_view name;  ///< the value of --data, or a name for a reader that accepts paths
  std::string_view help;  ///< one line
  /// Whether the reader accepts this path; null: it accepts only its name.
  bool (*accepts)(const std::string& spec) = nullptr;
  Dataset (*open)(const std::string& spec, const SourceOptions& options) = nullptr;
  /// Whether Split::test opens data that Split::train does not; null: never.
  bool (*has_test)(const std::string& spec) = nullptr;
};

}  // namespace gan::data
