#include "runtime/matvec.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/parallel.h"
#include "product.h"

// Products with one row or one column against sums in float64.
namespace gan::test {
namespace {

using graph::DType;
using runtime::Access;
using runtime::MatmulSpec;
using runtime::PostOp;

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

}  // namespace
}  // namespace gan::test
