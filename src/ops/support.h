#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "base/parallel.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "runtime/kernels.h"

// What the files of single ops share.
namespace gan::ops {

using Gradients = std::vector<std::optional<Tensor>>;

/// Input `i` of a node, as a tensor of the graph of `like`.
inline Tensor input(const graph::Node& node, std::size_t i, Tensor like) { return {like.graph, node.inputs[i]}; }

/// The value of a constant, or nothing.
inline std::optional<double> constant_value(Tensor tensor) {
  const graph::Node& node = tensor.graph->node(tensor.id);
  if (!node.op || node.op->name != "constant") return std::nullopt;
  return node.attributes.real("value");
}

/// Copies `runs` rows of `length` elements, whose beginnings lie so far apart.
template <typename T>
void copy_runs(const T* src, T* dst, std::int64_t runs, std::int64_t length, std::int64_t src_stride,
               std::int64_t dst_stride) {
  base::parallel_for(runs * length, 16384, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t run = at / length, offset = at % length, count = std::min(length - offset, end - at);
      std::copy_n(src + run * src_stride + offset, count, dst + run * dst_stride + offset);
      at += count;
    }
  });
}

/// Calls function(zero) with a zero of a type as long as the elements are, for kernels that only move them.
template <typename Function>
void with_element_of(DType dtype, const Function& function) {
  if (dtype == DType::bf16)
    function(std::uint16_t{});
  else
    function(float{});  // or i32, which is copied alike
}

/// Throws a usage error unless the tensor has this many axes.
void expect_rank(const graph::TensorType& type, std::size_t rank, std::string_view what);
/// Throws a usage error unless the tensor is real (f32 or bf16).
void expect_real(const graph::TensorType& type, std::string_view what);

}  // namespace gan::ops
