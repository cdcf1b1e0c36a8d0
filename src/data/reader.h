#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/dataset.h"

namespace gan::data {

/// Which part of a data set that has two.
enum class Split { train, test };

/// How to open a source.
struct SourceOptions {
  std::string cache = "";      ///< folder of fetched data; "": default_cache()
  Split split = Split::train;  ///< a source without a test part refuses Split::test
  std::uint64_t seed = 0;      ///< of the sources that are made on the fly
  bool labels = true;          ///< false: labels are not read and may be missing
};

/// A kind of data source. Each lives in one file, which defines it as `extern const Reader NAME_reader`.
struct Reader {
  std::string_view name;  ///< what --data says, or what the reader is called if it takes paths
  std::string_view help;  ///< one line
  /// Whether the reader takes this path; null: the reader takes its name and nothing else.
  bool (*accepts)(const std::string& spec) = nullptr;
  Dataset (*open)(const std::string& spec, const SourceOptions& options) = nullptr;
  /// Whether Split::test opens data that Split::train does not; null: never.
  bool (*has_test)(const std::string& spec) = nullptr;
};

}  // namespace gan::data
