#include "runtime/cpu/f32_product.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/parallel.h"
#include "compare.h"
#include "runtime/backend.h"

namespace gan::runtime::cpu {
namespace {

struct Shape {
  std::int64_t m, n, k;
};

class F32Product : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) GTEST_SKIP() << "this processor has no AVX2";
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 1);
    const Shape& s = GetParam();
    a_.resize(static_cast<std::size_t>(s.m * s.k));
    b_.resize(static_cast<std::size_t>(s.k * s.n));
    for (float& x : a_) x = normal(random);
    for (float& x : b_) x = normal(random);
  }

  /// The first `rows` rows of the product, all of them if 0.
  std::vector<float> multiplied(bool transpose_a, bool transpose_b, std::int64_t rows = 0) {
    Shape s = GetParam();
    if (rows > 0) s.m = rows;
    std::vector<float> result(static_cast<std::size_t>(s.m * s.n), NAN);
    Product product;
    product.matmul.emplace();
    product.matmul->m = s.m, product.matmul->n = s.n, product.matmul->k = s.k;
    product.matmul->transpose_a = transpose_a, product.matmul->transpose_b = transpose_b;
    product.matmul->a = a_.data(), product.matmul->b = b_.data();
    product.epilogue = store_chain(result.data(), graph::DType::f32, s.m * s.n);
    Workspace none(nullptr);
    f32_product(product, none).run();
    return result;
  }

  std::vector<double> expected(bool transpose_a, bool transpose_b) const {
    const Shape& s = GetParam();
    std::vector<double> sums(static_cast<std::size_t>(s.m * s.n));
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t j = 0; j < s.n; ++j)
        for (std::int64_t k = 0; k < s.k; ++k)
          sums[static_cast<std::size_t>(i * s.n + j)] +=
              static_cast<double>(a_[static_cast<std::size_t>(transpose_a ? k * s.m + i : i * s.k + k)]) *
              static_cast<double>(b_[static_cast<std::size_t>(transpose_b ? j * s.k + k : k * s.n + j)]);
    return sums;
  }

  std::vector<float> a_, b_;
};

TEST_P(F32Product, AgreesWithSumsInFloat64) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      EXPECT_LE(test::relative_error(multiplied(transpose_a, transpose_b), expected(transpose_a, transpose_b)), 1e-6)
          << transpose_a << transpose_b;
}

TEST_P(F32Product, ThreadsChangeNothing) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      const auto together = multiplied(transpose_a, transpose_b);
      base::set_threads(1);
      EXPECT_EQ(multiplied(transpose_a, transpose_b), together);
      base::set_threads(0);
    }
}

// Rows have the same bits in whole tiles and in others.
TEST_P(F32Product, OtherRowsChangeNothing) {
  const Shape& s = GetParam();
  const auto all = multiplied(false, true);
  for (const std::int64_t rows : {s.m - 1, s.m / 2}) {
    const auto some = multiplied(false, true, rows);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << rows;
  }
}

// Whole tiles; rests of rows, columns and depth; fewer than a tile; more than a panel of depth.
INSTANTIATE_TEST_SUITE_P(Shapes, F32Product,
                         testing::Values(Shape{12, 32, 64}, Shape{13, 35, 67}, Shape{2, 3, 5}, Shape{66, 40, 600},
                                         Shape{5, 200, 257}, Shape{200, 5, 30}),
                         [](const auto& info) {
                           return std::to_string(info.param.m) + "x" + std::to_string(info.param.n) + "x" +
                                  std::to_string(info.param.k);
                         });

}  // namespace
}  // namespace gan::runtime::cpu
