#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/npy.h"
#include "io/zip.h"

namespace gan::io {

/// The arrays of a .npz file: a zip archive of .npy files, stored or deflated, with or without zip64.
class NpzFile {
 public:
  /// Reads the list of arrays. Throws as ZipFile does.
  explicit NpzFile(const std::string& path);

  const std::string& path() const { return zip_.path(); }
  /// The names of the arrays without ".npy", in the order of the file; other members are ignored.
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view name) const;
  /// Opens an array. Its checksum is verified when its last element is read. Throws a data error if there is none of
  /// that name, as NpyInput does, or if the compressed data is damaged.
  NpyInput open(const std::string& name) const;

 private:
  ZipFile zip_;
  std::vector<std::string> names_;
};

/// The code points of a UTF-8 text, as numpy's arrays of strings ("<U5") hold them.
std::u32string code_points(std::string_view text);

/// Writes a .npz file atomically, array by array and in pieces, or to a pipe or memory. Members are stored, not
/// compressed. Throws as ZipWriter does.
class NpzWriter {
 public:
  explicit NpzWriter(const base::Destination& destination);

  /// Begins an array of this type, such as "<f4" or "|u1", whose elements are then written by write().
  void begin(const std::string& name, std::string_view descr, const graph::Shape& shape);
  void write(const void* src, std::size_t bytes) { zip_.write(src, bytes); }
  template <typename T>
  void write(std::span<const T> values) {
    write(values.data(), values.size_bytes());
  }
  /// Writes a whole array of one axis.
  void add(const std::string& name, std::span<const float> values);
  void add(const std::string& name, std::span<const std::int32_t> values);
  /// Writes an array of strings ("<U5"), given as UTF-8.
  void add(const std::string& name, std::span<const std::string> values);
  /// Completes the file.
  void commit() { zip_.commit(); }

 private:
  ZipWriter zip_;
};

}  // namespace gan::io
