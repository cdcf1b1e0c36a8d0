#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "runtime/cpu/dnnl/engine.h"
#include "runtime/cpu/dnnl/kernels.h"
#include "runtime/cpu/dnnl/reorder.h"
#include "runtime/cpu/dnnl/version.h"

namespace gan::runtime::cpu::onednn {

namespace {

using dnnl::memory;

/// Activations [N, H, W, C] in oneDNN's logical order N, C, H, W.
memory::dims activation_dims(const graph::Shape& shape) { return {shape[0], shape[3], shape[1], shape[2]}; }

memory::desc activations(const graph::Shape& shape, graph::DType dtype) {
  return {activation_dims(shape), data_type(dtype), memory::format_tag::nhwc};
}

/// Weights [O, I, KH, KW], of several groups [groups, O / groups, I, KH, KW].
memory::dims weight_dims(const graph::Convolution& spec) {
  const graph::Shape& w = spec.weights;
  const std::int64_t groups = spec.groups();
  return groups == 1 ? w : memory::dims{groups, w[0] / groups, w[1], w[2], w[3]};
}

}  // namespace

MadeProduct convolution(const Product& product, Workspace&) {
  using Kind = graph::Convolution::Kind;
  const BoundConvolution& spec = *product.convolution;
  const BoundResult& result = product.epilogue.results[0];
  const auto any_layout = [](const graph::Shape& dims, graph::DType dtype) {
    return memory::desc(dims, data_type(dtype), memory::format_tag::any);
  };
  const graph::DType src_type = spec.kind == Kind::data_gradient ? result.dtype : spec.operands;
  const graph::DType weights_type = spec.kind == Kind::weight_gradient ? result.dtype : spec.operands;
  const graph::DType dst_type = spec.kind == Kind::forward ? result.dtype : spec.operands;
  const memory::desc src = activations(spec.src, src_type);
  const memory::desc dst = activations(spec.dst, dst_type);
  const memory::dims shape = weight_dims(spec);
  const memory::desc weights(shape, data_type(weights_type),
                             spec.groups() == 1 ? memory::format_tag::oihw : memory::format_tag::goihw);
  const memory::desc any_weights = any_layout(shape, weights_type);
  const memory::dims strides{spec.stride, spec.stride}, padding{spec.padding, spec.padding};
  // Right and bottom padding, negative if the stride leaves a rest of the input unread.
  const auto far_padding = [&](std::size_t axis) {
    return (spec.dst[axis] - 1) * spec.stride + spec.weights[axis + 1] - spec.src[axis] - spec.padding;
  };
  const memory::dims far{far_padding(1), far_padding(2)};
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;

  try {
    void* a = const_cast<void*>(spec.a);
    void* b = const_cast<void*>(spec.b);

    if (spec.kind == Kind::forward) {
      const PostOps epilogue = post_ops(product.epilogue, dst);
      dnnl::primitive_attr attributes;
      attributes.set_post_ops(epilogue.ops);
      const auto description =
          describe<dnnl::convolution_forward>(engine(), attributes, dnnl::prop_kind::forward_training, algorithm, src,
                                              any_weights, dst, strides, padding, far);
      auto inner = std::make_shared<Reordered>(weights, description.weights_desc(), b, false);
      std::unordered_map<int, memory> arguments(epilogue.memories.begin(), epilogue.memories.end());
      arguments.emplace(DNNL_ARG_SRC, memory(src, engine(), a));
      arguments.emplace(DNNL_ARG_WEIGHTS, inner->inner());
      arguments.emplace(DNNL_ARG_DST, memory(dst, engine(), result.data));
      return {[primitive = dnnl::convolution_forward(description), inner, constants = epilogue.constants, arguments] {
        inner->copy();
        primitive.execute(stream(), arguments);
      }};
    }

    // Gradients need a forward description as a hint, in the type of their operands.
    const memory::desc hint_src = activations(spec.src, spec.operands);
    const memory::desc hint_dst = activations(spec.dst, spec.operands);
    const auto hint = describe<dnnl::convolution_forward>(
        engine(), dnnl::primitive_attr(), dnnl::prop_kind::forward_training, algorithm, hint_src,
        any_layout(shape, spec.operands), hint_dst, strides, padding, far);
    if (spec.kind == Kind::data_gradient) {
      const auto description = describe_backward<dnnl::convolution_backward_data>(
          engine(), hint, algorithm, src, any_weights, dst, strides, padding, far);
      auto inner = std::make_shared<Reordered>(weights, description.weights_desc(), b, false);
      const std::unordered_map<int, memory> arguments{{DNNL_ARG_DIFF_DST, memory(dst, engine(), a)},
                                                      {DNNL_ARG_WEIGHTS, inner->inner()},
                                                      {DNNL_ARG_DIFF_SRC, memory(src, engine(), result.data)}};
      return {[primitive = dnnl::convolution_backward_data(description), inner, arguments] {
        inner->copy();
        primitive.execute(stream(), arguments);
      }};
    }
    const auto description = describe_backward<dnnl::convolution_backward_weights>(
        engine(), hint, algorithm, src, any_weights, dst, strides, padding, far);
    auto inner = std::make_shared<Reordered>(weights, description.diff_weights_desc(), result.data, true);
    const std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, memory(src, engine(), a)},
                                                    {DNNL_ARG_DIFF_DST, memory(dst, engine(), b)},
                                                    {DNNL_ARG_DIFF_WEIGHTS, inner->inner()}};
    return {[primitive = dnnl::convolution_backward_weights(description), inner, arguments] {
      primitive.execute(stream(), arguments);
      inner->copy();
    }};
  } catch (const dnnl::error& error) {
    base::fail_run("convolution of {} with {} in {}: {}", graph::to_string(spec.src), graph::to_string(spec.weights),
                   name_of(spec.operands), error.what());
  }
}

}  // namespace gan::runtime::cpu::onednn
