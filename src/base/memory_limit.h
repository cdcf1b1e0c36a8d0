#pragma once

#include <cstdint>

namespace gan::base {

/// The bytes of memory that control groups (versions 1 and 2) leave to this process; 0 if none limits it.
std::uint64_t memory_limit();

}  // namespace gan::base
