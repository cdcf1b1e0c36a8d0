#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/sha256.h"

struct gzFile_s;

namespace gan::data {

/// A file, plain or compressed with gzip, whose content is read from front to back and hashed on the way.
class GzipFile {
 public:
  /// Throws a data error if the file is missing or not a regular file.
  explicit GzipFile(const std::string& path);
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  /// No more bytes of content than this can come from a file of this size.
  std::uint64_t max_content() const;
  /// Reads up to `bytes` bytes and returns how many; less only at the end of the content. Throws a data error if the
  /// gzip data is damaged or cut short; its checksum is compared by the call that meets the end.
  std::size_t read(void* dst, std::size_t bytes);
  /// SHA-256 of what was read, in hexadecimal. To be called once, last.
  std::string hash() { return hash_.finish(); }

 private:
  std::string path_;
  std::uint64_t file_bytes_;
  gzFile_s* file_ = nullptr;
  bool compressed_ = false;
  base::Sha256 hash_;
};

}  // namespace gan::data
