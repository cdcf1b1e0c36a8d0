#include "io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "io/file_kind.h"

namespace gan::io {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::size_t kConvertedAtOnce = std::size_t{1} << 16;  // elements

struct Header {
  std::string descr;  // such as "<f4"
  graph::Shape shape;
  // The kind of the type, such as 'f'; '\0' if the type is not understood.
  char kind() const { return descr.size() > 2 && std::string_view("<>|=").find(descr[0]) < 4 ? descr[1] : '\0'; }
  bool big_endian() const { return descr[0] == '>'; }
  std::size_t item_bytes() const {
    std::size_t bytes = 0;
    const char* const end = descr.data() + descr.size();
    if (kind() == 0 || descr.size() > 8 || std::from_chars(descr.data() + 2, end, bytes).ptr != end) return 0;
    return kind() == 'U' ? 4 * bytes : bytes;
  }
};

// A parser of the header, which is a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class Parser {
 public:
  Parser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  Header parse() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<graph::Shape> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !descr) {
        descr = string();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        refuse();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size() || !descr || !fortran_order || !shape) refuse();
    if (*fortran_order)
      base::fail_data("{}: the array is in Fortran order, expected C order: save numpy.ascontiguousarray(array)",
                      path_);
    return {*std::move(descr), *std::move(shape)};
  }

 private:
  [[noreturn]] void refuse() const {
    base::fail_data("{}: not a .npy file: its header is not understood at character {}: {}", path_, at_,
                    text_.substr(0, 100));
  }

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) refuse();
  }

  bool accept_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::string string() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) refuse();
    const std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }

  bool boolean() {
    if (accept_word("True")) return true;
    if (!accept_word("False")) refuse();
    return false;
  }

  std::int64_t integer() {
    skip_space();
    const std::size_t begin = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])); ++at_)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        refuse();
    if (at_ == begin) refuse();
    return value;
  }

  graph::Shape tuple() {
    graph::Shape out;
    expect('(');
    while (!accept(')')) {
      out.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
};

// Reads the header of an array of `size` bytes, header included, and checks that the rest has the size of its data.
Header read_header(const std::string& path, std::uint64_t size, const ByteReader& read, bool (*known)(const Header&),
                   const char* expected) {
  unsigned char start[12] = {};  // magic, major and minor version, header length of 2 or (from version 2) 4 bytes
  if (size < 10)
    base::fail_data("{}: not a .npy file: it has {}", path, base::counted(static_cast<std::int64_t>(size), "byte"));
  read(start, 10);
  if (std::memcmp(start, kNpyMagic.data(), kNpyMagic.size()) != 0) {
    const FileKind kind = file_kind({reinterpret_cast<const char*>(start), 10});
    if (kind.name.empty()) base::fail_data("{}: not a .npy file: it does not start with \\x93NUMPY", path);
    base::fail_data("{}: {}, not a .npy file: {}", path, kind.name, kind.as_data);
  }
  const int version = start[6];
  if (version < 1 || version > 3) base::fail_data("{}: .npy version {}, expected 1, 2 or 3", path, version);
  std::uint64_t header_bytes = start[8] | std::uint64_t{start[9]} << 8;
  std::uint64_t offset = 10;
  if (version > 1) {
    if (size < 12) base::fail_data("{}: not a whole .npy file: it ends inside its header", path);
    read(start + 10, 2);
    header_bytes |= std::uint64_t{start[10]} << 16 | std::uint64_t{start[11]} << 24;
    offset = 12;
  }
  if (header_bytes > size - offset)
    base::fail_data("{}: not a whole .npy file: it announces a header of {}, {} follow", path,
                    base::counted(static_cast<std::int64_t>(header_bytes), "byte"), size - offset);
  std::string text(header_bytes, '\0');
  read(text.data(), text.size());
  Header header = Parser(path, text).parse();
  if (header.descr.find('O') != std::string::npos)
    base::fail_data(
        "{}: the array has type \"{}\": Python objects (a pickle), which are not read; expected {}; save "
        "numpy.array(values, dtype=...)",
        path, header.descr, expected);
  if (!known(header)) base::fail_data("{}: the array has type \"{}\", expected {}", path, header.descr, expected);

  auto data_bytes = static_cast<std::int64_t>(header.item_bytes());
  for (const std::int64_t length : header.shape)
    if (__builtin_mul_overflow(data_bytes, length, &data_bytes))
      base::fail_data("{}: the shape {} is too large", path, graph::to_string(header.shape));
  const std::uint64_t rest = size - offset - header_bytes;
  if (!std::cmp_equal(rest, data_bytes))
    base::fail_data("{}: {} of \"{}\" needs {} of data, the file holds {}", path, graph::to_string(header.shape),
                    header.descr, base::counted(data_bytes, "byte"), rest);
  return header;
}

Header read_header(base::InputFile& file, bool (*known)(const Header&), const char* expected) {
  return read_header(
      file.path(), file.size(), [&](void* dst, std::size_t bytes) { file.read(dst, bytes); }, known, expected);
}

bool is_little_float(const Header& header) { return header.descr == "<f4" || header.descr == "<f8"; }

bool is_integer(const Header& header, std::string_view kinds) {
  return kinds.find(header.kind()) != std::string_view::npos &&
         (header.item_bytes() == 1 || header.item_bytes() == 2 || header.item_bytes() == 4 || header.item_bytes() == 8);
}

bool is_little_integer(const Header& header) { return !header.big_endian() && is_integer(header, "iu"); }

bool is_real_or_text(const Header& header) {
  const std::size_t bytes = header.item_bytes();
  switch (header.kind()) {
    case 'f':
      return bytes == 2 || bytes == 4 || bytes == 8;
    case 'b':
      return bytes == 1;
    case 'U':
    case 'S':
      return bytes > 0;
    default:
      return is_integer(header, "iu");
  }
}

// Reads all elements, which are stored as From, in chunks and converts them.
template <typename From, typename To, typename Convert>
void read_converted(base::InputFile& file, std::span<To> dst, Convert convert) {
  std::vector<From> chunk(std::min(kConvertedAtOnce, dst.size()));
  for (std::size_t done = 0; done < dst.size(); done += chunk.size()) {
    chunk.resize(std::min(chunk.size(), dst.size() - done));
    file.read(chunk.data(), chunk.size() * sizeof(From));
    std::transform(chunk.begin(), chunk.end(), dst.begin() + static_cast<std::ptrdiff_t>(done), convert);
  }
}

template <typename From>
void read_integers(base::InputFile& file, std::span<std::int32_t> dst) {
  read_converted<From>(file, dst, [&](From value) {
    if (!std::in_range<std::int32_t>(value)) base::fail_data("{}: the value {} is out of range", file.path(), value);
    return static_cast<std::int32_t>(value);
  });
}

}  // namespace

NpyInput::NpyInput(const std::string& path) : NpyInput(path, 0, nullptr) {}

NpyInput::NpyInput(std::string name, std::uint64_t size, ByteReader read)
    : name_(std::move(name)), read_(std::move(read)) {
  if (!read_) {
    const auto file = std::make_shared<base::InputFile>(name_);
    size = file->size();
    read_ = [file](void* dst, std::size_t bytes) { file->read(dst, bytes); };
  }
  const Header header = read_header(name_, size, read_, is_real_or_text, "booleans, integers, floats or strings");
  descr_ = header.descr;
  kind_ = header.kind();
  bytes_ = header.item_bytes();
  swapped_ = header.big_endian() && bytes_ > 1;
  shape_ = header.shape;
}

namespace {

// Converts an IEEE 754 binary16 number.
double from_f16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

// Reverses the byte order of elements of `size` bytes each.
void reverse_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i < bytes.size(); i += size) std::ranges::reverse(bytes.subspan(i, size));
}

template <typename From>
void convert(std::span<const std::byte> src, double* dst) {
  for (std::size_t i = 0; i < src.size(); i += sizeof(From)) {
    From value;
    std::memcpy(&value, src.data() + i, sizeof value);
    *dst++ = static_cast<double>(value);
  }
}

void to_doubles(char kind, std::size_t size, std::span<const std::byte> src, double* dst) {
  const bool has_sign = kind == 'i';
  if (kind == 'f' && size == 2) {
    for (std::size_t i = 0; i < src.size(); i += 2)
      *dst++ = from_f16(
          static_cast<std::uint16_t>(std::to_integer<unsigned>(src[i]) | std::to_integer<unsigned>(src[i + 1]) << 8));
  } else if (kind == 'f') {
    size == 4 ? convert<float>(src, dst) : convert<double>(src, dst);
  } else if (size == 1) {
    has_sign ? convert<std::int8_t>(src, dst) : convert<std::uint8_t>(src, dst);
  } else if (size == 2) {
    has_sign ? convert<std::int16_t>(src, dst) : convert<std::uint16_t>(src, dst);
  } else if (size == 4) {
    has_sign ? convert<std::int32_t>(src, dst) : convert<std::uint32_t>(src, dst);
  } else {
    has_sign ? convert<std::int64_t>(src, dst) : convert<std::uint64_t>(src, dst);
  }
}

// Appends a code point as UTF-8; false if it is not valid.
bool append_utf8(std::uint32_t code, std::string& out) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  if (code < 0x80) {
    out += static_cast<char>(code);
    return true;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;  // bytes after the first
  out += static_cast<char>((0xff00 >> (more + 1) & 0xff) | code >> (6 * more));
  for (int k = more - 1; k >= 0; --k) out += static_cast<char>(0x80 | (code >> (6 * k) & 0x3f));
  return true;
}

}  // namespace

void NpyInput::read(std::span<double> dst) {
  if (is_text()) base::fail_run("{}: holds text, not numbers", name_);
  std::vector<std::byte> piece(std::min(kConvertedAtOnce, dst.size()) * bytes_);
  for (std::size_t done = 0; done < dst.size();) {
    const std::size_t count = std::min(kConvertedAtOnce, dst.size() - done);
    const std::span<std::byte> bytes = std::span(piece).first(count * bytes_);
    read_(bytes.data(), bytes.size());
    if (swapped_) reverse_bytes(bytes, bytes_);
    to_doubles(kind_, bytes_, bytes, dst.data() + done);
    done += count;
  }
}

void NpyInput::read(std::span<std::uint8_t> dst) {
  if (!is_bytes()) base::fail_run("{}: holds \"{}\", not bytes", name_, descr_);
  read_(dst.data(), dst.size());
}

std::vector<std::string> NpyInput::read_text(std::size_t count) {
  std::vector<std::string> texts;
  std::vector<std::byte> element(bytes_);
  for (std::size_t i = 0; i < count; ++i) {
    read_(element.data(), bytes_);
    if (swapped_ && kind_ == 'U') reverse_bytes(element, 4);
    std::string& text = texts.emplace_back();
    bool good = true;
    for (std::size_t k = 0; k < bytes_ && good; k += kind_ == 'U' ? 4 : 1) {
      std::uint32_t code = 0;
      std::memcpy(&code, element.data() + k, kind_ == 'U' ? 4 : 1);
      if (code == 0) break;  // the rest is padding
      if (kind_ == 'S')
        text += static_cast<char>(code);
      else
        good = append_utf8(code, text);
    }
    if (!good || !base::is_utf8(text)) base::fail_data("{}: item {} is not Unicode text", name_, i);
  }
  return texts;
}

std::string npy_header(std::string_view descr, const graph::Shape& shape) {
  std::string lengths;
  for (const std::int64_t length : shape) lengths += fmt::format("{}, ", length);
  if (shape.size() > 1) lengths.resize(lengths.size() - 2);
  if (shape.size() == 1) lengths.pop_back();  // a Python tuple of one element has a comma: (5,)
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, lengths);
  // Spaces pad magic, version, length (together 10 bytes), header and a newline to a multiple of 64.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  if (header.size() > 0xffff) base::fail_usage("{} axes are too many for a .npy file", shape.size());
  const char rest[4] = {1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return std::string(kNpyMagic) + std::string(rest, sizeof rest) + header;
}

NpyWriter::NpyWriter(const base::Destination& to, const graph::Shape& shape)
    : shape_(shape), file_(to, base::Durability::unsynced) {
  file_.write(npy_header("<f4", shape));
}

void NpyWriter::write(std::span<const float> values) {
  written_ += static_cast<std::int64_t>(values.size());
  file_.write(values.data(), values.size_bytes());
}

void NpyWriter::commit() {
  if (written_ != graph::element_count(shape_))
    base::fail_usage("{}: {} for an array of {}", file_.name(), base::counted(written_, "value"),
                     graph::to_string(shape_));
  file_.commit();
}

void write_npy(const base::Destination& to, const graph::Shape& shape, std::span<const float> values) {
  if (static_cast<std::int64_t>(values.size()) != graph::element_count(shape))
    base::fail_usage("{}: {} for an array of {}", to.name(),
                     base::counted(static_cast<std::int64_t>(values.size()), "value"), graph::to_string(shape));
  NpyWriter writer(to, shape);
  writer.write(values);
  writer.commit();
}

runtime::Array read_npy_f32(const std::string& path) {
  base::InputFile file(path);
  const Header header = read_header(file, is_little_float, "f32 or f64 (little-endian)");
  runtime::Array array({graph::DType::f32, header.shape});
  if (header.item_bytes() == sizeof(float)) {
    file.read(array.bytes(), array.size_bytes());
  } else {
    read_converted<double>(file, array.f32(), [](double value) { return static_cast<float>(value); });
  }
  return array;
}

runtime::Array read_npy_i32(const std::string& path) {
  base::InputFile file(path);
  const Header header = read_header(file, is_little_integer, "an integer type (little-endian)");
  runtime::Array array({graph::DType::i32, header.shape});
  const std::span<std::int32_t> dst = array.i32();
  const bool is_signed = header.descr[1] == 'i';
  switch (header.item_bytes()) {
    case 1:
      is_signed ? read_integers<std::int8_t>(file, dst) : read_integers<std::uint8_t>(file, dst);
      break;
    case 2:
      is_signed ? read_integers<std::int16_t>(file, dst) : read_integers<std::uint16_t>(file, dst);
      break;
    case 4:
      is_signed ? read_integers<std::int32_t>(file, dst) : read_integers<std::uint32_t>(file, dst);
      break;
    default:
      is_signed ? read_integers<std::int64_t>(file, dst) : read_integers<std::uint64_t>(file, dst);
      break;
  }
  return array;
}

}  // namespace gan::io
