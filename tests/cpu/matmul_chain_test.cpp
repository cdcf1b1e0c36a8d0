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

// Products of bf16 matrices and the chains that follow them, by the kernel that programs take.
namespace gan::test {
namespace {

using runtime::cpu::BoundOperand;
using runtime::cpu::Multiplier;

struct Bf16Product : Product {
  Bf16Product(std::int64_t rows, std::int64_t columns, std::int64_t depth, bool transpose_a, bool transpose_b)
      : Product(rows, columns, depth, transpose_a, transpose_b, DType::bf16), m(rows), n(columns), k(depth) {}

  /// Multiplies rows and columns by the powers of two that these functions of their numbers say.
  template <class Row, class Column>
  void scale(const Row& row, const Column& column) {
    const auto times = [](std::uint16_t& element, int power) {
      element = base::to_bf16(std::ldexp(base::from_bf16(element), power));
    };
    for (std::int64_t i = 0; i < m * k; ++i)
      times(a.bf16()[static_cast<std::size_t>(i)], row(matmul().transpose_a ? i % m : i / k));
    for (std::int64_t i = 0; i < n * k; ++i)
      times(b.bf16()[static_cast<std::size_t>(i)], column(matmul().transpose_b ? i / k : i % n));
  }

  /// The stored product, without a chain.
  std::vector<float> value() const {
    std::ranges::fill(dst.f32(), NAN);
    run();
    return result();
  }

  std::int64_t m, n, k;
};

std::vector<Bf16Product> products() {
  std::vector<Bf16Product> out;
  const std::int64_t sizes[][3] = {{1, 1, 1},   {1, 70, 33},  {16, 16, 32}, {17, 15, 31},  {32, 32, 64},
                                   {33, 65, 1}, {64, 96, 64}, {5, 300, 7},  {130, 47, 20}, {70, 600, 300}};
  for (const auto& [m, n, k] : sizes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) out.emplace_back(m, n, k, ta, tb);
  // Parts of both operands have to take turns in the cache.
  out.emplace_back(300, 260, 5000, false, true);
  out.emplace_back(300, 260, 5000, true, false);
  return out;
}

TEST(MatmulChain, ProductsAgreeWithSumsInFloat64) {
  for (const Bf16Product& product : products()) {
    product.value();
    EXPECT_LT(product.error(), packed_tolerance(1e-6)) << product.m << " x " << product.n << " x " << product.k;
  }
}

/// Operands and results of a chain behind a product: out = (product + row) * column, its sums over rows, and what a
/// mask leaves of it, rounded.
struct ChainCase {
  ChainCase(const Bf16Product& product, std::mt19937& random)
      : m(product.m),
        n(product.n),
        out(static_cast<std::size_t>(m * n)),
        rounded(out.size()),
        sums(static_cast<std::size_t>(n)) {
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < n; ++i) row.push_back(normal(random));
    for (std::int64_t i = 0; i < m; ++i) column.push_back(normal(random));
    for (std::size_t i = 0; i < out.size(); ++i) mask.push_back(random() % 2 ? 0x3F80 : 0xBF80);
  }

  /// With exp the chain is none that can run piece by piece.
  BoundChain chain(bool with_exp) {
    BoundChain chain;
    chain.elements = m * n;
    chain.operands = {{{.access = Access::product}, nullptr},
                      {{.access = Access::row, .period = n}, row.data()},
                      {{.access = Access::column, .period = n}, column.data()},
                      {{.dtype = DType::bf16}, mask.data()}};
    chain.instructions = {{.op = ElementwiseOp::add, .a = 0, .b = 1, .dst = 4},
                          {.op = ElementwiseOp::mul, .a = 4, .b = 2, .dst = 5},
                          {.op = ElementwiseOp::step, .a = 3, .b = 3, .dst = 6},
                          {.op = ElementwiseOp::mul, .a = 5, .b = 6, .dst = 7}};
    if (with_exp) chain.instructions.push_back({.op = ElementwiseOp::exp, .a = 7, .b = 7, .dst = 8});
    chain.results = {{{.source = 5}, out.data()},
                     {{.source = with_exp ? 8 : 7, .dtype = DType::bf16}, rounded.data()},
                     {{.source = 5, .access = Access::sum, .period = n}, sums.data()}};
    return chain;
  }

  std::int64_t m, n;
  std::vector<float> row, column;
  std::vector<std::uint16_t> mask;
  std::vector<float> out;
  std::vector<std::uint16_t> rounded;
  std::vector<float> sums;
};

TEST(MatmulChain, TheChainSeesWhatWouldHaveBeenStored) {
  std::mt19937 random(2);
  for (Bf16Product& product : products())
    for (const bool with_exp : {false, true}) {
      const std::vector<float> value = product.value();
      ChainCase behind(product, random), alone = behind;
      const BoundChain chain = with_product_at(alone.chain(with_exp), value.data());
      const runtime::Buffer memory(chain_workspace(chain, /*use_machine_code=*/false));
      runtime::cpu::Workspace workspace(memory.data());
      chain_kernel(chain, workspace, /*use_machine_code=*/false)();
      runtime::cpu::Product with_chain = product.spec;
      with_chain.epilogue = behind.chain(with_exp);
      KernelOfProduct kernel(with_chain);
      kernel();
      EXPECT_EQ(behind.out, alone.out);
      EXPECT_EQ(behind.rounded, alone.rounded);
      EXPECT_EQ(behind.sums, alone.sums);
      for (std::size_t i = 0; i < behind.sums.size(); ++i) {
        double sum = 0;
        for (std::size_t r = 0; r < behind.column.size(); ++r)
          sum += static_cast<double>(behind.out[r * behind.row.size() + i]);
        ASSERT_NEAR(static_cast<double>(behind.sums[i]), sum, 1e-3);
      }
    }
}

TEST(MatmulChain, EachLineHasItsOwnMagnitude) {
  for (const int spread : {1, 30, 80})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        Bf16Product product(100, 130, 300, ta, tb);
        const std::vector<float> before = product.value();
        const auto row = [&](std::int64_t i) { return static_cast<int>(i * 7) % (spread + 1) - spread / 2; };
        const auto column = [&](std::int64_t j) { return static_cast<int>(j * 11) % (spread + 1) - spread / 3; };
        product.scale(row, column);
        const std::vector<float> dst = product.value();
        for (std::int64_t i = 0; i < product.m; ++i)
          for (std::int64_t j = 0; j < product.n; ++j) {
            const auto at = static_cast<std::size_t>(i * product.n + j);
            ASSERT_EQ(dst[at], std::ldexp(before[at], row(i) + column(j))) << i << " " << j << " " << spread;
          }
      }
}

TEST(MatmulChain, NumbersFarFromOne) {
  // Matrix registers take products below the smallest normal number as 0.
  const bool tiles = runtime::cpu::multiplier() == Multiplier::amx;
  const double lost = tiles ? 256 * static_cast<double>(std::numeric_limits<float>::min()) : 0;
  const base::ScopedFloatMode mode(base::ScopedFloatMode::without_denormals());
  for (const auto& [left, right] : {std::array{-80, -30}, {-55, -55}, {60, 60}, {100, 20}, {100, -90}, {-90, 100}}) {
    Bf16Product product(70, 50, 256, false, true);
    const std::vector<float> before = product.value();
    product.scale([&](auto) { return left; }, [&](auto) { return right; });
    const std::vector<float> dst = product.value();
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
  Bf16Product product(40, 40, 200, false, true);
  for (std::size_t line = 0; line < 40; ++line) {
    product.a.bf16()[line * 200 + 7] = product.b.bf16()[line * 200 + 9] = 0x4380;  // 256, where the other operand has
    product.a.bf16()[line * 200 + 9] = product.b.bf16()[line * 200 + 7] = 0;       // nothing
  }
  std::ranges::fill(product.expected, 0.0);
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t j = 0; j < 40; ++j)
      for (std::size_t t = 0; t < 200; ++t)
        product.expected[i * 40 + j] += static_cast<double>(base::from_bf16(product.a.bf16()[i * 200 + t])) *
                                        static_cast<double>(base::from_bf16(product.b.bf16()[j * 200 + t]));
  product.value();
  EXPECT_LT(product.error(), packed_tolerance(1e-6));
}

TEST(MatmulChain, WhatIsNotFiniteStaysSoInItsOwnRowsAndColumns) {
  for (const int special : {0x7F80, 0xFF80, 0x7FC0})
    for (const bool along : {false, true})
      for (const bool in_left : {false, true}) {
        const std::size_t line = 44, at = 290, lines = 70, depth = 300;
        Bf16Product product(lines, lines, depth, !along, along);
        const std::vector<float> before = product.value();
        (in_left ? product.a : product.b).bf16()[along ? line * depth + at : at * lines + line] =
            static_cast<std::uint16_t>(special);
        const std::vector<float> dst = product.value();
        for (std::size_t i = 0; i < lines; ++i)
          for (std::size_t j = 0; j < lines; ++j)
            if ((in_left ? i : j) == line)
              EXPECT_FALSE(std::isfinite(dst[i * lines + j]));
            else
              EXPECT_EQ(dst[i * lines + j], before[i * lines + j]);
      }
}

TEST(MatmulChain, FrozenOperandsGiveTheSame) {
  for (Bf16Product& product : products()) {
    const std::vector<float> before = product.value();
    product.matmul().frozen_b = true;
    const KernelOfProduct kernel(product.spec);
    for (int run = 0; run < 2; ++run) {
      std::ranges::fill(product.dst.f32(), NAN);
      kernel();
      if (kernel.kernel.row == "onednn")  // has another layout for weights that stay
        EXPECT_LT(product.error(), packed_tolerance(1e-6));
      else
        EXPECT_EQ(product.result(), before);
    }
  }
}

TEST(MatmulChain, ThreadsChangeNothing) {
  if (runtime::cpu::multiplier() == Multiplier::none)
    GTEST_SKIP() << "this processor has none of AMX, AVX-512 FP16 and AVX-512 BF16";
  const Bf16Product product(500, 300, 700, true, false);
  std::vector<float> with[3];
  for (int threads = 1; threads <= 3; ++threads) {
    base::set_threads(threads);
    with[threads - 1] = product.value();
  }
  base::set_threads(0);
  EXPECT_EQ(with[0], with[1]);
  EXPECT_EQ(with[0], with[2]);
}

}  // namespace
}  // namespace gan::test
