#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "runtime/array.h"

namespace gan::io {

/// Reads the next `bytes` bytes of a file or a member of an archive; throws a data error if there are fewer.
using ByteReader = std::function<void(void* dst, std::size_t bytes)>;

/// Reads an array in numpy's .npy format sequentially: booleans, integers, floats (f16, f32, f64) or strings, in any
/// byte order. The size in the header is checked against the size of the file or member before memory is taken.
class NpyInput {
 public:
  /// Opens a file. Throws a data error that says what was found if the file holds another type, such as Python objects,
  /// is in Fortran order, damaged, cut short or too long.
  explicit NpyInput(const std::string& path);
  /// An array of `size` bytes, header included, read by `read`; `name` is for messages. Errors as above.
  NpyInput(std::string name, std::uint64_t size, ByteReader read);

  const std::string& name() const { return name_; }
  const graph::Shape& shape() const { return shape_; }
  std::int64_t elements() const { return graph::element_count(shape_); }
  /// The type in numpy's notation, such as "<f4" or "|u1".
  const std::string& descr() const { return descr_; }
  bool is_bytes() const { return kind_ == 'u' && bytes_ == 1; }
  /// Whether elements are integers or booleans.
  bool is_whole() const { return kind_ == 'b' || kind_ == 'i' || kind_ == 'u'; }
  bool is_text() const { return kind_ == 'U' || kind_ == 'S'; }

  /// Reads the next elements, in C order; integers beyond 2^53 are rounded. Throws a run error if they are text.
  void read(std::span<double> dst);
  /// Reads the next elements. Throws a run error unless is_bytes().
  void read(std::span<std::uint8_t> dst);
  /// Reads the next `count` elements, which are text, as UTF-8. Throws a data error if one is not Unicode.
  std::vector<std::string> read_text(std::size_t count);

 private:
  std::string name_;
  ByteReader read_;
  std::string descr_;
  char kind_ = 'f';        // b, i, u, f, U or S
  std::size_t bytes_ = 0;  // per element
  bool swapped_ = false;   // big-endian
  graph::Shape shape_;
};

/// The header of a .npy file (version 1.0, C order) for elements of this type, such as "<f4". Throws a usage error if
/// the shape has too many axes.
std::string npy_header(std::string_view descr, const graph::Shape& shape);

/// Writes a .npy file of f32 atomically, piece by piece, or to a pipe.
class NpyWriter {
 public:
  NpyWriter(const base::Destination& to, const graph::Shape& shape);
  void write(std::span<const float> values);
  /// Completes the file. Throws a usage error unless as many values were written as the shape has.
  void commit();

 private:
  graph::Shape shape_;
  std::int64_t written_ = 0;
  base::AtomicFile file_;
};

/// Writes numpy's .npy format (version 1.0, little-endian f32, C order) atomically. Throws a usage error if the number
/// of values does not fit the shape, a data error if the file cannot be written.
void write_npy(const base::Destination& to, const graph::Shape& shape, std::span<const float> values);

/// Reads a .npy file of f32 or f64 into an f32 array of the same shape; f64 is rounded. Throws a data error that says
/// what was found if the file holds another type, is big-endian or in Fortran order, is damaged, cut short or too long.
runtime::Array read_npy_f32(const std::string& path);

/// Reads a .npy file of any integer type (i1 to i8, u1 to u8) into an i32 array of the same shape. Throws a data error
/// as read_npy_f32 does, and if a value does not fit into 32 bits.
runtime::Array read_npy_i32(const std::string& path);

}  // namespace gan::io
