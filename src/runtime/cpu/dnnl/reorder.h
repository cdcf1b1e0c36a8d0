#pragma once

#include <cstdint>
#include <dnnl.hpp>
#include <span>
#include <vector>

#include "runtime/cpu/dnnl/version.h"

namespace gan::runtime::cpu::onednn {

/// The memory that a primitive needs, and the copy from or to the layout of the user if that differs.
class Reordered {
 public:
  /// `data` is in the layout `user`; `needed` has equal dimensions and the same type. Memory in it is allocated here.
  /// `pads`: oneDNN copies also where `needed` has padding; false: loops of our own do.
  Reordered(const dnnl::memory::desc& user, const dnnl::memory::desc& needed, void* data, bool is_result,
            bool pads = kReordersPadding);
  const dnnl::memory& inner() const { return inner_; }
  /// Copies, a result from the needed layout to the user's, all else the other way.
  void copy() const;

 private:
  dnnl::memory from_, inner_, to_;
  dnnl::reorder reorder_;
  std::vector<std::int64_t> from_indices_, to_indices_;  // of elements that we copy ourselves
};

}  // namespace gan::runtime::cpu::onednn
