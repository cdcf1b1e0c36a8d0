#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "base/float_mode.h"
#include "base/parallel.h"
#include "product.h"
#include "runtime/array.h"
#include "runtime/kernels.h"

namespace gan::runtime {
namespace {

using graph::DType;

float widened(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// Two matrices of bf16 numbers, whatever way they are stored.
struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  std::vector<std::uint16_t> a, b;

  Product(std::int64_t rows, std::int64_t columns, std::int64_t depth, bool ta, bool tb, std::mt19937& random)
      : m(rows), n(columns), k(depth), transpose_a(ta), transpose_b(tb) {
    std::normal_distribution<float> normal;
    for (auto [numbers, count] : {std::pair{&a, m * k}, std::pair{&b, k * n}})
      for (std::int64_t i = 0; i < count; ++i)
        numbers->push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(normal(random)) >> 16));
  }

  MatmulSpec spec() const {
    return {.m = m,
            .n = n,
            .k = k,
            .transpose_a = transpose_a,
            .transpose_b = transpose_b,
            .operand_dtype = DType::bf16,
            .dst_dtype = DType::f32,
            .a = a.data(),
            .b = b.data(),
            .dst = nullptr,
            .post_ops = {}};
  }

  /// Multiplies rows and columns by the powers of two that these functions of their numbers say.
  template <class Row, class Column>
  void scale(const Row& row, const Column& column) {
    const auto times = [](std::uint16_t& number, int power) {
      number = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(std::ldexp(widened(number), power)) >> 16);
    };
    for (std::int64_t i = 0; i < m * k; ++i) times(a[static_cast<std::size_t>(i)], row(transpose_a ? i % m : i / k));
    for (std::int64_t i = 0; i < n * k; ++i) times(b[static_cast<std::size_t>(i)], column(transpose_b ? i / k : i % n));
  }

  double exact(std::int64_t row, std::int64_t column) const {
    double sum = 0;
    for (std::int64_t i = 0; i < k; ++i)
      sum += static_cast<double>(widened(a[static_cast<std::size_t>(transpose_a ? i * m + row : row * k + i)])) *
             static_cast<double>(widened(b[static_cast<std::size_t>(transpose_b ? column * k + i : i * n + column)]));
    return sum;
  }
};

/// What the kernel that chains follow stores of a product, nothing behind it.
std::vector<float> value_of(const Product& product) {
  std::vector<float> dst(static_cast<std::size_t>(product.m * product.n), NAN);
  MatmulSpec spec = product.spec();
  spec.dst = dst.data();
  matmul_chain_kernel(spec)();
  return dst;
}

/// The norm of what this value misses over that of the product in float64.
double relative_error(const Product& product, const std::vector<float>& dst) {
  double error = 0, norm = 0;
  for (std::int64_t i = 0; i < product.m; ++i)
    for (std::int64_t j = 0; j < product.n; ++j) {
      const double exact = product.exact(i, j);
      error += std::pow(exact - static_cast<double>(dst[static_cast<std::size_t>(i * product.n + j)]), 2);
      norm += exact * exact;
    }
  return std::sqrt(error / norm);
}

std::vector<Product> products(std::mt19937& random) {
  std::vector<Product> out;
  const std::int64_t sizes[][3] = {{1, 1, 1},   {1, 70, 33},  {16, 16, 32}, {17, 15, 31},  {32, 32, 64},
                                   {33, 65, 1}, {64, 96, 64}, {5, 300, 7},  {130, 47, 20}, {70, 600, 300}};
  for (const auto& [m, n, k] : sizes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) out.emplace_back(m, n, k, ta, tb, random);
  // Parts of both operands have to take turns in the cache.
  out.emplace_back(300, 260, 5000, false, true, random);
  out.emplace_back(300, 260, 5000, true, false, random);
  return out;
}

TEST(MatmulChain, ProductsAgreeWithSumsInFloat64) {
  std::mt19937 random(1);
  for (const Product& product : products(random))
    EXPECT_LT(relative_error(product, value_of(product)), test::packed_tolerance(1e-6))
        << product.m << " x " << product.n << " x " << product.k << product.transpose_a << product.transpose_b;
}

/// out = (product + row) * column, its sums over rows, and what a mask leaves of it, rounded; with exp the chain is
/// none that can run piece by piece.
TileProgram chain_of(const Product& product, bool with_exp, const std::vector<float>& row,
                     const std::vector<float>& column, const std::vector<std::uint16_t>& mask, std::vector<float>& out,
                     std::vector<std::uint16_t>& rounded, std::vector<float>& sums) {
  TileProgram chain;
  chain.elements = product.m * product.n;
  chain.operands.resize(4);
  chain.operands[0].access = Access::product;
  chain.operands[1].access = Access::row;
  chain.operands[1].data = row.data();
  chain.operands[2].access = Access::column;
  chain.operands[2].data = column.data();
  chain.operands[1].period = chain.operands[2].period = product.n;
  chain.operands[3].data = mask.data();
  chain.operands[3].dtype = DType::bf16;
  chain.instructions = {{.op = TileOp::add, .a = 0, .b = 1, .dst = 4},
                        {.op = TileOp::mul, .a = 4, .b = 2, .dst = 5},
                        {.op = TileOp::step, .a = 3, .b = 3, .dst = 6},
                        {.op = TileOp::mul, .a = 5, .b = 6, .dst = 7}};
  if (with_exp) chain.instructions.push_back({.op = TileOp::exp, .a = 7, .b = 7, .dst = 8});
  chain.results = {{5, out.data(), DType::f32},
                   {with_exp ? 8 : 7, rounded.data(), DType::bf16},
                   {5, sums.data(), DType::f32, Access::sum, product.n}};
  return chain;
}

TEST(MatmulChain, TheChainSeesWhatWouldHaveBeenStored) {
  std::mt19937 random(2);
  for (const Product& product : products(random))
    for (const bool with_exp : {false, true}) {
      const std::vector<float> value = value_of(product);
      const auto elements = static_cast<std::size_t>(product.m * product.n);
      std::normal_distribution<float> normal;
      std::vector<float> row, column;
      for (std::int64_t i = 0; i < product.n; ++i) row.push_back(normal(random));
      for (std::int64_t i = 0; i < product.m; ++i) column.push_back(normal(random));
      std::vector<std::uint16_t> mask;
      for (std::size_t i = 0; i < elements; ++i) mask.push_back(random() % 2 ? 0x3F80 : 0xBF80);

      std::vector<float> out(elements), expected(elements);
      std::vector<std::uint16_t> rounded(elements), expected_rounded(elements);
      std::vector<float> sums(row.size()), expected_sums(row.size());
      TileProgram alone = chain_of(product, with_exp, row, column, mask, expected, expected_rounded, expected_sums);
      alone.operands[0].access = Access::full;
      alone.operands[0].data = value.data();
      tile_kernel(alone, false)();
      matmul_chain_kernel(product.spec(), chain_of(product, with_exp, row, column, mask, out, rounded, sums))();
      EXPECT_EQ(out, expected);
      EXPECT_EQ(rounded, expected_rounded);
      EXPECT_EQ(sums, expected_sums);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        double sum = 0;
        for (std::size_t r = 0; r < column.size(); ++r) sum += static_cast<double>(out[r * row.size() + i]);
        ASSERT_NEAR(static_cast<double>(sums[i]), sum, 1e-3);
      }
    }
}

TEST(MatmulChain, EachLineHasItsOwnMagnitude) {
  std::mt19937 random(5);
  for (const int spread : {1, 30, 80})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        Product product(100, 130, 300, ta, tb, random);
        const std::vector<float> before = value_of(product);
        const auto row = [&](std::int64_t i) { return static_cast<int>(i * 7) % (spread + 1) - spread / 2; };
        const auto column = [&](std::int64_t j) { return static_cast<int>(j * 11) % (spread + 1) - spread / 3; };
        product.scale(row, column);
        const std::vector<float> dst = value_of(product);
        for (std::int64_t i = 0; i < product.m; ++i)
          for (std::int64_t j = 0; j < product.n; ++j) {
            const auto at = static_cast<std::size_t>(i * product.n + j);
            ASSERT_EQ(dst[at], std::ldexp(before[at], row(i) + column(j))) << i << " " << j << " " << spread;
          }
      }
}

TEST(MatmulChain, NumbersFarFromOne) {
  std::mt19937 random(7);
  // Matrix registers take products below the smallest normal number as 0.
  const bool tiles = runtime::multiplier() == runtime::Multiplier::tiles;
  const double lost = tiles ? 256 * static_cast<double>(std::numeric_limits<float>::min()) : 0;
  const base::ScopedFloatMode mode(base::ScopedFloatMode::without_denormals());
  for (const auto& [left, right] : {std::array{-80, -30}, {-55, -55}, {60, 60}, {100, 20}, {100, -90}, {-90, 100}}) {
    Product product(70, 50, 256, false, true, random);
    const std::vector<float> before = value_of(product);
    product.scale([&](auto) { return left; }, [&](auto) { return right; });
    const std::vector<float> dst = value_of(product);
    for (std::size_t i = 0; i < dst.size(); ++i)
      if (std::abs(before[i]) > 0.1f) {
        const float expected = std::ldexp(before[i], left + right);
        ASSERT_NEAR(dst[i], expected, 1e-5 * std::abs(static_cast<double>(expected)) + lost) << left << " " << right;
      }
  }
}

// A number that is much larger than the rest of its line leaves these what they are worth, as long as the line's
// products stay above 2^-24 of the largest.
TEST(MatmulChain, LargeNumbersAmongSmallOnes) {
  std::mt19937 random(8);
  Product product(40, 40, 200, false, true, random);
  for (std::size_t line = 0; line < 40; ++line) {
    product.a[line * 200 + 7] = product.b[line * 200 + 9] = 0x4380;  // 256, where the other operand has
    product.a[line * 200 + 9] = product.b[line * 200 + 7] = 0;       // nothing
  }
  EXPECT_LT(relative_error(product, value_of(product)), test::packed_tolerance(1e-6));
}

TEST(MatmulChain, WhatIsNotFiniteStaysSoInItsOwnRowsAndColumns) {
  std::mt19937 random(6);
  for (const int special : {0x7F80, 0xFF80, 0x7FC0})
    for (const bool along : {false, true})
      for (const bool in_left : {false, true}) {
        const std::size_t line = 44, at = 290, lines = 70, depth = 300;
        Product product(lines, lines, depth, !along, along, random);
        const std::vector<float> before = value_of(product);
        (in_left ? product.a : product.b)[along ? line * depth + at : at * lines + line] =
            static_cast<std::uint16_t>(special);
        const std::vector<float> dst = value_of(product);
        for (std::size_t i = 0; i < lines; ++i)
          for (std::size_t j = 0; j < lines; ++j)
            if ((in_left ? i : j) == line)
              EXPECT_FALSE(std::isfinite(dst[i * lines + j]));
            else
              EXPECT_EQ(dst[i * lines + j], before[i * lines + j]);
      }
}

TEST(MatmulChain, FrozenOperandsGiveTheSame) {
  std::mt19937 random(9);
  for (const Product& product : products(random)) {
    std::vector<float> dst(static_cast<std::size_t>(product.m * product.n), NAN);
    MatmulSpec spec = product.spec();
    spec.dst = dst.data();
    spec.frozen_b = true;
    const std::function<void()> kernel = matmul_chain_kernel(spec);
    for (int run = 0; run < 2; ++run) {
      kernel();
      if (multiplier() != Multiplier::none) {
        EXPECT_EQ(dst, value_of(product));
      }
    }
  }
}

TEST(MatmulChain, ThreadsChangeNothing) {
  std::mt19937 random(3);
  const Product product(500, 300, 700, true, false, random);
  std::vector<float> with[3];
  for (int threads = 1; threads <= 3; ++threads) {
    base::set_threads(threads);
    with[threads - 1] = value_of(product);
  }
  base::set_threads(0);
  if (matmul_takes_chain({DType::bf16, {}}, {DType::f32, {500, 300}})) {
    EXPECT_EQ(with[0], with[1]);
    EXPECT_EQ(with[0], with[2]);
  }
}

}  // namespace
}  // namespace gan::runtime
