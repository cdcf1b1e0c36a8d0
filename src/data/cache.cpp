#include "data/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/condition_json.h"
#include "data/mnist.h"
#include "data/pixels.h"

namespace gan::data {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kCacheEnding = ".pixels";

// The end of a file, in the machine's byte order; in a file of the other byte order the magic number differs.
struct Footer {
  std::uint64_t pixel_bytes, row_bytes, json_bytes, magic;
};
constexpr std::uint64_t kCacheMagic = 0x67616e2d70697832;  // "gan-pix2"

fs::path folder_of(const std::string& cache) { return fs::path(cache.empty() ? default_cache() : cache) / "decoded"; }

// Owns an open file; -1 if it could not be opened.
class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return value_; }

 private:
  int value_;
};

// Bytes [begin, begin + bytes) of a file; none if it is shorter.
std::optional<std::string> read_part(int file, std::uint64_t begin, std::uint64_t bytes) {
  std::string part(bytes, '\0');
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(file, part.data() + done, bytes - done, static_cast<off_t>(begin + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return part;
}

// ---- the data set without its pixels ----

// What a cache file holds besides pixels and rows; none if it is damaged or of another version.
struct Parts {
  Footer footer;
  json rest;
};
std::optional<Parts> parts_of(int file) {
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (bytes < sizeof(Footer)) return std::nullopt;
  const std::optional<std::string> end = read_part(file, bytes - sizeof(Footer), sizeof(Footer));
  if (!end) return std::nullopt;
  Parts parts;
  std::memcpy(&parts.footer, end->data(), sizeof(Footer));
  const Footer& footer = parts.footer;
  std::uint64_t left = bytes - sizeof(Footer);
  for (const std::uint64_t part : {footer.pixel_bytes, footer.row_bytes, footer.json_bytes}) {
    if (part > left) return std::nullopt;
    left -= part;
  }
  if (footer.magic != kCacheMagic || left != 0) return std::nullopt;
  const std::optional<std::string> text = read_part(file, footer.pixel_bytes + footer.row_bytes, footer.json_bytes);
  if (!text) return std::nullopt;
  parts.rest = json::parse(*text, nullptr, false);
  if (!parts.rest.is_object()) return std::nullopt;
  return parts;
}

// Every column takes 4 bytes a sample.
template <typename Value>
std::vector<Value> values_from(const std::string& rows, std::size_t column, std::size_t items) {
  std::vector<Value> values(items);
  std::memcpy(values.data(), rows.data() + column * items * sizeof(Value), items * sizeof(Value));
  return values;
}

// Sets all of the data set but its pixels; false if the parts of the file contradict each other.
bool fill(Dataset& dataset, const Parts& parts, const std::string& rows) {
  const json& rest = parts.rest;
  dataset.source = rest.at("source");
  dataset.sample_shape = rest.at("sample_shape").get<graph::Shape>();
  dataset.hash = rest.at("hash");
  dataset.items = rest.at("items");
  dataset.notes = rest.at("notes").get<std::vector<std::string>>();
  const auto items = static_cast<std::uint64_t>(dataset.items);
  if (dataset.items <= 0 || dataset.sample_shape.size() != 3 || std::ranges::min(dataset.sample_shape) <= 0)
    return false;
  if (parts.footer.pixel_bytes != items * static_cast<std::uint64_t>(graph::element_count(dataset.sample_shape)) ||
      rows.size() != items * rest.at("columns").size() * 4)
    return false;
  dataset.condition = condition_of_json(rest.at("columns"), dataset.source);
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    const ConditionColumn& column = dataset.condition.columns[c];
    if (column.is_numeric()) {
      dataset.rows.columns.emplace_back(values_from<float>(rows, c, items));
      continue;
    }
    auto values = values_from<std::int32_t>(rows, c, items);
    const auto [least, most] = std::ranges::minmax(values);
    if (least < 0 || most >= column.categories) return false;
    dataset.rows.columns.emplace_back(std::move(values));
  }
  return true;
}

// ---- the folder ----

// Whether a file is a temporary cache file that a killed program left.
bool is_left_behind(const fs::path& path) {
  return path.stem().stem().extension() == kCacheEnding && base::is_leftover(path.string());
}

bool is_entry(const fs::path& path) { return path.extension() == kCacheEnding; }

// The files of the folder for which `choose` is true, sorted.
template <typename Choose>
std::vector<fs::path> files_of(const fs::path& folder, const Choose& choose) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    if (choose(entry.path())) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

// Makes the folder, removes leftovers and checks the room on the disk. Returns the path of the new file.
std::string prepared(const std::string& cache, const std::string& key, std::uint64_t bytes) {
  const fs::path folder = folder_of(cache);
  base::create_folder(folder.string());
  std::error_code ignored;
  for (const fs::path& path : files_of(folder, is_left_behind)) fs::remove(path, ignored);
  base::require_room(folder.string(), bytes);
  return (folder / (key + std::string(kCacheEnding))).string();
}

}  // namespace

std::vector<CacheEntry> cache_entries(const std::string& cache) {
  std::vector<CacheEntry> entries;
  for (const fs::path& path : files_of(folder_of(cache), is_entry)) {
    CacheEntry& entry = entries.emplace_back();
    entry.path = path.string();
    std::error_code ignored;
    entry.bytes = fs::file_size(path, ignored);
    try {
      const std::optional<Parts> parts = parts_of(Descriptor(entry.path));
      if (!parts) continue;
      entry.source = parts->rest.at("source");
      entry.sample_shape = parts->rest.at("sample_shape").get<graph::Shape>();
      entry.items = parts->rest.at("items");
    } catch (const json::exception&) {  // damaged
    }
  }
  return entries;
}

std::uint64_t clear_cache(const std::string& cache) {
  std::uint64_t freed = 0;
  const auto ours = [](const fs::path& path) { return is_entry(path) || is_left_behind(path); };
  for (const fs::path& path : files_of(folder_of(cache), ours)) {
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(path, error);
    fs::remove(path, error);
    if (error) base::fail_data("{}: cannot be removed: {}", path.string(), error.message());
    freed += bytes;
  }
  return freed;
}

bool read_cached(const std::string& cache, const std::string& key, Dataset& dataset) {
  const Descriptor file((folder_of(cache) / (key + std::string(kCacheEnding))).string());
  const std::optional<Parts> parts = parts_of(file);
  if (!parts) return false;
  const std::optional<std::string> rows = read_part(file, parts->footer.pixel_bytes, parts->footer.row_bytes);
  Dataset found;
  try {
    if (!rows || !fill(found, *parts, *rows)) return false;
    found.pixels = map_pixels(file, parts->footer.pixel_bytes);
    if (!found.pixels) return false;
  } catch (const json::exception&) {  // damaged: it is decoded again
    return false;
  } catch (const base::Error&) {
    return false;
  }
  dataset = std::move(found);
  return true;
}

CacheWriter::CacheWriter(const std::string& cache, const std::string& key, std::uint64_t bytes)
    : path_(prepared(cache, key, bytes)), file_(path_, base::Durability::unsynced) {}

void CacheWriter::write(const void* pixels, std::size_t bytes) {
  file_.write(pixels, bytes);
  written_ += bytes;
}

void CacheWriter::commit(Dataset& dataset) {
  json rest = {{"source", dataset.source}, {"sample_shape", dataset.sample_shape},
               {"hash", dataset.hash},     {"items", dataset.items},
               {"notes", dataset.notes},   {"columns", to_json(dataset.condition)}};
  std::uint64_t row_bytes = 0;
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    std::visit(
        [&](const auto& values) {
          file_.write(values.data(), values.size() * sizeof(values[0]));
          row_bytes += values.size() * sizeof(values[0]);
        },
        dataset.rows.columns[c]);
  }
  const std::string text = rest.dump(-1, ' ', false, json::error_handler_t::replace);
  file_.write(text);
  const Footer footer{written_, row_bytes, text.size(), kCacheMagic};
  file_.write(&footer, sizeof(footer));
  file_.commit();
  const Descriptor file(path_);
  if (file >= 0) dataset.pixels = map_pixels(file, written_);
  if (!dataset.pixels) base::fail_data("{}: cannot be mapped: {}", path_, std::generic_category().message(errno));
}

}  // namespace gan::data
