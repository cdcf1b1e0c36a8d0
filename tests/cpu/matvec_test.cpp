#include <gtest/gtest.h>

#include <numeric>

#include "base/parallel.h"
#include "product.h"

// Products with one row or one column against sums in float64.
namespace gan::test {
namespace {

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
          const Product product = row ? Product(1, size, k, transposed, transposed, dtype)
                                      : Product(size, 1, k, transposed, transposed, dtype);
          ASSERT_TRUE(product.run("vector"));
          EXPECT_LT(product.error(), 1e-6) << size << " by " << k << (row ? ", a row" : ", a column")
                                           << (transposed ? ", transposed" : "") << ", " << name_of(dtype);
        }
}

TEST(Matvec, AppliesItsEpilogueInOrder) {
  Product product(1, 37, 20, false, true, DType::f32);
  std::vector<float> bias(37), full(37);
  std::iota(bias.begin(), bias.end(), -18.0f);
  std::iota(full.begin(), full.end(), 1.0f);
  const float scale = 0.25f;
  const EpilogueBuilder epilogue = product.epilogue()
                                       .then(ElementwiseOp::mul, &scale, Access::scalar)
                                       .then(ElementwiseOp::add, bias.data(), Access::row)
                                       .then(ElementwiseOp::leaky_relu, nullptr, {}, 0.2f)
                                       .then(ElementwiseOp::mul, full.data())
                                       .then(ElementwiseOp::tanh)
                                       .then(ElementwiseOp::sigmoid);
  for (std::size_t i = 0; i < 37; ++i) {
    double x = product.expected[i] * 0.25 + static_cast<double>(bias[i]);
    x = std::tanh((x > 0 ? x : 0.2 * x) * static_cast<double>(full[i]));
    product.expected[i] = 1 / (1 + std::exp(-x));
  }
  product.spec.epilogue = epilogue.store(product.dst.bytes());
  product.run("vector");
  EXPECT_LT(product.error(), 1e-6);

  runtime::Array narrow({DType::bf16, {1, 37}});  // what the next product may read
  product.spec.epilogue = epilogue.store(narrow.bytes(), DType::bf16);
  product.run("vector");
  for (std::size_t i = 0; i < 37; ++i)
    EXPECT_NEAR(static_cast<double>(base::from_bf16(narrow.bf16()[i])), product.expected[i],
                0.004 * product.expected[i]);
}

TEST(Matvec, ThreadsAndFreezingChangeNoBit) {
  const int before = base::threads();
  for (const bool by_rows : {true, false}) {
    Product product(1, 700, 900, false, by_rows, DType::f32);
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3, 4}) {
      base::set_threads(threads);
      product.matmul().frozen_b = threads == 4;
      product.run("vector");
      results.push_back(product.result());
      EXPECT_EQ(results.back(), results.front());
    }
  }
  base::set_threads(before);
}

}  // namespace
}  // namespace gan::test
