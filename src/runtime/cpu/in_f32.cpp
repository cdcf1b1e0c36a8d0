#include "runtime/cpu/in_f32.h"

#include <utility>

#include "runtime/cpu/dnnl/kernels.h"
#include "runtime/cpu/simd.h"

namespace gan::runtime::cpu {

namespace {

/// The numbers of elements of the two operands.
std::pair<std::int64_t, std::int64_t> sizes(const Product& product) {
  if (product.matmul) return {product.matmul->m * product.matmul->k, product.matmul->k * product.matmul->n};
  return {graph::element_count(product.convolution->a_shape()), graph::element_count(product.convolution->b_shape())};
}

}  // namespace

std::size_t in_f32_workspace(const Product& product) {
  const auto [a, b] = sizes(product);
  return Workspace::bytes_of<float>(a) + Workspace::bytes_of<float>(b);
}

MadeProduct in_f32(const Product& product, Workspace& workspace) {
  const auto [a, b] = sizes(product);
  float* const wide_a = workspace.take<float>(a);
  float* const wide_b = workspace.take<float>(b);
  const void *narrow_a = nullptr, *narrow_b = nullptr;
  Product wide = product;
  const auto widen_operands = [&](auto& spec) {
    narrow_a = std::exchange(spec->a, wide_a);
    narrow_b = std::exchange(spec->b, wide_b);
    spec->operands = graph::DType::f32;
  };
  if (wide.matmul) {
    wide.matmul->frozen_b = false;
    widen_operands(wide.matmul);
  } else {
    widen_operands(wide.convolution);
  }
  return {[=, a = static_cast<std::size_t>(a), b = static_cast<std::size_t>(b),
           multiply = wide.matmul ? onednn::matmul(wide, workspace).run : onednn::convolution(wide, workspace).run] {
    simd::widen(static_cast<const std::uint16_t*>(narrow_a), wide_a, a);
    simd::widen(static_cast<const std::uint16_t*>(narrow_b), wide_b, b);
    multiply();
  }};
}

}  // namespace gan::runtime::cpu
