#include "data/idx.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

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

// `item` is "images" or "labels".
IdxFile read_idx(const std::string& path, std::string_view item, int min_axes, int max_axes) {
  GzipFile file(path);
  std::uint8_t magic[4] = {};
  const std::size_t got = file.read(magic, 4);
  if (got < 4) base::fail_data("{}: not an IDX file: {} bytes", path, got);
  const int type = magic[2], axes = magic[3];
  if (magic[0] != 0 || magic[1] != 0 || type_name(type).empty() || axes == 0)
    base::fail_data("{}: not an IDX file: starts with {:02x} {:02x} {:02x} {:02x}, {} start with 00 00 08 {:02x}", path,
                    magic[0], magic[1], magic[2], magic[3], item, min_axes);
  if (type != 0x08) base::fail_data("{}: holds {}, expected unsigned bytes", path, type_name(type));
  if (axes < min_axes || axes > max_axes)
    base::fail_data("{}: holds an array of {} axes, expected {} ({}); are images and labels swapped?", path, axes,
                    item == "images" ? "3 or 4" : "1", item);

  IdxFile out;
  std::uint64_t elements = 1;
  bool overflow = false;
  for (int axis = 0; axis < axes; ++axis) {
    std::uint8_t length[4];
    if (file.read(length, 4) < 4) base::fail_data("{}: ends inside its header", path);
    const std::uint64_t value = std::uint64_t{length[0]} << 24 | std::uint64_t{length[1]} << 16 |
                                std::uint64_t{length[2]} << 8 | std::uint64_t{length[3]};
    overflow |= __builtin_mul_overflow(elements, value, &elements);
    out.shape.push_back(static_cast<std::int64_t>(value));
  }
  if (std::find(out.shape.begin(), out.shape.end(), 0) != out.shape.end())
    base::fail_data("{}: holds no {}: its shape is {}", path, item, graph::to_string(out.shape));
  if (overflow || elements > file.max_content())
    base::fail_data("{}: announces {} of shape {}, more than the file can hold; is it cut short?", path, item,
                    graph::to_string(out.shape));

  // Not cleared: the system hands out pages as data arrives, so a file that lies about its size costs nothing.
  out.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(elements);
  const std::size_t filled = file.read(out.bytes.get(), elements);
  if (filled < elements)
    base::fail_data("{}: is cut short: {} bytes of {} for shape {}", path, base::grouped(filled),
                    base::grouped(elements), graph::to_string(out.shape));
  std::uint8_t extra = 0;  // asking for it also makes gzip compare its checksum
  if (file.read(&extra, 1) > 0)
    base::fail_data("{}: has bytes left after its {} of shape {}", path, item, graph::to_string(out.shape));
  out.hash = file.hash();
  return out;
}

}  // namespace

IdxFile read_idx_images(const std::string& path) { return read_idx(path, "images", 3, 4); }

IdxFile read_idx_labels(const std::string& path) { return read_idx(path, "labels", 1, 1); }

}  // namespace gan::data
