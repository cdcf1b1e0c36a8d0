#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/dataset.h"

namespace gan::data {

/// Allocates `bytes` bytes for a data set's images, not zeroed: memory, or mapped_pixels() in `cache` if memory might
/// not suffice for them and training. Throws as mapped_pixels does.
std::shared_ptr<std::uint8_t[]> make_pixels(std::uint64_t bytes, const std::string& cache);

/// `bytes` bytes of a new file in the folder `cache` ("": default_cache()), mapped. The file has no name, so that the
/// system removes it when the program ends, even by a crash. Throws a data error if the folder cannot be written or has
/// no room.
std::shared_ptr<std::uint8_t[]> mapped_pixels(std::uint64_t bytes, const std::string& cache);

/// The first `bytes` bytes of an open file, mapped for reading; null if that fails, with the reason in errno.
std::shared_ptr<const std::uint8_t[]> map_pixels(int file, std::uint64_t bytes);

/// Sets dataset.streamed if memory may not hold its pixels. Call it when they are complete.
void set_streamed(Dataset& dataset);

}  // namespace gan::data
