#include "io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::io {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kChunk = std::size_t{1} << 16;  // elements converted at a time

struct Header {
  std::string descr;  // such as "<f4"
  graph::Shape shape;
  std::size_t item_bytes() const { return static_cast<std::size_t>(descr[2] - '0'); }
};

// A cursor over the header, which is a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
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
                    printable(text_.substr(0, 100)));
  }

  // Replaces unprintable characters, so that the message stays one line.
  static std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out)
      if (c < ' ' || c > '~') c = ' ';
    return out;
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

// Reads the header and checks that the rest of the file is exactly the array's data.
Header read_header(base::InputFile& file, std::string_view kinds, const char* expected) {
  const std::string& path = file.path();
  unsigned char start[12] = {};  // magic, major and minor version, header length of 2 or (from version 2) 4 bytes
  if (file.size() < 10)
    base::fail_data("{}: not a .npy file: it has {}", path,
                    base::counted(static_cast<std::int64_t>(file.size()), "byte"));
  file.read(start, 10);
  if (std::memcmp(start, kMagic.data(), kMagic.size()) != 0)
    base::fail_data("{}: not a .npy file: it does not start with \\x93NUMPY", path);
  const int version = start[6];
  if (version < 1 || version > 3) base::fail_data("{}: .npy version {}, expected 1, 2 or 3", path, version);
  std::uint64_t header_bytes = start[8] | std::uint64_t{start[9]} << 8;
  std::uint64_t offset = 10;
  if (version > 1) {
    file.read(start + 10, 2);
    header_bytes |= std::uint64_t{start[10]} << 16 | std::uint64_t{start[11]} << 24;
    offset = 12;
  }
  if (header_bytes > file.size() - offset)
    base::fail_data("{}: not a whole .npy file: it announces a header of {}, {} follow", path,
                    base::counted(static_cast<std::int64_t>(header_bytes), "byte"), file.size() - offset);
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());
  Header header = Parser(path, text).parse();

  const std::string& descr = header.descr;
  const bool known = descr.size() == 3 && (descr[0] == '<' || descr[0] == '|') &&
                     kinds.find(descr[1]) != std::string_view::npos &&
                     (descr[2] == '4' || descr[2] == '8' || (descr[1] != 'f' && (descr[2] == '1' || descr[2] == '2')));
  if (!known) base::fail_data("{}: the array has type \"{}\", expected {}", path, descr, expected);

  auto data_bytes = static_cast<std::int64_t>(header.item_bytes());
  for (const std::int64_t length : header.shape)
    if (__builtin_mul_overflow(data_bytes, length, &data_bytes))
      base::fail_data("{}: the shape {} is too large", path, graph::to_string(header.shape));
  const std::uint64_t rest = file.size() - offset - header_bytes;
  if (!std::cmp_equal(rest, data_bytes))
    base::fail_data("{}: {} of \"{}\" needs {} of data, the file holds {}", path, graph::to_string(header.shape), descr,
                    base::counted(data_bytes, "byte"), rest);
  return header;
}

// Reads all elements, stored as From, through a small buffer.
template <typename From, typename To, typename Convert>
void read_converted(base::InputFile& file, std::span<To> dst, Convert convert) {
  std::vector<From> chunk(std::min(kChunk, dst.size()));
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

void write_npy(const std::string& path, const graph::Shape& shape, std::span<const float> values) {
  if (static_cast<std::int64_t>(values.size()) != graph::element_count(shape))
    base::fail_usage("{}: {} for an array of {}", path,
                     base::counted(static_cast<std::int64_t>(values.size()), "value"), graph::to_string(shape));
  std::string lengths;
  for (const std::int64_t length : shape) lengths += fmt::format("{}, ", length);
  if (shape.size() > 1) lengths.resize(lengths.size() - 2);
  if (shape.size() == 1) lengths.pop_back();  // a Python tuple of one element has a comma: (5,)
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", lengths);
  // Magic, version, length (10 bytes), header, spaces and a newline fill a multiple of 64.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  if (header.size() > 0xffff) base::fail_usage("{}: too many axes for a .npy file", path);

  base::AtomicFile file(path, base::Durability::unsynced);
  file.write(kMagic);
  const unsigned char rest[4] = {1, 0, static_cast<unsigned char>(header.size() & 0xff),
                                 static_cast<unsigned char>(header.size() >> 8)};
  file.write(rest, sizeof rest);
  file.write(header);
  file.write(values.data(), values.size_bytes());
  file.commit();
}

runtime::Array read_npy_f32(const std::string& path) {
  base::InputFile file(path);
  const Header header = read_header(file, "f", "f32 or f64 (little-endian)");
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
  const Header header = read_header(file, "iu", "an integer type (little-endian)");
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
