#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "graph/type.h"
#include "runtime/array.h"
#include "runtime/kernels.h"

namespace gan::test {

using graph::DType;
using runtime::MatmulSpec;

/// Operands of a product in the element type that is asked for, and its result in float64.
struct Product {
  Product(std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a, bool transpose_b, DType dtype)
      : a({dtype, {m, k}}), b({dtype, {k, n}}), dst({DType::f32, {m, n}}), expected(static_cast<std::size_t>(m * n)) {
    const std::vector<double> left = fill(a, 1), right = fill(b, 2);
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

  /// Random numbers that both types can hold.
  static std::vector<double> fill(const runtime::Array& array, std::uint32_t stream) {
    const base::RandomStream random(11, stream);
    std::vector<double> values(static_cast<std::size_t>(array.type().elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float value = random.normal(i);
      std::uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      if (array.type().dtype == DType::bf16) bits &= 0xFFFF0000u;
      float kept;
      std::memcpy(&kept, &bits, sizeof kept);
      values[i] = static_cast<double>(kept);
      if (array.type().dtype == DType::bf16)
        array.bf16()[i] = static_cast<std::uint16_t>(bits >> 16);
      else
        array.f32()[i] = kept;
    }
    return values;
  }

  double error() const {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double missed = static_cast<double>(dst.f32()[i]) - expected[i];
      difference += missed * missed;
      norm += expected[i] * expected[i];
    }
    return std::sqrt(difference / norm);
  }

  runtime::Array a, b, dst;
  std::vector<double> expected;
  MatmulSpec spec;
};

}  // namespace gan::test
