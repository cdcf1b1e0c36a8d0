#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"

struct z_stream_s;

namespace gan::data {

/// A file, plain or compressed with gzip, whose content is read from front to back and hashed on the way. As RFC 1952
/// has it, compressed content may come in several members one after another; zeros may follow the last.
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
  /// gzip data is damaged, cut short or followed by something else; the call that meets the end compares its checksum.
  std::size_t read(void* dst, std::size_t bytes);
  /// SHA-256 of what was read, in hexadecimal. To be called once, last.
  std::string hash() { return hash_.finish(); }

 private:
  std::size_t read_plain(std::uint8_t* dst, std::size_t bytes);
  std::size_t read_compressed(std::uint8_t* dst, std::size_t bytes);
  /// Reads more of the file into the empty buffer; false at its end.
  bool fill();
  /// Goes to the next member; false if only zeros are left.
  bool next_member();

  base::InputFile file_;
  std::uint64_t unread_;                // bytes of the file behind the buffer
  std::vector<std::uint8_t> buffer_;    // of the file
  std::size_t begin_ = 0, end_ = 0;     // what is left of it
  std::unique_ptr<z_stream_s> stream_;  // null: plain
  bool ended_ = false;
  base::Sha256 hash_;
};

}  // namespace gan::data
