#include "data/idx.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "data/gzip_file.h"
#include "data/pixels.h"
#include "io/file_kind.h"

namespace gan::data {

namespace {

// Bytes of an element of this type; 0 if there is no such type.
std::size_t element_bytes(int type) {
  switch (type) {
    case 0x08:
    case 0x09:
      return 1;
    case 0x0b:
      return 2;
    case 0x0c:
    case 0x0d:
      return 4;
    case 0x0e:
      return 8;
    default:
      return 0;
  }
}

enum class Item { images, labels };

const char* name_of(Item item) { return item == Item::images ? "images" : "labels"; }

/// Advice for a file whose array has an unsupported number of axes.
std::string advice_on_axes(std::size_t axes, Item item) {
  if (item == Item::labels) return "images have as many axes; labels are the second file, images.idx,labels.idx";
  if (axes == 1) return "labels have one axis; images are the first file, images.idx,labels.idx";
  if (axes == 2) return "rows of a table can be stored as images of one line: [N, 1, columns]";
  return "such arrays are not images";
}

// Throws a data error that names the format of a file that is not IDX.
[[noreturn]] void fail_no_idx(const std::string& path, std::span<const std::uint8_t, 4> magic, Item item,
                              std::size_t axes) {
  std::string begin(io::kFileKindBytes, '\0');
  begin.resize(GzipFile(path).read(begin.data(), begin.size()));
  if (const io::FileKind kind = io::file_kind(begin); !kind.name.empty())
    base::fail_data("{}: {}, which is not read as data: {}", path, kind.name, kind.as_data);
  base::fail_data("{}: not an IDX file: starts with {:02x} {:02x} {:02x} {:02x}, {} start with 00 00 08 {:02x}", path,
                  magic[0], magic[1], magic[2], magic[3], name_of(item), axes);
}

IdxFile read_idx(const std::string& path, Item item, const std::string& cache) {
  const std::size_t min_axes = item == Item::images ? 3 : 1, max_axes = item == Item::images ? 4 : 2;
  GzipFile file(path);
  std::uint8_t magic[4] = {};
  const std::size_t got = file.read(magic, 4);
  if (got < 4) base::fail_data("{}: not an IDX file: {}", path, base::counted(static_cast<std::int64_t>(got), "byte"));
  const int type = magic[2];
  const std::size_t axes = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || element_bytes(type) == 0 || axes == 0) fail_no_idx(path, magic, item, min_axes);

  IdxFile out;
  out.type = type;
  std::uint64_t elements = 1;
  bool overflow = false;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    std::uint8_t length[4];
    if (file.read(length, 4) < 4) base::fail_data("{}: ends inside its header", path);
    const std::uint64_t value = std::uint64_t{length[0]} << 24 | std::uint64_t{length[1]} << 16 |
                                std::uint64_t{length[2]} << 8 | std::uint64_t{length[3]};
    overflow |= __builtin_mul_overflow(elements, value, &elements);
    out.shape.push_back(static_cast<std::int64_t>(value));
  }
  if (axes < min_axes || axes > max_axes)
    base::fail_data("{}: holds an array of {} {}, expected {} ({}); {}", path,
                    base::counted(static_cast<std::int64_t>(axes), "axis", "axes"), graph::to_string(out.shape),
                    item == Item::images ? "3 or 4" : "1 or 2", name_of(item), advice_on_axes(axes, item));
  if (std::find(out.shape.begin(), out.shape.end(), 0) != out.shape.end())
    base::fail_data("{}: holds no {}: its shape is {}", path, name_of(item), graph::to_string(out.shape));
  std::uint64_t bytes = 0;
  overflow |= __builtin_mul_overflow(elements, element_bytes(type), &bytes);
  if (overflow || bytes > file.max_content())
    base::fail_data("{}: announces {} of shape {}, more than the file can hold; is it cut short?", path, name_of(item),
                    graph::to_string(out.shape));

  // Memory that is not zeroed, so that a wrong size costs nothing: the system provides pages only when data is written.
  out.bytes = make_pixels(bytes, cache);
  const std::size_t filled = file.read(out.bytes.get(), bytes);
  if (filled < bytes)
    base::fail_data("{}: is cut short: {} of {} for shape {}", path,
                    base::counted(static_cast<std::int64_t>(filled), "byte"), base::grouped(bytes),
                    graph::to_string(out.shape));
  std::uint8_t extra = 0;  // reading past the end also checks gzip's checksum
  if (file.read(&extra, 1) > 0)
    base::fail_data("{}: has bytes left after its {} of shape {}", path, name_of(item), graph::to_string(out.shape));
  out.hash = file.hash();
  return out;
}

}  // namespace

double IdxFile::value(std::size_t element) const {
  const std::size_t size = element_bytes(type);
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < size; ++k) bits = bits << 8 | bytes[element * size + k];
  switch (type) {
    case 0x09:
      return static_cast<std::int8_t>(bits);
    case 0x0b:
      return static_cast<std::int16_t>(bits);
    case 0x0c:
      return static_cast<std::int32_t>(bits);
    case 0x0d:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case 0x0e:
      return std::bit_cast<double>(bits);
    default:
      return static_cast<double>(bits);
  }
}

IdxFile read_idx_images(const std::string& path, const std::string& cache) {
  return read_idx(path, Item::images, cache);
}

IdxFile read_idx_labels(const std::string& path, const std::string& cache) {
  return read_idx(path, Item::labels, cache);
}

int idx_axes(const std::string& path) {
  try {
    std::uint8_t magic[4] = {};
    GzipFile file(path);
    return file.read(magic, 4) == 4 && magic[0] == 0 && magic[1] == 0 && element_bytes(magic[2]) > 0 ? magic[3] : 0;
  } catch (const base::Error&) {
    return 0;
  }
}

}  // namespace gan::data
