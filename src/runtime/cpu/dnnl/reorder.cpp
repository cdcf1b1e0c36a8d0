#include "runtime/cpu/dnnl/reorder.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "runtime/cpu/dnnl/engine.h"
#include "runtime/cpu/dnnl/version.h"

namespace gan::runtime::cpu::onednn {

namespace {

using dnnl::memory;

/// The address of an element, by its coordinates, in a layout of blocks.
class Layout {
 public:
  explicit Layout(const memory::desc& desc) : strides_(strides_of(desc)), blocks_(blocks_of(desc)) {}

  std::int64_t offset(memory::dims at) const {
    std::int64_t offset = 0, stride = 1;
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
      std::int64_t& coordinate = at[block->axis];
      offset += coordinate % block->length * stride;
      coordinate /= block->length;
      stride *= block->length;
    }
    return std::inner_product(at.begin(), at.end(), strides_.begin(), offset);
  }

 private:
  memory::dims strides_;
  std::vector<Block> blocks_;
};

/// Calls visit(coordinates) for every element of a shape.
void for_each(const memory::dims& shape, const std::function<void(const memory::dims&)>& visit) {
  memory::dims at(shape.size(), 0);
  for (std::int64_t left = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies());; --left) {
    if (left == 0) return;
    visit(at);
    for (std::size_t axis = shape.size(); axis-- > 0 && ++at[axis] == shape[axis];) at[axis] = 0;
  }
}

/// Copies elements of type T from a layout to another one of equal dimensions; elements that only pad `to` become 0.
template <typename T>
void copy_elements(const memory& from, const memory& to) {
  const memory::desc source = from.get_desc(), target = to.get_desc();
  const Layout read(source), write(target);
  const memory::dims shape = dims_of(source);
  const auto* const values = static_cast<const T*>(from.get_data_handle());
  auto* const out = static_cast<T*>(to.get_data_handle());
  if (padded_dims_of(target) != shape) std::fill_n(out, target.get_size() / sizeof(T), T());
  for_each(shape, [&](const memory::dims& at) { out[write.offset(at)] = values[read.offset(at)]; });
}

}  // namespace

Reordered::Reordered(const memory::desc& user, const memory::desc& needed, void* data, bool is_result)
    : user_(user, engine(), data),
      inner_(user == needed ? user_ : memory(needed, engine())),
      is_result_(is_result),
      is_same_(user == needed) {
  if (is_same_ || (!kReordersPadding && padded_dims_of(needed) != dims_of(needed))) return;
  reorder_ = is_result ? dnnl::reorder(inner_, user_) : dnnl::reorder(user_, inner_);
}

void Reordered::copy() const {
  if (is_same_) return;
  memory from = is_result_ ? inner_ : user_, to = is_result_ ? user_ : inner_;
  if (reorder_)
    reorder_.execute(stream(), from, to);
  else if (data_type_of(from.get_desc()) == memory::data_type::bf16)
    copy_elements<std::uint16_t>(from, to);
  else
    copy_elements<float>(from, to);
}

}  // namespace gan::runtime::cpu::onednn
