#pragma once

#include <string>
#include <string_view>

namespace gan::io {

/// What a file of a format that other programs write is, by the bytes with which it begins.
struct FileKind {
  std::string_view name;     ///< "an HDF5 file"; "" if it is not known
  std::string_view as_data;  ///< how to make data of it that can be read
};

/// Bytes from the begin of a file that file_kind looks at.
inline constexpr std::size_t kFileKindBytes = 512;

/// The kind of a file that begins with these bytes, up to kFileKindBytes.
FileKind file_kind(std::string_view begin);

}  // namespace gan::io
