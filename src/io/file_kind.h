#pragma once

#include <string>
#include <string_view>

namespace gan::io {

/// A file format that cannot be read, recognized by the first bytes of a file.
struct FileKind {
  std::string_view name;     ///< such as "an HDF5 file"; "" if it is not known
  std::string_view as_data;  ///< how to convert it to data that can be read
};

/// The number of bytes from the begin of a file that file_kind looks at.
inline constexpr std::size_t kFileKindBytes = 512;

/// The kind of a file that begins with these bytes, up to kFileKindBytes.
FileKind file_kind(std::string_view begin);

}  // namespace gan::io
