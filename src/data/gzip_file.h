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

/// A file, plain or compressed with gzip, whose content is read sequentially and hashed at the same time. As RFC 1952
/// allows, compressed content may have several members in sequence; zeros may follow the last.
class GzipFile {
 public:
  /// Throws a data error if the file is missing or not a regular file.
  explicit GzipFile(const std::string& path);
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  /// An upper bound of the size of the content, from the size of the file.
  std::uint64_t max_content() const;
  /// Reads up to `bytes` bytes and returns their number, which is smaller only at the end of the content. Throws a data
  /// error if the gzip data is damaged, cut short or followed by other data; its checksum is checked at the end.
  std::size_t read(void* dst, std::size_t bytes);
  /// Reads the rest. Throws a data error as read() does, and if io::expands_too_much.
  std::string read_rest();
  /// SHA-256 of the bytes read, in hexadecimal. Call it once, last.
  std::string hash() { return hash_.finish(); }

 private:
  std::size_t read_plain(std::uint8_t* dst, std::size_t bytes);
  std::size_t read_compressed(std::uint8_t* dst, std::size_t bytes);
  /// Reads more of the file into the empty buffer; false at its end.
  bool fill();
  /// Goes to the next member; false if only zeros are left.
  bool next_member();

  base::InputFile file_;
  std::uint64_t unread_;                // bytes of the file after the buffer
  std::vector<std::uint8_t> buffer_;    // bytes of the file
  std::size_t begin_ = 0, end_ = 0;     // the part of it not yet used
  std::unique_ptr<z_stream_s> stream_;  // null: plain
  bool ended_ = false;
  base::Sha256 hash_;
};

}  // namespace gan::data
