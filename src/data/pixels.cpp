#include "data/pixels.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/huge_pages.h"
#include "base/memory_limit.h"
#include "base/text.h"
#include "data/mnist.h"

namespace gan::data {

namespace {

std::uint64_t page_bytes() { return static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)); }

// The bytes of memory that this process may use.
std::uint64_t memory_bytes() {
  const std::uint64_t all = static_cast<std::uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 0L)) * page_bytes();
  const std::uint64_t limit = base::memory_limit();
  return limit > 0 ? std::min(all, limit) : all;
}

// Whether memory may not hold pixels beside what training needs.
bool exceeds_memory(std::uint64_t bytes) {
  static const std::uint64_t memory = memory_bytes();
  return bytes > memory / 2;
}

// Opens a new file without a name; -1 if that fails. Not all file systems support O_TMPFILE.
int open_unnamed(const std::string& folder) {
  if (const int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); file >= 0) return file;
  std::string path = folder + "/pixels-XXXXXX";
  const int file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file >= 0) ::unlink(path.c_str());
  return file;
}

// Sets the size of a file and, if the file system can, allocates its blocks: a full disk is then an error here and not
// a signal when pixels are written. False if that fails. (posix_fallocate writes every block where it cannot allocate.)
bool take_room(int file, std::uint64_t bytes) {
  const auto size = static_cast<off_t>(bytes);
  return ::fallocate(file, 0, 0, size) == 0 || (errno == EOPNOTSUPP && ::ftruncate(file, size) == 0);
}

// Maps the file; null if that fails, with the reason in errno.
template <typename Byte>
std::shared_ptr<Byte[]> map(int file, std::uint64_t bytes, int protection) {
  void* const begin = ::mmap(nullptr, bytes, protection, MAP_SHARED, file, 0);
  if (begin == MAP_FAILED) return nullptr;
  return {static_cast<Byte*>(begin), [begin, bytes](Byte*) { ::munmap(begin, bytes); }};
}

}  // namespace

std::shared_ptr<std::uint8_t[]> make_pixels(std::uint64_t bytes, const std::string& cache) {
  if (exceeds_memory(bytes)) return mapped_pixels(bytes, cache);
  std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[bytes]);
  base::use_huge_pages(pixels.get(), bytes);
  return pixels;
}

std::shared_ptr<std::uint8_t[]> mapped_pixels(std::uint64_t bytes, const std::string& cache) {
  const std::string folder = cache.empty() ? default_cache() : cache;
  base::create_folder(folder);
  base::require_room(folder, bytes);
  const int file = open_unnamed(folder);
  int reason = file < 0 || !take_room(file, bytes) ? errno : 0;
  std::shared_ptr<std::uint8_t[]> pixels;
  if (reason == 0 && !(pixels = map<std::uint8_t>(file, bytes, PROT_READ | PROT_WRITE))) reason = errno;
  if (file >= 0) ::close(file);
  if (!pixels)
    base::fail_data("{}: cannot hold {} bytes of images that may not fit into memory: {}; --cache gives another folder",
                    folder, base::grouped(bytes), std::generic_category().message(reason));
  return pixels;
}

std::shared_ptr<const std::uint8_t[]> map_pixels(int file, std::uint64_t bytes) {
  return map<const std::uint8_t>(file, bytes, PROT_READ);
}

void set_streamed(Dataset& dataset) {
  const auto bytes = static_cast<std::uint64_t>(dataset.count() * graph::element_count(dataset.sample_shape));
  dataset.streamed = dataset.is_image() && exceeds_memory(bytes);
  // Reading ahead would evict pages that are still needed. For pixels that are not a mapped file this call fails or
  // changes nothing.
  if (dataset.streamed) ::madvise(const_cast<std::uint8_t*>(dataset.pixels.get()), bytes, MADV_RANDOM);
}

void Dataset::will_need(std::span<const std::uint32_t> indices) const {
  if (!streamed || indices.empty()) return;
  const std::uint64_t page = page_bytes();
  const auto size = static_cast<std::uint64_t>(graph::element_count(sample_shape));
  std::vector<std::uint32_t> sorted(indices.begin(), indices.end());
  std::ranges::sort(sorted);
  std::uint64_t begin = 0, end = 0;  // of the adjacent bytes not requested yet
  const auto ask = [&] {
    if (end > begin) ::madvise(const_cast<std::uint8_t*>(pixels.get()) + begin, end - begin, MADV_WILLNEED);
  };
  for (const std::uint32_t index : sorted) {
    const std::uint64_t first = index * size / page * page, last = (index + 1) * size;
    if (first > end) {
      ask();
      begin = first;
    }
    end = last;
  }
  ask();
}

}  // namespace gan::data
