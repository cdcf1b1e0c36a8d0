#pragma once

#include <dnnl.hpp>

namespace gan::runtime::cpu::onednn {

/// The memory that a primitive needs, and the copy from or to the layout of the user if that differs.
class Reordered {
 public:
  /// `data` is in the layout `user`; `needed` has equal dimensions and the same type. Memory in it is allocated here.
  Reordered(const dnnl::memory::desc& user, const dnnl::memory::desc& needed, void* data, bool is_result);
  const dnnl::memory& inner() const { return inner_; }
  /// Copies, a result from the needed layout to the user's, all else the other way.
  void copy() const;

 private:
  dnnl::memory user_, inner_;
  bool is_result_, is_same_;
  dnnl::reorder reorder_;  // empty where loops of our own copy, see kReordersPadding
};

}  // namespace gan::runtime::cpu::onednn
