#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/dataset.h"

namespace gan::data {

// Decoded data sets are kept as files of `cache`/decoded ("": default_cache()), named by a key: a hash of all that
// their content depends on. A file holds pixels [N, H, W, C], then the values of each column of the condition, then the
// rest of the data set as JSON, then the sizes of these parts; its pixels are mapped, not read.

/// A data set in the cache.
struct CacheEntry {
  std::string path;           ///< of the file
  std::uint64_t bytes = 0;    ///< of the file
  std::string source;         ///< what it was decoded from
  std::int64_t items = 0;     ///< samples; 0 if the file is damaged or of another version
  graph::Shape sample_shape;  ///< [C, H, W]
};

/// The data sets in the cache, in order of their files' names.
std::vector<CacheEntry> cache_entries(const std::string& cache);

/// Removes all data sets in the cache, and leftovers of killed programs; programs that have one open can go on reading
/// it. Returns the number of bytes freed. Throws a data error if a file cannot be removed.
std::uint64_t clear_cache(const std::string& cache);

/// Sets all of `dataset` but its name and returns true if the cache holds the data set of this key.
bool read_cached(const std::string& cache, const std::string& key, Dataset& dataset);

/// Writes a data set of images into the cache. Until it is complete the file has a temporary name, so that a killed
/// program leaves nothing that looks complete.
class CacheWriter {
 public:
  /// Removes leftovers of killed programs. Throws a data error if the cache cannot be written or has no room for
  /// `bytes`.
  CacheWriter(const std::string& cache, const std::string& key, std::uint64_t bytes);

  /// Adds the pixels of the next samples.
  void write(const void* pixels, std::size_t bytes);
  /// Completes the file with the rest of `dataset`, and maps its pixels. Call it once, last.
  void commit(Dataset& dataset);

 private:
  std::string path_;
  base::AtomicFile file_;
  std::uint64_t written_ = 0;
};

}  // namespace gan::data
