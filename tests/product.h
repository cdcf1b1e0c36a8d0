#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "graph/type.h"
#include "runtime/array.h"
#include "runtime/kernels.h"
#include "runtime/packed_product.h"

namespace gan::test {

using graph::DType;
using runtime::MatmulSpec;

/// Fills an array of f32 or bf16 with random numbers and returns them.
inline std::vector<double> fill_random(const runtime::Array& array, std::uint32_t stream) {
  const base::RandomStream random(11, stream);
  std::vector<double> values(static_cast<std::size_t>(array.type().elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto bits = std::bit_cast<std::uint32_t>(random.normal(i));
    if (array.type().dtype == DType::bf16) {
      bits &= 0xFFFF0000u;
      array.bf16()[i] = static_cast<std::uint16_t>(bits >> 16);
    } else {
      array.f32()[i] = std::bit_cast<float>(bits);
    }
    values[i] = static_cast<double>(std::bit_cast<float>(bits));
  }
  return values;
}

/// The norm of what f32 results miss over that of what they should be.
inline double relative_error(const runtime::Array& results, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double missed = static_cast<double>(results.f32()[i]) - expected[i];
    difference += missed * missed;
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

/// The relative norm within which packed products of bf16 keep to float64: that of f32, unless they add up in fp16.
inline double packed_tolerance(double of_f32) {
  return runtime::multiplier() == runtime::Multiplier::halves ? 1e-3 : of_f32;
}

/// Operands of a product in the element type that is asked for, and its result in float64.
struct Product {
  Product(std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a, bool transpose_b, DType dtype)
      : a({dtype, {m, k}}), b({dtype, {k, n}}), dst({DType::f32, {m, n}}), expected(static_cast<std::size_t>(m * n)) {
    const std::vector<double> left = fill_random(a, 1), right = fill_random(b, 2);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        for (std::int64_t t = 0; t < k; ++t)
          expected[static_cast<std::size_t>(i * n + j)] +=
              left[static_cast<std::size_t>(transpose_a ? t * m + i : i * k + t)] *
              right[static_cast<std::size_t>(transpose_b ? j * k + t : t * n + j)];
    spec = {.m = m,
            .n = n,
            .k = k,
            .transpose_a = transpose_a,
            .transpose_b = transpose_b,
            .operand_dtype = dtype,
            .a = a.bytes(),
            .b = b.bytes(),
            .dst = dst.bytes(),
            .post_ops = {}};
  }

  double error() const { return relative_error(dst, expected); }

  runtime::Array a, b, dst;
  std::vector<double> expected;
  MatmulSpec spec;
};

}  // namespace gan::test
