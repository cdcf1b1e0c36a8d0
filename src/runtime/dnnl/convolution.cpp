#include <memory>
#include <unordered_map>

#include "base/error.h"
#include "runtime/dnnl/engine.h"
#include "runtime/dnnl/version.h"
#include "runtime/in_f32.h"

namespace gan::runtime {

namespace {

using dnnl::memory;

/// Activations [N, H, W, C] in oneDNN's logical order N, C, H, W.
memory::dims activation_dims(const graph::Shape& shape) { return {shape[0], shape[3], shape[1], shape[2]}; }

memory::desc activations(const graph::Shape& shape, graph::DType dtype) {
  return {activation_dims(shape), onednn::data_type(dtype), memory::format_tag::nhwc};
}

/// A memory in the layout that the primitive asked for, and the reorder from or to the user's layout if they differ.
class Side {
 public:
  Side(const memory::desc& user, const memory::desc& wanted, void* data, bool is_result)
      : user_(user, onednn::engine(), data), inner_(user == wanted ? user_ : memory(wanted, onednn::engine())) {
    if (user != wanted) reorder_ = is_result ? dnnl::reorder(inner_, user_) : dnnl::reorder(user_, inner_);
  }
  const memory& inner() const { return inner_; }
  void before() const {
    if (reorder_) reorder_.execute(onednn::stream(), const_cast<memory&>(user_), const_cast<memory&>(inner_));
  }
  void after() const {
    if (reorder_) reorder_.execute(onednn::stream(), const_cast<memory&>(inner_), const_cast<memory&>(user_));
  }

 private:
  memory user_, inner_;
  dnnl::reorder reorder_;
};

std::function<void()> kernel_in_f32(ConvolutionSpec spec) {
  using Kind = ConvolutionSpec::Kind;
  const graph::Shape& a = spec.kind == Kind::data_gradient ? spec.dst : spec.src;
  const graph::Shape& b = spec.kind == Kind::weight_gradient ? spec.dst : spec.weights;
  const graph::Shape& result = spec.kind == Kind::forward         ? spec.dst
                               : spec.kind == Kind::data_gradient ? spec.src
                                                                  : spec.weights;
  InF32 copies;
  spec.a = copies.operand(spec.a, graph::element_count(a));
  spec.b = copies.operand(spec.b, graph::element_count(b));
  spec.result = copies.result(spec.result, spec.result_dtype, graph::element_count(result));
  spec.operand_dtype = spec.result_dtype = graph::DType::f32;
  return copies.around(convolution_kernel(spec));
}

}  // namespace

std::function<void()> convolution_kernel(const ConvolutionSpec& spec) {
  if (needs_f32(spec.operand_dtype)) return kernel_in_f32(spec);
  using Kind = ConvolutionSpec::Kind;
  const auto wanted = [](const graph::Shape& dims, graph::DType dtype) {
    return memory::desc(dims, onednn::data_type(dtype), memory::format_tag::any);
  };
  const graph::DType src_type = spec.kind == Kind::data_gradient ? spec.result_dtype : spec.operand_dtype;
  const graph::DType weights_type = spec.kind == Kind::weight_gradient ? spec.result_dtype : spec.operand_dtype;
  const graph::DType dst_type = spec.kind == Kind::forward ? spec.result_dtype : spec.operand_dtype;
  const memory::desc src = activations(spec.src, src_type);
  const memory::desc dst = activations(spec.dst, dst_type);
  const memory::desc weights(spec.weights, onednn::data_type(weights_type), memory::format_tag::oihw);
  const memory::desc any_weights = wanted(spec.weights, weights_type);
  const memory::dims strides{spec.stride, spec.stride}, padding{spec.padding, spec.padding};
  // The far side of the input may be left over when the stride does not divide it.
  const auto far_padding = [&](std::size_t axis) {
    return (spec.dst[axis] - 1) * spec.stride + spec.weights[axis + 1] - spec.src[axis] - spec.padding;
  };
  const memory::dims far{far_padding(1), far_padding(2)};
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;

  try {
    void* a = const_cast<void*>(spec.a);
    void* b = const_cast<void*>(spec.b);

    if (spec.kind == Kind::forward) {
      const onednn::PostOpArguments post_ops = onednn::post_op_arguments(spec.post_ops, dst, 1);
      dnnl::primitive_attr attributes;
      attributes.set_post_ops(post_ops.ops);
      const auto description =
          onednn::describe<dnnl::convolution_forward>(onednn::engine(), attributes, dnnl::prop_kind::forward_training,
                                                      algorithm, src, any_weights, dst, strides, padding, far);
      auto inner = std::make_shared<Side>(weights, description.weights_desc(), b, false);
      std::unordered_map<int, memory> arguments(post_ops.memories.begin(), post_ops.memories.end());
      arguments.emplace(DNNL_ARG_SRC, memory(src, onednn::engine(), a));
      arguments.emplace(DNNL_ARG_WEIGHTS, inner->inner());
      arguments.emplace(DNNL_ARG_DST, memory(dst, onednn::engine(), spec.result));
      return [primitive = dnnl::convolution_forward(description), inner, arguments] {
        inner->before();
        primitive.execute(onednn::stream(), arguments);
      };
    }

    // The gradients take a forward description as a hint, in the precision of their operands.
    const memory::desc hint_src = activations(spec.src, spec.operand_dtype);
    const memory::desc hint_dst = activations(spec.dst, spec.operand_dtype);
    const auto hint = onednn::describe<dnnl::convolution_forward>(
        onednn::engine(), dnnl::primitive_attr(), dnnl::prop_kind::forward_training, algorithm, hint_src,
        wanted(spec.weights, spec.operand_dtype), hint_dst, strides, padding, far);
    if (spec.kind == Kind::data_gradient) {
      const auto description = onednn::describe_backward<dnnl::convolution_backward_data>(
          onednn::engine(), hint, algorithm, src, any_weights, dst, strides, padding, far);
      auto inner = std::make_shared<Side>(weights, description.weights_desc(), b, false);
      const std::unordered_map<int, memory> arguments{{DNNL_ARG_DIFF_DST, memory(dst, onednn::engine(), a)},
                                                      {DNNL_ARG_WEIGHTS, inner->inner()},
                                                      {DNNL_ARG_DIFF_SRC, memory(src, onednn::engine(), spec.result)}};
      return [primitive = dnnl::convolution_backward_data(description), inner, arguments] {
        inner->before();
        primitive.execute(onednn::stream(), arguments);
      };
    }
    const auto description = onednn::describe_backward<dnnl::convolution_backward_weights>(
        onednn::engine(), hint, algorithm, src, any_weights, dst, strides, padding, far);
    auto inner = std::make_shared<Side>(weights, description.diff_weights_desc(), spec.result, true);
    const std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, memory(src, onednn::engine(), a)},
                                                    {DNNL_ARG_DIFF_DST, memory(dst, onednn::engine(), b)},
                                                    {DNNL_ARG_DIFF_WEIGHTS, inner->inner()}};
    return [primitive = dnnl::convolution_backward_weights(description), inner, arguments] {
      primitive.execute(onednn::stream(), arguments);
      inner->after();
    };
  } catch (const dnnl::error& error) {
    base::fail_run("convolution of {} with {} in {}: {}", graph::to_string(spec.src), graph::to_string(spec.weights),
                   name_of(spec.operand_dtype), error.what());
  }
}

}  // namespace gan::runtime
