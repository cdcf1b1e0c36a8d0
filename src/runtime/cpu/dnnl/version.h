#pragma once

#include <dnnl.hpp>

// The differences between oneDNN 2 (Debian 12) and oneDNN 3 (Debian 13): version 3 has no operation descriptors, whose
// arguments go to the primitive descriptor, and functions read memory descriptors.
namespace gan::runtime::cpu::onednn {

#if DNNL_VERSION_MAJOR >= 3

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
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(algorithm, alpha, 0.0f);
}

#else

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
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(/*scale=*/1.0f, algorithm, alpha, 0.0f);
}

#endif

}  // namespace gan::runtime::cpu::onednn
