#include "runtime/cpu/dnnl/reorder.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "runtime/cpu/dnnl/engine.h"
#include "runtime/cpu/dnnl/version.h"

namespace gan::runtime::cpu::onednn {

namespace {

using dnnl::memory;

/// The index in memory of each element, in row-major order of the coordinates.
std::vector<std::int64_t> indices_of(const memory::desc& desc) {
  const memory::dims shape = dims_of(desc), strides = strides_of(desc);
  const std::vector<Block> blocks = blocks_of(desc);
  std::vector<std::int64_t> indices;
  memory::dims at(shape.size(), 0), of_block(shape.size());
  for (auto left = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies()); left > 0; --left) {
    std::ranges::copy(at, of_block.begin());
    std::int64_t index = 0, stride = 1;
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
      index += of_block[block->axis] % block->length * stride;
      of_block[block->axis] /= block->length;
      stride *= block->length;
    }
    indices.push_back(std::inner_product(of_block.begin(), of_block.end(), strides.begin(), index));
    for (std::size_t axis = shape.size(); axis-- > 0 && ++at[axis] == shape[axis];) at[axis] = 0;
  }
  return indices;
}

template <typename T>
void copy_elements(const memory& from, std::span<const std::int64_t> from_indices, const memory& to,
                   std::span<const std::int64_t> to_indices) {
  const auto* const values = static_cast<const T*>(from.get_data_handle());
  auto* const out = static_cast<T*>(to.get_data_handle());
  for (std::size_t i = 0; i < from_indices.size(); ++i) out[to_indices[i]] = values[from_indices[i]];
}

}  // namespace

Reordered::Reordered(const memory::desc& user, const memory::desc& needed, void* data, bool is_result, bool pads)
    : from_(user, engine(), data), inner_(user == needed ? from_ : memory(needed, engine())), to_(inner_) {
  if (user == needed) return;
  if (is_result) std::swap(from_, to_);
  if (pads || padded_dims_of(needed) == dims_of(needed)) {
    reorder_ = dnnl::reorder(from_, to_);
    return;
  }
  from_indices_ = indices_of(from_.get_desc());
  to_indices_ = indices_of(to_.get_desc());
  std::memset(inner_.get_data_handle(), 0, needed.get_size());  // what pads stays 0
}

void Reordered::copy() const {
  if (reorder_) {
    memory from = from_, to = to_;
    reorder_.execute(stream(), from, to);
  } else if (data_type_of(from_.get_desc()) == memory::data_type::bf16) {
    copy_elements<std::uint16_t>(from_, from_indices_, to_, to_indices_);
  } else {
    copy_elements<float>(from_, from_indices_, to_, to_indices_);
  }
}

}  // namespace gan::runtime::cpu::onednn
