#include "data/idx.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/gzip_file.h"

namespace gan::data {

namespace {

std::string_view type_name(int code) {
  switch (code) {
    case 0x08:
      return "unsigned bytes";
    case 0x09:
      return "signed bytes";
    case 0x0b:
      return "16-bit integers";
    case 0x0c:
      return "32-bit integers";
    case 0x0d:
      return "32-bit floats";
    case 0x0e:
      return "64-bit floats";
    default:
      return "";
  }
}

enum class Item { images, labels };

const char* name_of(Item item) { return item == Item::images ? "images" : "labels"; }

/// Bytes of an element of this type; 0 if the type is not supported. Labels may be integers of any size.
std::size_t element_bytes(int type, Item item) {
  if (type == 0x08) return 1;
  if (item == Item::images) return 0;
  return type == 0x09 ? 1 : type == 0x0b ? 2 : type == 0x0c ? 4 : 0;
}

/// Advice for a file with elements of an unsupported type.
const char* advice_on_type(Item item) {
  return item == Item::images
             ? "scale the values to 0 to 255 and write them as uint8"
             : "a label is the index of a class, so divide such values into classes and write their indices";
}

/// Advice for a file whose array has an unsupported number of axes.
std::string advice_on_axes(std::size_t axes, Item item) {
  if (item == Item::labels && axes == 2)
    return "several labels for each image are not supported; make each combination of them (the product of the "
           "attributes) one class";
  if (item == Item::labels) return "images have as many axes; labels are the second file, images.idx,labels.idx";
  if (axes == 1) return "labels have one axis; images are the first file, images.idx,labels.idx";
  if (axes == 2) return "rows of a table can be stored as images of one line: [N, 1, columns]";
  return "such arrays are not images";
}

/// Labels from big-endian integers of `size` bytes. Throws a data error for a value outside [0, kMostClasses).
std::vector<std::int32_t> labels_of(const std::string& path, const std::uint8_t* bytes, std::int64_t count,
                                    std::size_t size, bool has_sign) {
  std::vector<std::int32_t> labels;
  labels.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t value = has_sign && *bytes >= 0x80 ? -1 : 0;
    for (std::size_t k = 0; k < size; ++k) value = value * 256 + *bytes++;
    if (value < 0 || value >= kMostClasses)
      base::fail_data("{}: label {} of item {}: labels are 0 to {}", path, value, i, base::grouped(kMostClasses - 1));
    labels.push_back(static_cast<std::int32_t>(value));
  }
  return labels;
}

/// An IDX file's content with the code of its element type.
struct Content {
  IdxFile file;
  int type = 0;
};

Content read_idx(const std::string& path, Item item) {
  const std::size_t min_axes = item == Item::images ? 3 : 1, max_axes = item == Item::images ? 4 : 1;
  GzipFile file(path);
  std::uint8_t magic[4] = {};
  const std::size_t got = file.read(magic, 4);
  if (got < 4) base::fail_data("{}: not an IDX file: {}", path, base::counted(static_cast<std::int64_t>(got), "byte"));
  const int type = magic[2];
  const std::size_t axes = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || type_name(type).empty() || axes == 0)
    base::fail_data("{}: not an IDX file: starts with {:02x} {:02x} {:02x} {:02x}, {} start with 00 00 08 {:02x}", path,
                    magic[0], magic[1], magic[2], magic[3], name_of(item), min_axes);

  Content content{{}, type};
  IdxFile& out = content.file;
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
                    item == Item::images ? "3 or 4" : "1", name_of(item), advice_on_axes(axes, item));
  const std::size_t size = element_bytes(type, item);
  if (size == 0)
    base::fail_data("{}: holds {}, expected unsigned bytes; {}", path, type_name(type), advice_on_type(item));
  if (std::find(out.shape.begin(), out.shape.end(), 0) != out.shape.end())
    base::fail_data("{}: holds no {}: its shape is {}", path, name_of(item), graph::to_string(out.shape));
  std::uint64_t bytes = 0;
  overflow |= __builtin_mul_overflow(elements, size, &bytes);
  if (overflow || bytes > file.max_content())
    base::fail_data("{}: announces {} of shape {}, more than the file can hold; is it cut short?", path, name_of(item),
                    graph::to_string(out.shape));

  // Not zeroed, so that a file with a false size costs no memory: the system provides pages only as data arrives.
  out.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(bytes);
  const std::size_t filled = file.read(out.bytes.get(), bytes);
  if (filled < bytes)
    base::fail_data("{}: is cut short: {} of {} for shape {}", path,
                    base::counted(static_cast<std::int64_t>(filled), "byte"), base::grouped(bytes),
                    graph::to_string(out.shape));
  std::uint8_t extra = 0;  // reading past the end also checks gzip's checksum
  if (file.read(&extra, 1) > 0)
    base::fail_data("{}: has bytes left after its {} of shape {}", path, name_of(item), graph::to_string(out.shape));
  out.hash = file.hash();
  return content;
}

}  // namespace

IdxFile read_idx_images(const std::string& path) { return read_idx(path, Item::images).file; }

IdxLabels read_idx_labels(const std::string& path) {
  Content content = read_idx(path, Item::labels);
  return {labels_of(path, content.file.bytes.get(), content.file.shape[0], element_bytes(content.type, Item::labels),
                    content.type != 0x08),
          std::move(content.file.hash)};
}

int idx_axes(const std::string& path) {
  try {
    std::uint8_t magic[4] = {};
    GzipFile file(path);
    return file.read(magic, 4) == 4 && magic[0] == 0 && magic[1] == 0 && !type_name(magic[2]).empty() ? magic[3] : 0;
  } catch (const base::Error&) {
    return 0;
  }
}

}  // namespace gan::data
