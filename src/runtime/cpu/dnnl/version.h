#pragma once

#include <cstddef>
#include <dnnl.hpp>
#include <vector>

// The differences between oneDNN 2 (Debian 12) and oneDNN 3 (Debian 13): version 3 has no operation descriptors, whose
// arguments go to the primitive descriptor, and functions read memory descriptors.
namespace gan::runtime::cpu::onednn {

/// A block of the innermost elements of a layout.
struct Block {
  std::size_t axis;
  dnnl::memory::dim length;
};

#if DNNL_VERSION_MAJOR >= 3

/// Whether reorders are correct from and to blocked layouts whose last block is padded. In Debian 13's version, 3.7.2,
/// they are not; other versions 3 were not tested.
inline constexpr bool kReordersPadding = false;

/// The primitive descriptor of a forward operation.
template <typename Primitive, typename... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            const Arguments&... arguments) {
  return {engine, arguments..., attributes};
}
/// The primitive descriptor of a backward operation; `hint` is that of its forward operation.
template <typename Primitive, typename Hint, typename... Arguments>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine, const Hint& hint,
                                                     const Arguments&... arguments) {
  return {engine, arguments..., hint};
}
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.get_dims(); }
inline dnnl::memory::dims strides_of(const dnnl::memory::desc& desc) { return desc.get_strides(); }
inline dnnl::memory::data_type data_type_of(const dnnl::memory::desc& desc) { return desc.get_data_type(); }
inline dnnl::memory::dims padded_dims_of(const dnnl::memory::desc& desc) { return desc.get_padded_dims(); }
/// The blocks of a layout, the outermost first.
inline std::vector<Block> blocks_of(const dnnl::memory::desc& desc) {
  std::vector<Block> blocks;
  const dnnl::memory::dims axes = desc.get_inner_idxs(), lengths = desc.get_inner_blks();
  for (std::size_t i = 0; i < lengths.size(); ++i) blocks.push_back({static_cast<std::size_t>(axes[i]), lengths[i]});
  return blocks;
}
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(algorithm, alpha, 0.0f);
}

#else

inline constexpr bool kReordersPadding = true;

template <typename Primitive, typename... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), attributes, engine};
}
template <typename Primitive, typename Hint, typename... Arguments>
typename Primitive::primitive_desc describe_backward(const dnnl::engine& engine, const Hint& hint,
                                                     const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), engine, hint};
}
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.dims(); }
inline dnnl::memory::dims strides_of(const dnnl::memory::desc& desc) {
  const auto* strides = desc.data.format_desc.blocking.strides;
  return {strides, strides + desc.data.ndims};
}
inline dnnl::memory::data_type data_type_of(const dnnl::memory::desc& desc) { return desc.data_type(); }
inline dnnl::memory::dims padded_dims_of(const dnnl::memory::desc& desc) {
  return {desc.data.padded_dims, desc.data.padded_dims + desc.data.ndims};
}
inline std::vector<Block> blocks_of(const dnnl::memory::desc& desc) {
  const auto& blocking = desc.data.format_desc.blocking;
  std::vector<Block> blocks;
  for (int i = 0; i < blocking.inner_nblks; ++i)
    blocks.push_back({static_cast<std::size_t>(blocking.inner_idxs[i]), blocking.inner_blks[i]});
  return blocks;
}
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(/*scale=*/1.0f, algorithm, alpha, 0.0f);
}

#endif

}  // namespace gan::runtime::cpu::onednn
