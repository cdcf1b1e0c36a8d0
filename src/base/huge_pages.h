#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "base/integer.h"

namespace gan::base {

/// The bytes of a huge page on x86-64 and AArch64.
inline constexpr std::size_t kHugePage = 2 << 20;

/// Asks the system for huge pages where whole ones fit: the first touch of memory then causes one page fault instead of
/// hundreds. Nothing changes if the system has none.
inline void use_huge_pages(void* memory, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t begin = round_up(address, kHugePage), end = (address + bytes) / kHugePage * kHugePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace gan::base
