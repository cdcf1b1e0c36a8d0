#include "runtime/matvec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "base/parallel.h"
#include "base/random.h"
#include "runtime/array.h"

// Products with one row or one column against sums in float64.
namespace gan::test {
namespace {

using graph::DType;
using runtime::Access;
using runtime::MatmulSpec;
using runtime::PostOp;

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

TEST(Matvec, AgreesWithSumsInFloat64) {
  // Sizes with and without rests in rows, vectors and chunks.
  for (const auto& [size, k] : {std::pair<std::int64_t, std::int64_t>{1, 1},
                                {3, 2},
                                {4, 16},
                                {7, 64},
                                {50, 65},
                                {64, 96},
                                {129, 200},
                                {784, 1031}})
    for (const bool row : {true, false})
      for (const bool transposed : {true, false})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          Product product = row ? Product(1, size, k, transposed, transposed, dtype)
                                : Product(size, 1, k, transposed, transposed, dtype);
          ASSERT_TRUE(runtime::is_matvec(product.spec));
          runtime::matvec_kernel(product.spec)();
          EXPECT_LT(product.error(), 1e-6) << size << " by " << k << (row ? ", a row" : ", a column")
                                           << (transposed ? ", transposed" : "") << ", " << name_of(dtype);
        }
}

TEST(Matvec, AppliesPostOpsInOrder) {
  Product product(1, 37, 20, false, true, DType::f32);
  std::vector<float> bias(37), full(37);
  std::iota(bias.begin(), bias.end(), -18.0f);
  std::iota(full.begin(), full.end(), 1.0f);
  const float scale = 0.25f;
  using runtime::TileOp;
  product.spec.post_ops = {{TileOp::mul, &scale, Access::scalar, 0}, {TileOp::add, bias.data(), Access::row, 0},
                           {TileOp::leaky_relu, nullptr, {}, 0.2f},  {TileOp::mul, full.data(), Access::full, 0},
                           {TileOp::tanh, nullptr, {}, 0},           {TileOp::sigmoid, nullptr, {}, 0}};
  for (std::size_t i = 0; i < 37; ++i) {
    double x = product.expected[i] * 0.25 + static_cast<double>(bias[i]);
    x = std::tanh((x > 0 ? x : 0.2 * x) * static_cast<double>(full[i]));
    product.expected[i] = 1 / (1 + std::exp(-x));
  }
  runtime::matvec_kernel(product.spec)();
  EXPECT_LT(product.error(), 1e-6);

  runtime::Array narrow({DType::bf16, {1, 37}});  // what the next product may want
  product.spec.dst_dtype = DType::bf16;
  product.spec.dst = narrow.bytes();
  runtime::matvec_kernel(product.spec)();
  for (std::size_t i = 0; i < 37; ++i) {
    const std::uint32_t bits = std::uint32_t{narrow.bf16()[i]} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    EXPECT_NEAR(static_cast<double>(value), product.expected[i], 0.004 * product.expected[i]);
  }
}

TEST(Matvec, ThreadsAndFreezingChangeNoBit) {
  const int before = base::threads();
  for (const bool by_rows : {true, false}) {
    Product product(1, 700, 900, false, by_rows, DType::f32);
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3, 4}) {
      base::set_threads(threads);
      product.spec.frozen_b = threads == 4;
      runtime::matvec_kernel(product.spec)();
      results.emplace_back(product.dst.f32().begin(), product.dst.f32().end());
      EXPECT_EQ(results.back(), results.front());
    }
  }
  base::set_threads(before);
}

TEST(Matvec, CompactWeightsLoseLittle) {
  Product product(1, 65, 300, false, true, DType::f32);
  for (std::size_t i = 0; i < 300; ++i) product.b.f32()[7 * 300 + i] *= 1000;  // a factor a row: no row disturbs others
  for (std::size_t i = 0; i < 300; ++i) product.b.f32()[8 * 300 + i] = 0;
  product.expected[7] *= 1000;
  product.expected[8] = 0;
  product.spec.frozen_b = product.spec.compact = true;
  const auto kernel = runtime::matvec_kernel(product.spec);
  std::fill(product.b.f32().begin(), product.b.f32().end(), 0.0f);  // what the kernel keeps is its own
  kernel();
  for (std::size_t i = 0; i < 65; ++i)
    EXPECT_NEAR(static_cast<double>(product.dst.f32()[i]), product.expected[i], i == 7 ? 10 : 0.01);
  EXPECT_EQ(product.dst.f32()[8], 0);
  EXPECT_LT(product.error(), 1e-4);
  EXPECT_GT(product.error(), 1e-6);  // it was rounded
}

TEST(Matvec, UnevenWeightsStayAsTheyAre) {
  Product product(1, 40, 300, false, true, DType::f32);
  // A large number in each row, which meets a zero: rounding would miss too much of the others.
  for (std::size_t r = 0; r < 40; ++r) product.b.f32()[r * 300] = 150;
  product.a.f32()[0] = 0;
  for (std::size_t r = 0; r < 40; ++r) {
    product.expected[r] = 0;
    for (std::size_t i = 1; i < 300; ++i)
      product.expected[r] +=
          static_cast<double>(product.a.f32()[i]) * static_cast<double>(product.b.f32()[r * 300 + i]);
  }
  product.spec.frozen_b = product.spec.compact = true;
  runtime::matvec_kernel(product.spec)();
  EXPECT_LT(product.error(), 1e-6);
}

}  // namespace
}  // namespace gan::test
