#pragma once

#include <functional>

#include "runtime/kernels.h"

namespace gan::runtime {

/// Runs a chain on all threads tile by tile, op by op. Results of access `sum` are not for it.
std::function<void()> tile_engine(TileProgram program);

}  // namespace gan::runtime
